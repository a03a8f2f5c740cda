"""Import then export gives a model that ONNX Runtime computes bit for bit as the opset-upgraded original."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from autosplitc.ir import Graph

Feeds: TypeAlias = dict[str, Any]
Case: TypeAlias = "tuple[ModelProto, Feeds]"

F32 = TensorProto.FLOAT
info = helper.make_tensor_value_info
node = helper.make_node


def floats(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def weights(name: str, *shape: int, seed: int = 1) -> TensorProto:
    return numpy_helper.from_array(floats(*shape, seed=seed), name)


def tensor(name: str, values: Any, dtype: Any = np.int64) -> TensorProto:
    return numpy_helper.from_array(np.array(values, dtype), name)


def model(
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    initializers: list[TensorProto] | None = None,
    opset: int = 21,
    ir_version: int = 10,
) -> ModelProto:
    graph = helper.make_graph(nodes, "g", inputs, outputs, initializers or [])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version)


def shaped(name: str, *shape: int | str | None, dtype: int = F32) -> onnx.ValueInfoProto:
    return info(name, dtype, list(shape))


def conv_old_opset() -> Case:
    nodes = [
        node("Conv", ["x", "w", "b"], ["c"], pads=[1, 1, 1, 1], name="conv"),
        node("BatchNormalization", ["c", "s", "t", "m", "v"], ["n"], epsilon=1e-3),
        node("Clip", ["n"], ["r"], min=0.0, max=6.0),
        node("Dropout", ["r"], ["d", "mask"], ratio=0.4),
        node("Pad", ["d"], ["p"], pads=[0, 0, 1, 1, 0, 0, 1, 1], mode="reflect"),
        node("Upsample", ["p", "up"], ["u"], mode="nearest"),
        node("Squeeze", ["u"], ["q"], axes=[0]),
        node("ReduceSum", ["q"], ["y"], axes=[1, 2], keepdims=0),
    ]
    inits = [weights("w", 4, 3, 3, 3), weights("b", 4), weights("s", 4), weights("t", 4), weights("m", 4)]
    inits += [tensor("v", [1.0, 0.5, 2.0, 0.25], np.float32), tensor("up", [1, 1, 2, 2], np.float32)]
    inputs = [shaped("x", 1, 3, 8, 8), *(info(t.name, t.data_type, list(t.dims)) for t in inits)]
    return model(nodes, inputs, [shaped("y", 4)], inits, 9, ir_version=3), {"x": floats(1, 3, 8, 8)}


def absent_inputs() -> Case:
    nodes = [
        node("Resize", ["x", "", "", "sizes"], ["r"], mode="linear", coordinate_transformation_mode="half_pixel"),
        node("Clip", ["r", "", "hi"], ["y"]),
    ]
    inits = [tensor("sizes", [1, 2, 6, 6]), tensor("hi", 0.5, np.float32)]
    return model(nodes, [shaped("x", 1, 2, 3, 3)], [shaped("y", 1, 2, 6, 6)], inits), {"x": floats(1, 2, 3, 3)}


def shared_weights() -> Case:
    nodes = [node("MatMul", ["x", "w"], ["a"]), node("MatMul", ["a", "w"], ["b"]), node("Add", ["b", "w"], ["y"])]
    return model(nodes, [shaped("x", 4, 4)], [shaped("y", 4, 4)], [weights("w", 4, 4)]), {"x": floats(4, 4)}


def quantised() -> Case:
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        node("DequantizeLinear", ["w8", "ws", "wz"], ["w"], axis=0),
        node("Conv", ["d", "w"], ["c"]),
        node("Relu", ["c"], ["y"]),
    ]
    inits = [tensor("s", 0.02, np.float32), tensor("z", 128, np.uint8), tensor("wz", [0, 0], np.int8), tensor("ws", [0.1, 0.2], np.float32)]
    inits.append(numpy_helper.from_array(np.arange(-27, 27, dtype=np.int8).reshape(2, 3, 3, 3), "w8"))
    return model(nodes, [shaped("x", 1, 3, 5, 5)], [shaped("y", 1, 2, 3, 3)], inits, 13, ir_version=7), {"x": floats(1, 3, 5, 5)}


def low_bits(dtype: int, opset: int, ir_version: int, packed: bytes) -> Case:
    w = TensorProto(name="w", data_type=dtype, dims=[3, 3], raw_data=packed)
    nodes = [
        node("Cast", ["w"], ["w8"], to=TensorProto.INT8),
        node("DequantizeLinear", ["w8", "s"], ["wf"]),
        node("MatMul", ["x", "wf"], ["y"]),
    ]
    made = model(nodes, [shaped("x", 2, 3)], [shaped("y", 2, 3)], [w, tensor("s", 0.5, np.float32)], opset, ir_version=ir_version)
    return made, {"x": floats(2, 3)}


def int4() -> Case:
    return low_bits(TensorProto.INT4, 21, 10, bytes([0x1F, 0x82, 0x73, 0x54, 0x06]))


def uint4_in_typed_field() -> Case:
    made, feeds = low_bits(TensorProto.UINT4, 21, 10, b"\0" * 5)
    made.graph.initializer[0].ClearField("raw_data")
    made.graph.initializer[0].int32_data.extend([0x21, 0x43, 0x65, 0x07, 0x09])
    return made, feeds


def int2() -> Case:
    return low_bits(TensorProto.INT2, 25, 13, bytes([0b11100100, 0b00011011, 0b1]))


def half() -> Case:
    w = helper.make_tensor("w", TensorProto.FLOAT16, [2, 2], [1.0, 2.5, -0.125, 65504.0])
    nodes = [node("Cast", ["x"], ["h"], to=TensorProto.FLOAT16), node("Mul", ["h", "w"], ["m"]), node("Cast", ["m"], ["y"], to=F32)]
    return model(nodes, [shaped("x", 2, 2)], [shaped("y", 2, 2)], [w]), {"x": floats(2, 2)}


def bfloat() -> Case:
    w = helper.make_tensor("w", TensorProto.BFLOAT16, [3], [1.0, -2.5, 3e38])
    nodes = [node("Cast", ["w"], ["f"], to=F32), node("Add", ["x", "f"], ["y"])]
    return model(nodes, [shaped("x", 3)], [shaped("y", 3)], [w]), {"x": floats(3)}


def constants() -> Case:
    values = helper.make_tensor("v", F32, [2], [3.0, -4.0])
    sparse = helper.make_sparse_tensor(values, helper.make_tensor("ind", TensorProto.INT64, [2], [1, 3]), [2, 2])
    nodes = [
        node("Constant", [], ["a"], value_float=0.5),
        node("Constant", [], ["b"], value_floats=[1.0, 2.0]),
        node("Constant", [], ["shape"], value_ints=[2, 2]),
        node("Constant", [], ["i"], value_int=1),
        node("Constant", [], ["sp"], sparse_value=sparse),
        node("Constant", [], ["t"], value=weights("other", 2, 2)),
        node("Reshape", ["x", "shape"], ["r"]),
        node("Gather", ["r", "i"], ["g"]),
        node("Sum", ["r", "a", "b", "sp", "t"], ["s"]),
        node("Sum", ["s", "g"], ["y"]),
    ]
    made = model(nodes, [shaped("x", 4)], [shaped("y", 2, 2)])
    return made, {"x": floats(4)}


def batch_arithmetic() -> Case:
    nodes = [
        node("Shape", ["x"], ["s"], start=0, end=1),
        node("Concat", ["s", "rest"], ["t"], axis=0),
        node("Reshape", ["x", "t"], ["y"]),
        node("Split", ["y"], ["p", "q"], axis=1, num_outputs=2),
        node("Concat", ["q", "p"], ["o"], axis=0),
    ]
    return model(nodes, [shaped("x", "N", 2, 4)], [shaped("o", None, 4)], [tensor("rest", [8])]), {"x": floats(3, 2, 4)}


def swish() -> Case:
    return model([node("Swish", ["x"], ["y"])], [shaped("x", 5)], [shaped("y", 5)], opset=24, ir_version=12), {"x": floats(5)}


def empty_lists() -> Case:
    nodes = [node("Squeeze", ["x", "axes"], ["y"]), node("Reshape", ["one", "scalar"], ["z"])]
    inits = [tensor("axes", []), tensor("scalar", []), weights("one", 1)]
    return model(nodes, [shaped("x", 2, 3)], [shaped("y", 2, 3), shaped("z")], inits), {"x": floats(2, 3)}


def large_and_small_weights() -> Case:
    typed = helper.make_tensor("typed", F32, [20, 20], floats(400, seed=5).tolist())
    nodes = [node("MatMul", ["x", "raw"], ["a"]), node("Add", ["a", "typed"], ["b"]), node("Mul", ["b", "small"], ["y"])]
    inits = [weights("raw", 20, 20), typed, weights("small", 20)]
    return model(nodes, [shaped("x", 20, 20)], [shaped("y", 20, 20)], inits), {"x": floats(20, 20)}


CASES: list[Callable[[], Case]] = [
    conv_old_opset,
    absent_inputs,
    shared_weights,
    quantised,
    int4,
    uint4_in_typed_field,
    int2,
    half,
    bfloat,
    constants,
    batch_arithmetic,
    swish,
    empty_lists,
    large_and_small_weights,
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_roundtrip(case: Callable[[], Case], roundtrip: Callable[[ModelProto, Feeds], Graph]) -> None:
    roundtrip(*case())
