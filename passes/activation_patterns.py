"""Activations as exporters write them: one op of their own kind, or several ops that together are one."""

from __future__ import annotations

import math
from dataclasses import dataclass

from autosplitc.ir import Attrs, DType, Graph, Loc, Op

_TOLERANCE = 1e-5
"""Relative; 1/6 stands in models with the digits of f32, or fewer."""


@dataclass(frozen=True, slots=True)
class Activation:
    """`act` of value `source`, with the attributes that a fused op has; `ops` compute it, the last one makes the result."""

    source: str
    attrs: Attrs
    ops: tuple[Op, ...]

    @property
    def act(self) -> str:
        """Name of the activation."""
        return self.attrs.str_("act")

    @property
    def loc(self) -> Loc:
        """Where the ops came from."""
        return Loc().joined(*(op.loc for op in self.ops))


def activation(graph: Graph, op: Op) -> Activation | None:
    """Return the activation whose last op is `op`, or None.

    Values between its ops have no reader outside and are no graph outputs.
    """
    if len(op.results) != 1 or "act" in op.attrs or not op.type.dtype.is_float or graph.type_of(op.inputs[0]).wraps:
        return None
    if op.kind in ("mul", "div"):
        return _swish(graph, op) or _hard_swish(graph, op) or _scaled_clip(graph, op)
    return _single(graph, op)


def _single(graph: Graph, op: Op) -> Activation | None:
    """Activations that are one op, and bounds that follow each other."""
    source = op.inputs[0] if op.inputs else ""
    match op.kind:
        case "sigmoid" | "tanh" | "hard_swish" | "silu":
            return Activation(source, Attrs.of(act=op.kind), (op,))
        case "leaky_relu":
            return Activation(source, Attrs.of(act=op.kind, act_alpha=op.attrs.float_("alpha", 0.01)), (op,))
        case "hard_sigmoid":
            alpha, beta = op.attrs.float_("alpha", 0.2), op.attrs.float_("beta", 0.5)
            return Activation(source, Attrs.of(act=op.kind, act_alpha=alpha, act_beta=beta), (op,))
        case _:
            return _bounded(graph, op)


def _bounded(graph: Graph, op: Op) -> Activation | None:
    found = _range(graph, op)
    if found is None or (math.isinf(found.low) and math.isinf(found.high)):
        return None
    if found.low == 0 and math.isinf(found.high):
        return Activation(found.source, Attrs.of(act="relu"), found.ops)
    bounds = {key: bound for key, bound in (("act_low", found.low), ("act_high", found.high)) if not math.isinf(bound)}
    return Activation(found.source, Attrs.of(bounds, act="clip"), found.ops)


@dataclass(frozen=True, slots=True)
class _Range:
    """Bounds that `ops` put on value `source`."""

    source: str
    low: float
    high: float
    ops: tuple[Op, ...]


def _range(graph: Graph, op: Op) -> _Range | None:
    """The bounds that an op puts on a value, together with those that the op before it does; None where they cross."""
    found = _bounds(graph, op)
    if found is None:
        return None
    source, low, high = found
    ops = (op,)
    before = graph.producer.get(source)
    earlier = _bounds(graph, before) if before is not None and _is_inside(graph, source) else None
    if earlier is not None and before is not None:
        source, first_low, first_high = earlier
        low, high = min(max(first_low, low), high), min(max(first_high, low), high)
        ops = (before, op)
    return _Range(source, low, high, ops) if low <= high and low < math.inf and high > -math.inf else None


def _bounds(graph: Graph, op: Op) -> tuple[str, float, float] | None:
    """Source and bounds of Relu, Clip, and Min or Max with a constant number."""
    if "act" in op.attrs:
        return None
    if op.kind == "relu":
        return op.inputs[0], 0.0, math.inf
    if op.kind == "clip":
        names = (*op.inputs, "", "")[1:3]
        low, high = (default if not name else _number(graph, name) for name, default in zip(names, (-math.inf, math.inf), strict=True))
        return None if low is None or high is None else (op.inputs[0], low, high)
    if op.kind in ("onnx.Min", "onnx.Max") and len(op.inputs) == 2:
        pair = _with_number(graph, op)
        if pair is not None:
            return (pair[0], -math.inf, pair[1]) if op.kind == "onnx.Min" else (pair[0], pair[1], math.inf)
    return None


def _swish(graph: Graph, op: Op) -> Activation | None:
    """SiLU: x * Sigmoid(x). HardSwish: x * HardSigmoid(x) with 1/6 and 1/2."""
    if op.kind != "mul":
        return None
    for source, gate in (op.inputs, op.inputs[::-1]):
        made = graph.producer.get(gate)
        if made is None or not _is_inside(graph, gate) or "act" in made.attrs:
            continue
        if made.kind == "sigmoid" and made.inputs[0] == source:
            return Activation(source, Attrs.of(act="silu"), (made, op))
        found = _hard_gate(graph, made)
        if found is not None and found.source == source:
            return Activation(source, Attrs.of(act="hard_swish"), (*found.ops, op))
    return None


def _hard_gate(graph: Graph, op: Op) -> Activation | None:
    """HardSigmoid with 1/6 and 1/2, or Clip(x + 3, 0, 6) / 6."""
    if op.kind == "hard_sigmoid":
        fits = _close(op.attrs.float_("alpha", 0.2), 1 / 6) and _close(op.attrs.float_("beta", 0.5), 0.5)
        return Activation(op.inputs[0], Attrs.of(act="hard_sigmoid"), (op,)) if fits else None
    return _scaled_clip(graph, op)


def _scaled_clip(graph: Graph, op: Op) -> Activation | None:
    """HardSigmoid with 1/6 and 1/2: Clip(x + 3, 0, 6) / 6."""
    clipped = _sixth(graph, op)
    if clipped is None or not _is_inside(graph, clipped):
        return None
    found = _clip_of_shifted(graph, clipped)
    if found is None:
        return None
    return Activation(found[0], Attrs.of(act="hard_sigmoid", act_alpha=1 / 6, act_beta=0.5), (*found[1], op))


def _hard_swish(graph: Graph, op: Op) -> Activation | None:
    """HardSwish: x * Clip(x + 3, 0, 6) / 6, divided at the end."""
    product = _sixth(graph, op)
    made = graph.producer.get(product) if product is not None else None
    if made is None or product is None or made.kind != "mul" or "act" in made.attrs or not _is_inside(graph, product):
        return None
    for source, clipped in (made.inputs, made.inputs[::-1]):
        found = _clip_of_shifted(graph, clipped)
        if found is not None and found[0] == source and _is_inside(graph, clipped):
            return Activation(source, Attrs.of(act="hard_swish"), (*found[1], made, op))
    return None


def _sixth(graph: Graph, op: Op) -> str | None:
    """The value that an op divides by 6, or multiplies by 1/6."""
    if op.kind not in ("mul", "div") or "act" in op.attrs:
        return None
    pair = _with_number(graph, op)
    if pair is None or (op.kind == "div" and op.inputs[0] != pair[0]):
        return None
    return pair[0] if _close(pair[1], 6.0 if op.kind == "div" else 1 / 6) else None


def _clip_of_shifted(graph: Graph, name: str) -> tuple[str, tuple[Op, ...]] | None:
    """The x of Clip(x + 3, 0, 6), and the ops."""
    clip = graph.producer.get(name)
    found = _range(graph, clip) if clip is not None else None
    if found is None or (found.low, found.high) != (0.0, 6.0) or not _is_inside(graph, found.source):
        return None
    shifted = graph.producer.get(found.source)
    if shifted is None or shifted.kind != "add" or "act" in shifted.attrs:
        return None
    pair = _with_number(graph, shifted)
    return (pair[0], (shifted, *found.ops)) if pair is not None and pair[1] == 3.0 else None


def _with_number(graph: Graph, op: Op) -> tuple[str, float] | None:
    """The other input, and the number, of an op on a value and a constant that holds one number."""
    for value, other in (op.inputs, op.inputs[::-1]):
        number = _number(graph, other)
        if number is not None and not graph.is_const(value) and graph.type_of(value) == op.type:
            return value, number
    return None


def _number(graph: Graph, name: str) -> float | None:
    const = graph.const.get(name)
    if const is None or const.type.elements != 1 or const.type.dtype not in (DType.F64, DType.F32, DType.F16):
        return None
    return float(const.array().reshape(-1)[0])


def _is_inside(graph: Graph, name: str) -> bool:
    """Whether one op reads a value and it is no graph output."""
    return len(graph.users.get(name, ())) == 1 and name not in graph.outputs


def _close(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=_TOLERANCE)

