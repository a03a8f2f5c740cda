"""The rules of verification. Each looks at a graph, an op or a constant and yields what is wrong, as text."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from .edit import all_names, free_names, sub_graphs
from .graph import UNKNOWN_TYPE, Const, Graph, Op
from .op_table import ACT_GAIN, ACT_LIFT, ACT_PARAMETERS, ACTIVATIONS, FUSABLE, ROW_BY_KIND, OpRow, attr_holds
from .shapes import ShapeError, result_types
from .types import ArrayRef, AttrValue, Dim, DType, TensorType

Subject = TypeVar("Subject", Graph, Op, Const)
Findings: TypeAlias = Iterator[str]

CAPTURES = "captures"


@dataclass(frozen=True, slots=True)
class Rule(Generic[Subject]):
    """One rule: its number (the code is AS2nn for text that was read, AS9nn after a pass), its name and its check."""

    number: int
    name: str
    check: Callable[[Graph, Subject], Findings]


def _opset(graph: Graph, subject: Graph) -> Findings:
    del subject
    domains = dict(graph.opset)
    if "" not in domains:
        yield "no opset for ONNX itself"
    for op in graph.ops:
        if op.kind.startswith("onnx."):
            domain = op.kind[5:].rpartition(".")[0]
            if domain not in domains:
                yield f'no opset for domain "{domain}" of {op.name!r}'


def _unique(graph: Graph, subject: Graph) -> Findings:
    del subject
    seen: set[str] = set()
    made = (*(v.name for v in graph.inputs), *(c.name for c in graph.consts), *(r for op in graph.ops for r in op.results if r))
    for name in made:
        if name in seen:
            yield f"{name!r} is made more than once"
        seen.add(name)
    for op in graph.ops:
        for inner in sub_graphs(op):
            for name in sorted(seen & all_names(inner)):
                yield f"a sub-graph of {op.name!r} makes {name!r}, which the graph around it makes too"


def _order(graph: Graph, subject: Graph) -> Findings:
    del subject
    made = {v.name for v in graph.inputs} | {c.name for c in graph.consts}
    for op in graph.ops:
        for name in op.inputs:
            if name and name not in made:
                later = "before it is made" if name in graph.producer else "which nothing makes"
                yield f"{op.name!r} reads {name!r} {later}" if name in graph.producer else f"{op.name!r} reads {name!r}, {later}"
        made.update(r for r in op.results if r)


def _outputs(graph: Graph, subject: Graph) -> Findings:
    del subject
    for name in graph.outputs:
        if name not in graph.types:
            yield f"nothing makes output {name!r}"
    if len(set(graph.outputs)) < len(graph.outputs):
        yield "an output stands there twice"
    if any(not v.name for v in graph.inputs) or any(not c.name for c in graph.consts):
        yield "an input or constant has no name"


def _arity(graph: Graph, op: Op) -> Findings:
    del graph
    if not any(op.results):
        yield "it has no result"
    row = ROW_BY_KIND.get(op.kind)
    if row is None:
        if not op.kind.startswith("onnx."):
            yield f"the kind {op.kind!r} is not known"
        return
    if not row.min_inputs <= len(op.inputs) <= row.max_inputs:
        yield f"{len(op.inputs)} inputs, where {_span(row.min_inputs, row.max_inputs)} are needed"
    elif row.min_inputs and not op.inputs[0]:
        yield "the first input is absent"
    if not row.results[0] <= len(op.results) <= row.results[1]:
        yield f"{len(op.results)} results, where {_span(*row.results)} are made"


def _span(low: int, high: int) -> str:
    return str(low) if low == high else f"{low} or more" if high > 1000 else f"{low} to {high}"


def _attributes(graph: Graph, op: Op) -> Findings:
    del graph
    row = ROW_BY_KIND.get(op.kind)
    if row is None:
        return
    act = op.attrs.get("act")
    fused = {"act", ACT_GAIN, ACT_LIFT, *ACT_PARAMETERS.get(act, ())} if isinstance(act, str) else {"act"}
    for name, value in op.attrs.items():
        if op.kind in FUSABLE and name in fused:
            if name == "act" and act not in ACTIVATIONS:
                yield f"the activation {act!r} is not known"
            elif name in (ACT_GAIN, ACT_LIFT):
                yield from _factors(op, name, value)
            elif name != "act" and not (isinstance(value, int | float) and math.isfinite(value)):
                yield f"{name} is not a number"
        elif name not in row.attrs:
            yield f"the attribute {name!r} is not known"
        elif not attr_holds(value, row.attrs[name]):
            yield f"the attribute {name!r} is no {row.attrs[name]}: {value!r}"
    if op.kind in FUSABLE and act is not None and len(op.results) != 1:
        yield "an op with an activation has one result"


def _factors(op: Op, name: str, value: AttrValue) -> Findings:
    """A factor for every channel of the result."""
    shape = op.types[0].shape if op.types else None
    channels = shape[1] if shape is not None and len(shape) > 1 else None
    if not isinstance(value, ArrayRef) or value.type.dtype is not DType.F32 or len(value.type.dims) != 1:
        yield f"{name} is no f32 vector"
    elif value.type.dims != (channels,):
        yield f"{name} has {value.type.dims[0]} factors, where the result has {channels} channels"


def _types(graph: Graph, op: Op) -> Findings:
    row = ROW_BY_KIND.get(op.kind)
    if row is None or not _well_formed(op, row):
        return
    try:
        expected = result_types(graph, op)
    except ShapeError as error:
        yield f"the inputs do not fit: {error}"
        return
    for result, stated, ruled in zip(op.results, op.types, expected, strict=True):
        if result and not _agree(stated, ruled):
            yield f"{result!r} is {stated}, but the op makes {ruled}"


def _well_formed(op: Op, row: OpRow) -> bool:
    attrs_hold = all(attr_holds(v, row.attrs[k]) for k, v in op.attrs.items() if k in row.attrs)
    return attrs_hold and row.min_inputs <= len(op.inputs) <= row.max_inputs


def _agree(stated: TensorType, ruled: TensorType) -> bool:
    """Whether two types can be the same: known element types are equal, known sizes are equal."""
    if DType.UNKNOWN not in (stated.dtype, ruled.dtype) and stated.dtype is not ruled.dtype:
        return False
    if stated.shape is None or ruled.shape is None or stated.wraps != ruled.wraps:
        return stated.wraps == ruled.wraps or ruled == UNKNOWN_TYPE
    return len(stated.shape) == len(ruled.shape) and all(map(_same_size, stated.shape, ruled.shape))


def _same_size(a: Dim, b: Dim) -> bool:
    return a == b or not (isinstance(a, int) and isinstance(b, int))


def _captures(graph: Graph, op: Op) -> Findings:
    del graph
    names = op.attrs.get(CAPTURES)
    inner = list(sub_graphs(op))
    needed = {name for sub in inner for name in free_names(sub)}
    listed = {n for n in names if isinstance(n, str)} if isinstance(names, tuple) else set[str]()
    if needed != listed:
        odd = sorted(needed ^ listed)
        yield f"its sub-graphs capture {sorted(needed)}, but {sorted(listed)} are listed: see {odd[0]!r}"
    elif len(listed) > len(op.inputs):
        yield f"{len(listed)} captured values, but {len(op.inputs)} inputs"


_CODE_OPS = ("quantize", "dequantize", "pack", "unpack")


def _codes(graph: Graph, op: Op) -> Findings:
    if op.kind not in _CODE_OPS:
        return
    scale, zero = op.attrs.get("scale"), op.attrs.get("zero_point")
    per_tensor = op.kind in ("quantize", "dequantize") and len(op.inputs) == 1
    if per_tensor and not (isinstance(scale, float) and math.isfinite(scale) and scale > 0.0):
        yield f"the scale is not a positive number: {scale!r}"
    bits = op.attrs.get("bits", 8)
    if op.kind == "quantize":
        if not (isinstance(bits, int) and 1 <= bits <= 8):
            yield f"bits are not 1 to 8: {bits!r}"
        elif not isinstance(zero, int) or not 0 <= zero < 1 << bits:
            yield f"the zero point {zero!r} does not fit into {bits} bits"
    if op.kind == "dequantize":
        yield from _dequantized(op, graph.types.get(op.inputs[0], UNKNOWN_TYPE), zero)
    if op.kind == "unpack" and not isinstance(op.attrs.get("offset"), int):
        yield "there is no offset"


def _dequantized(op: Op, codes: TensorType, zero: AttrValue | None) -> Findings:
    if not (codes.dtype.is_code or codes.dtype in (DType.I32, DType.UNKNOWN)):
        yield f"the input has no codes: {codes}"
    if len(op.inputs) > 1 and not isinstance(op.attrs.get("axis"), int):
        yield "there is a scale a channel, but no axis"
    if len(op.inputs) == 1 and not isinstance(zero, int):
        yield f"the zero point is not an integer: {zero!r}"


def _const(graph: Graph, const: Const) -> Findings:
    del graph
    if not const.type.is_static:
        yield f"its type is not static: {const.type}"
    elif const.type.dtype is DType.UNKNOWN:
        yield "its element type is not known"
    elif const.type.dtype is not DType.STRING:
        expected = ((const.type.elements or 0) * const.type.dtype.bits + 7) // 8
        if const.blob.nbytes != expected:
            yield f"{const.blob.nbytes} bytes of data, where {const.type} takes {expected}"


GRAPH_RULES: tuple[Rule[Graph], ...] = (
    Rule(50, "opset", _opset),
    Rule(51, "one-maker", _unique),
    Rule(52, "order", _order),
    Rule(53, "outputs", _outputs),
)
OP_RULES: tuple[Rule[Op], ...] = (
    Rule(54, "arity", _arity),
    Rule(55, "attributes", _attributes),
    Rule(56, "types", _types),
    Rule(57, "captures", _captures),
    Rule(58, "codes", _codes),
)
CONST_RULES: tuple[Rule[Const], ...] = (Rule(59, "constants", _const),)
