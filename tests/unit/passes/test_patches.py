"""Layers as matrix products: what ONNX Runtime computes is what rows and matrices give."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from autosplitc.ir import Attrs, AttrValue, Op
from autosplitc.passes.quantize import layer_matrix, layer_weights, patches

CONVS: list[tuple[str, tuple[int, ...], tuple[int, ...], dict[str, AttrValue]]] = [
    ("plain", (2, 3, 9, 8), (5, 3, 3, 3), {}),
    ("strides and uneven pads", (2, 3, 9, 8), (5, 3, 3, 2), {"strides": (2, 3), "pads": (1, 0, 2, 1)}),
    ("dilations", (1, 2, 11, 12), (4, 2, 3, 3), {"dilations": (2, 3), "pads": (2, 3, 2, 3)}),
    ("same upper", (2, 2, 8, 7), (4, 2, 2, 4), {"auto_pad": "SAME_UPPER", "strides": (2, 1)}),
    ("same lower", (2, 2, 8, 7), (4, 2, 2, 4), {"auto_pad": "SAME_LOWER", "strides": (2, 1)}),
    ("valid", (2, 2, 8, 7), (4, 2, 3, 3), {"auto_pad": "VALID", "strides": (2, 2)}),
    ("groups", (2, 6, 6, 5), (9, 2, 3, 3), {"group": 3, "pads": (1, 1, 1, 1)}),
    ("depthwise", (2, 5, 6, 6), (5, 1, 3, 3), {"group": 5, "pads": (1, 1, 1, 1), "strides": (2, 2)}),
    ("depthwise, two results a channel", (1, 3, 6, 6), (6, 1, 5, 5), {"group": 3, "pads": (2, 2, 2, 2)}),
    ("one axis", (3, 4, 17), (6, 4, 5), {"strides": (2,), "pads": (3, 1), "dilations": (2,)}),
    ("three axes", (1, 2, 5, 6, 4), (3, 2, 2, 3, 2), {"pads": (1, 1, 0, 0, 1, 1), "strides": (1, 2, 1)}),
    ("windows wider than the input", (1, 2, 3, 3), (2, 2, 7, 7), {"pads": (3, 3, 3, 3)}),
]


def onnx_result(op_type: str, x: NDArray[np.float32], weights: NDArray[np.float32], attrs: dict[str, AttrValue]) -> NDArray[np.float32]:
    """What ONNX Runtime makes of one node."""
    import onnx
    import onnxruntime as ort

    node = onnx.helper.make_node(op_type, ["x", "w"], ["y"])
    node.attribute.extend(onnx.helper.make_attribute(name, value) for name, value in attrs.items())
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [node], "g", [value("x", 1, x.shape), value("w", 1, weights.shape)], [value("y", 1, [None] * (x.ndim if op_type == "Conv" else 2))]
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found: Any = session.run(["y"], {"x": x, "w": weights})[0]
    return found


def random(shape: tuple[int, ...], seed: int) -> NDArray[np.float32]:
    """Normal values."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def matrix_of(op: Op, weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """The matrix of a layer that has one."""
    matrix = layer_matrix(op, weights)
    assert matrix is not None
    return matrix


@pytest.mark.parametrize(("shape", "weights_shape", "attrs"), [c[1:] for c in CONVS], ids=[c[0] for c in CONVS])
def test_conv(shape: tuple[int, ...], weights_shape: tuple[int, ...], attrs: dict[str, AttrValue]) -> None:
    x, weights = random(shape, 0), random(weights_shape, 1)
    op = Op(("y",), "conv", ("x", "w"), Attrs.of(attrs))
    rows = patches(op, weights_shape, x, 10**6, 0)
    matrix = matrix_of(op, weights)
    assert rows.dtype == matrix.dtype == np.float32
    made = rows @ matrix.swapaxes(1, 2)
    expected = onnx_result("Conv", x, weights, attrs)
    as_rows = np.moveaxis(expected, 1, -1).reshape(-1, *matrix.shape[:2]).transpose(1, 0, 2)
    np.testing.assert_allclose(made, as_rows, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(layer_weights(op, matrix, weights_shape), weights)


@pytest.mark.parametrize("transposed", [0, 1])
def test_gemm(transposed: int) -> None:
    x, weights = random((7, 5), 0), random((3, 5) if transposed else (5, 3), 1)
    op = Op(("y",), "gemm", ("x", "w"), Attrs.of(transB=transposed))
    made = patches(op, weights.shape, x, 100, 0) @ matrix_of(op, weights).swapaxes(1, 2)
    np.testing.assert_allclose(made[0], onnx_result("Gemm", x, weights, {"transB": transposed}), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(layer_weights(op, matrix_of(op, weights), weights.shape), weights)


def test_matmul_of_any_rank() -> None:
    x, weights = random((2, 4, 3, 5), 0), random((5, 6), 1)
    op = Op(("y",), "matmul", ("x", "w"))
    made = patches(op, weights.shape, x, 100, 0) @ matrix_of(op, weights).swapaxes(1, 2)
    np.testing.assert_allclose(made[0], (x @ weights).reshape(-1, 6), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(layer_weights(op, matrix_of(op, weights), weights.shape), weights)


def test_what_is_no_plain_product_has_no_matrix() -> None:
    weights = random((4, 4), 0)
    for attrs in ({"alpha": 2.0}, {"beta": 0.5}, {"transA": 1}):
        assert layer_matrix(Op(("y",), "gemm", ("x", "w"), Attrs.of(attrs)), weights) is None
    assert layer_matrix(Op(("y",), "matmul", ("x", "w")), random((2, 4, 4), 0)) is None
    assert layer_matrix(Op(("y",), "conv_transpose", ("x", "w")), random((2, 4, 2, 2), 0)) is None


def test_sampled_places_match_and_are_spread() -> None:
    op = Op(("y",), "conv", ("x", "w"), Attrs.of(pads=(1, 1, 1, 1)))
    x = np.broadcast_to(np.arange(1.0, 51.0, dtype=np.float32)[:, None, None, None], (50, 1, 8, 8)).copy()
    rows = patches(op, (2, 1, 3, 3), x, 200, 3)
    assert rows.shape == (1, 200, 9)
    per_sample = np.bincount(rows[0, :, 4].astype(int), minlength=51)[1:]
    assert per_sample.min() >= 3
    assert per_sample.max() <= 5
    np.testing.assert_array_equal(patches(op, (2, 1, 3, 3), 2 * x, 200, 3), 2 * rows)
    assert (patches(op, (2, 1, 3, 3), random(x.shape, 0), 200, 4) != patches(op, (2, 1, 3, 3), random(x.shape, 0), 200, 3)).any()
