"""What the tests of ONNX import and export share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, cast

import onnx
import onnxruntime as ort
import pytest
from onnx import ModelProto, version_converter

from autosplitc.ir import Graph, export_onnx, import_model, verify

RoundTrip: TypeAlias = Callable[[ModelProto, Mapping[str, Any]], Graph]


@pytest.fixture
def roundtrip() -> RoundTrip:
    """A check that import and export of a model keep what it computes, bit for bit, and everything that has a name; returns the graph."""
    return _roundtrip


def _roundtrip(proto: ModelProto, feeds: Mapping[str, Any]) -> Graph:
    before = proto.SerializeToString(deterministic=True)
    graph = import_model(proto)
    assert proto.SerializeToString(deterministic=True) == before
    assert verify(graph) == ()
    exported = export_onnx(graph)
    _assert_same(_run(exported, feeds), _run(_upgraded(proto), feeds))
    _assert_inverse(graph, exported)
    _assert_names(graph, proto)
    return graph


def _assert_inverse(graph: Graph, exported: ModelProto) -> None:
    again = import_model(exported)
    assert export_onnx(again).SerializeToString(deterministic=True) == exported.SerializeToString(deterministic=True)
    assert again.types == graph.types
    assert [(op.name, op.kind, op.inputs, op.loc) for op in again.ops] == [(op.name, op.kind, op.inputs, op.loc) for op in graph.ops]
    assert again.inputs == graph.inputs
    assert [(c.name, c.type, c.blob) for c in again.consts] == [(c.name, c.type, c.blob) for c in graph.consts]
    assert (again.outputs, again.opset, again.metadata) == (graph.outputs, graph.opset, graph.metadata)


def _assert_names(graph: Graph, proto: ModelProto) -> None:
    initialized = {t.name for t in proto.graph.initializer}
    assert [v.name for v in graph.inputs] == [v.name for v in proto.graph.input if v.name not in initialized]
    assert list(graph.outputs) == [v.name for v in proto.graph.output]
    assert initialized <= graph.const.keys()


def _upgraded(proto: ModelProto) -> ModelProto:
    copy = ModelProto()
    copy.CopyFrom(proto)
    if copy.functions:
        copy = onnx.inliner.inline_local_functions(copy, convert_version=True)
    return version_converter.convert_version(copy, 21) if copy.opset_import[0].version < 21 else copy


def _run(proto: ModelProto, feeds: Mapping[str, Any]) -> list[Any]:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"]).run(None, dict(feeds))


def _assert_same(ours: Any, theirs: Any) -> None:
    if isinstance(theirs, list):
        mine, wanted = cast("list[Any]", ours), cast("list[Any]", theirs)
        assert len(mine) == len(wanted)
        for a, b in zip(mine, wanted, strict=True):
            _assert_same(a, b)
        return
    assert ours.dtype == theirs.dtype
    assert ours.shape == theirs.shape
    assert (ours == theirs).all() if ours.dtype == object else ours.tobytes() == theirs.tobytes()
