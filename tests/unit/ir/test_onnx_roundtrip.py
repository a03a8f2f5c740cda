"""Import then export gives a model that ONNX Runtime computes bit for bit as the opset-upgraded original."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper, version_converter

from autosplitc.ir import export_onnx, import_model, verify

Feeds: TypeAlias = dict[str, Any]
Case: TypeAlias = "tuple[ModelProto, Feeds]"

F32, I64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
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
    *,
    domains: tuple[str, ...] = (),
    functions: list[onnx.FunctionProto] | None = None,
    ir_version: int = 10,
) -> ModelProto:
    graph = helper.make_graph(nodes, "g", inputs, outputs, initializers or [])
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in domains)]
    return helper.make_model(graph, opset_imports=imports, functions=functions or [], ir_version=ir_version)


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


def parallel_edges() -> Case:
    return model([node("Mul", ["x", "x"], ["y"])], [shaped("x", "N", 3)], [shaped("y", "N", 3)]), {"x": floats(2, 3)}


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


def outputs_without_op() -> Case:
    nodes = [node("Relu", ["x"], ["y"])]
    outputs = [shaped("y", 2), shaped("x", 2), shaped("w", 3), shaped("y2", 2)]
    return model([*nodes, node("Identity", ["y"], ["y2"])], [shaped("x", 2)], outputs, [weights("w", 3)]), {"x": floats(2)}


def unsorted() -> Case:
    nodes = [node("Relu", ["b"], ["y"]), node("Exp", ["a"], ["b"]), node("Neg", ["x"], ["a"])]
    return model(nodes, [shaped("x", 2)], [shaped("y", 2)]), {"x": floats(2)}


def nested_ifs() -> Case:
    def branch(name: str, op: str, other: str) -> onnx.GraphProto:
        inner = helper.make_graph([node(op, ["h"], [f"{name}_i"])], f"{name}_inner", [], [info(f"{name}_i", F32, [2])])
        plain = helper.make_graph([node(other, ["x"], [f"{name}_j"])], f"{name}_plain", [], [info(f"{name}_j", F32, [2])])
        nodes = [node("If", ["c2"], [f"{name}_o"], then_branch=inner, else_branch=plain), node("Add", [f"{name}_o", "w"], [name])]
        return helper.make_graph(nodes, name, [], [info(name, F32, [2])], [weights(f"{name}_unused", 2)])

    nodes = [node("Abs", ["x"], ["h"]), node("If", ["c"], ["y"], then_branch=branch("t", "Exp", "Neg"), else_branch=branch("e", "Tanh", "Sin"))]
    inputs = [shaped("x", 2), info("c", BOOL, []), info("c2", BOOL, [])]
    return model(nodes, inputs, [shaped("y", 2)], [weights("w", 2)]), {"x": floats(2), "c": np.array(True), "c2": np.array(False)}


def loop() -> Case:
    nodes = [node("Add", ["acc", "w"], ["acc2"]), node("Identity", ["go"], ["go2"]), node("Mul", ["acc2", "x"], ["scan"])]
    body = helper.make_graph(
        nodes,
        "body",
        [info("i", I64, []), info("go", BOOL, []), info("acc", F32, [2])],
        [info("go2", BOOL, []), info("acc2", F32, [2]), info("scan", F32, [2])],
    )
    outer = [node("Loop", ["n", "", "x"], ["last", "all"], body=body)]
    inits = [weights("w", 2), tensor("n", 3)]
    return model(outer, [shaped("x", 2)], [shaped("last", 2), shaped("all", None, 2)], inits), {"x": floats(2)}


def scan() -> Case:
    body = helper.make_graph(
        [node("Add", ["s", "e"], ["s2"]), node("Relu", ["s2"], ["o"])], "b", [shaped("s", 2), shaped("e", 2)], [shaped("s2", 2), shaped("o", 2)]
    )
    nodes = [node("Scan", ["z", "x"], ["f", "y"], body=body, num_scan_inputs=1)]
    return model(nodes, [shaped("x", 5, 2)], [shaped("f", 2), shaped("y", 5, 2)], [weights("z", 2)]), {"x": floats(5, 2)}


def old_opset_branches() -> Case:
    def branch(name: str) -> onnx.GraphProto:
        nodes = [node("Squeeze", ["x"], [f"{name}1"], axes=[0]), node("Clip", [f"{name}1"], [name], min=0.0, max=1.0)]
        return helper.make_graph(nodes, name, [], [info(name, F32, [2])])

    nodes = [
        node("If", ["c"], ["z"], then_branch=branch("t"), else_branch=branch("e")),
        node("Squeeze", ["x"], ["q"], axes=[0]),
        node("Clip", ["q"], ["k"], min=-0.5, max=0.5),
        node("Add", ["z", "k"], ["y"]),
    ]
    inputs = [shaped("x", 1, 2), info("c", BOOL, [])]
    return model(nodes, inputs, [shaped("y", 2)], opset=10, ir_version=6), {"x": floats(1, 2), "c": np.array(False)}


def sequences() -> Case:
    nodes = [node("SequenceConstruct", ["x", "x"], ["s"]), node("SequenceInsert", ["s", "z"], ["s2"]), node("ConcatFromSequence", ["s2"], ["y"], axis=0)]
    seq = helper.make_value_info("s2", helper.make_sequence_type_proto(helper.make_tensor_type_proto(F32, [1, 2])))
    return model(nodes, [shaped("x", 1, 2), shaped("z", 1, 2)], [shaped("y", 3, 2), seq]), {"x": floats(1, 2), "z": floats(1, 2, seed=3)}


def custom_domain() -> Case:
    nodes = [node("Gelu", ["x"], ["g"], domain="com.microsoft"), node("BiasGelu", ["g", "b"], ["y"], domain="com.microsoft", name="bias")]
    return model(nodes, [shaped("x", "N", 4)], [shaped("y", "N", 4)], [weights("b", 4)], domains=("com.microsoft",)), {"x": floats(3, 4)}


def local_functions() -> Case:
    alpha = onnx.AttributeProto(name="alpha", type=onnx.AttributeProto.FLOAT)
    alpha.ref_attr_name = "slope"
    leaky = node("LeakyRelu", ["a"], ["b"])
    leaky.attribute.append(alpha)
    nodes = [leaky, node("Add", ["b", "c"], ["d"])]
    function = helper.make_function("my", "Act", ["a", "c"], ["d"], nodes, [helper.make_opsetid("", 18)], attributes=["slope"])
    calls = [node("Act", ["x", "w"], ["h"], domain="my", slope=0.1), node("Act", ["h", "w"], ["y"], domain="my", slope=0.3)]
    made = model(calls, [shaped("x", 4)], [shaped("y", 4)], [weights("w", 4)], 18, domains=("my",), functions=[function], ir_version=8)
    return made, {"x": floats(4)}


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
    nodes = [node("Cast", ["w"], ["w8"], to=TensorProto.INT8), node("DequantizeLinear", ["w8", "s"], ["wf"]), node("MatMul", ["x", "wf"], ["y"])]
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


def strings() -> Case:
    words = helper.make_tensor("k", TensorProto.STRING, [3], [b"a", b"\xff\0b", b""])
    nodes = [
        node("Gather", ["k", "i"], ["y"]),
        node("LabelEncoder", ["y"], ["z"], domain="ai.onnx.ml", keys_strings=["a", "\u00e9"], values_int64s=[1, 2]),
        node("Constant", [], ["c"], value_strings=["p", "q"]),
    ]
    outputs = [info("y", TensorProto.STRING, [None]), info("z", I64, [None]), info("c", TensorProto.STRING, [2])]
    made = model(nodes, [info("i", I64, ["N"])], outputs, [words])
    made.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    return made, {"i": np.array([2, 0, 0], np.int64)}


def constants() -> Case:
    values = helper.make_tensor("v", F32, [2], [3.0, -4.0])
    sparse = helper.make_sparse_tensor(values, helper.make_tensor("ind", I64, [2], [1, 3]), [2, 2])
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


def several_results() -> Case:
    nodes = [
        node("TopK", ["x", "k"], ["v", "i"], axis=-1),
        node("LSTM", ["l", "W", "R"], ["", "h"], hidden_size=4),
        node("MaxPool", ["m"], ["p", "at"], kernel_shape=[2, 2]),
    ]
    inits = [tensor("k", [2]), weights("W", 1, 16, 3), weights("R", 1, 16, 4)]
    inputs = [shaped("x", 3, 5), shaped("l", 2, 1, 3), shaped("m", 1, 1, 4, 4)]
    outputs = [shaped("v", 3, 2), info("i", I64, [3, 2]), shaped("h", 1, 1, 4), shaped("p", 1, 1, 3, 3), info("at", I64, [1, 1, 3, 3])]
    return model(nodes, inputs, outputs, inits), {"x": floats(3, 5), "l": floats(2, 1, 3), "m": floats(1, 1, 4, 4)}


def odd_names() -> Case:
    nodes = [node("Relu", ["in put:0"], ["a/b"], name="a b"), node("Exp", ["a/b"], ["%c"], name="%c"), node("Neg", ["%c"], ['"'])]
    return model(nodes, [shaped("in put:0", 2)], [shaped('"', 2)]), {"in put:0": floats(2)}


def aliased_domain() -> Case:
    made, feeds = parallel_edges()
    made.opset_import[0].domain = "ai.onnx"
    made.graph.node[0].domain = "ai.onnx"
    return made, feeds


def swish() -> Case:
    return model([node("Swish", ["x"], ["y"])], [shaped("x", 5)], [shaped("y", 5)], opset=24, ir_version=12), {"x": floats(5)}


def empty_lists() -> Case:
    nodes = [node("Squeeze", ["x", "axes"], ["y"]), node("Reshape", ["one", "scalar"], ["z"])]
    inits = [tensor("axes", []), tensor("scalar", []), weights("one", 1)]
    return model(nodes, [shaped("x", 2, 3)], [shaped("y", 2, 3), shaped("z")], inits), {"x": floats(2, 3)}


def large_and_small_weights() -> Case:
    typed = helper.make_tensor("typed", F32, [20, 20], floats(400, seed=5).tolist())
    nodes = [node("MatMul", ["x", "raw"], ["a"]), node("Add", ["a", "typed"], ["b"]), node("Mul", ["b", "small"], ["y"])]
    return model(nodes, [shaped("x", 20, 20)], [shaped("y", 20, 20)], [weights("raw", 20, 20), typed, weights("small", 20)]), {"x": floats(20, 20)}


CASES: list[Callable[[], Case]] = [
    conv_old_opset,
    parallel_edges,
    absent_inputs,
    shared_weights,
    outputs_without_op,
    unsorted,
    nested_ifs,
    loop,
    scan,
    old_opset_branches,
    sequences,
    custom_domain,
    local_functions,
    quantised,
    int4,
    uint4_in_typed_field,
    int2,
    half,
    bfloat,
    strings,
    constants,
    batch_arithmetic,
    several_results,
    odd_names,
    aliased_domain,
    swish,
    empty_lists,
    large_and_small_weights,
]


def upgraded(proto: ModelProto) -> ModelProto:
    copy = ModelProto()
    copy.CopyFrom(proto)
    copy.ir_version = max(copy.ir_version, 4)
    if copy.functions:
        copy = onnx.inliner.inline_local_functions(copy, convert_version=True)
    return version_converter.convert_version(copy, 21) if copy.opset_import[0].version < 21 else copy


def session(proto: ModelProto) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])


def run_upgraded(proto: ModelProto, feeds: Feeds) -> list[Any]:
    return session(upgraded(proto)).run(None, feeds)




def assert_same(ours: Any, theirs: Any) -> None:
    if isinstance(theirs, list):
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            assert_same(a, b)
        return
    assert ours.dtype == theirs.dtype
    assert ours.shape == theirs.shape
    assert (ours == theirs).all() if ours.dtype == object else ours.tobytes() == theirs.tobytes()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_same_bits_in_onnx_runtime(case: Callable[[], Case]) -> None:
    proto, feeds = case()
    before = proto.SerializeToString(deterministic=True)
    graph = import_model(proto)
    assert proto.SerializeToString(deterministic=True) == before
    assert verify(graph) == ()
    exported = export_onnx(graph)
    assert_same(session(exported).run(None, feeds), run_upgraded(proto, feeds))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_export_is_the_inverse_of_import(case: Callable[[], Case]) -> None:
    graph = import_model(case()[0])
    exported = export_onnx(graph)
    again = import_model(exported)
    assert export_onnx(again).SerializeToString(deterministic=True) == exported.SerializeToString(deterministic=True)
    assert again.types == graph.types
    assert [(op.name, op.kind, op.inputs, op.loc) for op in again.ops] == [(op.name, op.kind, op.inputs, op.loc) for op in graph.ops]
    assert again.inputs == graph.inputs
    assert [(c.name, c.type, c.blob) for c in again.consts] == [(c.name, c.type, c.blob) for c in graph.consts]
    assert (again.outputs, again.opset, again.metadata) == (graph.outputs, graph.opset, graph.metadata)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_names_of_the_interface_stay(case: Callable[[], Case]) -> None:
    proto, _ = case()
    initialized = {t.name for t in proto.graph.initializer}
    graph = import_model(proto)
    assert [v.name for v in graph.inputs] == [v.name for v in proto.graph.input if v.name not in initialized]
    assert list(graph.outputs) == [v.name for v in proto.graph.output]
    assert initialized <= graph.const.keys()
