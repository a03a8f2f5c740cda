"""Types of a graph again, after values that were computed have become constants."""

from __future__ import annotations

from dataclasses import replace

from autosplitc.ir import Graph, Op, TensorType, Value, export_onnx, import_model

_KEPT_ELEMENTS = 64
"""Constants of at most so many elements can be sizes, axes or scales; of others only the type matters to inference."""


def refine_types(graph: Graph) -> Graph:
    """Return the graph with sizes of results that were not known and are now. Returns the graph itself where there are none."""
    if all(_is_known(t) for op in graph.ops for r, t in zip(op.results, op.types, strict=True) if r):
        return graph
    large = tuple(c for c in graph.consts if (c.type.elements or 0) > _KEPT_ELEMENTS and c.name not in graph.outputs)
    inputs = (*graph.inputs, *(Value(c.name, c.type) for c in large))
    names = {c.name for c in large}
    small = replace(graph, inputs=inputs, consts=tuple(c for c in graph.consts if c.name not in names))
    found = import_model(export_onnx(small)).types
    ops = tuple(_refined(op, tuple(_better(t, found.get(r, t)) for r, t in zip(op.results, op.types, strict=True))) for op in graph.ops)
    return graph if all(a is b for a, b in zip(ops, graph.ops, strict=True)) else replace(graph, ops=ops)


def _refined(op: Op, types: tuple[TensorType, ...]) -> Op:
    return op if types == op.types else replace(op, types=types)


def _is_known(type_: TensorType) -> bool:
    return type_.shape is not None and None not in type_.shape


def _better(old: TensorType, new: TensorType) -> TensorType:
    """The new type where it says more, entry by entry."""
    if old.wraps or new.wraps or old.dtype is not new.dtype or new.shape is None:
        return old
    if old.shape is None or len(old.shape) != len(new.shape):
        return new if old.shape is None else old
    return TensorType(old.dtype, tuple(b if a is None else a for a, b in zip(old.shape, new.shape, strict=True)))

