"""Times of a profile as what a measured target looks up: one column over the bit-widths for each op, curves for what was not timed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .curve import ANY_KIND, FLOAT_COLUMN, Curve, seconds_by_row
from .profile_file import Profile
from .target import FLOAT_ROW, ROWS, row_of

Wire = Literal["pack", "pack_codes", "unpack"]
WIRES: tuple[Wire, ...] = ("pack", "pack_codes", "unpack")
"""What is timed of the wire."""


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """Seconds of an op by the row of its first operand, shape [ROWS], and the rows that were measured."""

    seconds: NDArray[np.float64]
    measured: frozenset[int]


@dataclass(frozen=True, slots=True, eq=False)
class WireTimes:
    """Packing, or unpacking: curves over the elements by bits, and the means of what was timed by bits and elements."""

    curves: Mapping[int, Curve]
    exact: Mapping[tuple[int, int], float]

    def column(self, elements: int) -> Column | None:
        """Return the times of so many elements, None where nothing was timed; only exactly timed sizes are measured.

        Widths that were not timed take the next wider one, or the widest; so does float.
        """
        if not self.curves:
            return None
        times = {str(b): self.exact.get((b, elements), curve.at(str(b), elements)) for b, curve in self.curves.items()}
        measured = frozenset(row_of(b) for b in self.curves if (b, elements) in self.exact)
        return Column(seconds_by_row({FLOAT_COLUMN: times[str(max(self.curves))], **times}), measured)


def op_columns(profile: Profile) -> Mapping[str, Column]:
    """Return the times of every op that was timed by signature; those of equal signature are averaged."""
    found: defaultdict[str, defaultdict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for op in profile.ops:
        for timing in op.times:
            found[op.signature][timing.context].append(timing.median_s)
    return {name: _column({context: _mean(times) for context, times in contexts.items()}) for name, contexts in found.items()}


def curves_by_kind(profile: Profile) -> Mapping[str, tuple[Curve, ...]]:
    """Return curves over the work by kind of op, one for each context of its runs; those of "*" are of all ops together."""
    found: defaultdict[str, defaultdict[str, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    for op in profile.ops:
        for timing in op.times:
            for kind in (op.kind, ANY_KIND):
                found[kind][timing.context].append((op.work, timing.median_s))
    return {kind: tuple(_curve(kind, column, points) for column, points in by.items()) for kind, by in found.items()}


def predicted(curves: Iterable[Curve], work: int) -> Column:
    """Return the times of an op that was not timed, none of them measured."""
    return Column(seconds_by_row({column: curve.at(column, work) for curve in curves for column in curve.seconds}), frozenset())


def wire_times(profile: Profile, which: Wire) -> WireTimes:
    """Return the times of packing numbers, packing codes (as numbers where that was not timed), or unpacking.

    Those of equal size and bits are averaged.
    """
    found: defaultdict[tuple[int, int], list[float]] = defaultdict(list)
    for wire in profile.wires:
        pack_codes_s = wire.pack_s if wire.pack_codes_s is None else wire.pack_codes_s
        taken = {"pack": wire.pack_s, "pack_codes": pack_codes_s, "unpack": wire.unpack_s}
        found[wire.bits, wire.elements].append(taken[which])
    exact = {key: _mean(times) for key, times in found.items()}
    widths = sorted({bits for bits, _ in exact})
    return WireTimes({b: _curve(which, str(b), ((n, s) for (bits, n), s in exact.items() if bits == b)) for b in widths}, exact)


NO_TIME = Column(np.zeros(ROWS), frozenset())
"""Of an op that takes none."""


def _column(times: Mapping[str, float]) -> Column:
    measured = frozenset(FLOAT_ROW if context == FLOAT_COLUMN else row_of(int(context)) for context in times)
    return Column(seconds_by_row(times), measured)


def _curve(kind: str, column: str, points: Iterable[tuple[float, float]]) -> Curve:
    """Return straight lines over the points (work, seconds).

    Where a time falls as the work grows, neighbours are replaced by their mean until none does (pool adjacent violators: Ayer and others,
    Annals of Mathematical Statistics 26, 1955).
    """
    pools: list[tuple[float, float, int]] = []
    for work, times in sorted(_by_work(points).items()):
        pools.append((work, _mean(times), len(times)))
        while len(pools) > 1 and pools[-2][1] >= pools[-1][1]:
            (work_a, mean_a, count_a), (work_b, mean_b, count_b) = pools[-2:]
            count = count_a + count_b
            pools[-2:] = [((work_a * count_a + work_b * count_b) / count, (mean_a * count_a + mean_b * count_b) / count, count)]
    return Curve(kinds=(kind,), work=tuple(p[0] for p in pools), seconds={column: tuple(p[1] for p in pools)})


def _by_work(points: Iterable[tuple[float, float]]) -> Mapping[float, list[float]]:
    found: defaultdict[float, list[float]] = defaultdict(list)
    for work, seconds in points:
        found[max(1.0, float(work))].append(seconds)
    return found


def _mean(times: list[float]) -> float:
    return sum(times) / len(times)
