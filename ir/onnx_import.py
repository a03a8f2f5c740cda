"""ONNX in: a model becomes a Graph. See docs/ir.md for what is kept and what is changed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .blob import BlobRef, blob_from_array, blob_from_bytes
from .constant_ops import constants_near_readers
from .diagnostics import CompileError
from .edit import rename_made
from .finite import non_finite_weights
from .graph import ABSENT, UNKNOWN_TYPE, Const, Graph, Op, Value
from .location import Loc
from .onnx_load import LoadedModel, load_model, loaded_from_proto
from .onnx_prepare import captured, node_name, prepare, reads, subgraphs
from .onnx_shapes import Inferred, fix_inputs, graph_types, infer
from .onnx_types import array_ref, attr_value, encode_strings, sparse_value
from .op_table import KIND_BY_OP_TYPE, ROW_BY_KIND, attr_holds
from .types import ArrayRef, Attrs, AttrValue, DType, TensorType
from .verify import verify

if TYPE_CHECKING:
    from onnx import AttributeProto, GraphProto, ModelProto, NodeProto

GRAPH_NAME = "main"
CAPTURES = "captures"
"""Attribute that holds the names used inside the sub-graphs for the last inputs of an op."""


def import_onnx(path: Path, *, input_shapes: Mapping[str, tuple[int, ...]] | None = None) -> Graph:
    """Read an ONNX file (opset 7 to 25) into a graph named `main`.

    The opset becomes at least 21 and local functions are inlined. Large weights stay in the file. A leading size of an input that is not
    known is the batch: a symbolic size, or 1 and the like where `input_shapes` (name -> sizes) fixes it. See `unknown_input_dims` for what
    must be known before planning. Ops on constants alone come to stand before their first reader. Raises CompileError with AS2xx and AS3xx
    diagnostics.
    """
    return _import(load_model(path), input_shapes or {})


def import_model(
    model: ModelProto, *, input_shapes: Mapping[str, tuple[int, ...]] | None = None, source: str = "model.onnx", folder: Path | None = None
) -> Graph:
    """Make a graph of a model in memory, as `import_onnx` does of a file; `folder` is where external data lies."""
    return _import(loaded_from_proto(model, source, folder), input_shapes or {})


def _import(loaded: LoadedModel, input_shapes: Mapping[str, tuple[int, ...]]) -> Graph:
    proto = prepare(loaded.proto, loaded.source)
    fix_inputs(proto, input_shapes, loaded.source)
    inferred = infer(proto, loaded.source, trust=not input_shapes)
    opset = tuple(sorted((entry.domain, entry.version) for entry in inferred.at_one.opset_import))
    metadata = tuple(sorted((entry.key, entry.value) for entry in proto.metadata_props))
    builder = _Builder(inferred, loaded.blobs, loaded.source, opset)
    graph = constants_near_readers(builder.graph(GRAPH_NAME, inferred.at_one.graph, inferred.at_two.graph, {}, metadata))
    problems = tuple(replace(d, location=f"{loaded.source}: {d.location}") for d in verify(graph, "2"))
    problems = problems or non_finite_weights(graph, loaded.source)
    if problems:
        raise CompileError(problems)
    return graph


@dataclass(frozen=True)
class _Builder:
    inferred: Inferred
    blobs: Sequence[BlobRef]
    source: str
    opset: tuple[tuple[str, int], ...]

    def graph(
        self,
        name: str,
        proto: GraphProto,
        at_two: GraphProto,
        outer: Mapping[str, TensorType],
        metadata: tuple[tuple[str, str], ...] = (),
    ) -> Graph:
        """Make a graph of a main graph or sub-graph; `at_two` is the same graph with the types of batch 2."""
        types = {**outer, **graph_types(proto, at_two, self.inferred)}
        consts = [self._const(t.name, array_ref(t, self.blobs, self._where(t.name))) for t in proto.initializer]
        types.update((c.name, c.type) for c in consts)
        ops = [self._sparse_op(s.values.name, sparse_value(s, self.blobs, self._where(s.values.name))) for s in proto.sparse_initializer]
        scalars = {c.name: c for c in consts}
        used = {name for node in proto.node for name in reads(node)} | {v.name for v in proto.output}
        for index, (node, node_two) in enumerate(zip(proto.node, at_two.node, strict=True)):
            const = self._constant_node(node, index)
            if const is not None:
                consts.append(const)
                scalars[const.name] = const
                types[const.name] = const.type
            elif any(node.output):
                ops.append(self._op(node, node_two, index, types, scalars, used))
        inputs = tuple(Value(v.name, types[v.name], Loc((v.name,))) for v in proto.input)
        outputs = tuple(v.name for v in proto.output)
        return Graph(name, self.opset, inputs, tuple(consts), tuple(ops), outputs, metadata)

    def _where(self, name: str) -> str:
        return f'{self.source}: initializer "{name}"'

    def _const(self, name: str, array: ArrayRef) -> Const:
        return Const(name, array.type, array.blob, Loc((name,)))

    def _sparse_op(self, name: str, value: AttrValue) -> Op:
        type_ = value[0] if isinstance(value, tuple) else UNKNOWN_TYPE
        dense = TensorType(type_.dtype, type_.shape) if isinstance(type_, TensorType) else UNKNOWN_TYPE
        return Op((name,), "onnx.Constant", (), Attrs.of(sparse_value=value), (dense,), Loc((name,)))

    def _constant_node(self, node: NodeProto, index: int) -> Const | None:
        """Return the constant that a Constant node holds, or None for other nodes and sparse constants."""
        if node.op_type != "Constant" or node.domain or len(node.attribute) != 1:
            return None
        attribute = node.attribute[0]
        loc = Loc((node_name(node, index),))
        name = node.output[0]
        if attribute.name == "value":
            array = array_ref(attribute.t, self.blobs, f'{self.source}: node "{node_name(node, index)}"')
            return Const(name, array.type, array.blob, loc)
        return _listed_const(name, attribute, loc)

    def _op(
        self,
        node: NodeProto,
        node_two: NodeProto,
        index: int,
        types: Mapping[str, TensorType],
        consts: Mapping[str, Const],
        used: Collection[str],
    ) -> Op:
        where = f'{self.source}: node "{node_name(node, index)}"'
        inner = iter([g for attribute in node_two.attribute for g in _graphs(attribute)])

        def sub_graph(proto: GraphProto) -> Graph:
            return rename_made(self.graph(proto.name, proto, next(inner), types), types)

        attrs = {a.name: attr_value(a, self.blobs, where, sub_graph) for a in node.attribute}
        names: dict[str, None] = {}
        for graph in subgraphs(node):
            names.update(captured(graph))
        if names:
            attrs[CAPTURES] = tuple(names)
        kind, results = _kind(node, attrs, consts, used)
        result_types = tuple(types.get(r, UNKNOWN_TYPE) if r else UNKNOWN_TYPE for r in results)
        return Op(results, kind, (*node.input, *names), Attrs.of(attrs), result_types, Loc((node_name(node, index),)))


def _graphs(attribute: AttributeProto) -> tuple[GraphProto, ...]:
    return (*((attribute.g,) if attribute.HasField("g") else ()), *attribute.graphs)


def _listed_const(name: str, attribute: AttributeProto, loc: Loc) -> Const | None:
    """Return the constant of a Constant node that holds numbers or strings instead of a tensor."""
    kind = attribute.name
    if kind in ("value_int", "value_ints"):
        values = np.array(attribute.i if kind == "value_int" else attribute.ints, np.int64)
        return Const(name, TensorType(DType.I64, values.shape), blob_from_array(values), loc)
    if kind in ("value_float", "value_floats"):
        values = np.array(attribute.f if kind == "value_float" else attribute.floats, np.float32)
        return Const(name, TensorType(DType.F32, values.shape), blob_from_array(values), loc)
    if kind in ("value_string", "value_strings"):
        strings = [attribute.s] if kind == "value_string" else list(attribute.strings)
        shape = () if kind == "value_string" else (len(strings),)
        return Const(name, TensorType(DType.STRING, shape), blob_from_bytes(encode_strings(strings)), loc)
    return None


def _kind(
    node: NodeProto, attrs: Mapping[str, AttrValue], consts: Mapping[str, Const], used: Collection[str]
) -> tuple[str, tuple[str, ...]]:
    """Return the kind of a node and its results: results that nothing reads behind those that the row allows are dropped."""
    results = tuple(node.output)
    verbatim = f"onnx.{node.domain}.{node.op_type}" if node.domain else f"onnx.{node.op_type}"
    kind = KIND_BY_OP_TYPE.get(node.op_type)
    if node.domain or kind is None:
        return verbatim, results
    row = ROW_BY_KIND[kind]
    fits = row.min_inputs <= len(node.input) <= row.max_inputs and all(a in row.attrs and attr_holds(attrs[a], row.attrs[a]) for a in attrs)
    extra = any(name in used for name in results[row.results[1] :])
    if not fits or extra or (row.min_inputs > 0 and node.input[0] == ABSENT) or _trains(node, attrs, consts):
        return verbatim, results
    return kind, results[: row.results[1]]


def _trains(node: NodeProto, attrs: Mapping[str, AttrValue], consts: Mapping[str, Const]) -> bool:
    """Whether a Dropout or BatchNormalization is in training mode, or may be."""
    if node.op_type == "BatchNormalization":
        return attrs.get("training_mode", 0) != 0
    if node.op_type == "Dropout" and len(node.input) == 3 and node.input[2]:
        mode = consts.get(node.input[2])
        return mode is None or bool(mode.array().any())
    return False
