"""Integer coordinate descent: codes that no single change of a code, and no change of the scale, makes better."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .curvature import Curvature
from .feedback import Columns, Fit, rescaled

_COLUMNS = 64
"""Inputs between two matrix products."""
_SWEEPS = 4


def descended(fit: Fit, target: Columns, limits: tuple[int, int], curve: Curvature, least: float) -> Fit:
    """Return the fit after sweeps over its codes, each followed by the scale of least error, until nothing changes."""
    for _ in range(_SWEEPS):
        codes = _swept(fit.codes, fit.scale, target, limits, curve)
        if np.array_equal(codes, fit.codes):
            break
        error = curve.error(target - codes * fit.scale[:, None, :])
        fit = fit.best(rescaled(Fit(codes, fit.scale, error), target, curve, least))
    return fit


def _swept(codes: Columns, scale: NDArray[np.float32], target: Columns, limits: tuple[int, int], curve: Curvature) -> Columns:
    """Return the codes after each in turn took its best value."""
    low, high = limits
    hessian = curve.hessian.astype(np.float32, copy=False)
    power = np.ascontiguousarray(np.diagonal(hessian, axis1=1, axis2=2))
    codes = codes.copy()
    slope = hessian @ (codes - target / scale[:, None, :])
    width = target.shape[1]
    for start in range(0, width, _COLUMNS):
        stop = min(start + _COLUMNS, width)
        here = slope[:, start:stop].copy()
        moved = np.zeros_like(here)
        for k in range(start, stop):
            old = codes[:, k]
            new = np.clip(np.rint(old - here[:, k - start] / power[:, k, None]), low, high)
            step = new - old
            if step.any():
                moved[:, k - start] = step
                codes[:, k] = new
                here += hessian[:, k, start:stop, None] * step[:, None, :]
        if stop < width and moved.any():
            slope[:, stop:] += hessian[:, start:stop, stop:].swapaxes(1, 2) @ moved
    return codes
