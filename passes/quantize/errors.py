"""Quantisation errors of weights and activations at every bit-width: noise-to-signal power ratio (nsr) and mean squared error (mse).

Index b - 1 of every result is b bits. A tensor of zeros has no error. What cannot be (weights of 1 bit, a wire wider than its codes,
values that are not finite) has `FORBIDDEN_NSR`: large, yet finite, so that sums and integer scaling stay finite.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .affine import Affine, affine_of_range, fake_quantize
from .weights import WEIGHT_BITS, Rows, round_rows, row_blocks, rows_of, scale_floor

BITS = (1, 2, 3, 4, 5, 6, 7, 8)
"""Bit-widths that errors are tabulated for."""

FORBIDDEN_NSR = 1e6
"""Noise-to-signal ratio of what is not possible, -60 dB; also the cap of those that are."""


@dataclass(frozen=True, slots=True)
class Errors:
    """Errors at 1..8 bits. nsr: dimensionless; mse: in the tensor's units squared."""

    nsr: tuple[float, ...]
    mse: tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Weighted samples of a tensor: `values` f64[n], `counts` f64[n]; elements that are exactly zero need not be among them.

    `elements` counts all, zeros included.
    """

    values: NDArray[np.float64]
    counts: NDArray[np.float64]
    elements: float


def weight_errors(array: NDArray[Any], axis: int) -> Errors:
    """Return the errors of weights (f32, finite) rounded by `quantize_weight` with one scale a slice of `axis`."""
    rows, unit = rows_of(array, axis)
    floors = {bits: scale_floor(rows, unit, bits) for bits in WEIGHT_BITS}
    powers = np.sum([_block_powers(rows[part], floors) for part in row_blocks(rows)], axis=0)
    signal = float(powers[0]) * unit**2
    return _errors([signal * FORBIDDEN_NSR, *(powers[1:] * unit**2)], signal, rows.size)


def _block_powers(rows: Rows, floors: dict[int, float]) -> NDArray[np.float64]:
    """Return [signal, noise at each of `WEIGHT_BITS`] of some channels, as sums of squares."""
    powers = [float(np.einsum("ij,ij->i", rows, rows).sum(dtype=np.float64))]
    scratch = np.empty_like(rows)
    for bits in WEIGHT_BITS:
        rounded = round_rows(rows, bits, floors[bits])
        np.multiply(rounded.codes, rounded.scale[:, None], out=scratch)
        np.subtract(rows, scratch, out=scratch)
        powers.append(float(np.einsum("ij,ij->i", scratch, scratch).sum(dtype=np.float64)))
    return np.array(powers)


def affines_of_range(low: float, high: float) -> tuple[Affine, ...]:
    """Return the quantisers of a range at 1..8 bits."""
    return tuple(affine_of_range(low, high, bits) for bits in BITS)


def activation_errors(samples: Samples, affines: tuple[Affine, ...]) -> Errors:
    """Return the errors of samples under quantisers of 1..8 bits."""
    noise = [_power(samples.values - fake_quantize(samples.values, a), samples) for a in affines]
    return _errors(noise, _power(samples.values, samples), samples.elements)


def wire_errors(samples: Samples, affines: tuple[Affine, ...]) -> NDArray[np.float64]:
    """Return the noise-to-signal ratio that a wire adds: f64[9, 8], row: the activation's bits (the last: float), column: the wire's.

    Wire codes are made from the dequantised activation. An entry is what the cloud's copy has above the activation's own error, so that the
    two add up to it; never below 0, and 0 at equal bits. A wire wider than the activation is forbidden.
    """
    signal = _power(samples.values, samples)
    added = np.full((len(BITS) + 1, len(BITS)), FORBIDDEN_NSR)
    held = [*(fake_quantize(samples.values, a) for a in affines), samples.values]
    for row, value in enumerate(held):
        own = _power(samples.values - value, samples)
        for column in range(min(row, len(BITS) - 1) + 1):
            if column == row:
                added[row, column] = 0.0
                continue
            total = _power(samples.values - fake_quantize(value, affines[column]), samples)
            added[row, column] = _ratio(max(total - own, 0.0), signal)
    return added


def forbidden() -> Errors:
    """Return the errors of a tensor that cannot be quantised."""
    return Errors((FORBIDDEN_NSR,) * len(BITS), (FORBIDDEN_NSR,) * len(BITS))


def _power(values: NDArray[np.float64], samples: Samples) -> float:
    return float(np.dot(values * values, samples.counts))


def _ratio(noise: float, signal: float) -> float:
    if signal == 0.0:
        return 0.0 if noise == 0.0 else FORBIDDEN_NSR
    return min(noise / signal, FORBIDDEN_NSR)


def _errors(noise: Iterable[float], signal: float, elements: float) -> Errors:
    """Return the errors of noise and signal powers, sums over all elements."""
    powers = [float(n) for n in noise]
    return Errors(tuple(_ratio(n, signal) for n in powers), tuple(n / max(elements, 1) for n in powers))
