"""Code generation: a graph with explicit quantisation becomes an ONNX model of standard ops that stock ONNX Runtime runs.

Weights keep their bits in the file: INT4 and INT2 initializers behind a Cast to INT8, which the engine folds as it loads; 6 bits as an
INT4 and a UINT2 plane (code = 4 x high + low); 3 bits in INT4, 5 and 7 in INT8, and so is what is too small to be worth the nodes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import (
    EXTERNAL_OVER_BYTES,
    ArrayRef,
    Const,
    DType,
    Graph,
    Op,
    Spelling,
    blob_from_array,
    blob_from_bytes,
    export_onnx,
    fresh_name,
    pack_bits,
    unpack_bits,
    write_onnx,
)

from .spell import OurSpellers

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

NEWEST_OPSET = 25
"""First opset with INT2 and UINT2, and the newest that is emitted."""
_SWISH_OPSET = 24
_MAPPED_OVER_BYTES = 64 << 20

_CONTAINER = {DType.I3: DType.I4, DType.I5: DType.I8, DType.I7: DType.I8}
"""Where ONNX lacks a type: the next wider that it has."""
_CONTAINER_WITHOUT_INT2 = {**_CONTAINER, DType.I2: DType.I4, DType.I6: DType.I8}


def emit_onnx(graph: Graph, *, max_opset: int = NEWEST_OPSET) -> ModelProto:
    """Return the ONNX model of a partitioned graph; the same graph gives the same bytes.

    2- and 6-bit weights make it opset 25; where `max_opset` is lower they take INT4 and INT8 containers. Models over 2 GB: `write_side`.
    """
    ready = _Ready.of(graph, max_opset)
    return export_onnx(ready.graph, spell=ready.spellers.table(), spell_const=ready.spell_const)


def write_side(graph: Graph, path: Path, *, max_opset: int = NEWEST_OPSET, external_over_bytes: float = EXTERNAL_OVER_BYTES) -> None:
    """Write what `emit_onnx` returns; with more constant data than `external_over_bytes` it goes to `<file name>.data`. Raises OSError."""
    ready = _Ready.of(graph, max_opset)
    spell = ready.spellers.table()
    write_onnx(ready.graph, path, spell=spell, spell_const=ready.spell_const, external_over_bytes=external_over_bytes)


def write_scratch(graph: Graph, path: Path) -> None:
    """Write a graph only to load it: with much constant data in a file of its own, which the engine maps instead of reading it."""
    write_side(graph, path, external_over_bytes=_MAPPED_OVER_BYTES)


_SPELLING_BYTES = {DType.I2: 150, DType.I4: 150, DType.I6: 500}
"""About what the nodes and names that spell a packed constant take in the file; smaller constants stay INT8."""

_INT8 = 3
"""TensorProto.DataType.INT8 (ONNX specification, onnx.proto)."""


@dataclass(frozen=True)
class _Ready:
    """A graph that can be exported: every constant has a container, the opset fits, and `packed` constants have their spelling."""

    graph: Graph
    packed: frozenset[str]
    spellers: OurSpellers

    @staticmethod
    def of(graph: Graph, max_opset: int) -> _Ready:
        contained, packed = _with_containers(_with_zero_points(graph), max_opset)
        types = {c.type.dtype for c in contained.consts if c.name in packed}
        if types & {DType.I2, DType.I6}:
            contained = _at_opset(contained, NEWEST_OPSET)
        return _Ready(contained, packed, OurSpellers())

    def spell_const(self, const: Const, spelling: Spelling) -> list[NodeProto] | None:
        """Write a constant of codes below 8 bits as INT8 made from packed initializers; leave every other."""
        if const.name not in self.packed:
            return None
        if const.type.dtype is DType.I6:
            nodes = _planes(const, spelling)
        else:
            stored = spelling.initializer(f"{const.name}.packed", ArrayRef(const.type, const.blob))
            nodes = [spelling.node("Cast", [stored], [const.name], {"to": _INT8})]
        for node in nodes:
            node.ClearField("name")  # names of nodes that nobody looks for take room in the file
        return nodes


def _planes(const: Const, spelling: Spelling) -> list[NodeProto]:
    codes = _codes(const)
    names: list[str] = []
    nodes: list[NodeProto] = []
    for plane, dtype, values in (("high", DType.I4, codes >> np.int8(2)), ("low", DType.U2, codes & np.int8(3))):
        array = ArrayRef(const.type.with_dtype(dtype), blob_from_bytes(pack_bits(values, dtype.bits)))
        stored = spelling.initializer(f"{const.name}.{plane}", array)
        names.append(spelling.fresh(f"{const.name}/{plane}"))
        nodes.append(spelling.node("Cast", [stored], [names[-1]], {"to": _INT8}))
    four, scaled = spelling.scalar(f"{const.name}.four", 4, DType.I8), spelling.fresh(f"{const.name}/scaled")
    nodes.append(spelling.node("Mul", [names[0], four], [scaled]))
    nodes.append(spelling.node("Add", [scaled, names[1]], [const.name]))
    return nodes


def _with_containers(graph: Graph, max_opset: int) -> tuple[Graph, frozenset[str]]:
    """Return the graph with constants of 3, 5 and 7 bits widened, and the names of those of codes below 8 bits that are left."""
    ours = {op.inputs[0] for op in graph.ops if op.kind == "dequantize" and op.inputs[0] in graph.const}
    consts = tuple(_contained(c, max_opset) if c.name in ours else c for c in graph.consts)
    packed = frozenset(c.name for c in consts if c.name in ours and c.type.dtype.bits < 8)
    return replace(graph, consts=consts), packed


def _contained(const: Const, max_opset: int) -> Const:
    """Return a constant of codes in the smallest form that a file can hold it in."""
    if const.type.dtype.bits >= DType.I8.bits:
        return const
    containers = _CONTAINER if max_opset >= NEWEST_OPSET else _CONTAINER_WITHOUT_INT2
    dtype = containers.get(const.type.dtype, const.type.dtype)
    saved_bits = (const.type.elements or 0) * (DType.I8.bits - dtype.bits)
    if saved_bits < 8 * _SPELLING_BYTES.get(dtype, 0):
        dtype = DType.I8
    return const if dtype is const.type.dtype else _widened(const, dtype)


def _with_zero_points(graph: Graph) -> Graph:
    """Return the graph with zero points beside the INT8 weights of the model's own quantisers; `spell.py` tells what they are good for."""
    taken = set(graph.types)
    added: list[Const] = []
    ops: list[Op] = []
    for op in graph.ops:
        codes = graph.const.get(op.inputs[0]) if op.inputs else None
        if op.kind == "dequantize_linear" and len(op.inputs) == 2 and codes is not None and codes.type.dtype is DType.I8:
            scale = graph.type_of(op.inputs[1])
            name = fresh_name(taken, f"{codes.name}.zero")
            taken.add(name)
            added.append(Const(name, scale.with_dtype(DType.I8), blob_from_array(np.zeros(scale.dims, np.int8)), codes.loc))
            op = replace(op, inputs=(*op.inputs, name))
        ops.append(op)
    return replace(graph, consts=(*graph.consts, *added), ops=tuple(ops)) if added else graph


def _codes(const: Const) -> NDArray[Any]:
    return unpack_bits(const.blob.read(), const.type.dtype.bits, const.type.elements or 0, signed=True)


def _widened(const: Const, dtype: DType) -> Const:
    return replace(const, type=const.type.with_dtype(dtype), blob=blob_from_bytes(pack_bits(_codes(const), dtype.bits)))


def _at_opset(graph: Graph, version: int) -> Graph:
    """Return the graph at a newer opset of at most 25.

    From 21 to 25 ops gain types and optional attributes, no op changes what it means (schemas of onnx 1.23 compared). Swish (24) is the one
    op that export would write differently; it is taken apart first, so that a graph computes the same at every opset.
    """
    current = dict(graph.opset).get("", 0)
    if current >= version:
        return graph
    ops = graph.ops if current >= _SWISH_OPSET else tuple(part for op in graph.ops for part in _without_swish(op))
    return replace(graph, opset=tuple((domain, version if domain == "" else v) for domain, v in graph.opset), ops=ops)


def _without_swish(op: Op) -> tuple[Op, ...]:
    if op.kind != "silu":
        return (op,)
    (source,) = op.inputs
    gate = Op((f"{op.result}.gate",), "sigmoid", (source,), types=op.types, loc=op.loc)
    return gate, Op(op.results, "mul", (source, gate.result), types=op.types, loc=op.loc)
