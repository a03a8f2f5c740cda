"""Error tables against direct computation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from autosplitc.passes.quantize import (
    BITS,
    FORBIDDEN_NSR,
    WEIGHT_BITS,
    Samples,
    activation_errors,
    affines_of_range,
    fake_quantize,
    histogram_of,
    quantize_weight,
    samples_of,
    weight_errors,
    wire_errors,
)

COUNT = 40_000
ACTIVATIONS: dict[str, Callable[[np.random.Generator], NDArray[np.float64]]] = {
    "normal": lambda rng: rng.standard_normal(COUNT),
    "relu": lambda rng: np.maximum(rng.standard_normal(COUNT), 0),
    "relu6": lambda rng: np.clip(rng.standard_normal(COUNT) * 5, 0, 6),
    "leaky": lambda rng: np.where((x := rng.standard_normal(COUNT)) > 0, x, 0.1 * x),
    "laplace": lambda rng: rng.laplace(size=COUNT),
    "offset": lambda rng: rng.uniform(2, 3, COUNT),
    "negative": lambda rng: -np.abs(rng.standard_normal(COUNT)),
    "tiny": lambda rng: rng.standard_normal(COUNT) * 1e-35,
    "huge": lambda rng: rng.standard_normal(COUNT) * 1e32,
}


@pytest.fixture(params=sorted(ACTIVATIONS))
def activation(request: pytest.FixtureRequest) -> NDArray[np.float32]:
    """Activations of several kinds."""
    return ACTIVATIONS[request.param](np.random.default_rng(3)).astype(np.float32)


def power(values: NDArray[np.floating]) -> float:
    """Mean square."""
    return float(np.mean(values.astype(np.float64) ** 2))


def close(found: float, wanted: float, relative: float) -> None:
    """Assert that two figures agree."""
    np.testing.assert_allclose(found, wanted, rtol=relative)


def counted(values: NDArray[np.float32]) -> Samples:
    """Samples from a histogram."""
    low, high = float(values.min()), float(values.max())
    return samples_of(histogram_of(values, low, high), low, high)


def test_activation_errors_are_those_of_the_elements(activation: NDArray[np.float32]) -> None:
    affines = affines_of_range(float(activation.min()), float(activation.max()))
    errors = activation_errors(counted(activation), affines)
    for bits, affine in zip(BITS, affines, strict=True):
        noise = power(activation.astype(np.float64) - fake_quantize(activation, affine))
        close(errors.nsr[bits - 1], noise / power(activation), 0.04)
        close(errors.mse[bits - 1], noise, 0.04)


def test_wire_errors_add_up_to_those_of_what_the_cloud_reads(activation: NDArray[np.float32]) -> None:
    affines = affines_of_range(float(activation.min()), float(activation.max()))
    samples = counted(activation)
    own = (*activation_errors(samples, affines).nsr, 0.0)
    table = wire_errors(samples, affines)
    assert table.shape == (9, 8)
    for row in range(9):
        held = activation if row == 8 else fake_quantize(activation, affines[row])
        for column in range(8):
            if column > row:
                assert table[row, column] == FORBIDDEN_NSR
            elif column == row:
                assert table[row, column] == 0.0
            else:
                received = fake_quantize(held, affines[column])
                total = power(activation.astype(np.float64) - received) / power(activation)
                close(own[row] + table[row, column], max(total, own[row]), 0.05)


def test_pictures_are_exact_at_8_bits_and_right_below() -> None:
    rng = np.random.default_rng(0)
    for top in (255.0, 1.0):
        values = (rng.integers(0, 256, COUNT) / 255 * top).astype(np.float32)
        samples = samples_of(histogram_of(values, 0.0, top), 0.0, top, exact=True)
        affines = affines_of_range(0.0, top)
        errors = activation_errors(samples, affines)
        assert errors.nsr[7] < 1e-12
        assert wire_errors(samples, affines)[8, 7] < 1e-12
        for bits in range(1, 8):
            noise = power(values.astype(np.float64) - fake_quantize(values, affines[bits - 1]))
            close(errors.nsr[bits - 1], noise / power(values), 1e-4)


def test_histograms_of_parts_add_up(activation: NDArray[np.float32]) -> None:
    low, high = float(activation.min()), float(activation.max())
    whole = histogram_of(activation, low, high)
    assert whole.sum() == activation.size
    assert (whole >= 0).all()
    parts = sum((histogram_of(part, low, high) for part in np.array_split(activation, 7)), np.zeros_like(whole))
    np.testing.assert_array_equal(whole, parts)


def test_zeros_and_ends_are_counted_apart() -> None:
    values = np.array([0, 0, 0, 6, 6, -1, 3], np.float32)
    row = histogram_of(values, -1.0, 6.0)
    assert row[-3:].tolist() == [3, 1, 2]
    assert row[:-3].sum() == 1
    assert histogram_of(np.full(5, 2, np.float32), 2.0, 2.0)[-3:].tolist() == [0, 5, 0]


def test_zeros_have_no_error() -> None:
    samples = samples_of(histogram_of(np.zeros(9, np.float32), 0.0, 0.0), 0.0, 0.0)
    errors = activation_errors(samples, affines_of_range(0.0, 0.0))
    assert errors.nsr == errors.mse == (0.0,) * 8
    assert weight_errors(np.zeros((3, 4), np.float32), 0).nsr == (0.0,) * 8


@pytest.mark.parametrize("factor", [1.0, 1e-25, 1e25])
@pytest.mark.parametrize("axis", [0, 1])
def test_weight_errors_are_those_of_the_rounding_that_is_used(axis: int, factor: float) -> None:
    rng = np.random.default_rng(0)
    weights = (rng.laplace(size=(40, 12, 3, 3)) * np.exp(rng.uniform(-2, 2, (40, 1, 1, 1))) * factor).astype(np.float32)
    errors = weight_errors(weights, axis)
    assert errors.nsr[0] == FORBIDDEN_NSR
    assert np.isfinite(errors.mse).all()
    for bits in WEIGHT_BITS:
        noise = power(weights.astype(np.float64) - quantize_weight(weights, bits, axis).dequantized())
        close(errors.nsr[bits - 1], noise / power(weights), 1e-3)
        close(errors.mse[bits - 1], noise, 1e-3)
    assert sorted(errors.nsr, reverse=True) == list(errors.nsr)
