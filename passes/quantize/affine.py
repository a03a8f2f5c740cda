"""Affine quantisers of activations: unsigned codes of 1..8 bits, one scale and zero point a tensor, arithmetic as ONNX defines it.

`quantize_array` gives bit for bit what ONNX's QuantizeLinear on uint8, followed by Clip to 2^bits - 1, gives.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SMALLEST_SCALE = float(np.finfo(np.float32).tiny)
"""The least scale: the smallest normal float32, since engines may flush what lies below to zero."""
LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True)
class Affine:
    """x = (code - zero_point) * scale, codes 0 .. 2^bits - 1. `scale` is a float32's value held as a Python float."""

    scale: float
    zero_point: int
    bits: int

    @property
    def max_code(self) -> int:
        """The largest code."""
        return 2**self.bits - 1


def affine_of_range(low: float, high: float, bits: int) -> Affine:
    """Return the min-max quantiser of values in [low, high], widened to contain 0, which always has a code of its own.

    The zero point is 0 where low >= 0; the largest code then stands for no more than `high` in float32, so that a Relu or Clip with that
    bound is redundant after it and engines absorb it. A range without extent gives a quantiser that maps it to its ends.
    Raises ValueError for bits outside 1..8, an infinite or NaN bound, or low > high.
    """
    if not 1 <= bits <= 8:
        raise ValueError(f"codes have 1 to 8 bits, not {bits}")
    if not (math.isfinite(low) and math.isfinite(high)) or low > high:
        raise ValueError(f"no range: [{low}, {high}]")
    low, high = max(min(low, 0.0), -LARGEST), min(max(high, 0.0), LARGEST)
    if low == high:
        return Affine(1.0, 0, bits)
    top = 2**bits - 1
    scale = np.float32(min(max((high - low) / top, SMALLEST_SCALE), LARGEST))
    if low == 0.0:
        bound = np.float32(high)
        while np.float32(scale * np.float32(top)) > bound and scale > SMALLEST_SCALE:
            scale = np.nextafter(scale, np.float32(0))
        return Affine(float(scale), 0, bits)
    zero_point = min(max(round(-low / float(scale)), 0), top)
    return Affine(float(scale), zero_point, bits)


def quantize_array(values: NDArray[Any], affine: Affine) -> NDArray[np.uint8]:
    """Return codes of `values` (f32, no NaN, any shape): clip(rint(x / scale) + zero_point), halves to even, as QuantizeLinear."""
    with np.errstate(over="ignore"):
        codes = np.asarray(values, np.float32) / np.float32(affine.scale)
    np.rint(codes, out=codes)
    codes += np.float32(affine.zero_point)
    return np.clip(codes, 0, affine.max_code).astype(np.uint8)


def dequantize_array(codes: NDArray[np.uint8], affine: Affine) -> NDArray[np.float32]:
    """Return float32(code - zero_point) * scale, as DequantizeLinear."""
    return (codes.astype(np.int32) - affine.zero_point).astype(np.float32) * np.float32(affine.scale)


def fake_quantize(values: NDArray[Any], affine: Affine) -> NDArray[np.float32]:
    """Return `values` as they are after quantisation and back."""
    return dequantize_array(quantize_array(values, affine), affine)
