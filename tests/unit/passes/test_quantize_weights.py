"""Rounding of weights and biases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from autosplitc.passes import quantize_bias, quantize_weight
from autosplitc.passes.quantize import WEIGHT_BITS, code_limits


def conv_weights(seed: int = 0) -> NDArray[np.float32]:
    """Weights with channels of very different size."""
    rng = np.random.default_rng(seed)
    spread = np.exp(rng.uniform(-3, 1, (24, 1, 1, 1)))
    return (rng.laplace(size=(24, 16, 3, 3)) * spread).astype(np.float32)


def per_channel(array: NDArray[np.float32], axis: int) -> NDArray[np.float64]:
    """Rows of a channel each."""
    return np.moveaxis(array, axis, 0).reshape(array.shape[axis], -1).astype(np.float64)


@pytest.mark.parametrize("bits", WEIGHT_BITS)
@pytest.mark.parametrize("axis", [0, 1, 3])
def test_codes_and_gain(bits: int, axis: int) -> None:
    weights = conv_weights()
    rounded = quantize_weight(weights, bits, axis)
    low, high = code_limits(bits)
    assert rounded.codes.dtype == np.int8
    assert rounded.codes.shape == weights.shape
    assert rounded.scale.dtype == np.float32
    assert rounded.scale.shape == (weights.shape[axis],)
    assert low <= rounded.codes.min() <= rounded.codes.max() <= high
    exact, back = per_channel(weights, axis), per_channel(rounded.dequantized(), axis)
    np.testing.assert_allclose((exact * back).sum(axis=1), (exact * exact).sum(axis=1), rtol=1e-4)


def test_code_limits() -> None:
    assert [code_limits(b) for b in (2, 4, 7, 8)] == [(-2, 1), (-8, 7), (-64, 63), (-127, 127)]
    for bits in (1, 9):
        with pytest.raises(ValueError, match="bits"):
            quantize_weight(conv_weights(), bits, 0)


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6])
def test_error_is_near_the_least_of_a_dense_search(bits: int) -> None:
    weights = conv_weights(bits)
    low, high = code_limits(bits)
    rounded = quantize_weight(weights, bits, 0)
    ours = ((weights - rounded.dequantized()) ** 2).reshape(24, -1).sum(axis=1)
    rows = per_channel(weights, 0)
    least = np.full(24, np.inf)
    for ratio in np.linspace(0.02, 1.1, 300):
        scale = ratio * np.abs(rows).max(axis=1, keepdims=True) / high
        least = np.minimum(least, ((rows - np.clip(np.rint(rows / scale), low, high) * scale) ** 2).sum(axis=1))
    power = (rows**2).sum(axis=1)
    nsr = least / power
    with_gain = 1 / (1 - nsr) - 1
    assert (ours / power <= with_gain * 1.1).all()


@pytest.mark.parametrize("bits", [7, 8])
def test_wide_codes_cover_the_largest_weight(bits: int) -> None:
    weights = conv_weights()
    rounded = quantize_weight(weights, bits, 0)
    high = code_limits(bits)[1]
    assert np.abs(rounded.codes).reshape(24, -1).max(axis=1).tolist() == [high] * 24
    np.testing.assert_allclose(rounded.scale, np.abs(weights).reshape(24, -1).max(axis=1) / high, rtol=6e-3)


@pytest.mark.parametrize("bits", WEIGHT_BITS)
def test_dead_channels_leave_fine_steps_to_their_bias(bits: int) -> None:
    weights = conv_weights()
    weights[3] = 0.0
    for array in (weights, np.zeros((24, 5), np.float32)):
        rounded = quantize_weight(array, bits, 0)
        assert not rounded.codes[3].any()
        bias = quantize_bias(np.full(24, 0.5, np.float32), 0.02, rounded.scale)
        assert abs(float(bias.codes[3]) * float(bias.scale[3]) - 0.5) < 1e-4


@pytest.mark.parametrize("bits", WEIGHT_BITS)
def test_tiny_channels_leave_room_for_their_bias(bits: int) -> None:
    weights = conv_weights()
    weights[5] *= np.float32(1e-12)
    rounded = quantize_weight(weights, bits, 0)
    bias = quantize_bias(np.full(24, 0.5, np.float32), 0.02, rounded.scale)
    assert abs(float(bias.codes[5]) * float(bias.scale[5]) - 0.5) < 1e-3
    assert np.abs(weights[5] - rounded.dequantized()[5]).max() < 1e-4


def test_denormal_and_huge_weights_stay_finite() -> None:
    weights = np.array([[1e-44, -1e-44, 0.0], [3e38, -1e38, 1e38]], np.float32)
    for part in (weights[:1], weights[1:]):
        for bits in WEIGHT_BITS:
            rounded = quantize_weight(part, bits, 0)
            assert np.isfinite(rounded.dequantized()).all()
            assert (rounded.scale > 0).all()


def test_blocks_do_not_show() -> None:
    rng = np.random.default_rng(1)
    weights = rng.standard_normal((300, 700)).astype(np.float32)
    whole = quantize_weight(weights, 4, 0)
    for channel in (0, 92, 93, 94, 299):
        alone = quantize_weight(weights[channel : channel + 1], 4, 0)
        np.testing.assert_array_equal(alone.codes[0], whole.codes[channel])
        assert alone.scale[0] == whole.scale[channel]


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(WEIGHT_BITS), st.integers(1, 40), st.integers(1, 30), st.booleans())
def test_any_shape_rounds_to_valid_codes(seed: int, bits: int, channels: int, size: int, first: bool) -> None:
    rng = np.random.default_rng(seed)
    rows = (rng.standard_normal((channels, size)) * np.exp(rng.normal(size=(channels, 1)) * 8)).astype(np.float32)
    rows[rng.random((channels, size)) < 0.2] = 0.0
    rounded = quantize_weight(rows if first else rows.T, bits, 0 if first else 1)
    again = quantize_weight(rows if first else rows.T, bits, 0 if first else 1)
    np.testing.assert_array_equal(rounded.codes, again.codes)
    low, high = code_limits(bits)
    assert low <= rounded.codes.min() <= rounded.codes.max() <= high
    assert np.isfinite(rounded.scale).all()
    assert (rounded.scale > 0).all()
    back = rounded.dequantized() if first else rounded.dequantized().T
    floor = np.abs(rows).max() / high * 2.0**-16
    assert (np.abs(rows - back).max(axis=1) <= np.abs(rows).max(axis=1) + floor).all()


def test_bias_is_rounded_at_the_products_scale_and_saturates() -> None:
    scale_w = np.array([0.5, 0.25, 1e-9, 1e-30], np.float32)
    rounded = quantize_bias(np.array([1.0, -0.3, 50.0, 0.0], np.float32), 0.1, scale_w)
    np.testing.assert_array_equal(rounded.scale[:3], np.float32(0.1) * scale_w[:3])
    assert rounded.codes.dtype == np.int32
    assert rounded.codes.tolist() == [20, -12, 2**31 - 1, 0]
    assert quantize_bias(np.array([-50.0], np.float32), 0.1, scale_w[2:3]).codes.tolist() == [-(2**31)]
    tiny = quantize_bias(np.array([0.0], np.float32), 1e-30, scale_w[3:])
    assert tiny.scale[0] == np.finfo(np.float32).tiny
