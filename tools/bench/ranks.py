"""Rank correlation (C. Spearman, Am. J. Psychol. 15, 1904, p. 72)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def ranks(values: Sequence[float]) -> NDArray[np.float64]:
    """Return the rank of each value from 1; equal values share the mean of theirs."""
    _, inverse, counts = np.unique(np.array(values, np.float64), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    means: NDArray[np.float64] = last - (counts - 1) / 2
    return means[inverse]


def spearman(a: Sequence[float], b: Sequence[float]) -> float:
    """Return the correlation of two rankings, -1..1; NaN where one of them tells nothing apart. Raises ValueError for other lengths."""
    if len(a) != len(b):
        raise ValueError(f"{len(a)} and {len(b)} values do not pair")
    x, y = ranks(a), ranks(b)
    x, y = x - x.mean(), y - y.mean()
    norm = math.sqrt(float(np.dot(x, x)) * float(np.dot(y, y)))
    return float(np.dot(x, y)) / norm if norm else math.nan
