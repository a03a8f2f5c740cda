"""Integer vectors that a graph computes from sizes: known entry by entry, although an input's batch is not known.

Exporters write `Reshape(x, Concat(Gather(Shape(x), 0), -1))` and the like. Entries that do not depend on an unknown size are constants; a
target shape with at most one open entry is one too, since Reshape fills in -1, and copies a size where it says 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from autosplitc.ir import Const, Dim, DType, Graph, Op, TensorType, blob_from_array, fresh_name

Entries: TypeAlias = tuple[Dim, ...]
"""Entries of an integer vector, or the one of a scalar: an int, a symbolic size, or None where nothing is known."""

_MOST_ENTRIES = 64


def fold_shape_values(graph: Graph) -> Graph:
    """Return the graph with int64 vectors and scalars whose every entry is known as constants, and Reshape targets made constant.

    The ops that computed them stay; they are dead unless something else reads them. Returns the graph itself where there are none.
    """
    entries = _entries(graph)
    found = {name: e for name, e in entries.items() if name in graph.producer and all(isinstance(d, int) for d in e)}
    ops: list[Op] = []
    consts: list[Const] = []
    for op in graph.ops:
        target = _reshape_target(graph, op, entries)
        if op.name in found and graph.types[op.name].dtype is DType.I64:
            consts.append(_const(op.name, found[op.name], graph.types[op.name].shape == (), op))
        elif target is not None:
            name = fresh_name(graph.types, f"{op.name}.shape")
            consts.append(_const(name, target, False, op))
            ops.append(replace(op, inputs=(op.inputs[0], name)))
        else:
            ops.append(op)
    return replace(graph, ops=tuple(ops), consts=(*graph.consts, *consts)) if consts else graph


def _const(name: str, entries: Entries, scalar: bool, op: Op) -> Const:
    array = np.array([d for d in entries if isinstance(d, int)], np.int64)
    array = array.reshape(()) if scalar else array
    return Const(name, TensorType(DType.I64, array.shape), blob_from_array(array), op.loc)


def _reshape_target(graph: Graph, op: Op, entries: Mapping[str, Entries]) -> Entries | None:
    """Return a constant target for a Reshape whose target is computed, or None."""
    if op.kind != "reshape" or graph.is_const(op.inputs[1]) or op.attrs.int_("allowzero", 0):
        return None
    wanted = entries.get(op.inputs[1])
    if wanted is None or 0 in wanted:
        return None
    given = graph.type_of(op.inputs[0]).shape or ()
    copied = tuple(0 if isinstance(d, str) and i < len(given) and given[i] == d else d for i, d in enumerate(wanted))
    open_entries = [i for i, d in enumerate(copied) if not isinstance(d, int)]
    if len(open_entries) > 1 or (open_entries and -1 in copied):
        return None
    return tuple(d if isinstance(d, int) else -1 for d in copied)


def _entries(graph: Graph) -> dict[str, Entries]:
    found: dict[str, Entries] = {}
    for const in graph.consts:
        if const.type.dtype in (DType.I64, DType.I32) and len(const.type.dims) <= 1 and (const.type.elements or 0) <= _MOST_ENTRIES:
            found[const.name] = tuple(int(v) for v in const.array().reshape(-1))
    for op in graph.ops:
        entries = _of_op(graph, op, found) if len(op.results) == 1 else None
        if entries is not None and len(entries) <= _MOST_ENTRIES:
            found[op.name] = entries
    return found


def _of_op(graph: Graph, op: Op, known: Mapping[str, Entries]) -> Entries | None:
    if op.kind == "shape":
        shape = graph.type_of(op.inputs[0]).shape
        wraps = graph.type_of(op.inputs[0]).wraps
        start, end = op.attrs.int_("start", 0), op.attrs.get("end")
        return None if shape is None or wraps else shape[start : end if isinstance(end, int) else None]
    values = [known.get(name) for name in op.inputs if name]
    vector = values[0] if values else None
    if vector is None:
        return None
    rank = len(graph.type_of(op.inputs[0]).shape or ())
    match op.kind:
        case "identity":
            return vector
        case "cast":
            return vector if op.type.dtype in (DType.I64, DType.I32) else None
        case "squeeze" | "unsqueeze":
            return vector if len(op.type.shape or (1, 1)) <= 1 else None
        case "concat":
            parts = [v for v in values if v is not None]
            return tuple(d for part in parts for d in part) if len(parts) == len(values) and rank == 1 else None
        case "gather":
            return _gathered(graph, op, vector, values[1]) if rank == 1 else None
        case "slice":
            return _sliced(vector, values[1:]) if all(op.inputs) and rank == 1 else None
        case _:
            return None


def _gathered(graph: Graph, op: Op, vector: Entries, indices: Entries | None) -> Entries | None:
    if indices is None or len(graph.type_of(op.inputs[1]).shape or ()) > 1:
        return None
    places = [d for d in indices if isinstance(d, int) and -len(vector) <= d < len(vector)]
    return tuple(vector[i] for i in places) if len(places) == len(indices) else None


def _sliced(vector: Entries, bounds: list[Entries | None]) -> Entries | None:
    """Slice by starts, ends, axes (the only one is 0) and steps."""
    numbers = [b[0] if b is not None and len(b) == 1 else None for b in bounds]
    ints = [n for n in numbers if isinstance(n, int)]
    if len(ints) != len(bounds) or len(ints) < 2:
        return None
    step = ints[3] if len(ints) > 3 else 1
    return vector[ints[0] : ints[1] : step] if step > 0 else None
