"""Export: fused activations, extra outputs, hooks for kinds that ONNX does not have, captured names, versions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import ModelProto, NodeProto, parser

from autosplitc.ir import (
    ArrayRef,
    Attrs,
    CompileError,
    Const,
    DType,
    Graph,
    Op,
    Spelling,
    TensorType,
    Value,
    activation_nodes,
    blob_from_array,
    blob_from_bytes,
    export_onnx,
    import_model,
    pre_activation,
    redirect,
    verbatim_node,
)

F32 = DType.F32
X = np.linspace(-8, 8, 24, dtype=np.float32).reshape(4, 6)


def small(kind: str, dtype: DType = F32, opset: int = 21, **attrs: Any) -> Graph:
    """One op on x and a constant."""
    type_ = TensorType(dtype, (4, 6))
    scale = Const("k", TensorType(dtype, ()), blob_from_array(np.array(1.0, np.float32 if dtype is F32 else np.float16)))
    inputs = ("x", "k") if kind == "mul" else ("x",)
    op = Op(("y",), kind, inputs, Attrs.of(attrs), (type_,))
    return Graph("g", (("", opset),), (Value("x", type_),), (scale,) if kind == "mul" else (), (op,), ("y",))


def run(model: ModelProto, **feeds: Any) -> list[Any]:
    onnx.checker.check_model(model, full_check=True)
    return ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, feeds)


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize(
    ("attrs", "expected"),
    [
        ({"act": "relu"}, np.maximum(X, 0)),
        ({"act": "clip", "act_low": 0.0, "act_high": 6.0}, np.clip(X, 0, 6)),
        ({"act": "clip", "act_high": 1.0}, np.minimum(X, 1)),
        ({"act": "clip", "act_low": -1.0}, np.maximum(X, -1)),
        ({"act": "leaky_relu"}, np.where(X < 0, X * 0.01, X)),
        ({"act": "leaky_relu", "act_alpha": 0.1}, np.where(X < 0, X * 0.1, X)),
        ({"act": "hard_swish"}, X * np.clip(X / 6 + 0.5, 0, 1)),
        ({"act": "hard_sigmoid"}, np.clip(0.2 * X + 0.5, 0, 1)),
        ({"act": "hard_sigmoid", "act_alpha": 0.25, "act_beta": 0.4}, np.clip(0.25 * X + 0.4, 0, 1)),
        ({"act": "sigmoid"}, sigmoid(X)),
        ({"act": "tanh"}, np.tanh(X)),
        ({"act": "silu"}, X * sigmoid(X)),
    ],
)
def test_fused_activations(attrs: dict[str, Any], expected: Any) -> None:
    graph = small("mul", **attrs)
    before = pre_activation(graph, graph.ops[0])
    (result, inner) = run(export_onnx(graph, extra_outputs=(before,)), x=X)
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)
    assert inner.tobytes() == X.tobytes()


def test_bounds_have_the_type_of_the_data() -> None:
    (result,) = run(export_onnx(small("mul", DType.F16, act="clip", act_low=0.0, act_high=6.0)), x=X.astype(np.float16))
    assert result.dtype == np.float16
    assert result.max() == 6.0


@pytest.mark.parametrize(("opset", "op_types"), [(21, ["Sigmoid", "Mul"]), (24, ["Swish"])])
def test_silu(opset: int, op_types: list[str]) -> None:
    model = export_onnx(small("silu", opset=opset))
    assert [node.op_type for node in model.graph.node] == op_types
    np.testing.assert_allclose(run(model, x=X)[0], X * sigmoid(X), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("opset", "ir_version"), [(21, 10), (22, 10), (23, 11), (24, 12), (25, 13)])
def test_versions(opset: int, ir_version: int) -> None:
    model = export_onnx(small("relu", opset=opset))
    assert (model.ir_version, model.opset_import[0].version) == (ir_version, opset)
    assert export_onnx(small("relu", opset=opset), ir_version=9).ir_version == 9


def test_extra_outputs_may_be_anything() -> None:
    graph = import_model(parser.parse_model(
        '<ir_version: 10, opset_import: ["" : 21]> g (float[2] x) => (float[2] y) <float[2] w = {1, 2}> { h = Add (x, w) y = Exp (h) }'
    ))
    model = export_onnx(graph, extra_outputs=("h", "x", "w", "y"))
    assert [v.name for v in model.graph.output] == ["y", "h", "x", "w"]
    found = run(model, x=np.zeros(2, np.float32))
    assert [v.tolist() for v in found[1:]] == [[1.0, 2.0], [0.0, 0.0], [1.0, 2.0]]


def test_names_that_are_taken_are_avoided() -> None:
    graph = small("mul", act="silu")
    graph = replace(graph, inputs=(*graph.inputs, *(Value(n, TensorType(F32, (4, 6))) for n in ("y.pre", "y.gate"))))
    model = export_onnx(graph)
    (result,) = run(model, **{"x": X, "y.pre": X, "y.gate": X})
    np.testing.assert_allclose(result, X * sigmoid(X), rtol=1e-5, atol=1e-6)


def test_node_names_are_made_unique() -> None:
    text = '<ir_version: 10, opset_import: ["" : 21]> g (float[2] x) => (float[2] y) { [same] h = Relu (x) [same] y = Exp (h) }'
    model = export_onnx(import_model(parser.parse_model(text)))
    assert [n.name for n in model.graph.node] == ["same", "same.2"]
    run(model, x=np.zeros(2, np.float32))


def quantize(op: Op, spelling: Spelling) -> list[NodeProto]:
    scale = spelling.initializer(f"{op.name}.scale", ArrayRef(TensorType(F32, ()), blob_from_array(np.array(0.5, np.float32))))
    zero = spelling.initializer(f"{op.name}.scale", ArrayRef(TensorType(DType.U8, ()), blob_from_array(np.array(9, np.uint8))))
    assert zero == f"{op.name}.scale.2"
    return [spelling.node("QuantizeLinear", (op.inputs[0], scale, zero), (op.result,), {"axis": 0})]


def test_kinds_of_ours_need_a_speller() -> None:
    graph = small("quantize", scale=0.5, zero_point=9, bits=8)
    graph = replace(graph, ops=(replace(graph.ops[0], types=(TensorType(DType.U8, (4, 6)),)),))
    with pytest.raises(CompileError) as caught:
        export_onnx(graph)
    assert caught.value.diagnostics[0].code == "AS901"
    assert "'quantize'" in str(caught.value)
    (result,) = run(export_onnx(graph, spell={"quantize": quantize}), x=X)
    assert result.tolist() == np.clip(np.rint(X / 0.5) + 9, 0, 255).astype(np.uint8).tolist()


def test_a_speller_can_change_a_kind_of_onnx() -> None:
    def spelled(op: Op, spelling: Spelling) -> list[NodeProto]:
        middle = spelling.fresh("middle")
        return [verbatim_node(op, (middle,), spelling), *activation_nodes(op, middle, spelling)]

    model = export_onnx(small("mul", act="relu"), spell={"mul": spelled})
    assert [list(node.output) for node in model.graph.node] == [["middle"], ["y"]]
    assert run(model, x=X)[0].tolist() == np.maximum(X, 0).tolist()


def test_constants_that_onnx_does_not_have_need_a_speller() -> None:
    graph = small("mul")
    codes = Const("codes", TensorType(DType.I6, (4,)), blob_from_bytes(b"\1\2\3"))
    graph = replace(graph, consts=(*graph.consts, codes))
    with pytest.raises(CompileError, match="i6"):
        export_onnx(graph)

    def spelled(const: Const, spelling: Spelling) -> list[NodeProto] | None:
        if const.name != "codes":
            return None
        raw = spelling.initializer("raw", ArrayRef(TensorType(DType.U8, (3,)), const.blob))
        return [spelling.node("Identity", (raw,), (const.name,))]

    model = export_onnx(graph, spell_const=spelled)
    assert [t.name for t in model.graph.initializer] == ["k", "raw"]
    assert model.graph.node[0].op_type == "Identity"


def test_captured_values_keep_up_with_new_names() -> None:
    text = """<ir_version: 10, opset_import: ["" : 21]> g (float[2] x, bool c) => (float[2] y) {
        a = Identity (x)
        b = Neg (x)
        y = If (c) <
            then_branch = t () => (float[2] p) { p = Add (a, b) },
            else_branch = e () => (float[2] q) {
                q = If (c) <
                    then_branch = u () => (float[2] r) { r = Exp (a) },
                    else_branch = v () => (float[2] s) { x2 = Neg (a) s = Sub (x2, b) }
                >
            }
        >
    }"""
    graph = import_model(parser.parse_model(text))
    moved = redirect(graph, {"a": "x"})
    feeds: dict[str, Any] = {"x": np.array([1, 2], np.float32), "c": np.array(False)}
    model = export_onnx(moved)
    assert run(model, **feeds)[0].tolist() == run(export_onnx(graph), **feeds)[0].tolist()
    assert 'a' not in str(list(model.graph.node[-1].attribute[0].g.node[0].input))


def test_captured_values_never_meet_inner_names() -> None:
    """`a` becomes `p`, which a branch uses for something of its own, at two depths."""
    text = """<ir_version: 10, opset_import: ["" : 21]> g (float[2] x, bool c) => (float[2] y) {
        a = Exp (x)
        y = If (c) <
            then_branch = t () => (float[2] o) {
                p = Neg (a)
                o = If (c) <
                    then_branch = u () => (float[2] r) { p2 = Neg (p) r = Add (p2, a) },
                    else_branch = v () => (float[2] s) { s = Sub (p, a) }
                >
            },
            else_branch = e () => (float[2] q) { q = Exp (a) }
        >
    }"""
    graph = import_model(parser.parse_model(text))
    ops = tuple(replace(op, results=("p",)) if op.name == "a" else op for op in graph.ops)
    ops = tuple(replace(op, inputs=tuple("p" if i == "a" else i for i in op.inputs)) for op in ops)
    feeds: dict[str, Any] = {"x": np.array([1, 2], np.float32), "c": np.array(True)}
    renamed = export_onnx(replace(graph, ops=ops))
    assert run(renamed, **feeds)[0].tolist() == run(export_onnx(graph), **feeds)[0].tolist()


def test_same_graph_same_bytes() -> None:
    graph = small("mul", act="clip", act_low=0.0)
    first, second = (export_onnx(graph).SerializeToString(deterministic=True) for _ in range(2))
    assert first == second
