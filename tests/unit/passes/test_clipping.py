"""Clip bounds against brute force, published constants and what must never change."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from autosplitc.passes.quantize import affine_of_range, fake_quantize, histogram_of
from autosplitc.passes.quantize.clipping import METHODS, clip_bounds, laplace_clip, normal_clip
from autosplitc.passes.quantize.flat import curved_range

Floats = NDArray[np.float32]

RNG = np.random.default_rng(11)
NORMAL = RNG.standard_normal(20000)
SHAPES = {
    "relu": np.maximum(NORMAL, 0),
    "leaky": np.where(NORMAL < 0, 0.1 * NORMAL, NORMAL),
    "shifted": NORMAL + 0.5,
    "negative": -np.abs(NORMAL),
    "laplace": RNG.laplace(size=20000),
    "clip6": np.clip(3 * NORMAL, 0, 6),
}


def bounds(values: NDArray[np.float64] | Floats, method: str, percentile: float = 99.9) -> NDArray[np.float64]:
    """Clip bounds of values."""
    held = values.astype(np.float32)
    low, high = float(held.min()), float(held.max())
    return clip_bounds(histogram_of(held, low, high), low, high, method, percentile)


def error(values: NDArray[np.float64], low: float, high: float, bits: int) -> float:
    """Mean squared error under the quantiser of a range."""
    held = values.astype(np.float32)
    return float(np.mean((held.astype(np.float64) - fake_quantize(held, affine_of_range(low, high, bits))) ** 2))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("bits", [1, 2, 3, 4, 6, 8])
def test_least_error_is_that_of_brute_force(shape: str, bits: int) -> None:
    values = SHAPES[shape]
    low, high = bounds(values, "mse")[bits - 1]
    mine = error(values, low, high, bits)
    shares = np.linspace(0.05, 1, 20)
    lows = shares * min(float(values.min()), 0.0) if values.min() < 0 else np.zeros(1)
    highs = shares * max(float(values.max()), 0.0) if values.max() > 0 else np.zeros(1)
    best = min(error(values, a, b, bits) for a in lows for b in highs)
    assert mine <= 1.03 * best
    assert min(float(values.min()), 0.0) - 1e-6 <= low <= 0 <= high <= float(values.max()) + 1e-6 or shape == "negative"


def test_ends_of_a_skewed_value_move_apart() -> None:
    low, high = bounds(SHAPES["leaky"], "mse")[3]
    assert low / SHAPES["leaky"].min() < 0.9 * high / SHAPES["leaky"].max()


def test_many_highs_keep_the_bound_of_a_clip_at_8_bits() -> None:
    assert bounds(SHAPES["clip6"], "mse")[7].tolist() == [0.0, 6.0]
    assert bounds(SHAPES["clip6"], "mse")[0, 1] <= 6.0


@pytest.mark.parametrize("method", METHODS)
def test_one_sided_values_keep_their_zero(method: str) -> None:
    found = bounds(SHAPES["relu"], method)
    assert (found[:, 0] == 0.0).all()
    assert (found[:, 1] > 0.0).all()
    assert all(affine_of_range(low, high, bits).zero_point == 0 for bits, (low, high) in enumerate(found, 1))


def test_percentiles_are_those_of_the_elements() -> None:
    found = bounds(SHAPES["shifted"], "percentile", 99.0)
    wanted = np.percentile(SHAPES["shifted"], [1, 99])
    np.testing.assert_allclose(found, np.tile(wanted, (8, 1)), atol=0.03)
    relu = bounds(SHAPES["relu"], "percentile", 99.0)
    np.testing.assert_allclose(relu[:, 1], np.percentile(SHAPES["relu"], 99), atol=0.03)
    ends = [float(np.float32(SHAPES["shifted"].min())), float(np.float32(SHAPES["shifted"].max()))]
    np.testing.assert_allclose(bounds(SHAPES["shifted"], "percentile", 100.0)[0], ends)


def test_sparse_values_are_not_clipped_to_nothing() -> None:
    sparse = np.zeros(100000)
    sparse[:3] = [1.0, 2.0, 4.0]
    for method in METHODS:
        assert (bounds(sparse, method, 99.0)[:, 1] > 0).all()


def test_constants_of_analytic_clipping_are_the_published_ones() -> None:
    """Banner et al. 2019, section 3.1 (Laplace: 2.83, 3.89, 5.03 b) and the sibling figures for the normal distribution."""
    np.testing.assert_allclose([laplace_clip(bits) for bits in (2, 3, 4)], [2.83, 3.89, 5.03], atol=0.01)
    for bits in range(1, 10):
        reach = laplace_clip(bits)
        assert math.isclose(reach * math.exp(reach), 3 * 4.0**bits, rel_tol=1e-9)
    grid = np.linspace(0.5, 6, 5501)
    tail = np.array([math.erfc(a / math.sqrt(2)) for a in grid])
    for bits in range(1, 10):
        noise = (grid**2 + 1) * tail - grid * math.sqrt(2 / math.pi) * np.exp(-(grid**2) / 2) + grid**2 / (3 * 4.0**bits)
        assert abs(normal_clip(bits) - grid[np.argmin(noise)]) < 0.002


def test_analytic_bounds_follow_the_better_fitting_distribution() -> None:
    normal = bounds(NORMAL, "aciq")[3]
    np.testing.assert_allclose(normal, [-normal_clip(4), normal_clip(4)], rtol=0.02)
    laplace = bounds(SHAPES["laplace"], "aciq")[3]
    np.testing.assert_allclose(laplace, [-laplace_clip(4), laplace_clip(4)], rtol=0.04)
    np.testing.assert_allclose(bounds(SHAPES["relu"], "aciq")[3], [0, normal_clip(5)], rtol=0.02)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scale", [1e-36, 1e-6, 1e6, 1e35])
def test_bounds_scale_with_the_values(method: str, scale: float) -> None:
    np.testing.assert_allclose(bounds(SHAPES["leaky"] * scale, method) / scale, bounds(SHAPES["leaky"], method), rtol=0.02, atol=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_a_value_of_one_level_keeps_it(method: str) -> None:
    assert bounds(np.full(10, 3.0), method).tolist() == [[3.0, 3.0]] * 8
    assert bounds(np.zeros(10), method).tolist() == [[0.0, 0.0]] * 8


def test_an_unknown_method_is_an_error() -> None:
    with pytest.raises(ValueError, match="entropy"):
        bounds(NORMAL, "entropy")


def _act(name: str, x: NDArray[np.float64] | Floats) -> NDArray[Any]:
    match name:
        case "hard_swish":
            return x * np.clip(x / 6 + 0.5, 0, 1)
        case "hard_sigmoid":
            return np.clip(0.2 * x + 0.5, 0, 1)
        case "sigmoid":
            return 1 / (1 + np.exp(-x))
        case "tanh":
            return np.tanh(x)
        case _:
            return x / (1 + np.exp(-x))


@pytest.mark.parametrize("act", ["hard_swish", "hard_sigmoid", "sigmoid", "tanh", "silu"])
def test_where_an_activation_is_flat_costs_nothing_and_sharpens_the_rest(act: str) -> None:
    x = np.linspace(-30, 8, 4001)
    exact = _act(act, x)
    low, high = curved_range(act, 0.2, 0.5, -30.0, 8.0)
    assert -30 < low < -2.5 < high <= 8
    assert (low > -30) and (high < 8 or act in ("hard_swish", "silu"))
    code = (exact.max() - exact.min()) / 255
    outside = (x < low) | (x > high)
    assert np.abs(exact - _act(act, np.clip(x, low, high)))[outside].max() <= 0.55 * code
    held = x.astype(np.float32)
    cut = np.abs(_act(act, fake_quantize(held, affine_of_range(low, high, 8))) - exact).max()
    whole = np.abs(_act(act, fake_quantize(held, affine_of_range(-30.0, 8.0, 8))) - exact).max()
    assert cut < 0.75 * whole


def test_the_lowest_code_before_hard_swish_gives_exactly_zero() -> None:
    for high in np.linspace(0.1, 20, 57):
        low, top = curved_range("hard_swish", 0.0, 0.0, -50.0, float(high))
        affine = affine_of_range(low, top, 8)
        assert -affine.zero_point * affine.scale <= -3.0
        assert top == high


@pytest.mark.parametrize("act", ["leaky_relu", "relu", "clip"])
def test_activations_that_are_not_flat_keep_the_range(act: str) -> None:
    assert curved_range(act, 0.1, 0.0, -30.0, 8.0) == (-30.0, 8.0)


def test_a_range_inside_the_flat_part_stays() -> None:
    assert curved_range("hard_swish", 0.0, 0.0, -9.0, -4.0) == (-9.0, -4.0)
    assert curved_range("sigmoid", 0.0, 0.0, -1.0, 1.0) == (-1.0, 1.0)
