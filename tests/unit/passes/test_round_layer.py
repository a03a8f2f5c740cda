"""Rounding of layers on data."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from autosplitc.passes.quantize import Moments, RoundedLayer, code_limits, quantize_weight, round_layer, round_layer_widths

Rows = NDArray[np.float32]
Effort = Literal["fast", "normal", "best"]
EFFORTS: tuple[Effort, ...] = ("fast", "normal", "best")


def correlated(groups: int, count: int, width: int, seed: int = 0) -> Rows:
    """Rows whose inputs hang together, as those of activations do."""
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(groups, width, width)) * (0.8 ** np.arange(width))[:, None]
    return np.maximum(rng.normal(size=(groups, count, width)) @ mix + 0.3, 0).astype(np.float32)


def weights_of(groups: int, results: int, width: int, seed: int = 1) -> Rows:
    """Weights with rows of very different size."""
    rng = np.random.default_rng(seed)
    return (rng.laplace(size=(groups, results, width)) * np.exp(rng.uniform(-2, 1, (groups, results, 1)))).astype(np.float32)


def noisy(rows: Rows, size: float, seed: int = 2) -> Rows:
    """Rows as a quantised network makes them: shrunk a little, and with noise."""
    rng = np.random.default_rng(seed)
    return (rows * (1 - size) + size * rows.std() * rng.normal(size=rows.shape)).astype(np.float32)


def values(rounded: RoundedLayer) -> NDArray[np.float64]:
    """The rounded weights."""
    return rounded.codes.astype(np.float64) * rounded.scale[..., None]


def noise(matrix: Rows, rounded: RoundedLayer, exact: Rows, rows: Rows) -> NDArray[np.float64]:
    """Mean squared change of each result, f64[g, r], its bias shifted."""
    wanted = exact.astype(np.float64) @ matrix.astype(np.float64).swapaxes(1, 2)
    made = rows.astype(np.float64) @ values(rounded).swapaxes(1, 2) + rounded.shift[:, None]
    return ((wanted - made) ** 2).mean(axis=1)


def power(matrix: Rows, exact: Rows) -> float:
    """Power of the centred results."""
    wanted = exact.astype(np.float64) @ matrix.astype(np.float64).swapaxes(1, 2)
    return float(wanted.var(axis=1).sum())


SIZES = [(1, 12, 40, 600), (6, 1, 9, 300), (3, 4, 18, 200), (1, 8, 150, 40), (1, 3, 5, 1)]


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize(("groups", "results", "width", "count"), SIZES)
def test_codes_scales_shift_and_ratio(effort: Effort, groups: int, results: int, width: int, count: int) -> None:
    matrix, exact = weights_of(groups, results, width), correlated(groups, count, width)
    rows = noisy(exact, 0.02)
    moments = Moments.of(exact, rows)
    for bits, rounded in round_layer_widths(matrix, moments, (2, 4, 8), effort, True).items():
        low, high = code_limits(bits)
        assert rounded.codes.dtype == np.int8
        assert rounded.codes.shape == matrix.shape
        assert low <= rounded.codes.min() <= rounded.codes.max() <= high
        assert rounded.scale.dtype == np.float32
        assert rounded.scale.shape == rounded.shift.shape == (groups, results)
        assert (rounded.scale != 0).all()
        assert bits == 2 or (rounded.scale > 0).all()
        wanted, made = exact.astype(np.float64).mean(axis=1), rows.astype(np.float64).mean(axis=1)
        shift = (matrix @ wanted[..., None] - values(rounded) @ made[..., None])[..., 0]
        np.testing.assert_allclose(rounded.shift, shift, rtol=1e-3, atol=1e-4)
        if count > 1:
            np.testing.assert_allclose(rounded.nsr, noise(matrix, rounded, exact, rows).sum() / power(matrix, exact), rtol=1e-2, atol=1e-7)


@pytest.mark.parametrize("effort", ["normal", "best"])
def test_two_bits_lean_to_the_side_with_the_large_weights(effort: Effort) -> None:
    rng = np.random.default_rng(5)
    lean = np.abs(rng.standard_normal((1, 1, 64))).astype(np.float32)
    matrix, rows = np.concatenate([lean, -lean], axis=1), correlated(1, 2000, 64)
    rounded = round_layer(matrix, Moments.of(rows, rows), 2, effort, False)
    assert rounded.scale[0, 0] < 0 < rounded.scale[0, 1]
    np.testing.assert_allclose(*noise(matrix, rounded, rows, rows).reshape(-1), rtol=1e-3)


@pytest.mark.parametrize("bits", [2, 3, 4, 6, 8])
@pytest.mark.parametrize(("groups", "results", "width"), [(1, 16, 48), (16, 1, 9), (2, 8, 27)])
def test_less_error_than_nearest_on_correlated_inputs(bits: int, groups: int, results: int, width: int) -> None:
    matrix, rows = weights_of(groups, results, width), correlated(groups, 2000, width)
    moments = Moments.of(rows, rows)
    nearest, normal, best = (noise(matrix, round_layer(matrix, moments, bits, e, False), rows, rows) for e in EFFORTS)
    assert (normal <= nearest * 1.02).all()
    assert (best <= nearest * 1.02).all()
    assert normal.sum() < 0.9 * nearest.sum()
    assert best.sum() < 1.001 * normal.sum()


@pytest.mark.parametrize("bits", [2, 4])
def test_refit_takes_up_what_quantised_inputs_lost(bits: int) -> None:
    matrix, exact = weights_of(1, 16, 30), correlated(1, 4000, 30)
    rows = noisy(exact, 0.1)
    moments = Moments.of(exact[:, :2000], rows[:, :2000])
    unseen = exact[:, 2000:], rows[:, 2000:]
    plain, moved = (noise(matrix, round_layer(matrix, moments, bits, "normal", refit), *unseen).sum() for refit in (False, True))
    assert moved < 0.95 * plain


def test_refit_to_few_rows_does_little_harm() -> None:
    matrix, exact = weights_of(1, 16, 200), correlated(1, 1060, 200)
    rows = noisy(exact, 0.02)
    moments = Moments.of(exact[:, :60], rows[:, :60])
    nearest = noise(matrix, round_layer(matrix, moments, 4, "fast", False), exact[:, 60:], rows[:, 60:]).sum()
    refit = noise(matrix, round_layer(matrix, moments, 4, "normal", True), exact[:, 60:], rows[:, 60:]).sum()
    assert refit < nearest


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_white_inputs_give_nearest_codes(bits: int) -> None:
    matrix = weights_of(2, 6, 32)
    white = np.broadcast_to(np.eye(32), (2, 32, 32))
    moments = Moments(32, np.zeros((2, 32)), np.zeros((2, 32)), white * 32.0)
    low, high = code_limits(bits)
    rounded = round_layer(matrix, moments, bits, "best", False)
    exact = matrix / rounded.scale[..., None]
    np.testing.assert_array_equal(np.abs(exact - rounded.codes) <= 0.5 + 1e-4, (exact >= low - 0.5) & (exact <= high + 0.5))
    np.testing.assert_array_equal(rounded.codes, np.clip(np.rint(exact), low, high))


def test_fast_is_the_rounding_without_data() -> None:
    matrix, rows = weights_of(1, 10, 20), correlated(1, 50, 20)
    rounded = round_layer(matrix, Moments.of(rows, rows), 4, "fast", False)
    plain = quantize_weight(matrix[0], 4, 0)
    np.testing.assert_array_equal(rounded.codes[0], plain.codes)
    np.testing.assert_array_equal(rounded.scale[0], plain.scale)


@pytest.mark.parametrize("effort", EFFORTS)
def test_deterministic_and_alone_as_among_widths(effort: Effort) -> None:
    matrix, exact = weights_of(1, 10, 70), correlated(1, 300, 70)
    moments = Moments.of(exact, noisy(exact, 0.05))
    together = round_layer_widths(matrix, moments, (2, 4, 8), effort, True)
    for bits, found in together.items():
        alone = round_layer(matrix, moments, bits, effort, True)
        np.testing.assert_array_equal(found.codes, alone.codes)
        np.testing.assert_array_equal(found.scale, alone.scale)
        assert found.nsr == alone.nsr


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_dead_rows_and_inputs(effort: Effort, bits: int) -> None:
    matrix, exact = weights_of(2, 6, 24), correlated(2, 100, 24)
    matrix[0, 2] = 0.0
    matrix[1, 3] *= 1e-9
    exact[:, :, 5] = 3.0
    exact[1, :, 6:] = 0.0
    rows = noisy(exact, 0.01)
    rows[:, :, 5] = 3.0
    rows[1, :, 6:] = 0.0
    rounded = round_layer(matrix, Moments.of(exact, rows), bits, effort, True)
    largest = np.abs(matrix).max() / code_limits(bits)[1]
    assert np.isfinite(rounded.scale).all()
    assert np.abs(rounded.scale).min() >= 0.99 * largest * 2.0**-12
    assert not rounded.codes[0, 2].any()
    assert 0 <= rounded.nsr < 0.7


@pytest.mark.parametrize("effort", EFFORTS)
def test_constant_inputs(effort: Effort) -> None:
    matrix = weights_of(1, 6, 10)
    rows = np.full((1, 50, 10), 2.0, np.float32)
    rounded = round_layer(matrix, Moments.of(rows, rows), 4, effort, True)
    assert rounded.nsr == 0.0
    np.testing.assert_allclose(noise(matrix, rounded, rows, rows), 0.0, atol=1e-9)
    assert np.abs(matrix - values(rounded)).max() < np.abs(matrix).max() / 7


@pytest.mark.parametrize("factor", [1e-25, 1e25])
def test_units_do_not_matter(factor: float) -> None:
    matrix, rows = weights_of(1, 6, 30), correlated(1, 200, 30)
    moments = Moments.of(rows, noisy(rows, 0.05))
    plain = round_layer(matrix, moments, 4, "normal", True)
    scaled = round_layer((matrix.astype(np.float64) * factor).astype(np.float32), moments, 4, "normal", True)
    np.testing.assert_allclose(scaled.nsr, plain.nsr, rtol=0.1)
    np.testing.assert_allclose(scaled.scale, plain.scale.astype(np.float64) * factor, rtol=0.2)


def test_widths_outside_are_refused() -> None:
    rows = correlated(1, 20, 5)
    with pytest.raises(ValueError, match="bits"):
        round_layer(weights_of(1, 2, 5), Moments.of(rows, rows), 9, "normal", False)
