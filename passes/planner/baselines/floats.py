"""A problem in which the edge computes in float: what Neurosurgeon, DADS and QDMP place."""

from __future__ import annotations

from dataclasses import replace

from ..cut import Cut
from ..problem import NONE, Assignment, FixedConst, Operand, OpItem, Problem, Value


def as_float(problem: Problem, float_bits: int) -> Problem:
    """Return the problem with every weight and activation as numbers of `float_bits`; nothing has bits to choose, nothing an error.

    What would be codes crosses as such numbers too; the raw input keeps its bits. Weights count `float_bits` an element in RAM and in the
    file, as the paper counts its baselines.
    """
    first = len(problem.constants)
    return replace(
        problem,
        values=tuple(_as_number(value, float_bits) for value in problem.values),
        groups=(),
        weights=(),
        constants=(*problem.constants, *(FixedConst(w.name, w.elements * float_bits) for w in problem.weights)),
        ops=tuple(_in_float(op, first) for op in problem.ops),
        limits=replace(problem.limits, error=None, tensor_error=None),
    )


def sent_raw(problem: Problem, cut: Cut) -> Assignment:
    """Return the one assignment that a cut of a float problem has: raw inputs cross at the most bits that they may have."""
    return Assignment({}, {}, {w.value: max(problem.values[w.value].wire_bits) for w in cut.wires})


def _as_number(value: Value, float_bits: int) -> Value:
    if value.raw:
        return replace(value, group=NONE)
    if not value.wire_bits and value.group == NONE:
        return value
    return replace(
        value, group=NONE, wire_bits=(), wire_error=(), wire_noise=(), width_bits=float_bits, pack_ns=(), unpack_ns=(), sent_bytes=()
    )


def _in_float(op: OpItem, first: int) -> OpItem:
    """Return an op whose weights are constants; `first` is the index that the first weight has among those."""
    inputs = tuple(Operand() if o.weight != NONE else o for o in op.inputs)
    constants = (*op.constants, *(first + w for w in op.weights))
    return replace(op, inputs=inputs, on_codes=False, constants=constants, measured_rows=())
