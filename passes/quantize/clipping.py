"""Clip bounds: what range the quantiser of a value has at 1..8 bits, from the value's histogram. Beyond the bounds values saturate.

Methods: `min-max`; `percentile` of all elements; `mse`, the bounds of least squared error, searched with both ends apart; `aciq`, bounds
that are optimal for the normal or Laplace distribution, whichever the value is more like: R. Banner, Y. Nahshan, D. Soudry, "Post training
4-bit quantization of convolutional networks for rapid-deployment", NeurIPS 2019, section 3 and appendix A.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import BITS
from .histogram import BINS

METHODS = ("min-max", "percentile", "mse", "aciq")
"""Ways to find clip bounds."""

Vector = NDArray[np.float64]

_COARSE = 2.0 ** (-np.arange(25) / 3)
"""Shares of a bound that the search starts from: 1 down to 1/256."""
_FINE_STEPS = 4
_FINE_ROUNDS = 2


@dataclass(frozen=True, eq=False)
class Density:
    """A value's elements as a histogram has them, in units of their range's larger end: evenly spread in each of `BINS` bins, and points.

    edges: f64[BINS + 1]; counts: f64[BINS]; lows, highs: elements exactly at the first and last edge; zeros: elements that are 0.
    """

    unit: float
    edges: Vector
    counts: Vector
    zeros: float
    lows: float
    highs: float

    @staticmethod
    def of(row: NDArray[Any], low: float, high: float) -> Density:
        """Return the density of a row f64[COLUMNS] over [low, high], low < high."""
        unit = max(abs(low), abs(high))
        edges = low / unit + (high / unit - low / unit) * np.arange(BINS + 1) / BINS
        zeros, lows, highs = (float(v) for v in row[BINS:])
        return Density(unit, edges, np.asarray(row[:BINS], np.float64), zeros, lows, highs)

    @property
    def low(self) -> float:
        """The lower bound, 0 where all elements are above it."""
        return min(float(self.edges[0]), 0.0)

    @property
    def high(self) -> float:
        """The upper bound, 0 where all elements are below it."""
        return max(float(self.edges[-1]), 0.0)

    @property
    def points(self) -> tuple[Vector, Vector]:
        """Places and counts of all elements that are not 0, a bin's at its middle."""
        middles = (self.edges[1:] + self.edges[:-1]) / 2
        return np.concatenate([middles, self.edges[[0, -1]]]), np.concatenate([self.counts, [self.lows, self.highs]])


def clip_bounds(row: NDArray[Any], low: float, high: float, method: str, percentile: float) -> NDArray[np.float64]:
    """Return bounds f64[8, 2] of the quantisers of 1..8 bits of a value with histogram `row` over [low, high].

    percentile: share of all elements that is not above the upper bound, and not below the lower one, in %. Bounds lie within [low, high]
    widened to 0. Where a method finds no extent they are `low` and `high`. Raises ValueError for a method that is not one of `METHODS`.
    """
    if method not in METHODS:
        raise ValueError(f"no way to find clip bounds: {method!r}")
    whole = np.tile(np.array([low, high]), (len(BITS), 1))
    if method == "min-max" or low == high or not np.any(row):
        return whole
    density = Density.of(row, low, high)
    if method == "percentile":
        pairs = [_percentile(density, percentile)] * len(BITS)
    elif method == "mse":
        pairs = [_least_error(density, bits) for bits in BITS]
    else:
        pairs = [_analytic(density, bits) for bits in BITS]
    bounds = np.array(pairs) * density.unit
    return np.where((bounds[:, 1] > bounds[:, 0])[:, None], np.clip(bounds, min(low, 0.0), max(high, 0.0)), whole)


def _percentile(density: Density, percentile: float) -> tuple[float, float]:
    """Return the bounds that `percentile` % of the elements do not exceed to either side."""
    beyond = (1 - percentile / 100) * (float(density.counts.sum()) + density.zeros + density.lows + density.highs)
    above = _tail(density.edges[::-1], density.counts[::-1], beyond - density.highs)
    below = _tail(density.edges, density.counts, beyond - density.lows)
    return min(max(below, density.low), 0.0), max(min(above, density.high), 0.0)


def _tail(edges: Vector, counts: Vector, beyond: float) -> float:
    """Return the place that `beyond` elements lie before, in the order of the edges; the first edge where none does."""
    if beyond <= 0:
        return float(edges[0])
    before = np.concatenate([[0.0], np.cumsum(counts)])
    index = int(np.searchsorted(before, beyond)) - 1
    if index >= len(counts):
        return float(edges[-1])
    share = (beyond - before[index]) / counts[index]
    return float(edges[index] + share * (edges[index + 1] - edges[index]))


class _Noise:
    """Squared error of a density under quantisers.

    With thresholds t_k halfway between codes, s apart, and r the largest code's value, the error is the sum of (x - r)^2 over all
    elements minus 2 s times the sum over k of G(t_k), where G(t) is the sum of t - x over the elements x below t (summation by parts).
    """

    def __init__(self, density: Density) -> None:
        self._edges = density.edges
        self._width = density.edges[1] - density.edges[0]
        middles = (density.edges[1:] + density.edges[:-1]) / 2
        below = density.lows + np.concatenate([[0.0], np.cumsum(density.counts)])
        first = density.lows * density.edges[0] + np.concatenate([[0.0], np.cumsum(density.counts * middles)])
        self._below, self._gap = below, density.edges * below - first
        self._density = density.counts / self._width
        self._highs = density.highs
        squares = density.counts * (middles**2 + self._width**2 / 12)
        self._moments = (
            below[-1] + density.highs,
            float(first[-1] + density.highs * density.edges[-1]),
            float(squares.sum() + density.lows * density.edges[0] ** 2 + density.highs * density.edges[-1] ** 2),
        )

    def of(self, lows: Vector, highs: Vector, bits: int) -> Vector:
        """Return the error with bounds [lows, highs] f64[n], whose zero points are rounded as `affine_of_range` does."""
        top = 2**bits - 1
        scale = (highs - lows) / top
        zero = np.clip(np.rint(-lows / scale), 0, top)
        thresholds: NDArray[np.float64] = (np.arange(top, dtype=np.float64) + 0.5 - zero[:, None]) * scale[:, None]
        largest = (top - zero) * scale
        count, total, squares = self._moments
        return squares - 2 * largest * total + largest**2 * count - 2 * scale * self._gaps(thresholds).sum(axis=1)

    def _gaps(self, t: NDArray[np.float64]) -> NDArray[np.float64]:
        index = np.clip(((t - self._edges[0]) * (1 / self._width)).astype(np.intp), 0, BINS - 1)
        inside = np.clip(t, self._edges[0], self._edges[-1]) - self._edges[index]
        gaps = self._gap[index] + inside * (self._below[index] + 0.5 * self._density[index] * inside)
        beyond = np.maximum(t - self._edges[-1], 0.0)
        return gaps + beyond * (self._below[-1] + self._highs)


def _least_error(density: Density, bits: int) -> tuple[float, float]:
    """Return the bounds of least squared error. An end at 0 stays there; two others are searched together, coarse to fine."""
    noise = _Noise(density)
    below = _COARSE if density.low < 0 else np.ones(1)
    above = _COARSE if density.high > 0 else np.ones(1)
    best = (1.0, 1.0)
    for step in (1 / 3, *(1 / 3 / _FINE_STEPS ** (i + 1) for i in range(_FINE_ROUNDS))):
        low, high = (np.reshape(a, -1) for a in np.meshgrid(below, above, indexing="ij"))
        error = noise.of(density.low * low, density.high * high, bits)
        index = int(np.argmin(error))
        best = (float(low[index]), float(high[index]))
        finer = 2.0 ** (np.arange(-_FINE_STEPS, _FINE_STEPS + 1) * (step / _FINE_STEPS))
        below = np.minimum(best[0] * finer, 1.0) if density.low < 0 else below
        above = np.minimum(best[1] * finer, 1.0) if density.high > 0 else above
    return density.low * best[0], density.high * best[1]


def _analytic(density: Density, bits: int) -> tuple[float, float]:
    """Return the bounds that are optimal for the distribution that makes the elements more likely.

    A value with one sign is half of a distribution around 0, the rest of which an activation cut off: its codes cover half the width, so
    one bit more would cover all.
    """
    places, counts = density.points
    total = float(counts.sum())
    if total == 0.0:
        return density.low, density.high
    one_sided = density.low == 0.0 or density.high == 0.0
    if not one_sided:
        total += density.zeros
    mean = 0.0 if one_sided else float(np.dot(places, counts)) / total
    at_zero = 0.0 if one_sided else density.zeros
    deviation = math.sqrt((float(np.dot((places - mean) ** 2, counts)) + at_zero * mean**2) / total)
    spread = (float(np.dot(np.abs(places - mean), counts)) + at_zero * abs(mean)) / total
    if spread == 0.0:
        return density.low, density.high
    # Mean log likelihoods at the best parameters: -log(2 b) - 1 and -log(2 pi sigma^2) / 2 - 1/2.
    laplace_fits = -math.log(2 * spread) - 1 > -math.log(2 * math.pi * deviation**2) / 2 - 0.5
    held = bits + 1 if one_sided else bits
    reach = laplace_clip(held) * spread if laplace_fits else normal_clip(held) * deviation
    return min(max(mean - reach, density.low), 0.0), max(min(mean + reach, density.high), 0.0)


def laplace_clip(bits: int) -> float:
    """Return the clip bound, in units of b, that is optimal for a Laplace distribution of scale b: a exp(a) = 3 * 4^bits."""
    bound = float(bits)
    for _ in range(50):
        bound -= (bound + math.log(bound) - math.log(3 * 4.0**bits)) / (1 + 1 / bound)
    return bound


def normal_clip(bits: int) -> float:
    """Return the clip bound, in standard deviations, that is optimal for a normal distribution.

    Where the derivative of (a^2 + 1) (1 - erf(a / sqrt 2)) - a sqrt(2 / pi) exp(-a^2 / 2) + a^2 / (3 * 4^bits) is 0.
    """
    low, high = 0.0, 40.0
    for _ in range(80):
        middle = (low + high) / 2
        cut = 2 * middle * math.erfc(middle / math.sqrt(2)) - 2 * math.sqrt(2 / math.pi) * math.exp(-(middle**2) / 2)
        low, high = (middle, high) if cut + 2 * middle / (3 * 4.0**bits) < 0 else (low, middle)
    return high
