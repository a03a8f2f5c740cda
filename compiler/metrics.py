"""Quality figures of a model's outputs: signal-to-noise ratio, top-1 accuracy, agreement, and how sure a share of n samples is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Z_95 = 1.959963984540054
"""Two-sided 95 % quantile of the normal distribution."""


@dataclass(frozen=True, slots=True)
class Share:
    """`hits` of `n` samples. Shares of disjoint batches add."""

    hits: int
    n: int

    @property
    def value(self) -> float:
        """The share, 0..1; NaN of no samples."""
        return self.hits / self.n if self.n else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the true share (E. B. Wilson, J. Am. Stat. Assoc. 22, 1927, p. 209); (0, 1) of no samples."""
        return wilson_interval(self.hits, self.n)

    def __add__(self, other: Share) -> Share:
        """Return the share of both batches."""
        return Share(self.hits + other.hits, self.n + other.n)


def wilson_interval(hits: int, n: int, z: float = Z_95) -> tuple[float, float]:
    """Return Wilson's score interval of a share of `hits` in `n`. Raises ValueError unless 0 <= hits <= n."""
    if not 0 <= hits <= n:
        raise ValueError(f"{hits} of {n} is no share")
    if n == 0:
        return 0.0, 1.0
    share, spread = hits / n, z * z / n
    centre = share + spread / 2
    half = z * math.sqrt(share * (1 - share) / n + spread / (4 * n))
    low = 0.0 if hits == 0 else (centre - half) / (1 + spread)
    high = 1.0 if hits == n else (centre + half) / (1 + spread)
    return low, high


def sqnr_db(reference: NDArray[Any], value: NDArray[Any]) -> float:
    """Return 10 log10(sum reference^2 / sum (reference - value)^2) over all elements, in decibels.

    inf where both are equal, -inf where only the reference is zero everywhere, NaN where either holds NaN or infinity.
    Raises ValueError where the shapes differ.
    """
    if reference.shape != value.shape:
        raise ValueError(f"shapes differ: {reference.shape} and {value.shape}")
    exact = np.asarray(reference, np.float64).ravel()
    difference = exact - np.asarray(value, np.float64).ravel()
    signal, noise = float(np.dot(exact, exact)), float(np.dot(difference, difference))
    if not (math.isfinite(signal) and math.isfinite(noise)):
        return math.nan
    if noise == 0.0:
        return math.inf
    return 10.0 * math.log10(signal / noise) if signal > 0.0 else -math.inf


def top1(logits: NDArray[Any], labels: NDArray[Any]) -> Share:
    """Return how many of `logits` [n, classes] have their largest entry at the label (integers [n]); the first of equals counts.

    Raises ValueError where the shapes do not fit.
    """
    if logits.ndim != 2 or labels.shape != (len(logits),):
        raise ValueError(f"logits {logits.shape} and labels {labels.shape} do not fit")
    return Share(int(np.count_nonzero(np.argmax(logits, axis=1) == labels)), len(logits))


def agreement(a: NDArray[Any], b: NDArray[Any]) -> Share:
    """Return in how many samples (first axis) the largest entries along the last axis stand at the same places.

    With axes between, all of a sample's places must agree. Raises ValueError where the shapes differ or have fewer than two axes.
    """
    if a.shape != b.shape or a.ndim < 2:
        raise ValueError(f"shapes do not fit: {a.shape} and {b.shape}")
    same = np.argmax(a, axis=-1) == np.argmax(b, axis=-1)
    return Share(int(np.count_nonzero(same.all(axis=tuple(range(1, same.ndim))))), len(a))
