"""Rounding with feedback: codes one input after the other, each making up for the errors of those before it, all rows at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .curvature import Curvature

_COLUMNS = 32
"""Inputs rounded between two matrix products."""

Columns = NDArray[np.float32]
"""Weights as [groups, inputs by rank, results a group]."""


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """Codes (whole float32 numbers [g, d, r]), their scales f32[g, r] and second-order errors f64[g, r]."""

    codes: Columns
    scale: NDArray[np.float32]
    error: NDArray[np.float64]

    def best(self, other: Fit) -> Fit:
        """Return the better of two for each row; ties go to this one."""
        better = other.error < self.error
        if not better.any():
            return self
        codes = np.where(better[:, None, :], other.codes, self.codes)
        return Fit(codes, np.where(better, other.scale, self.scale), np.minimum(self.error, other.error))

    def turned(self) -> Fit:
        """Return the fit of the weights' negatives: the same codes at negative scales."""
        return Fit(self.codes, -self.scale, self.error)


def compensated(target: Columns, scale: NDArray[np.float32], limits: tuple[int, int], curve: Curvature, least: float) -> Fit:
    """Round ranked weights at scales f32[g, r] with feedback; then the scale becomes the one of least error, if above `least`."""
    codes, left = _round(target, scale, limits, curve)
    return rescaled(Fit(codes, scale, np.einsum("gk,gkr,gkr->gr", curve.weight, left, left, optimize=True)), target, curve, least)


def rescaled(fit: Fit, target: Columns, curve: Curvature, least: float) -> Fit:
    """Return the fit with the scale of least error for its codes, for the rows where that is better and above `least`."""
    turned = curve.feedback.swapaxes(1, 2)
    exact, made = turned @ target, turned @ fit.codes
    weight = curve.weight
    along = np.einsum("gk,gkr,gkr->gr", weight, exact, made, optimize=True)
    power = np.einsum("gk,gkr,gkr->gr", weight, made, made, optimize=True)
    scale = np.divide(along, power, out=fit.scale.astype(np.float64), where=power > 0).astype(np.float32)
    scale = np.where(scale > np.float32(least), scale, fit.scale)
    exact -= made * scale[:, None, :]
    error = np.einsum("gk,gkr,gkr->gr", weight, exact, exact, optimize=True)
    better = error < fit.error
    return Fit(fit.codes, np.where(better, scale, fit.scale), np.where(better, error, fit.error))


def _round(target: Columns, scale: NDArray[np.float32], limits: tuple[int, int], curve: Curvature) -> tuple[Columns, Columns]:
    """Return codes, and what each input was short of when it was rounded."""
    low, high = limits
    codes = np.empty_like(target)
    error = np.empty_like(target)
    left = np.empty_like(target)
    inverse = np.float32(1.0) / scale
    width = target.shape[1]
    for start in range(0, width, _COLUMNS):
        stop = min(start + _COLUMNS, width)
        wanted = target[:, start:stop].copy()
        if start:
            wanted += curve.feedback[:, :start, start:stop].swapaxes(1, 2) @ error[:, :start]
        for k in range(start, stop):
            value = wanted[:, k - start]
            code = np.clip(np.rint(value * inverse), low, high)
            made = code * scale
            codes[:, k] = code
            left[:, k] = value - made
            error[:, k] = target[:, k] - made
            if k + 1 < stop:
                wanted[:, k + 1 - start :] += curve.feedback[:, k, k + 1 : stop, None] * error[:, k, None, :]
    return codes, left
