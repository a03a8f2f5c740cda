"""Quantisers of activations against ONNX Runtime and their own promises."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from autosplitc.passes import Affine, affine_of_range, dequantize_array, quantize_array

FINITE = st.floats(-(2.0**100), 2.0**100, width=32)


def engine_codes(values: NDArray[np.float32], affine: Affine) -> tuple[NDArray[Any], NDArray[Any]]:
    """Codes and dequantised values as ONNX Runtime makes them."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    numbers = {"s": np.float32(affine.scale), "z": np.uint8(affine.zero_point), "lo": np.uint8(0), "hi": np.uint8(affine.max_code)}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q8"]),
        helper.make_node("Clip", ["q8", "lo", "hi"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])],
        [helper.make_tensor_value_info("q", TensorProto.UINT8, ["n"]), helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in numbers.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    codes, back = session.run(["q", "y"], {"x": values})
    return codes, back


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("extent", [(0.0, 6.0), (-1.0, 1.0), (-3.7, 0.2), (-5.0, 0.0), (0.0, 1e-6), (-1e20, 3e20)])
def test_codes_are_those_of_onnxruntime(extent: tuple[float, float], bits: int) -> None:
    affine = affine_of_range(*extent, bits)
    rng = np.random.default_rng(bits)
    span = extent[1] - extent[0]
    halves = (np.arange(-3, 260) + 0.5 - affine.zero_point) * affine.scale
    beyond = rng.uniform(extent[0] - span, extent[1] + span, 2000)
    values = np.concatenate([beyond, np.linspace(*extent, 2000), halves, [0.0, 3e38, -3e38]]).astype(np.float32)
    codes, back = engine_codes(values, affine)
    ours = quantize_array(values, affine)
    assert ours.dtype == np.uint8
    np.testing.assert_array_equal(ours, codes)
    np.testing.assert_array_equal(dequantize_array(ours, affine), back)
    assert len(np.unique(ours)) == 2**bits


@given(FINITE, FINITE, st.integers(1, 8))
def test_range_is_covered_and_zero_is_exact(one: float, other: float, bits: int) -> None:
    low, high = min(one, other), max(one, other)
    affine = affine_of_range(low, high, bits)
    assert affine.scale == float(np.float32(affine.scale)) > 0
    assert 0 <= affine.zero_point <= affine.max_code
    assert dequantize_array(quantize_array(np.zeros(1, np.float32), affine), affine)[0] == 0.0
    values = np.linspace(low, high, 50).astype(np.float32)
    error = np.abs(values.astype(np.float64) - dequantize_array(quantize_array(values, affine), affine))
    steps = 0.5 if low >= 0 or high <= 0 else 1.0
    assert error.max() <= steps * affine.scale * 1.0001 + np.finfo(np.float32).eps * max(abs(low), abs(high))


@given(st.floats(2.0**-100, 2.0**100, width=32), st.integers(1, 8))
def test_non_negative_range_needs_no_relu_and_no_clip_behind_it(high: float, bits: int) -> None:
    affine = affine_of_range(high / 3, high, bits)
    assert affine.zero_point == 0
    assert np.float32(affine.scale) * np.float32(affine.max_code) <= np.float32(high)
    assert quantize_array(np.array([high], np.float32), affine)[0] == affine.max_code


@pytest.mark.parametrize("scale", [1.0, float(np.float32(1 / 255))])
def test_bytes_are_exact(scale: float) -> None:
    affine = affine_of_range(0.0, 255 * scale if scale == 1.0 else 1.0, 8)
    assert affine == Affine(scale, 0, 8)
    levels = np.arange(256)
    for values in (levels * np.float32(scale), (levels / (1 / scale)).astype(np.float32)):
        np.testing.assert_array_equal(quantize_array(values.astype(np.float32), affine), levels)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 0.0, Affine(1.0, 0, 8)),
        (2.0, 2.0, Affine(float(np.float32(2 / 255)), 0, 8)),
        (-2.0, -2.0, Affine(float(np.float32(2 / 255)), 255, 8)),
        (0.0, 1e-40, Affine(float(np.finfo(np.float32).tiny), 0, 8)),
    ],
)
def test_ranges_without_extent(low: float, high: float, expected: Affine) -> None:
    assert affine_of_range(low, high, 8) == expected


def test_widest_range_has_a_finite_scale() -> None:
    largest = float(np.finfo(np.float32).max)
    affine = affine_of_range(-largest, largest, 1)
    assert affine.scale == largest
    assert np.isfinite(quantize_array(np.array([largest, -largest], np.float32), affine)).all()


@pytest.mark.parametrize(("low", "high", "bits"), [(0, 1, 0), (0, 1, 9), (1, 0, 8), (np.nan, 1, 8), (0, np.inf, 8), (-np.inf, 0, 8)])
def test_impossible_ranges_are_refused(low: float, high: float, bits: int) -> None:
    with pytest.raises(ValueError, match=r"range|bits"):
        affine_of_range(low, high, bits)
