"""Import then export of models with sub-graphs, functions, several results, odd names: bit for bit the upgraded original."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import ModelProto, TensorProto, helper, parser

from autosplitc.ir import Graph, all_names, export_onnx, import_model, sub_graphs

RoundTrip: TypeAlias = Callable[[ModelProto, Mapping[str, Any]], Graph]

HEAD = '<ir_version: 10, opset_import: ["" : 21]>'


def floats(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_parallel_edges(roundtrip: RoundTrip) -> None:
    graph = roundtrip(parser.parse_model(f"{HEAD} g (float[N, 3] x) => (float[N, 3] y) {{ y = Mul (x, x) }}"), {"x": floats(2, 3)})
    assert graph.ops[0].inputs == ("x", "x")


def test_outputs_without_an_op(roundtrip: RoundTrip) -> None:
    text = f"""{HEAD} g (float[2] x) => (float[2] y, float[2] x, float[3] w, float[2] z) <float[3] w = {{1, 2, 3}}> {{
        y = Relu (x)
        z = Identity (y)
    }}"""
    assert roundtrip(parser.parse_model(text), {"x": floats(2)}).outputs == ("y", "x", "w", "z")


def test_unsorted_nodes(roundtrip: RoundTrip) -> None:
    text = f"{HEAD} g (float[2] x) => (float[2] y) {{ y = Relu (b) b = Exp (a) a = Neg (x) }}"
    assert [op.name for op in roundtrip(parser.parse_model(text), {"x": floats(2)}).ops] == ["a", "b", "y"]


@pytest.mark.parametrize("flags", [(True, False), (False, True), (True, True)])
def test_ifs_in_ifs_capture_through_both(roundtrip: RoundTrip, flags: tuple[bool, bool]) -> None:
    text = f"""{HEAD} g (float[2] x, bool c, bool d) => (float[2] y) <float[2] w = {{1, 2}}> {{
        h = Abs (x)
        y = If (c) <
            then_branch = t () => (float[2] to) {{
                ti = If (d) <then_branch = tt () => (float[2] p) {{ p = Exp (h) }}, else_branch = te () => (float[2] q) {{ q = Neg (x) }}>
                to = Add (ti, w)
            }},
            else_branch = e () => (float[2] eo) {{
                own = Constant <value = float[2] {{0.5, 4}}> ()
                ei = If (d) <
                    then_branch = et () => (float[2] r) {{ r = Mul (own, h) }}, else_branch = ee () => (float[2] s) {{ s = Sin (w) }}
                >
                eo = Sub (ei, own)
            }}
        >
    }}"""
    graph = roundtrip(parser.parse_model(text), {"x": floats(2), "c": np.array(flags[0]), "d": np.array(flags[1])})
    outer = graph.ops[-1]
    assert outer.inputs[0] == "c"
    assert outer.inputs[1:] == ("d", "w", "h", "x")
    assert outer.attrs["captures"] == outer.inputs[1:]
    inner = next(op for op in next(sub_graphs(outer)).ops if op.kind == "onnx.If")
    assert inner.inputs[0] == "d"


def test_loop_that_carries_captures_and_collects(roundtrip: RoundTrip) -> None:
    text = f"""{HEAD} g (float[2] x) => (float[2] last, float[k, 2] all) <int64 n = {{3}}, float[2] w = {{1, 2}}> {{
        last, all = Loop (n, , x) <body = b (int64 i, bool go, float[2] acc) => (bool go2, float[2] acc2, float[2] each) {{
            acc2 = Add (acc, w)
            go2 = Identity (go)
            each = Mul (acc2, x)
        }}>
    }}"""
    graph = roundtrip(parser.parse_model(text), {"x": floats(2)})
    loop = graph.ops[0]
    assert loop.inputs == ("n", "", "x", "w", "x")
    assert loop.attrs["captures"] == ("w", "x")
    assert [str(t) for t in loop.types] == ["f32[2]", "f32[?, 2]"]


def test_scan(roundtrip: RoundTrip) -> None:
    text = f"""{HEAD} g (float[5, 2] x) => (float[2] f, float[5, 2] y) <float[2] z = {{1, 2}}> {{
        f, y = Scan <
            num_scan_inputs = 1,
            body = b (float[2] s, float[2] e) => (float[2] s2, float[2] o) {{ s2 = Add (s, e) o = Relu (s2) }}
        > (z, x)
    }}"""
    assert roundtrip(parser.parse_model(text), {"x": floats(5, 2)}).ops[0].kind == "onnx.Scan"


def test_names_that_the_converter_gives_twice(roundtrip: RoundTrip) -> None:
    """The converter numbers its own constants in every graph from one; ONNX Runtime refuses one name in a graph and its sub-graph."""
    text = """<ir_version: 6, opset_import: ["" : 10]> g (float[1, 2] x, bool c) => (float[2] y) {
        z = If (c) <
            then_branch = t () => (float[2] t2) { t1 = Squeeze <axes = [0]> (x) t2 = Clip <min = 0.0, max = 1.0> (t1) },
            else_branch = e () => (float[2] e2) { e1 = Squeeze <axes = [0]> (x) e2 = Clip <min = 0.0, max = 1.0> (e1) }
        >
        q = Squeeze <axes = [0]> (x)
        k = Clip <min = -0.5, max = 0.5> (q)
        y = Add (z, k)
    }"""
    graph = roundtrip(parser.parse_model(text), {"x": floats(1, 2), "c": np.array(False)})
    inner = {name for op in graph.ops for sub in sub_graphs(op) for name in all_names(sub)}
    assert not inner & graph.types.keys()


def test_sequences(roundtrip: RoundTrip) -> None:
    text = f"""{HEAD} g (float[1, 2] x, float[1, 2] z) => (float[3, 2] y, seq(float[1, 2]) t) {{
        s = SequenceConstruct (x, x)
        t = SequenceInsert (s, z)
        y = ConcatFromSequence <axis = 0> (t)
    }}"""
    graph = roundtrip(parser.parse_model(text), {"x": floats(1, 2), "z": floats(1, 2, seed=3)})
    assert str(graph.type_of("t")) == "seq<f32[1, 2]>"


def test_optionals(roundtrip: RoundTrip) -> None:
    text = f"{HEAD} g (float[2] x) => (bool b, float[2] y) {{ o = Optional (x) b = OptionalHasElement (o) y = OptionalGetElement (o) }}"
    assert str(roundtrip(parser.parse_model(text), {"x": floats(2)}).type_of("o")) == "opt<f32[2]>"


def test_custom_domains(roundtrip: RoundTrip) -> None:
    text = """<ir_version: 10, opset_import: ["" : 21, "com.microsoft" : 1]>
    g (float[N, 4] x) => (float[N, 4] y) <float[4] b = {1, 2, 3, 4}> {
        h = com.microsoft.Gelu (x)
        [bias] y = com.microsoft.BiasGelu (h, b)
    }"""
    graph = roundtrip(parser.parse_model(text), {"x": floats(3, 4)})
    assert [op.kind for op in graph.ops] == ["onnx.com.microsoft.Gelu", "onnx.com.microsoft.BiasGelu"]
    assert str(graph.type_of("y")) == "f32[N, 4]"


def test_local_functions_are_inlined(roundtrip: RoundTrip) -> None:
    text = """<ir_version: 8, opset_import: ["" : 18, "my" : 1]> g (float[4] x) => (float[4] y) <float[4] w = {1, 2, 3, 4}> {
        h = my.Act <slope = 0.1> (x, w)
        y = my.Act <slope = 0.3> (h, w)
    }
    <domain: "my", opset_import: ["" : 18]> Act <slope> (a, c) => (d) { b = LeakyRelu <alpha: float = @slope> (a) d = Add (b, c) }"""
    graph = roundtrip(parser.parse_model(text), {"x": floats(4)})
    assert [op.kind for op in graph.ops] == ["leaky_relu", "add", "leaky_relu", "add"]


def test_several_results(roundtrip: RoundTrip) -> None:
    text = f"""{HEAD} g (float[3, 5] x, float[1, 1, 4, 4] m) => (float[3, 2] v, int64[3, 2] i, float[1, 1, 3, 3] p, int64[1, 1, 3, 3] at)
        <int64[1] k = {{2}}> {{ v, i = TopK <axis = -1> (x, k) p, at = MaxPool <kernel_shape = [2, 2]> (m) }}"""
    graph = roundtrip(parser.parse_model(text), {"x": floats(3, 5), "m": floats(1, 1, 4, 4)})
    assert [(op.kind, op.results) for op in graph.ops] == [("onnx.TopK", ("v", "i")), ("onnx.MaxPool", ("p", "at"))]


def test_an_absent_result_in_front(roundtrip: RoundTrip) -> None:
    nodes = [helper.make_node("LSTM", ["l", "W", "R"], ["", "h"], hidden_size=4)]
    inputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("l", [2, 1, 3]), ("W", [1, 16, 3]), ("R", [1, 16, 4]))]
    outputs = [helper.make_tensor_value_info("h", TensorProto.FLOAT, [1, 1, 4])]
    graph = helper.make_graph(nodes, "g", inputs, outputs)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    found = roundtrip(proto, {"l": floats(2, 1, 3), "W": floats(1, 16, 3), "R": floats(1, 16, 4)})
    assert found.ops[0].results == ("", "h")
    assert found.ops[0].name == "h"


def test_odd_names(roundtrip: RoundTrip) -> None:
    nodes = [helper.make_node("Relu", ["in put:0"], ["a/b"], name="a b"), helper.make_node("Exp", ["a/b"], ['"%'], name="%c")]
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [2]) for n in ("in put:0", '"%')]
    proto = helper.make_model(
        helper.make_graph(nodes, "g", values[:1], values[1:]), opset_imports=[helper.make_opsetid("", 21)], ir_version=10
    )
    assert [str(op.loc) for op in roundtrip(proto, {"in put:0": floats(2)}).ops] == ["a b", "%c"]


def test_alias_of_the_default_domain(roundtrip: RoundTrip) -> None:
    proto = parser.parse_model(f"{HEAD} g (float[N, 3] x) => (float[N, 3] y) {{ y = Relu (x) }}")
    proto.opset_import[0].domain = proto.graph.node[0].domain = "ai.onnx"
    graph = roundtrip(proto, {"x": floats(2, 3)})
    assert (graph.opset, graph.ops[0].kind) == ((("", 21),), "relu")


def test_strings(roundtrip: RoundTrip) -> None:
    words = helper.make_tensor("k", TensorProto.STRING, [3], [b"a", b"\xff\0b", b""])
    nodes = [
        helper.make_node("Gather", ["k", "i"], ["y"]),
        helper.make_node("LabelEncoder", ["y"], ["z"], domain="ai.onnx.ml", keys_strings=["a", "\u00e9"], values_int64s=[1, 2]),
        helper.make_node("Constant", [], ["c"], value_strings=["p", "q"]),
    ]
    outputs = [
        helper.make_tensor_value_info("y", TensorProto.STRING, [None]),
        helper.make_tensor_value_info("z", TensorProto.INT64, [None]),
        helper.make_tensor_value_info("c", TensorProto.STRING, [2]),
    ]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("i", TensorProto.INT64, ["N"])], outputs, [words])
    imports = [helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", 3)]
    found = roundtrip(helper.make_model(graph, opset_imports=imports, ir_version=10), {"i": np.array([2, 0, 0], np.int64)})
    assert [str(c.type) for c in found.consts] == ["string[3]", "string[2]"]


def test_every_kind_of_attribute() -> None:
    sparse = helper.make_sparse_tensor(
        helper.make_tensor("v", TensorProto.FLOAT, [1], [2.0]), helper.make_tensor("i", TensorProto.INT64, [1], [1]), [3]
    )
    plain: dict[str, Any] = {"f": 0.1, "i": -3, "s": "caf\u00e9", "fs": [1.0, 2.5], "ints": [1, 2], "ss": ["a", ""], "sp": sparse}
    node = helper.make_node("Odd", ["x"], ["o"], domain="my", **plain)
    node.attribute.append(helper.make_attribute("raw", b"\xff\xfe"))
    node.attribute.append(onnx.AttributeProto(name="none", type=onnx.AttributeProto.FLOATS))
    node.attribute.append(helper.make_attribute("ty", helper.make_tensor_type_proto(TensorProto.FLOAT, [2, "N"])))
    node.attribute.append(helper.make_attribute("te", helper.make_tensor("t", TensorProto.INT8, [2], [1, -1])))
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [2]) for n in ("x", "o")]
    imports = [helper.make_opsetid("", 21), helper.make_opsetid("my", 1)]
    proto = helper.make_model(helper.make_graph([node], "g", values[:1], values[1:]), opset_imports=imports, ir_version=10)
    exported = export_onnx(import_model(proto)).graph.node[0]
    for attribute in (*node.attribute, *exported.attribute):
        for tensor in (attribute.t, attribute.sparse_tensor.values, attribute.sparse_tensor.indices):
            tensor.name = ""
            values_ = onnx.numpy_helper.to_array(tensor).tobytes() if tensor.data_type else b""
            for field in ("float_data", "int32_data", "int64_data"):
                tensor.ClearField(field)
            tensor.raw_data = values_
    assert sorted(a.SerializeToString(deterministic=True) for a in exported.attribute) == sorted(
        a.SerializeToString(deterministic=True) for a in node.attribute
    )


@pytest.mark.parametrize("opset", [13, 21])
@pytest.mark.parametrize("as_node", [False, True])
def test_sparse_constants(opset: int, as_node: bool) -> None:
    """The version converter refuses them, and ONNX Runtime wants their names."""
    values, places = helper.make_tensor("w", TensorProto.FLOAT, [2], [3.0, 4.0]), helper.make_tensor("wi", TensorProto.INT64, [2], [1, 2])
    sparse = helper.make_sparse_tensor(values, places, [2, 2])
    nodes = [helper.make_node("Constant", [], ["w"], sparse_value=sparse)] if as_node else []
    nodes.append(helper.make_node("MatMul", ["x", "w"], ["y"]))
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 2]) for name in ("x", "y"))
    graph = helper.make_graph(nodes, "g", [x], [y], sparse_initializer=[] if as_node else [sparse])
    found = import_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8))
    assert [op.kind for op in found.ops] == ["onnx.Constant", "matmul"]
    assert str(found.type_of("w")) == "f32[2, 2]"
    session = ort.InferenceSession(export_onnx(found).SerializeToString(), providers=["CPUExecutionProvider"])
    assert session.run(None, {"x": np.array([[1, 2], [3, 4]], np.float32)})[0].tolist() == [[8.0, 3.0], [16.0, 9.0]]
