"""How much accuracy the halves lose against the float model, and how sure that is: paired differences, shares, ratios of powers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .manifest import finite
from .metrics import Z_95

Json = dict[str, Any]

_ROUNDING = 1e-9
"""A drop that is over a limit by less is equal to it: both are sums of many floats."""


@dataclass(frozen=True, slots=True)
class Drop:
    """What the halves lose on `n` samples.

    drop: share of 1 that is lost (0.01: one point): the float model's score minus the halves' on the same samples; for `agreement` the
    share of samples that differ; for `sqnr` the noise-to-signal power ratio of the outputs (0.01: 20 dB). It is inf where the outputs are
    no numbers. value, float_value: the two scores; for `sqnr` dB (None where nothing differs) and None.
    interval: 95 % of the drop, None where a single figure for all samples was measured. complete: whether `n` are all samples; an
    evaluation ends early when the drop can no longer keep any limit. scored: every sample has a score of its own in 0..1.
    """

    metric: str
    value: float | None
    float_value: float | None
    drop: float
    interval: tuple[float, float] | None
    n: int
    complete: bool = True
    scored: bool = True

    def holds(self, limit: float) -> bool:
        """Whether the drop, measured on all samples, is within a limit (share of 1)."""
        return self.complete and self.drop <= limit + _ROUNDING

    def too_few(self, limit: float) -> bool:
        """Whether a single sample weighs more than the limit; at a limit of 0, more than a point."""
        return self.scored and self.n > 0 and 1 / self.n > (limit or 0.01) + _ROUNDING

    def as_json(self) -> Json:
        """Return the figures for measurements.json; what is not finite is null."""
        return {
            "metric": self.metric,
            "value": finite(self.value),
            "float": finite(self.float_value),
            "drop": finite(self.drop),
            "interval95": None if self.interval is None else [finite(end) for end in self.interval],
            "n": self.n,
        }


def paired_interval(differences: NDArray[np.float64]) -> tuple[float, float]:
    """Return a 95 % interval of the mean of paired differences in -1..1 [n]; (-1, 1) of none.

    A. Agresti and Y. Min, Statistics in Medicine 24, 2005, p. 729: Wald's interval with half a count added to each of the four cells of
    the paired table, that is with two samples more, one of difference 1 and one of -1. For differences of -1, 0 and 1 it is theirs; others
    lie closer to 0, and the same two samples keep it from being empty where no two differ.
    """
    if not len(differences):
        return -1.0, 1.0
    n = len(differences) + 2
    mean = float(differences.sum()) / n
    variance = (float(np.dot(differences, differences)) + 1) / n - mean * mean
    half = Z_95 * math.sqrt(max(variance, 0.0) / n)
    return max(mean - half, -1.0), min(mean + half, 1.0)


def ratio_interval(noise: NDArray[np.float64], signal: NDArray[np.float64]) -> tuple[float, float] | None:
    """Return a 95 % interval of sum(noise) / sum(signal) over samples [n]; None of fewer than two, or without a finite signal.

    The linearised variance of a ratio of means: W. G. Cochran, Sampling Techniques, 3rd edition, 1977, formula (2.46).
    """
    n, total = len(noise), float(signal.sum())
    if n < 2 or not (math.isfinite(total) and total > 0 and math.isfinite(float(noise.sum()))):
        return None
    ratio = float(noise.sum()) / total
    residual = noise - ratio * signal
    half = Z_95 * math.sqrt(float(np.dot(residual, residual)) / (n - 1) / n) / (total / n)
    return max(ratio - half, 0.0), ratio + half


def points(share: float) -> str:
    """Return a share as points for people: `1`, `0.25`."""
    return f"{100 * share:.4g}"


def limit_text(metric: str, limit: float) -> str:
    """Return a limit for people: `1 point`, or `noise of 1 % of the signal` for `sqnr`."""
    if metric == "sqnr":
        return f"noise of {points(limit)} % of the signal"
    return f"{points(limit)} point{'' if points(limit) == '1' else 's'}"


def lost_text(drop: Drop) -> str:
    """Return what was lost for people: `1.25 points on 400 samples`."""
    lost = f"noise of {points(drop.drop)} % of the signal" if drop.metric == "sqnr" else f"{points(drop.drop)} points"
    return f"{lost if math.isfinite(drop.drop) else 'no numbers'}, n = {drop.n:,}{'' if drop.complete else ', ended early'}"
