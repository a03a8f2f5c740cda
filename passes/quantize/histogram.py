"""Histograms of activations, and what stands for them when errors are computed.

A row holds the counts of `BINS` equal bins over [low, high] and, beside them, of the elements that are exactly 0, `low` and `high`. Those
three are no part of the bins: they have codes of their own or nearly so (Relu makes many zeros, Clip many highs), while elements inside
a bin are taken as spread evenly over it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import Samples

BINS = 512
COLUMNS = BINS + 3
"""Columns of a row: the bins, then zeros, lows, highs."""

EXACT_LEVELS = 255
"""Steps between `low` and `high` of a value whose elements are all on one of 256 levels: a picture's bytes."""

_ZEROS, _LOWS, _HIGHS = BINS, BINS + 1, BINS + 2
_POINTS_A_BIN = 4
_BLOCK = 1 << 16
"""Elements handled at a time: what fits a core's cache."""


def histogram_of(values: NDArray[np.float32], low: float, high: float) -> NDArray[np.float64]:
    """Return the row f64[COLUMNS] of finite `values` (any shape), all within [low, high]; rows of more data add."""
    flat = np.ascontiguousarray(values).reshape(-1)
    row = np.zeros(COLUMNS)
    row[_ZEROS] = flat.size - np.count_nonzero(flat)
    row[_LOWS] = np.count_nonzero(flat == low) if low != 0.0 else 0
    row[_HIGHS] = np.count_nonzero(flat == high) if high not in (0.0, low) else 0
    if low == high:
        return row
    ends = np.array([0.0 if low <= 0.0 <= high else low, low, high], np.float32)
    for start in range(0, flat.size, _BLOCK):
        row[:BINS] += np.bincount(_bins(flat[start : start + _BLOCK], low, high), minlength=BINS)
    np.subtract.at(row, _bins(ends, low, high), row[BINS:].copy())
    return row


def _bins(values: NDArray[np.float32], low: float, high: float) -> NDArray[np.intp]:
    """Return each element's bin. Ranges far from 1 take the slow way, where float32 neither overflows nor loses digits."""
    span = high - low
    wide = values.astype(np.float64) if not 1e-30 < span < 1e30 else values
    scaled = np.subtract(wide, wide.dtype.type(low))
    scaled *= wide.dtype.type(BINS / span)
    np.clip(scaled, 0, BINS - 1, out=scaled)
    return scaled.astype(np.int32).astype(np.intp)


def samples_of(row: NDArray[Any], low: float, high: float, *, exact: bool = False) -> Samples:
    """Return points that stand for a row's elements: several in every bin that is not empty, and the two ends.

    With `exact` all elements are on `EXACT_LEVELS` + 1 levels, no two of which share a bin: each bin stands for its level.
    """
    bins = np.asarray(row[:BINS], np.float64)
    filled = np.flatnonzero(bins)
    points = 1 if exact else _POINTS_A_BIN
    offsets = (np.arange(points) + 0.5) / points
    places = ((filled[:, None] + offsets) / BINS).reshape(-1)
    if exact:
        places = np.rint(places * EXACT_LEVELS) / EXACT_LEVELS
    values = np.concatenate([low + places * (high - low), [low, high]])
    counts = np.concatenate([np.repeat(bins[filled] / points, points), row[_LOWS:]])
    return Samples(values, counts, float(np.sum(row)))
