"""ONNX out: a Graph becomes a model that stock ONNX Runtime runs. Without passes in between it is the inverse of import."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from .blob import BlobRef
from .diagnostics import CompileError, Diagnostic
from .edit import fresh_name, renamed_inside
from .graph import ABSENT, Graph, Op
from .onnx_spell import ConstSpeller, Spelling, activation_nodes, default_spellers, pre_activation, verbatim_node
from .onnx_types import ONNX_OF_DTYPE, fill_header, fill_tensor, type_proto
from .onnx_wire import join_model
from .op_table import ROW_BY_KIND
from .types import ArrayRef, DType, TensorType

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto

    from .onnx_spell import Speller

EXTERNAL_OVER_BYTES = 1_900_000_000
"""Models with more constant data than this are written with their data in a file beside them: protobuf ends at 2 GB."""

_IR_VERSION_FROM_OPSET = ((25, 13), (24, 12), (23, 11), (0, 10))
"""(opset, IR version of the onnx release that brought it), newest first; https://onnx.ai/onnx/repo-docs/Versioning.html."""

_PAGE_BYTES = 4096


def export_onnx(
    graph: Graph,
    *,
    extra_outputs: Sequence[str] = (),
    ir_version: int | None = None,
    spell: Mapping[str, Speller] | None = None,
    spell_const: ConstSpeller | None = None,
) -> ModelProto:
    """Return the graph as an ONNX model. The same graph gives the same bytes.

    `extra_outputs` names further values to return behind the graph's outputs; `pre_activation` tells the name of what a fused op makes
    before its activation. `spell` tells how to write ops by kind; `spell_const` returns the nodes that make a constant, or None to leave
    it as it is. Raises CompileError (AS901) for what ONNX does not have (`quantize`, `pack` ..., element type u3) without a speller.
    """
    exporter = _Exporter(graph, {**default_spellers(), **(spell or {})}, spell_const, _Filled())
    return exporter.model(extra_outputs, ir_version)


def write_onnx(
    graph: Graph,
    path: Path,
    *,
    extra_outputs: Sequence[str] = (),
    ir_version: int | None = None,
    spell: Mapping[str, Speller] | None = None,
    spell_const: ConstSpeller | None = None,
    external_over_bytes: float = EXTERNAL_OVER_BYTES,
) -> None:
    """Write the graph as an ONNX file; with constants of more than `external_over_bytes` in all, their data goes to `<file name>.data`.

    Weights are written straight from their blobs, so little memory is needed. Raises what `export_onnx` raises, and OSError.
    """
    spellers = {**default_spellers(), **(spell or {})}
    if sum(const.blob.nbytes for const in graph.consts) > external_over_bytes:
        data_path = path.with_name(path.name + ".data")
        with data_path.open("wb") as data:
            model = _Exporter(graph, spellers, spell_const, _DataFile(data, data_path.name)).model(extra_outputs, ir_version)
        path.write_bytes(model.SerializeToString(deterministic=True))
        return
    left_out = _LeftOut()
    model = _Exporter(graph, spellers, spell_const, left_out).model(extra_outputs, ir_version)
    tensors = [(t.SerializeToString(deterministic=True), left_out.blobs.get(t.name)) for t in model.graph.initializer]
    del model.graph.initializer[:]
    inner = model.graph.SerializeToString(deterministic=True)
    model.ClearField("graph")
    with path.open("wb") as file:
        for piece in join_model(model.SerializeToString(deterministic=True), inner, tensors):
            file.write(piece)


class _Filled:
    """Puts data into tensors."""

    def put(self, tensor: TensorProto, name: str, array: ArrayRef, *, nested: bool) -> None:
        """Fill an empty tensor; `nested`: it belongs to a sub-graph."""
        del nested
        fill_tensor(tensor, name, array)


class _LeftOut(_Filled):
    """Leaves large data of the main graph out of its tensors and remembers it."""

    def __init__(self) -> None:
        self.blobs: dict[str, BlobRef] = {}

    def put(self, tensor: TensorProto, name: str, array: ArrayRef, *, nested: bool) -> None:
        """Fill an empty tensor, or write its name and type alone."""
        if nested or not _is_large(array):
            fill_tensor(tensor, name, array)
            return
        fill_header(tensor, name, array)
        self.blobs[name] = array.blob


class _DataFile(_Filled):
    """Writes large data to a file of its own."""

    def __init__(self, file: BinaryIO, location: str) -> None:
        self._file = file
        self._location = location

    def put(self, tensor: TensorProto, name: str, array: ArrayRef, *, nested: bool) -> None:
        """Append the data, page-aligned so that it can be memory-mapped, and let the (empty) tensor name the place."""
        del nested
        if not _is_large(array):
            fill_tensor(tensor, name, array)
            return
        self._file.write(b"\0" * (-self._file.tell() % _PAGE_BYTES))
        offset = self._file.tell()
        self._file.write(array.blob.read().data)
        fill_header(tensor, name, array)
        tensor.data_location = tensor.EXTERNAL
        for key, value in (("location", self._location), ("offset", str(offset)), ("length", str(array.blob.nbytes))):
            entry = tensor.external_data.add()
            entry.key, entry.value = key, value


def _is_large(array: ArrayRef) -> bool:
    return array.type.dtype is not DType.STRING and array.blob.nbytes >= _PAGE_BYTES


class _Exporter:
    def __init__(
        self, graph: Graph, spellers: Mapping[str, Speller], spell_const: ConstSpeller | None, data: _Filled
    ) -> None:
        self._graph = graph
        self._spellers = spellers
        self._spell_const = spell_const
        self._data = data

    def model(self, extra_outputs: Sequence[str], ir_version: int | None) -> ModelProto:
        """Return the whole model."""
        from onnx import ModelProto

        graph = self._graph
        opset = dict(graph.opset).get("", 0)
        model = ModelProto(ir_version=ir_version or next(ir for first, ir in _IR_VERSION_FROM_OPSET if opset >= first))
        model.producer_name = "autosplitc"
        for domain, version in graph.opset:
            entry = model.opset_import.add()
            entry.domain, entry.version = domain, version
        for key, value in graph.metadata:
            pair = model.metadata_props.add()
            pair.key, pair.value = key, value
        outputs = list(dict.fromkeys((*graph.outputs, *extra_outputs)))
        self._fill(model.graph, graph, outputs)
        return model

    def _sub_graph(self, graph: Graph) -> GraphProto:
        from onnx import GraphProto

        proto = GraphProto()
        self._fill(proto, graph, graph.outputs)
        return proto

    def _fill(self, proto: GraphProto, graph: Graph, outputs: Sequence[str]) -> None:
        """Write a graph into an empty message (in place: messages copy their parts)."""
        proto.name = graph.name
        spelling = Spelling(graph, self._sub_graph)
        pre_types: dict[str, TensorType] = {}
        nodes: list[NodeProto] = []
        for const in graph.consts:
            spelled = self._spell_const(const, spelling) if self._spell_const is not None else None
            if spelled is not None:
                nodes.extend(spelled)
            elif const.type.dtype not in ONNX_OF_DTYPE:
                raise _unspelled(f"constant {const.name!r} has element type {const.type.dtype}")
            else:
                self._data.put(proto.initializer.add(), const.name, ArrayRef(const.type, const.blob), nested=graph is not self._graph)
        for op in graph.ops:
            nodes.extend(self._op(op, spelling))
            if op.attrs.get("act") is not None:
                pre_types[pre_activation(graph, op)] = op.type
        proto.node.extend(_with_own_names(nodes))
        proto.initializer.extend(spelling.initializers)
        proto.input.extend(_value_info(v.name, v.type) for v in graph.inputs)
        proto.output.extend(_value_info(name, graph.types.get(name) or pre_types.get(name)) for name in outputs)

    def _op(self, op: Op, spelling: Spelling) -> list[NodeProto]:
        if op.kind in self._spellers:
            return self._spellers[op.kind](op, spelling)
        row = ROW_BY_KIND.get(op.kind)
        if row is not None and not row.op_type:
            raise _unspelled(f"op {op.name!r} is of kind {op.kind!r}")
        op = _with_outer_names(op)
        if op.attrs.get("act") is None:
            return [verbatim_node(op, op.results, spelling)]
        inner = pre_activation(spelling.graph, op)
        return [verbatim_node(op, (inner,), spelling), *activation_nodes(op, inner, spelling)]


def _unspelled(what: str) -> CompileError:
    return CompileError(Diagnostic("AS901", f"{what}, which ONNX does not have, and nothing says how to write it"))


def _with_own_names(nodes: list[NodeProto]) -> list[NodeProto]:
    """Number nodes that came from one node: ONNX Runtime refuses two of the same name."""
    taken: set[str] = set()
    for node in nodes:
        node.name = fresh_name(taken, node.name)
        taken.add(node.name)
    return nodes


def _with_outer_names(op: Op) -> Op:
    """Return the op without captures: its sub-graphs read the outer values by the names that these have now."""
    from dataclasses import replace

    captures = op.attrs.get("captures")
    if not isinstance(captures, tuple):
        return op
    inner = [name for name in captures if isinstance(name, str)]
    outer = op.inputs[len(op.inputs) - len(inner) :]
    names = {a: b for a, b in zip(inner, outer, strict=True) if a != b}
    attrs = op.attrs.with_(captures=None)
    if names:
        attrs = attrs.with_(**{key: renamed_inside(value, names) for key, value in attrs.items()})
    return replace(op, inputs=op.inputs[: len(op.inputs) - len(inner)], attrs=attrs)


def _value_info(name: str, type_: TensorType | None) -> ValueInfoProto:
    from onnx import ValueInfoProto

    info = ValueInfoProto(name=name or ABSENT)
    if type_ is not None and type_.dtype is not DType.UNKNOWN:
        if type_.dtype not in ONNX_OF_DTYPE:
            raise _unspelled(f"value {name!r} has element type {type_.dtype}")
        info.type.CopyFrom(type_proto(type_))
    return info
