"""A curve: seconds of ops of some kinds by how much work they do, one column for each width."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from .target import BIT_ROWS, FLOAT_ROW, ROWS, OpView

ANY_KIND = "*"
FLOAT_COLUMN = "float"
_COLUMNS = (*map(str, BIT_ROWS), FLOAT_COLUMN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Times of ops of `kinds` ("*": all that no other curve names) at amounts of work.

    work: multiply-accumulates, or elements for ops without; ascending, above zero. seconds: by column ("float", "8", "4" ...) one time
    for each amount of work. Raises ValueError, naming the field, where they do not fit, or a time falls as the work grows.
    """

    kinds: tuple[str, ...]
    work: tuple[float, ...]
    seconds: Mapping[str, tuple[float, ...]] = field(hash=False)

    def __post_init__(self) -> None:
        """Check kinds, work and times."""
        if not self.kinds or len(set(self.kinds)) < len(self.kinds) or not all(self.kinds):
            raise ValueError(f"kinds must be one or more words, each once, not {self.kinds}")
        if not self.work or not _ascends(self.work, strictly=True) or not 0 < self.work[0] <= self.work[-1] < math.inf:
            raise ValueError(f"work must be one or more numbers above zero, ascending, not {self.work}")
        for column, times in self.seconds.items():
            if column not in _COLUMNS:
                raise ValueError(f"seconds has a column {column!r}, not one of {', '.join(_COLUMNS)}")
            if len(times) != len(self.work):
                raise ValueError(f"seconds at {column} has {len(times)} times for {len(self.work)} amounts of work")
            if not (_ascends(times, strictly=False) and 0 <= times[0] <= times[-1] < math.inf):
                raise ValueError(f"seconds at {column} must be zero or above and must not fall as the work grows, not {times}")

    def at(self, column: str, work: float) -> float:
        """Return the seconds of an amount of work: straight lines between points, constant before the first, and beyond the last along the
        last line (through zero where there is one point only). Raises KeyError for a column that it does not have.
        """
        times = self.seconds[column]
        after = bisect_right(self.work, work)
        if after == 0:
            return times[0]
        if len(times) == 1:
            return times[0] * work / self.work[0]
        after = min(after, len(times) - 1)
        (left, right), (low, high) = self.work[after - 1 : after + 1], times[after - 1 : after + 1]
        return low + (high - low) * (work - left) / (right - left)


def work_of(op: OpView) -> int:
    """Return an op's work: multiply-accumulates, or for ops without the larger of the largest input and all results, in elements."""
    made = sum(t.elements or 0 for t in op.results)
    return op.macs or max(made, *(t.elements or 0 for t in op.inputs), 0)


def seconds_by_row(times: Mapping[str, float]) -> NDArray[np.float64]:
    """Return seconds by row, shape [ROWS], from those by column: bits without a column take the next wider one, float last.

    Raises KeyError where there is no column `float`.
    """
    seconds = np.full(ROWS, times[FLOAT_COLUMN])
    for row in range(FLOAT_ROW - 1, -1, -1):
        seconds[row] = times.get(str(BIT_ROWS[row]), seconds[row + 1])
    return seconds


def _ascends(values: tuple[float, ...], *, strictly: bool) -> bool:
    """Whether values grow (or stay equal) all along; NaN does not."""
    return all(a < b if strictly else a <= b for a, b in pairwise(values))
