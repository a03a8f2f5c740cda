"""Every figure of SCALE-Sim v3's rows, and reads from memory against a buffer followed word by word."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autosplitc.targets import Dataflow
from autosplitc.targets.counts_v3 import ArrayConfig, ConvShape, Counts, counts
from autosplitc.targets.counts_v3_dram import Windows, filter_reads, input_reads

ROWS_FOLDER = Path(__file__).parents[2] / "data" / "scalesim"
DATAFLOWS: dict[str, Dataflow] = {"os": "os", "ws": "ws", "is": "is"}
ARRAY = ArrayConfig(8, 16, "os", 1, 1, 1)


def reference(file: str) -> list[dict[str, str]]:
    with (ROWS_FOLDER / file).open(newline="") as lines:
        return list(csv.DictReader(lines))


def ours(row: dict[str, str]) -> Counts:
    height, width, taps_y, taps_x, channels, filters, stride = (int(row[name]) for name in ("ih", "iw", "fh", "fw", "c", "n", "s"))
    buffers = (int(row[name]) for name in ("if_kb", "fl_kb", "of_kb"))
    array = ArrayConfig(int(row["R"]), int(row["C"]), DATAFLOWS[row["dataflow"]], *buffers)
    return counts(ConvShape(height, width, taps_y, taps_x, channels, filters, stride), array)


@pytest.mark.parametrize(
    ("file", "count", "columns"),
    [("scalesim_v3_compute.csv", 495, 5), ("scalesim_v3_calc.csv", 158, 10), ("corners_v3_calc.csv", 21, 10)],
)
def test_every_figure_of_every_row_is_exact(file: str, count: int, columns: int) -> None:
    """The corners were made with SCALE-Sim 3.0.0 like the others; most are layers that an earlier form of the counts got wrong."""
    rows = reference(file)
    assert len(rows) == count
    for row in rows:
        found = ours(row)
        claimed = [name for name in Counts.__dataclass_fields__ if row[name]]
        assert len(claimed) == columns
        for name in claimed:
            assert format(getattr(found, name), ".6f" if name.endswith("pct") else "d") == row[name], (row["layer"], row["dataflow"], name)


def test_a_single_multiplication_has_no_utilisation() -> None:
    found = counts(ConvShape(1, 1, 1, 1, 1, 1, 1), ArrayConfig(1, 1, "os", 1, 1, 1))
    assert (found.compute_cycles, found.total_cycles, found.overall_util_pct) == (1, 0, 0.0)


@pytest.mark.parametrize("change", [{"height": 0}, {"stride": 0}, {"filters": -1}, {"filter_height": 8}, {"filter_width": 8}])
def test_layers_that_make_no_sense_are_refused(change: dict[str, int]) -> None:
    sizes = {"height": 7, "width": 7, "filter_height": 3, "filter_width": 3, "channels": 4, "filters": 32, "stride": 1}
    with pytest.raises(ValueError, match=r"below one|exceeds"):
        ConvShape(**{**sizes, **change})


def test_arrays_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="below one"):
        ArrayConfig(8, 0, "os", 1, 1, 1)
    unknown: Any = "rs"
    with pytest.raises(ValueError, match="rs"):
        ArrayConfig(8, 8, unknown, 1, 1, 1)


def test_a_layer_too_large_to_follow_is_refused() -> None:
    with pytest.raises(ValueError, match="words a round"):
        counts(ConvShape(4002, 4002, 3, 3, 64, 1, 1), ArrayConfig(12, 14, "ws", 36, 36, 36))


def misses(stream: Iterator[int], capacity: int) -> int:
    """Words collected by a buffer that is emptied whenever it holds `capacity`."""
    held: set[int] = set()
    count = 0
    for word in stream:
        if word not in held:
            held.add(word)
            count += 1
        if len(held) == capacity:
            held = set()
    return count


def skewed(steps: int, lanes: int) -> Iterator[tuple[int, int]]:
    return ((cycle - lane, lane) for cycle in range(steps + lanes - 1) for lane in range(lanes) if 0 <= cycle - lane < steps)


def input_stream(w: Windows, filters: int, dataflow: Dataflow, rows: int, cols: int) -> Iterator[int]:
    """Words in the order in which the array asks for them, by SCALE-Sim's description of the three dataflows."""
    m, k = w.out[0] * w.out[1], w.taps[0] * w.taps[1] * w.channels
    places: list[tuple[int, int]] = []
    if dataflow == "os":
        for first in range(0, m, rows):
            places += [(first + lane, step) for step, lane in skewed(k, min(rows, m - first))]
    elif dataflow == "ws":
        for first in range(0, k, rows):
            places += [(step, first + lane) for step, lane in skewed(m, min(rows, k - first))]
    else:
        for pixel in range(0, m, cols):
            for tap in range(0, k, rows):
                bottom_up = reversed(range(tap, min(k, tap + rows)))
                places += [(p, t) for t in bottom_up for p in range(pixel, min(m, pixel + cols))]
    for _ in range(1 if dataflow == "is" else -(-filters // cols)):
        for pixel, tap in places:
            tap_y, rest = divmod(tap, w.taps[1] * w.channels)
            tap_x, channel = divmod(rest, w.channels)
            y, x = pixel // w.out[1] * w.stride + tap_y, pixel % w.out[1] * w.stride + tap_x
            if y < w.size[0] and x < w.size[1]:
                yield (y * w.size[1] + x) * w.channels + channel


@given(
    size=st.tuples(st.integers(1, 7), st.integers(1, 7)), taps=st.tuples(st.integers(1, 4), st.integers(1, 4)), stride=st.integers(1, 3),
    channels=st.integers(1, 5), filters=st.integers(1, 7), dataflow=st.sampled_from(tuple(DATAFLOWS.values())), rows=st.integers(1, 9),
    cols=st.integers(1, 5), capacity=st.integers(1, 60),
)  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_input_reads_are_the_misses_of_a_buffer_followed_word_by_word(
    size: tuple[int, int],
    taps: tuple[int, int],
    stride: int,
    channels: int,
    filters: int,
    dataflow: Dataflow,
    rows: int,
    cols: int,
    capacity: int,
) -> None:
    size = max(size[0], taps[0]), max(size[1], taps[1])
    layer = ConvShape(*size, *taps, channels, filters, stride)
    windows = Windows(size, taps, layer.out, stride, channels)
    stream = list(input_stream(windows, filters, dataflow, rows, cols))
    assert windows.words == len(set(stream))
    assert input_reads(windows, -(-filters // cols), dataflow, rows, cols, capacity) == misses(iter(stream), capacity)


@given(
    m=st.integers(1, 20), n=st.integers(1, 20), k=st.integers(1, 6), dataflow=st.sampled_from(tuple(DATAFLOWS.values())),
    rows=st.integers(1, 6), cols=st.integers(1, 6), capacity=st.integers(1, 60),
)  # fmt: skip
@settings(deadline=None)
def test_filter_reads_are_the_misses_of_a_buffer_followed_word_by_word(
    m: int, n: int, k: int, dataflow: Dataflow, rows: int, cols: int, capacity: int
) -> None:
    stream: list[int] = []
    if dataflow == "os":
        for first in range(0, n, cols):
            fold = [tap * n + first + lane for tap, lane in skewed(k, min(cols, n - first))]
            stream += fold * -(-m // rows)
    else:
        for _ in range(1 if dataflow == "ws" else -(-m // cols)):
            stream += range(n * k)
    assert filter_reads(m, n, k, dataflow, rows, cols, capacity) == misses(iter(stream), capacity)


@pytest.mark.parametrize(("filters", "extra"), [(20, 0), (21, 15), (32, 15)])
def test_lines_of_outputs_that_half_the_buffer_holds_are_padded_once(filters: int, extra: int) -> None:
    """25 pixels: 500 words fit half the buffer of 512; 525 do not."""
    assert counts(ConvShape(7, 7, 3, 3, 4, filters, 1), ARRAY).dram_ofmap_writes == 25 * filters + extra
    odd = ArrayConfig(8, 14, "os", 1, 1, 1)
    assert counts(ConvShape(7, 7, 3, 3, 4, filters, 1), odd).dram_ofmap_writes == 25 * filters
