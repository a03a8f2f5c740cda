"""Rounding of weights and biases: symmetric, one scale an output channel.

The scale of a channel is found in two steps. A grid search takes the scale with the least squared error (at 7 and 8 bits the scale that
covers the largest weight: nothing is to be gained there). Then the codes stay and the scale becomes <w, w> / <q, w>, so that the rounded
weights have the same gain as the weights: <scale q, w> = <w, w>. Least-error scales alone shrink every layer a little, and that compounds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .affine import LARGEST, SMALLEST_SCALE

Rows = NDArray[np.float32]
"""Weights as [channels, weights of a channel]."""

WEIGHT_BITS = (2, 3, 4, 5, 6, 7, 8)
"""Bit-widths that weights can have."""

_COARSE = {2: (0.10, 0.80, 8), 3: (0.20, 0.90, 8), 4: (0.35, 1.00, 7), 5: (0.50, 1.00, 5), 6: (0.70, 1.00, 4)}
"""First search: (lowest, highest, points) as parts of the scale that covers the largest weight."""
_FINE = (-2 / 3, -1 / 3, 1 / 3, 2 / 3)
"""Second search: steps of the first, around its best."""

_FLOOR = 2.0**-12
"""Least scale of a channel as a part of the tensor's largest.

Channels that batch norm has switched off can hold weights of 1e-9; a scale to match would push their biases, which share it, out of int32.
What a channel smaller than this adds is far below one step of its result, which has one quantiser for all channels.
"""
_PLAIN = (2.0**-40, 2.0**40)
"""Largest weights between which sums of squares neither overflow float32 nor vanish."""
_BLOCK = 1 << 16
"""Weights handled at a time: what fits a core's cache."""

_INT32 = np.iinfo(np.int32)


@dataclass(frozen=True, slots=True, eq=False)
class WeightCodes:
    """weights = codes * scale along `axis`. codes: int8 in the weights' shape; scale: f32[channels]."""

    codes: NDArray[np.int8]
    scale: NDArray[np.float32]
    axis: int
    bits: int

    def dequantized(self) -> NDArray[np.float32]:
        """Return the weights that the codes stand for."""
        shape = [1] * self.codes.ndim
        shape[self.axis] = -1
        return self.codes.astype(np.float32) * self.scale.reshape(shape)


@dataclass(frozen=True, slots=True, eq=False)
class BiasCodes:
    """bias = codes * scale, both [channels]: int32 and f32."""

    codes: NDArray[np.int32]
    scale: NDArray[np.float32]


def code_limits(bits: int) -> tuple[int, int]:
    """Return the lowest and highest weight code: -127..127 at 8 bits, else all of -2^(bits-1) .. 2^(bits-1) - 1."""
    if bits not in WEIGHT_BITS:
        raise ValueError(f"weights have 2 to 8 bits, not {bits}")
    high = 2 ** (bits - 1) - 1
    return (-high if bits == 8 else -high - 1), high


def quantize_weight(array: NDArray[Any], bits: int, axis: int) -> WeightCodes:
    """Round weights (f32, finite, any shape) to `bits` (2..8) with one scale a slice of `axis`; the same input gives the same codes.

    A channel of zeros gets the least scale that a channel of the tensor may have, which gives the bias that shares it fine steps.
    Raises ValueError for bits outside 2..8.
    """
    code_limits(bits)
    rows, unit = rows_of(array, axis)
    floor = scale_floor(rows, unit, bits)
    codes = np.empty(rows.shape, np.int8)
    scale = np.empty(len(rows), np.float32)
    for part in row_blocks(rows):
        rounded = round_rows(rows[part], bits, floor)
        codes[part] = rounded.codes
        scale[part] = np.minimum(rounded.scale.astype(np.float64) * unit, LARGEST)
    moved = np.moveaxis(np.asarray(array), axis, 0).shape
    return WeightCodes(np.ascontiguousarray(np.moveaxis(codes.reshape(moved), 0, axis)), scale, axis, bits)


def quantize_bias(bias: NDArray[Any], scale_x: float, scale_w: NDArray[np.float32]) -> BiasCodes:
    """Round biases (f32[channels]) to int32 at scale `scale_x * scale_w`, the scale of the integer products; codes saturate."""
    product = np.float32(scale_x) * scale_w
    scale = np.copysign(np.maximum(np.abs(product), np.float32(SMALLEST_SCALE)), product).astype(np.float32)
    codes = np.clip(np.rint(np.asarray(bias, np.float64) / scale), _INT32.min, _INT32.max).astype(np.int32)
    return BiasCodes(codes, scale)


@dataclass(frozen=True, slots=True, eq=False)
class RoundedRows:
    """Codes of some rows, as whole float32 numbers [rows, n], and their scales [rows]."""

    codes: NDArray[np.float32]
    scale: NDArray[np.float32]


def rows_of(array: NDArray[Any], axis: int) -> tuple[Rows, float]:
    """Return weights as [channels, the rest], contiguous, and the unit (a power of two, nearly always 1) that they are given in."""
    moved = np.moveaxis(np.asarray(array, np.float32), axis, 0)
    rows = np.ascontiguousarray(moved.reshape(moved.shape[0], -1))
    largest = float(np.abs(rows).max(initial=0.0))
    if largest == 0.0 or _PLAIN[0] <= largest <= _PLAIN[1]:
        return rows, 1.0
    unit = 2.0 ** math.frexp(largest)[1]
    return (rows.astype(np.float64) / unit).astype(np.float32), unit


def row_blocks(rows: Rows) -> Iterator[slice]:
    """Yield slices of rows that fit the cache."""
    step = max(1, _BLOCK // max(1, rows.shape[1]))
    return (slice(start, start + step) for start in range(0, len(rows), step))


def scale_floor(rows: Rows, unit: float, bits: int) -> float:
    """Return the least scale, in `unit`, that a channel of this tensor may have."""
    largest = float(np.abs(rows).max(initial=0.0)) / code_limits(bits)[1]
    return max((largest or 1.0) * _FLOOR, SMALLEST_SCALE / unit)


def round_rows(rows: Rows, bits: int, floor: float) -> RoundedRows:
    """Round each row with a scale of its own, not below `floor`."""
    low, high = code_limits(bits)
    least = np.float32(floor)
    scale = least_error_scale(rows, bits, floor)
    codes = rows / scale[:, None]
    np.rint(codes, out=codes)
    np.clip(codes, low, high, out=codes)
    power = np.einsum("ij,ij->i", rows, rows).astype(np.float64)
    along = np.einsum("ij,ij->i", codes, rows).astype(np.float64)
    known = (along > 0) & (scale > least)
    gain = np.divide(power, along, out=scale.astype(np.float64), where=known)
    return RoundedRows(codes, gain.astype(np.float32))


def least_error_scale(rows: Rows, bits: int, floor: float, weight: Rows | None = None) -> NDArray[np.float32]:
    """Return the scale of least squared error of each row among those of the two searches; ties go to the first.

    The errors of a row's weights count by `weight` [rows, n], if given. At 7 and 8 bits it is the scale that covers the largest weight.
    """
    least = np.float32(floor)
    covering = np.maximum(np.abs(rows).max(axis=1, initial=0.0) / np.float32(code_limits(bits)[1]), least)
    if bits not in _COARSE:
        return covering
    lowest, highest, points = _COARSE[bits]
    step = (highest - lowest) / (points - 1)
    scratch = np.empty_like(rows)
    best = np.full(len(rows), np.inf, np.float32)
    ratio = np.full(len(rows), highest, np.float32)

    def consider(candidate: NDArray[np.float32]) -> None:
        error = _squared_error(rows, np.maximum(candidate * covering, least), bits, scratch, weight)
        better = error < best
        best[better] = error[better]
        ratio[better] = candidate[better]

    for index in range(points):
        consider(np.full(len(rows), highest - index * step, np.float32))
    centre = ratio.copy()
    for offset in _FINE:
        consider(np.minimum(centre + np.float32(offset * step), np.float32(1.0)))
    return np.maximum(ratio * covering, least)


def _squared_error(rows: Rows, scale: NDArray[np.float32], bits: int, scratch: Rows, weight: Rows | None) -> NDArray[np.float32]:
    """Return sum(weight (w - scale q)^2) of each row."""
    low, high = code_limits(bits)
    inverse = (np.float32(1.0) / scale)[:, None]
    exact = rows * inverse
    np.rint(exact, out=scratch)
    np.clip(scratch, low, high, out=scratch)
    np.subtract(exact, scratch, out=scratch)
    weighted = scratch if weight is None else np.multiply(scratch, weight, out=exact)
    return np.einsum("ij,ij->i", weighted, scratch) * scale * scale
