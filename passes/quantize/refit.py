"""Refit: weights moved so that, on the inputs that the quantised network makes, the layer gives what it gave on exact ones.

The least squares solution W - W E (G + damping)^-1 with G = sum x x' over quantised rows x and E = sum e x' over their errors e; few rows
for many inputs are damped more, since the refit would learn them by heart.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .curvature import add_damping
from .moments import Moments

FIRM_BITS = 7
"""From here on weights are refitted firmly."""


def damping_of(moments: Moments) -> float:
    """Return the damping of rounding, in parts of the mean input power."""
    return 0.01 + 0.2 * moments.gram.shape[-1] / moments.count


def refitted(weights: NDArray[np.float32], moments: Moments, *, firmly: bool) -> NDArray[np.float32]:
    """Return weights f32[g, r, d] refitted to the quantised rows; the weights themselves where nothing drifted.

    `firmly` keeps them closer to what they were: where codes are fine, what a refit learns by heart is no longer small beside their errors.
    """
    if moments.drift is None:
        return weights
    least, share = (0.1, 5.0) if firmly else (0.01, 1.5)
    damped = add_damping(moments.gram, least + share * moments.gram.shape[-1] / moments.count)
    wanted = weights @ moments.drift.astype(np.float32)
    step = np.linalg.solve(damped, wanted.swapaxes(1, 2).astype(damped.dtype)).swapaxes(1, 2)
    return np.ascontiguousarray(weights - step.astype(np.float32))


def refit_lasts(weights: NDArray[np.float32], halves: tuple[Moments, Moments], bits: int) -> bool:
    """Return whether a refit to one half of the samples brings the layer's result on the other half closer to the exact one, in the sum of
    both ways round. weights: f32[g, r, d].
    """
    firmly = bits >= FIRM_BITS
    return sum(_change(weights, refitted(weights, mine, firmly=firmly), other) for mine, other in (halves, halves[::-1])) < 0


def mean_lasts(weights: NDArray[np.float32], halves: tuple[Moments, Moments]) -> bool:
    """Return whether the mean error of the layer's result on one half of the samples, taken off, lessens that on the other half."""
    one, other = (((weights @ (half.mean_exact - half.mean)[..., None])[..., 0]) for half in halves)
    return float(2 * np.square(one - other).sum()) < float(np.square(one).sum() + np.square(other).sum())


def _change(weights: NDArray[np.float32], moved: NDArray[np.float32], moments: Moments) -> float:
    """Return by how much moving weights changes the mean squared error of the (centred) result."""
    if moments.drift is None:
        return 0.0
    step = moved - weights
    slope = step @ moments.gram.astype(np.float32) + 2 * (weights @ moments.drift.astype(np.float32))
    return float(np.einsum("grd,grd->", slope, step, dtype=np.float64)) / moments.count
