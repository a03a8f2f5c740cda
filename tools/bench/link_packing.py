"""Packing of codes outside the graph, beside copying as many bytes: the tensor of the paper's Table 6, at every width.

Run with `autosplitc bench link packing`. The paper packs (36, 64, 256) activations, height-width-channels, at 4 bits: two neighbours of a
channel share a byte ("height-width", 1.45 s with unpacking), or two channels of a place do (0.01 s). A payload of ours holds the values of
a channel one after the other, so its neighbours are the paper's slow ones. Channels share bytes where the tensor is turned around first.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

import click
import numpy as np
from numpy.typing import NDArray

from autosplitc.runtime.packing import pack, unpack

from .table import table

Codes: TypeAlias = NDArray[np.uint8]

CHANNELS, HEIGHT, WIDTH = 256, 36, 64
ELEMENTS = CHANNELS * HEIGHT * WIDTH
PAPER_S = {"height-width": 1.45, "channels": 0.01}
"""Table 6 of the paper: packing and unpacking at 4 bits."""

REPEATS = 50


@dataclass(frozen=True, slots=True)
class Row:
    """Medians in seconds: codes to bytes, bytes to codes, and a copy of the codes, one byte each, measured in turn with them."""

    along: str
    bits: int
    packed_bytes: int
    pack_s: float
    unpack_s: float
    copy_s: float


@click.command()
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="File for the figures as JSON.")
def packing(json_path: Path | None = None) -> None:
    """Time packing and unpacking of a (36, 64, 256) tensor against a copy of it."""
    codes = np.random.default_rng(0).integers(0, 256, (CHANNELS, HEIGHT, WIDTH), np.uint8)
    rows = [timed("height-width", codes, bits) for bits in range(1, 9)]
    rows += [timed("channels", codes, bits) for bits in (2, 4, 8)]
    cells: list[tuple[object, ...]] = []
    for row in rows:
        times = (f"{s * 1e3:.3f}" for s in (row.pack_s, row.unpack_s, row.copy_s))
        both_s = row.pack_s + row.unpack_s
        paper = f"{PAPER_S[row.along] * 1e3:,.0f}" if row.bits == 4 else ""
        both = (f"{both_s / row.copy_s:.1f}", f"{both_s * 1e3:.3f}")
        cells.append((f"{row.bits} bits, {row.along}", f"{row.packed_bytes:,}", *times, *both, paper))
    click.echo(f"{ELEMENTS:,} codes; measured, medians of {REPEATS}")
    click.echo(table(("", "bytes", "pack ms", "unpack ms", "copy ms", "both x copy", "both ms", "paper, both ms"), cells))
    if json_path is not None:
        json_path.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")


def timed(along: str, codes: Codes, bits: int) -> Row:
    """Return the times of a tensor [channels, height, width], of which the lowest bits count; checks that unpacking gives it back."""
    small = codes & np.uint8((1 << bits) - 1)
    turned = along == "channels"

    def packed() -> Codes:
        ordered = np.ascontiguousarray(small.reshape(CHANNELS, -1).T) if turned else small
        return pack(ordered.reshape(1, -1), bits)

    data = packed()

    def unpacked() -> Codes:
        ordered = unpack(data, bits, ELEMENTS)
        return np.ascontiguousarray(ordered.reshape(-1, CHANNELS).T) if turned else ordered

    if not np.array_equal(unpacked().reshape(small.shape), small):
        raise AssertionError(f"{bits} bits along {along}: unpacking does not give the codes back")
    times_s: tuple[list[float], ...] = ([], [], [])
    for _ in range(REPEATS):
        for taken, work in zip(times_s, (packed, unpacked, small.copy), strict=True):
            taken.append(_seconds(work))
    pack_s, unpack_s, copy_s = map(statistics.median, times_s)
    return Row(along, bits, data.nbytes, pack_s, unpack_s, copy_s)


def _seconds(work: Callable[[], object]) -> float:
    started_s = time.perf_counter()
    work()
    return time.perf_counter() - started_s


if __name__ == "__main__":
    packing()
