"""drop-identities: ops that change nothing go away; names of graph inputs and outputs stay."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

from autosplitc.ir import DType, Graph, Module, Op, op_row, redirect, remove_dead

from .base import Env, Pass

_SINGLE = frozenset({"concat", "onnx.Max", "onnx.Mean", "onnx.Min", "onnx.Sum"})
"""Kinds that hand on what they read where that is one value."""

_SAME_SHAPE = frozenset({"onnx.Expand", "onnx.Tile"})
"""Kinds that change nothing where the shape stays the same, besides the reshape-like ones."""

_WIDER: dict[DType, frozenset[DType]] = {
    DType.F16: frozenset({DType.F32, DType.F64}),
    DType.BF16: frozenset({DType.F32, DType.F64}),
    DType.F32: frozenset({DType.F64}),
    DType.U8: frozenset({DType.U16, DType.U32, DType.U64, DType.I16, DType.I32, DType.I64, DType.F16, DType.F32, DType.F64}),
    DType.I8: frozenset({DType.I16, DType.I32, DType.I64, DType.F16, DType.F32, DType.F64}),
    DType.I32: frozenset({DType.I64, DType.F64}),
    DType.BOOL: frozenset({DType.U8, DType.I8, DType.I32, DType.I64, DType.F16, DType.F32, DType.F64}),
}
"""Types that hold every value of a type: a Cast there and back changes nothing."""


@dataclass(frozen=True)
class DropIdentities(Pass):
    """Drops Identity, Dropout, Reshape and the like to the same shape, Transpose and Cast pairs that cancel, Slice and Pad of nothing.

    A graph output that such an op makes becomes the name of the value that it hands on, where that is made by an op and is no output
    itself; else the op stays.
    """

    name: ClassVar[str] = "drop-identities"
    summary: ClassVar[str] = "drop ops that change nothing"

    def apply(self, module: Module, env: Env) -> Module:
        """Return the module with such ops dropped from `main`."""
        del env
        return module.with_graph(drop_identities(module.main))


def drop_identities(graph: Graph) -> Graph:
    """Return the graph without ops that change nothing or that nothing reads; the graph itself where there are none."""
    while True:
        graph = remove_dead(graph)
        changed = _dropped(_merge_transposes(graph))
        if changed is graph:
            return graph
        graph = changed


def _dropped(graph: Graph) -> Graph:
    same = {op.results[0]: source for op in graph.ops if (source := unchanged_source(graph, op)) is not None}
    inner = {result: source for result, source in same.items() if result not in graph.outputs and result in graph.users}
    if inner:
        return redirect(graph, inner)
    renamed: dict[str, str] = {}
    for result, source in same.items():
        if result in graph.outputs and source in graph.producer and source not in graph.outputs and source not in renamed:
            renamed[source] = result
    return _with_results_named(graph, renamed) if renamed else graph


def _with_results_named(graph: Graph, renamed: dict[str, str]) -> Graph:
    """Give results other names, those of ops that are dropped for it."""
    gone = set(renamed.values())
    kept = tuple(op for op in graph.ops if op.results[0] not in gone)
    ops = tuple(replace(op, results=tuple(renamed.get(r, r) for r in op.results)) for op in kept)
    return redirect(replace(graph, ops=ops), renamed)


def unchanged_source(graph: Graph, op: Op) -> str | None:
    """Return the value that an op hands on unchanged as its only result, or None."""
    present = [r for r in op.results if r]
    if len(present) != 1 or not op.results[0] or not op.inputs or not op.inputs[0] or "act" in op.attrs:
        return None
    source = op.inputs[0]
    given, made = graph.type_of(source), op.types[0]
    same_shape = given == made and made.shape is not None and None not in made.shape and not made.wraps
    match op.kind:
        case "identity" | "dropout":
            return source
        case "cast":
            same_dtype = given.dtype is made.dtype is not DType.UNKNOWN and not made.wraps
            return source if same_dtype else _cast_back(graph, op)
        case "transpose":
            perm = op.attrs.ints("perm")
            return source if perm and perm == tuple(range(len(perm))) else None
        case "slice":
            return source if same_shape and _slices_nothing(graph, op) else None
        case "pad":
            return source if _is_filled(graph, op.inputs[1], 0) else None
        case kind if kind in _SINGLE:
            return source if len(op.inputs) == 1 else None
        case kind if op_row(kind).reshape_like:
            return source if same_shape else _reshaped_back(graph, op)
        case kind if kind in _SAME_SHAPE:
            return source if same_shape and math.prod(d for d in made.shape or () if isinstance(d, int)) > 0 else None
        case _:
            return None


def _cast_back(graph: Graph, op: Op) -> str | None:
    """The source of two Casts of which the second undoes the first."""
    first = graph.producer.get(op.inputs[0])
    if first is None or first.kind != "cast":
        return None
    origin = graph.type_of(first.inputs[0])
    undone = origin.dtype is op.type.dtype and first.type.dtype in _WIDER.get(origin.dtype, ())
    return first.inputs[0] if undone and not origin.wraps else None


def _reshaped_back(graph: Graph, op: Op) -> str | None:
    """The source of a chain of reshape-like ops that ends with the shape it began with."""
    source = op.inputs[0]
    while (before := graph.producer.get(source)) is not None and op_row(before.kind).reshape_like and len(before.results) == 1:
        source = before.inputs[0]
        type_ = graph.type_of(source)
        if type_ == op.type and type_.shape is not None and None not in type_.shape:
            return source
    return None


def _slices_nothing(graph: Graph, op: Op) -> bool:
    """Whether a Slice that keeps the shape keeps every element: it steps by 1, along axes of known size.

    Along a batch it may keep one or two samples, and cut off others.
    """
    _, _, _, axes, steps = (*op.inputs, "", "")[:5]
    shape = graph.type_of(op.inputs[0]).shape or ()
    if (steps and not _is_filled(graph, steps, 1)) or (axes and axes not in graph.const):
        return False
    sliced = [int(axis) for axis in graph.const[axes].array()] if axes else range(len(shape))
    return all(isinstance(shape[axis], int) for axis in sliced)


def _is_filled(graph: Graph, name: str, value: int) -> bool:
    const = graph.const.get(name)
    return const is not None and bool((const.array() == value).all())


def _merge_transposes(graph: Graph) -> Graph:
    """Let a Transpose of a Transpose read what the first one reads; two that cancel then have the identity as permutation."""
    ops: list[Op] = []
    for op in graph.ops:
        first = graph.producer.get(op.inputs[0]) if op.kind == "transpose" else None
        inner = first.attrs.ints("perm") if first is not None and first.kind == "transpose" else ()
        outer = op.attrs.ints("perm")
        if first is not None and inner and len(inner) == len(outer):
            perm = tuple(inner[axis] for axis in outer)
            ops.append(replace(op, inputs=first.inputs, attrs=op.attrs.with_(perm=perm), loc=first.loc.joined(op.loc)))
        else:
            ops.append(op)
    return replace(graph, ops=tuple(ops)) if any(a is not b for a, b in zip(ops, graph.ops, strict=True)) else graph
