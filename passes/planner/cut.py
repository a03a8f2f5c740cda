"""A cut of a problem: what crosses it, and what its edge part has to decide."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from .problem import NONE, Assignment, Problem, Value
from .working_set import Sequential, buffers, lifetimes, live_sets

Source: TypeAlias = tuple[Literal["act", "wire"], int]
"""Where the bits of codes on the edge come from: an activation group, or the wire of a value."""


@dataclass(frozen=True, slots=True)
class Wire:
    """A value that crosses as codes. act: the group whose codes the edge reads (the wire has no more bits than it), NONE: one quantiser."""

    value: int
    act: int


@dataclass(frozen=True)
class Cut:
    """The edge ops of a cut, in order, and what follows from them.

    crossing: values that a cloud op reads, in the order in which they come to be; none that is made of constants alone. results: model
    outputs made on the edge. weights, constants: those with a reader on the edge. acts: groups with an activation quantiser. source: values
    held as codes of ours.
    refusal: why the cut cannot be taken ("" if it can).
    """

    ops: tuple[int, ...]
    crossing: tuple[int, ...]
    results: tuple[int, ...]
    weights: tuple[int, ...]
    constants: tuple[int, ...]
    acts: tuple[int, ...]
    wires: tuple[Wire, ...]
    source: Mapping[int, Source]
    refusal: str = ""


def prefix(problem: Problem, position: int) -> Cut:
    """Return the cut after the first `position` ops."""
    return cut_of(problem, range(position))


def cut_of(problem: Problem, edge_ops: Iterable[int]) -> Cut:
    """Return the cut with the given ops (closed under predecessors) on the edge."""
    ops = tuple(sorted(edge_ops))
    on_edge = frozenset(ops)
    made = tuple(v for i in ops for v in problem.ops[i].makes)
    inputs = (i for i, v in enumerate(problem.values) if v.is_input)
    present = (*inputs, *made)
    crossing = tuple(v for v in present if not problem.values[v].constant and any(r not in on_edge for r in problem.readers[v]))
    results = tuple(v for v in made if problem.values[v].is_output)
    acts, source = _codes(problem, on_edge, crossing, present)
    wires = tuple(
        Wire(v, source[v][1] if source.get(v, ("wire", 0))[0] == "act" else NONE) for v in crossing if problem.values[v].wire_bits
    )
    weights = tuple(dict.fromkeys(w for i in ops for w in problem.ops[i].weights))
    return Cut(
        ops,
        crossing,
        results,
        weights,
        tuple(dict.fromkeys(c for i in ops for c in problem.ops[i].constants)),
        acts,
        wires,
        source,
        _refusal(problem, ops, on_edge, made, crossing) or _no_bits(problem, weights, acts, wires),
    )


def _codes(
    problem: Problem, on_edge: frozenset[int], crossing: tuple[int, ...], present: tuple[int, ...]
) -> tuple[tuple[int, ...], dict[int, Source]]:
    """Return the groups that have an activation quantiser, and where the bits of every value held as codes come from.

    A group is held as codes where an op on codes makes its root or reads a member. Codes that only the wire reads are made once, at wire
    bits.
    """
    crosses = frozenset(crossing)
    members: dict[int, list[int]] = {}
    source: dict[int, Source] = {}
    for v in present:
        value = problem.values[v]
        read = any(r in on_edge for r in problem.readers[v])
        born_as_codes = v not in problem.producer or problem.ops[problem.producer[v]].on_codes
        if v in crosses and value.wire_bits and born_as_codes and not read and not value.is_output:
            source[v] = ("wire", v)
        elif value.group != NONE:
            members.setdefault(value.group, []).append(v)
    acts: list[int] = []
    for group, values in members.items():
        if any(_touched_by_codes(problem, on_edge, v) for v in values):
            acts.append(group)
            source.update((v, ("act", group)) for v in values)
    return tuple(acts), source


def _touched_by_codes(problem: Problem, on_edge: frozenset[int], value: int) -> bool:
    maker = problem.producer.get(value)
    made = maker is not None and problem.ops[maker].on_codes
    return made or any(r in on_edge and problem.ops[r].on_codes for r in problem.readers[value])


def _refusal(problem: Problem, ops: tuple[int, ...], on_edge: frozenset[int], made: tuple[int, ...], crossing: tuple[int, ...]) -> str:
    for i in ops:
        if problem.ops[i].refusal:
            return f"op {problem.ops[i].name!r} cannot run on the edge: {problem.ops[i].refusal}"
    for v in made:
        if problem.values[v].elements is None:
            return f"the size of {problem.values[v].name!r}, made on the edge, is not known"
    idle = next((i for i in ops if _idle(problem, i, on_edge)), NONE)
    if idle != NONE:
        return f"op {problem.ops[idle].name!r} depends on constants alone, and nothing before the cut reads it"
    for v in crossing:
        if problem.values[v].elements is None:
            return f"the size of {problem.values[v].name!r}, which crosses, is not known"
    if 0 < len(ops) < len(problem.ops) and not crossing:
        return "nothing crosses"
    return ""


def _idle(problem: Problem, op: int, on_edge: frozenset[int]) -> bool:
    """Whether an op makes of constants what only the cloud reads, so that an earlier cut is as good."""
    made = problem.ops[op].makes
    constant = bool(made) and all(problem.values[v].constant and not problem.values[v].is_output for v in made)
    return constant and any(problem.readers[v] for v in made) and not any(r in on_edge for v in made for r in problem.readers[v])


def _no_bits(problem: Problem, weights: tuple[int, ...], acts: tuple[int, ...], wires: tuple[Wire, ...]) -> str:
    for item in (*(problem.weights[w] for w in weights), *(problem.groups[g] for g in acts)):
        if not item.bits:
            return f"{item.name!r} cannot be quantised"
    for wire in wires:
        if not wire_choices(problem, wire):
            value, group = problem.values[wire.value], problem.groups[wire.act]
            return f"{value.name!r} would cross at {min(value.wire_bits)} bits or more but is held at {max(group.bits)} or fewer"
    return ""


def wire_choices(problem: Problem, wire: Wire) -> tuple[tuple[int, int], ...]:
    """Return the (activation bits, wire bits) that a crossing value may have; activation bits are 0 where the wire is the only quantiser.

    Where no pair keeps the error limit of a single tensor, the most bits that may cross are left.
    """
    value = problem.values[wire.value]
    acts = problem.groups[wire.act].bits if wire.act != NONE else (0,)
    pairs = [(a, w) for a in acts for w in value.wire_bits if not a or w <= a]
    limit = problem.limits.tensor_error
    if limit is None or problem.wire_exempt:
        return tuple(pairs)
    kept = tuple((a, w) for a, w in pairs if wire_noise(value, a, w) <= limit)
    return kept or tuple((a, w) for a, w in pairs if w == max(other for same, other in pairs if same == a))


def wire_error(value: Value, act_bits: int, wire_bits: int) -> int:
    """Return the units that a wire adds to a value held at `act_bits` (0: float)."""
    if not value.wire_error or act_bits == wire_bits:
        return 0
    return value.wire_error[act_bits - 1][wire_bits - 1]


def wire_noise(value: Value, act_bits: int, wire_bits: int) -> int:
    """Return what a wire adds in units of the limit on single tensors."""
    if not value.wire_noise or act_bits == wire_bits:
        return wire_error(value, act_bits, wire_bits)
    return value.wire_noise[act_bits - 1][wire_bits - 1]


def held_bits(cut: Cut, bits: Assignment, value: int) -> int:
    """Return the bits of a value's codes of ours on the edge, 0 where it is no such code there."""
    if value not in cut.source:
        return 0
    kind, index = cut.source[value]
    return bits.acts[index] if kind == "act" else bits.wires[index]


def given_bits(problem: Problem, value: int) -> int:
    """Return the bits of the codes that the model itself holds a value as; 0 where it does not, or there is no value."""
    return problem.values[value].given_bits if value != NONE else 0


def live_values(problem: Problem, cut: Cut) -> list[tuple[int, ...]]:
    """Return the values in memory at each edge op and, last, after all of them, when the payload is made.

    One value stands for all that share its memory; crossing values and model outputs live to the end.
    """
    run = Sequential(
        reads=[problem.ops[i].reads for i in cut.ops],
        makes=[problem.ops[i].makes for i in cut.ops],
        inputs=[i for i, v in enumerate(problem.values) if v.is_input],
        kept=(*cut.crossing, *cut.results),
    )
    memory_of = {i: v.alias_of for i, v in enumerate(problem.values) if v.alias_of != NONE}
    return live_sets(buffers(lifetimes(run), memory_of), len(cut.ops))
