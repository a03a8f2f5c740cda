"""Roles: which values and constants are codes on the edge, and which share a scale. One answer for planner,
calibration and code generation.

An op of class `mac` or `requantize` works on codes where its float inputs are f32; `same` passes codes, scale and bits through; `float` ops
read dequantised values, and what they make is a code only where an op on codes reads it. Ops on what the model itself dequantises are
left to the model's own quantisers (`given_codes.py`); arithmetic on a picture's bytes is float (`from_bytes.py`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from autosplitc.ir import DType, Graph, Op, op_row

from .from_bytes import byte_values
from .given_codes import dequantised

_FIRST_SPATIAL = {"conv": 0, "conv_transpose": 1}


@dataclass(frozen=True)
class Roles:
    """Roles in one graph.

    quantised: names of the ops that work on codes. coded: values that are codes on the edge.
    root: for every coded value the value whose quantiser it shares (itself, unless ops of class `same` stand between).
    weight_axis: for every constant quantised as weights, the output-channel axis. bias_of: for every bias constant kept as int32, the
    ops that read it.
    """

    quantised: frozenset[str]
    coded: frozenset[str]
    root: Mapping[str, str]
    weight_axis: Mapping[str, int]
    bias_of: Mapping[str, tuple[str, ...]]


def roles(graph: Graph, keep_float: str = "") -> Roles:
    """Return the roles of a graph's values, constants and ops.

    Ops whose name or location has a match of the regular expression `keep_float` are float; "" matches none.
    """
    weight_axis = _weights(graph)
    kept = kept_float(graph, keep_float) | {op.name for made in byte_values(graph).values() for op in made.ops}
    given = dequantised(graph)
    quantised = frozenset(op.name for op in graph.ops if op.name not in kept and _works_on_codes(graph, op, weight_axis, given))
    coded: set[str] = set()
    root: dict[str, str] = {}
    wanted = _read_by_quantised(graph, quantised) - given
    for value in graph.inputs:
        if value.type.dtype is DType.F32 and value.name in wanted:
            coded.add(value.name)
            root[value.name] = value.name
    for op in graph.ops:
        source = op.inputs[0] if op.inputs else ""
        if op_row(op.kind).quant == "same" and source in coded:
            for result, type_ in zip(op.results, op.types, strict=True):
                if result and type_.dtype is DType.F32:
                    coded.add(result)
                    root[result] = root[source]
            continue
        for result, type_ in zip(op.results, op.types, strict=True):
            if result and type_.dtype is DType.F32 and (op.name in quantised or result in wanted):
                coded.add(result)
                root[result] = result
    used_weights = {name: axis for name, axis in weight_axis.items() if any(u.name in quantised for u in graph.users[name])}
    return Roles(quantised, frozenset(coded), root, used_weights, _biases(graph, quantised))


def kept_float(graph: Graph, keep_float: str) -> frozenset[str]:
    """Return the names of the ops that a user wants in float: those whose name or location has a match of the regular expression."""
    if not keep_float:
        return frozenset()
    pattern = re.compile(keep_float)
    return frozenset(op.name for op in graph.ops if any(pattern.search(name) for name in (op.name, *op.loc.names)))


def _read_by_quantised(graph: Graph, quantised: frozenset[str]) -> frozenset[str]:
    """Values that an op on codes reads, through any number of `same` ops."""
    wanted: set[str] = set()
    for op in reversed(graph.ops):
        if op.name in quantised:
            wanted.update(name for name in op.inputs if name and not graph.is_const(name))
        elif op_row(op.kind).quant == "same" and any(r in wanted for r in op.results):
            wanted.add(op.inputs[0])
    return frozenset(wanted)


def _works_on_codes(graph: Graph, op: Op, weight_axis: Mapping[str, int], given: Collection[str]) -> bool:
    quant = op_row(op.kind).quant
    if quant not in ("mac", "requantize"):
        return False
    if any(t.dtype is not DType.F32 for r, t in zip(op.results, op.types, strict=True) if r):
        return False
    data = [name for name in op.inputs if name and graph.type_of(name).dtype is DType.F32]
    if any(name in given for name in data):
        return False
    if quant == "requantize":
        return any(not graph.is_const(name) for name in data)
    first, second = op.inputs[0], op.inputs[1]
    if graph.is_const(first) or not plain_gemm(op):
        return False
    if len(op.inputs) > 2 and op.inputs[2] and not graph.is_const(op.inputs[2]):
        return False
    return second in weight_axis if graph.is_const(second) else op.kind == "matmul"


def plain_gemm(op: Op) -> bool:
    """Whether a Gemm is a plain product (alpha = beta = 1, A not transposed); true for every other op."""
    if op.kind != "gemm":
        return True
    return op.attrs.float_("alpha", 1.0) == 1.0 and op.attrs.float_("beta", 1.0) == 1.0 and op.attrs.int_("transA", 0) == 0


def channel_axis(op: Op, rank: int) -> int:
    """Output-channel axis of an op's weights of the given rank."""
    if op.kind in _FIRST_SPATIAL:
        return _FIRST_SPATIAL[op.kind]
    if op.kind == "gemm":
        return 0 if op.attrs.int_("transB", 0) else 1
    return rank - 1


def _weights(graph: Graph) -> dict[str, int]:
    """Constants that are read as weights and as nothing else, always with the same axis."""
    found: dict[str, int] = {}
    for const in graph.consts:
        if const.type.dtype is not DType.F32 or const.name in graph.outputs or not const.type.elements:
            continue
        axes = {_axis_read(op, const.name, len(const.type.dims)) for op in graph.users.get(const.name, ())}
        if len(axes) == 1:
            (axis,) = axes
            if axis is not None:
                found[const.name] = axis
    return found


def _axis_read(op: Op, name: str, rank: int) -> int | None:
    if op_row(op.kind).quant != "mac" or rank < 2 or op.inputs.count(name) != 1 or op.inputs[1] != name:
        return None
    return channel_axis(op, rank)


def _biases(graph: Graph, quantised: frozenset[str]) -> dict[str, tuple[str, ...]]:
    """Constants that are read as the bias of ops on codes and as nothing else."""
    found: dict[str, tuple[str, ...]] = {}
    for const in graph.consts:
        readers = graph.users.get(const.name, ())
        if not readers or const.type.dtype is not DType.F32 or const.name in graph.outputs:
            continue
        as_bias = all(
            op_row(op.kind).quant == "mac" and op.name in quantised and len(op.inputs) > 2 and op.inputs[2] == const.name
            and op.inputs.count(const.name) == 1
            for op in readers
        )
        if as_bias:
            found[const.name] = tuple(op.name for op in readers)
    return found
