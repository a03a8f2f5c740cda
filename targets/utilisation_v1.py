"""Utilisation of a systolic array by a matrix product, exactly as SCALE-Sim v1 reports it (Samajdar et al., arXiv:1811.02883).

ws, is: the share of units that a fold fills, averaged over cycles. os: rows that read times columns that read, over the cycles in which
operands are read; results may leave for longer. Shares are added up in SCALE-Sim's order, fold by fold or cycle by cycle: that decides how
a percentage halfway between two printed ones is rounded.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .cycles_v1 import cycles, stationary_folds
from .gemm import Dataflow


def utilisation_pct(dataflow: Dataflow, m: int, n: int, k: int, rows: int, cols: int) -> float:
    """Return the share of units in use in percent; 0 for an empty product."""
    if 0 in (m, n, k):
        return 0.0
    if dataflow == "os":
        return _output_stationary(m, n, k, rows, cols)
    shares: list[NDArray[np.float64]] = []
    for col_folds, row_folds in stationary_folds(dataflow, m, n, k, rows, cols):
        share = np.repeat([units / (rows * cols) * each for _, units, each in row_folds], [count for count, _, _ in row_folds])
        shares.append(np.tile(share, col_folds))
    return _in_order(np.concatenate(shares)) / cycles(dataflow, m, n, k, rows, cols) * 100


def _in_order(shares: NDArray[np.float64]) -> float:
    return float(np.add.accumulate(shares)[-1])


@dataclass(frozen=True, slots=True)
class _Reading:
    """One row's reading for one fold of filters: cycles start..end-1, from tap `tap` of its first pixel on.

    released: the cycle at whose end it was let go, -1 if it did not have to wait.
    """

    start: int
    end: int
    tap: int
    released: int


def _output_stationary(m: int, n: int, k: int, rows: int, cols: int) -> float:
    """Rows in use times columns in use, cycle by cycle.

    Column c reads from cycle c on without a break, H x K cycles for each fold of filters that has a filter for it.
    """
    row_folds, col_folds = -(-m // rows), -(-n // cols)
    last_cols = n - (col_folds - 1) * cols
    reading_cols = [(c, c + row_folds * k * (col_folds if c < last_cols else col_folds - 1)) for c in range(min(n, cols))]
    readings = [reading for row in _readings(m, k, rows, col_folds) for reading in row]
    end = max(end for _, end in reading_cols)
    late = [reading for reading in readings if reading.end > end]
    while any(reading.start < end < reading.end and (reading.tap + end - reading.start) % k for reading in late):
        end += 1
    used_rows, used_cols = _used([(reading.start, reading.end) for reading in readings], end), _used(reading_cols, end)
    return _in_order(used_rows * used_cols / (rows * cols)) / end * 100


def _used(spans: Sequence[tuple[int, int]], end: int) -> NDArray[np.int64]:
    """Return how many spans are under way in each cycle before `end`."""
    bounds = np.minimum(np.array(spans), end)
    return np.cumsum(np.bincount(bounds[:, 0], minlength=end + 1) - np.bincount(bounds[:, 1], minlength=end + 1))[:end]


def _readings(m: int, k: int, rows: int, col_folds: int) -> list[list[_Reading]]:
    """Return what each row in use reads, a reading a fold of filters.

    Row r starts at cycle r and reads K cycles a pixel. A row that is through with a fold of filters before the row above it, because the
    last fold of pixels has none for it, waits; so does a row below one that waits. Where the row above has begun the next fold of filters,
    the waiting row is let go to follow a cycle behind, one row a cycle, upper rows first; if the row above is through with that fold too
    by then, the row waits for ever.
    """
    row_folds = -(-m // rows)
    last_rows = m - (row_folds - 1) * rows
    found: list[list[_Reading]] = []
    taken: set[int] = set()
    for row in range(min(rows, m)):
        length = k * (row_folds if row < last_rows else row_folds - 1)
        readings = [_Reading(row, row + length, 0, -1)]
        while len(readings) < col_folds:
            end = readings[-1].end
            following = _Reading(end, end + length, 0, -1)
            if found and _waits(found[-1], len(readings), end - 1, col_folds):
                released = _released(found[-1], len(readings), end - 1, taken)
                if released is None:
                    break
                taken.add(released)
                tap = _next_tap(found[-1][len(readings)], released, k) - 1
                start = released + 1 + max(0, -tap)
                following = _Reading(start, start + length - max(0, tap), max(0, tap), released)
            readings.append(following)
        found.append(readings)
    return found


def _waits(above: Sequence[_Reading], fold: int, cycle: int, col_folds: int) -> bool:
    """Whether a row that is through with `fold` folds of filters in `cycle` has to wait for the row above it."""
    through = sum(reading.end - 1 <= cycle for reading in above)
    if through < fold:
        return True
    return through < col_folds and (through == len(above) or above[through].released >= cycle)


def _released(above: Sequence[_Reading], fold: int, cycle: int, taken: Set[int]) -> int | None:
    """Return the cycle at whose end a row waiting since `cycle` may begin `fold`; None if never."""
    if fold >= len(above):
        return None
    release = max(cycle, above[fold - 1].end - 1, above[fold].released + 1)
    while release in taken:
        release += 1
    return release if release < above[fold].end - 1 else None


def _next_tap(reading: _Reading, cycle: int, k: int) -> int:
    """Return the tap that a row reads after `cycle`; as many below zero as cycles are left until it starts."""
    since = cycle + 1 - reading.start
    return since if since <= 0 else (reading.tap + since) % k
