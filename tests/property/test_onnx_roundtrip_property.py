"""Random small models: import, export and import again is the identity, and every intermediate value keeps its bits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnxruntime as ort
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from autosplitc.ir import export_onnx, import_model, verify

UNARY = ("Relu", "Sigmoid", "Tanh", "Neg", "Identity", "HardSwish", "LeakyRelu")
BINARY = ("Add", "Sub", "Mul", "Max", "Sum")


@dataclass
class Drawn:
    """A model under construction: values of shape [N, 4] or [4]."""

    nodes: list[NodeProto] = field(default_factory=list[NodeProto])
    weights: list[TensorProto] = field(default_factory=list[TensorProto])
    values: list[str] = field(default_factory=list[str])


def info(name: str, batch: int | str) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, 4])


@st.composite
def models(draw: st.DrawFn) -> ModelProto:
    drawn = Drawn(values=["x"])
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    for i in range(draw(st.integers(1, 12))):
        _add_node(draw, drawn, f"v{i}", rng)
    outputs = draw(st.lists(st.sampled_from(drawn.values), min_size=1, max_size=3, unique=True))
    nodes = draw(st.permutations(drawn.nodes))
    batch = draw(st.sampled_from(["N", "batch", 1, 3]))
    graph = helper.make_graph(nodes, "g", [info("x", batch)], [info(name, batch) for name in outputs], drawn.weights)
    opset, ir_version = draw(st.sampled_from([(14, 8), (17, 8), (21, 10), (23, 11)]))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version)


def _add_node(draw: st.DrawFn, drawn: Drawn, name: str, rng: np.random.Generator) -> None:
    source = draw(st.sampled_from(drawn.values))
    form = draw(st.sampled_from(["unary", "binary", "matmul", "gemm", "if", "concat"]))
    if form == "unary":
        node = helper.make_node(draw(st.sampled_from(UNARY)), [source], [name])
    elif form == "binary":
        other = draw(st.sampled_from([*drawn.values, *(w.name for w in drawn.weights if len(w.dims) == 1)]))
        node = helper.make_node(draw(st.sampled_from(BINARY)), [source, other], [name], name=draw(st.sampled_from(["", name])))
    elif form == "if":
        made = {op: f"{name}.{op}" for op in ("Abs", "Neg")}
        sides = [helper.make_graph([helper.make_node(op, [source], [out])], op, [], [info(out, "N")]) for op, out in made.items()]
        drawn.weights.append(numpy_helper.from_array(np.array(draw(st.booleans())), f"{name}.c"))
        node = helper.make_node("If", [f"{name}.c"], [name], then_branch=sides[0], else_branch=sides[1])
    elif form == "concat":
        drawn.nodes.append(helper.make_node("Concat", [source, source], [f"{name}.wide"], axis=1))
        drawn.weights.append(numpy_helper.from_array(rng.standard_normal((8, 4)).astype(np.float32), f"{name}.w"))
        node = helper.make_node("MatMul", [f"{name}.wide", f"{name}.w"], [name])
    else:
        shared = [w.name for w in drawn.weights if list(w.dims) == [4, 4]]
        drawn.weights.append(numpy_helper.from_array(rng.standard_normal((4, 4)).astype(np.float32), f"{name}.w"))
        drawn.weights.append(numpy_helper.from_array(rng.standard_normal(4).astype(np.float32), f"{name}.b"))
        inputs = [source, draw(st.sampled_from([f"{name}.w", *shared])), f"{name}.b"]
        node = helper.make_node("MatMul" if form == "matmul" else "Gemm", inputs[: 2 if form == "matmul" else 3], [name])
    drawn.nodes.append(node)
    drawn.values.append(name)


def run(model: ModelProto, x: Any) -> list[bytes]:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return [value.tobytes() for value in session.run(None, {"x": x})]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(models(), st.integers(0, 2**32 - 1))
def test_import_and_export_are_inverse(model: ModelProto, seed: int) -> None:
    graph = import_model(model)
    assert verify(graph) == ()
    exported = export_onnx(graph)
    assert import_model(exported) == graph
    rows = graph.inputs[0].type.shape
    x = np.random.default_rng(seed).standard_normal((rows[0] if rows and isinstance(rows[0], int) else 2, 4)).astype(np.float32)
    assert run(exported, x) == run(model, x)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(models(), st.integers(1, 3))
def test_types_hold_at_every_batch(model: ModelProto, batch: int) -> None:
    """What import says of a value's shape is what ONNX Runtime makes."""
    graph = import_model(model)
    first = (graph.inputs[0].type.shape or (None,))[0]
    size = first if isinstance(first, int) else batch
    made = [name for op in graph.ops for name in op.results]
    session = ort.InferenceSession(export_onnx(graph, extra_outputs=made).SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    for name, value in zip(names, session.run(None, {"x": np.ones((size, 4), np.float32)}), strict=True):
        stated = graph.type_of(name).shape
        assert stated is not None
        assert tuple(size if isinstance(d, str) else d for d in stated) == value.shape
