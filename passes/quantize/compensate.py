"""Rounding of a layer's weights on data: the codes and scales with which the layer's result changes least.

By effort: `fast` rounds each weight to the nearest code (`weights.py`). `normal` first refits the weights to the inputs that the quantised
network makes, then rounds with feedback; where codes are coarse it tries three scales a row and goes on with integer coordinate descent.
`best` takes eight scales and the descent at every width. The mean of the result is always kept, by a shift of the bias. No row is worse, in
(damped) second-order error on the refitted weights, than nearest codes make it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .affine import LARGEST
from .curvature import Curvature
from .descent import descended
from .feedback import Columns, Fit, compensated
from .moments import Moments, Sums
from .refit import FIRM_BITS, damping_of, refitted
from .weights import code_limits, least_error_scale, round_rows, row_blocks, rows_of, scale_floor

Rows = NDArray[np.float32]

_RATIOS = {"normal": (0.9, 1.1), "best": (0.7, 0.8, 0.86, 0.93, 1.07, 1.15, 1.25)}
"""Further scales that are tried for each row, as parts of the first, by effort."""
_SEARCHED_BITS = {"normal": 4, "best": 8}
"""Widths up to which they are, by effort."""
_DESCENT_BITS = {"normal": 3, "best": 8}
"""Widths up to which codes change one by one in the end, by effort. Coarser codes gain most: a third less error at 2 bits, 7 % at 4."""


SIGNED_BITS = 2
"""Up to these bits a channel's scale may be negative: codes -2..1 reach further on one side, and weights of a channel may lean to either.

ONNX Runtime's integer kernels take negative scales, with the same results (measured with 1.32, QLinearConv at both optimisation levels).
"""


@dataclass(frozen=True, slots=True, eq=False)
class RoundedLayer:
    """weights = codes * scale, in the matrix form of `layer_matrix`.

    codes: int8[g, r, d]. scale: f32[g, r]. shift: f64[g, r], to add to the bias so that the mean of the layer's result stays. nsr: power of
    the change of the (centred) result over the power of the result, against the exact weights on exact inputs.
    """

    codes: NDArray[np.int8]
    scale: NDArray[np.float32]
    shift: NDArray[np.float64]
    nsr: float


def round_layer(matrix: Rows, moments: Moments, bits: int, effort: Literal["fast", "normal", "best"], refit: bool) -> RoundedLayer:
    """Round a matrix f32[g, r, d] to `bits` (2..8). `refit` says whether weights may first move towards quantised inputs (at 2..6 bits)."""
    return round_layer_widths(matrix, moments, (bits,), effort, refit)[bits]


def round_layer_widths(
    matrix: Rows, moments: Moments, bits: tuple[int, ...], effort: Literal["fast", "normal", "best"], refit: bool
) -> dict[int, RoundedLayer]:
    """Round a matrix f32[g, r, d] to several widths (2..8 each), which share what rounding needs to know of the inputs.

    Raises ValueError for other widths.
    """
    flat, unit = rows_of(matrix.reshape(-1, matrix.shape[-1]), 0)
    weights = flat.reshape(matrix.shape)
    codes: dict[int, tuple[Rows, NDArray[np.float32]]] = {}
    layer = None if effort == "fast" else _Layer.of(weights, moments, refit and moments.drift is not None, bits)
    for width in bits:
        near = _nearest(flat, unit, width, weights.shape)
        if layer is not None:
            near = layer.rounded(near, width, scale_floor(flat, unit, width), effort)
        codes[width] = near
    statistics = _Statistics.of(weights, moments)
    return {width: statistics.judged(*found, unit) for width, found in codes.items()}


def _nearest(flat: Rows, unit: float, bits: int, shape: tuple[int, ...]) -> tuple[Rows, NDArray[np.float32]]:
    """Return nearest codes [g, r, d] and gain-preserving scales [g, r], in units."""
    floor = scale_floor(flat, unit, bits)
    parts = [round_rows(flat[part], bits, floor) for part in row_blocks(flat)]
    codes = np.concatenate([p.codes for p in parts]).reshape(shape)
    return codes, np.concatenate([p.scale for p in parts]).reshape(shape[:-1])


@dataclass(frozen=True, slots=True, eq=False)
class _Layer:
    """What the widths of a layer share. coarse, fine: the weights [g, r, d] that coarse and fine codes are to stand for."""

    coarse: Rows
    fine: Rows
    curve: Curvature

    @staticmethod
    def of(weights: Rows, moments: Moments, refit: bool, bits: tuple[int, ...]) -> _Layer:
        coarse = refitted(weights, moments, firmly=False) if refit and min(bits) < FIRM_BITS else weights
        fine = refitted(weights, moments, firmly=True) if refit and max(bits) >= FIRM_BITS else weights
        return _Layer(coarse, fine, Curvature.of(moments, damping_of(moments)))

    def rounded(self, near: tuple[Rows, NDArray[np.float32]], bits: int, floor: float, effort: str) -> tuple[Rows, NDArray[np.float32]]:
        """Return codes [g, r, d] and scales [g, r] with the least second-order error that was found, nearest codes included."""
        rows = self.fine if bits >= FIRM_BITS else self.coarse
        curve = self.curve
        target = curve.ranked(rows)
        fit = self._searched(target, self._scales(rows, bits, floor), bits, floor, effort)
        if bits <= SIGNED_BITS:
            fit = fit.best(self._searched(-target, self._scales(-rows, bits, floor), bits, floor, effort).turned())
        fit = self._nearest(near, target).best(fit)
        return curve.unranked(fit.codes), fit.scale

    def _searched(self, target: Columns, scale: NDArray[np.float32], bits: int, floor: float, effort: str) -> Fit:
        """Return the best codes of the scales that are tried, and of a descent from there."""
        curve, limits = self.curve, code_limits(bits)
        fit = compensated(target, scale, limits, curve, floor)
        for ratio in _RATIOS[effort] if bits <= _SEARCHED_BITS[effort] else ():
            other = np.maximum(scale * np.float32(ratio), np.float32(floor))
            fit = fit.best(compensated(target, other, limits, curve, floor))
        return descended(fit, target, limits, curve, floor) if bits <= _DESCENT_BITS[effort] else fit

    def _nearest(self, near: tuple[Rows, NDArray[np.float32]], target: Columns) -> Fit:
        codes, scale = self.curve.ranked(near[0]), near[1]
        return Fit(codes, scale, self.curve.error(target - codes * scale[:, None, :]))

    def _scales(self, rows: Rows, bits: int, floor: float) -> NDArray[np.float32]:
        """Return the scales [g, r] of least error where each input counts by what feedback cannot make up for."""
        groups, results, width = rows.shape
        weight = np.empty((groups, width), np.float32)
        np.put_along_axis(weight, self.curve.order, self.curve.weight.astype(np.float32), axis=1)
        flat = rows.reshape(-1, width)
        group = np.arange(len(flat)) // results
        found = np.empty(len(flat), np.float32)
        for part in row_blocks(flat):
            found[part] = least_error_scale(flat[part], bits, floor, weight[group[part]])
        return found.reshape(groups, results)


@dataclass(frozen=True, slots=True, eq=False)
class _Statistics:
    """What judging codes needs: the exact weights' share of the noise, which no codes change."""

    weights: Rows
    moments: Moments
    drifted: Rows | None
    noise: float
    power: float

    @staticmethod
    def of(weights: Rows, moments: Moments) -> _Statistics:
        power = _quadratic(weights, moments.gram)
        if moments.drift is None or moments.drift_gram is None:
            return _Statistics(weights, moments, None, 0.0, power)
        drifted = weights @ moments.drift.astype(np.float32)
        noise = _quadratic(weights, moments.drift_gram)
        return _Statistics(weights, moments, drifted, noise, power - 2 * _dot(drifted, weights) + noise)

    def judged(self, codes: Rows, scale: NDArray[np.float32], unit: float) -> RoundedLayer:
        """Return the layer with its shift and noise-to-signal ratio."""
        made = codes * scale[..., None]
        difference = self.weights - made
        noise = self.noise + _quadratic(difference, self.moments.gram)
        if self.drifted is not None:
            noise -= 2 * _dot(difference, self.drifted)
        exact, mean = self.moments.mean_exact[..., None], self.moments.mean[..., None]
        shift = (self.weights.astype(np.float64) @ exact - made.astype(np.float64) @ mean)[..., 0] * unit
        nsr = max(noise, 0.0) / self.power if self.power > 0 else 0.0
        held = np.minimum(scale.astype(np.float64) * unit, LARGEST).astype(np.float32)
        return RoundedLayer(codes.astype(np.int8), held, shift, nsr)


def _quadratic(rows: Sums, sums: Sums) -> float:
    return _dot(rows @ sums.astype(np.float32), rows)


def _dot(left: Sums, right: Sums) -> float:
    return float(np.einsum("grd,grd->", left, right, dtype=np.float64))
