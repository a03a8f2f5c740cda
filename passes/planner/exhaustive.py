"""Exhaustive search: every cut, every assignment. For small problems; it shares nothing with the solver but the problem's definition."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from math import prod

from .cut import Cut, prefix, wire_choices
from .evaluate import Figures, evaluate, excess
from .problem import NONE, Assignment, Problem


@dataclass(frozen=True, slots=True)
class Found:
    """The best plan: its cut, bits and figures."""

    cut: Cut
    bits: Assignment
    figures: Figures


def exhaustive(problem: Problem, cuts: Iterable[Cut] | None = None) -> Found | None:
    """Return the plan with the least (latency, error) among `cuts` (all prefixes unless given) that keeps RAM, storage and error limits.

    None where no plan does. The limit on latency is not looked at: the answer is the fastest plan there is.
    """
    candidates = (prefix(problem, p) for p in range(len(problem.ops) + 1)) if cuts is None else cuts
    best: Found | None = None
    for cut in candidates:
        if cut.refusal:
            continue
        for bits in assignments(problem, cut):
            figures = evaluate(problem, cut, bits)
            if excess(problem.limits, figures).keys() - {"latency"}:
                continue
            if best is None or (figures.latency_ns, figures.error) < (best.figures.latency_ns, best.figures.error):
                best = Found(cut, bits, figures)
    return best


def closed_sets(problem: Problem) -> Iterator[tuple[int, ...]]:
    """Yield every set of ops that is closed under predecessors, from none to all."""
    needed = [frozenset(problem.producer[v] for v in op.reads if v in problem.producer) for op in problem.ops]
    found: list[tuple[int, ...]] = [()]
    for i, before in enumerate(needed):
        found += [(*ops, i) for ops in found if before.issubset(ops)]
    yield from sorted(found, key=lambda ops: (len(ops), ops))


def assignments(problem: Problem, cut: Cut) -> Iterator[Assignment]:
    """Yield every assignment of bits that a cut admits, whatever it costs."""
    weight_bits = [problem.weights[w].bits for w in cut.weights]
    act_bits = [problem.groups[g].bits for g in cut.acts]
    choices = [frozenset(wire_choices(problem, wire)) for wire in cut.wires]
    wire_bits = [problem.values[wire.value].wire_bits for wire in cut.wires]
    for acts in product(*act_bits):
        held = dict(zip(cut.acts, acts, strict=True))
        for wires in product(*wire_bits):
            pairs = ((held[wire.act] if wire.act != NONE else 0, w) for wire, w in zip(cut.wires, wires, strict=True))
            if not all(pair in allowed for pair, allowed in zip(pairs, choices, strict=True)):
                continue
            sent = {wire.value: w for wire, w in zip(cut.wires, wires, strict=True)}
            for weights in product(*weight_bits):
                yield Assignment(dict(zip(cut.weights, weights, strict=True)), held, sent)


def assignment_count(problem: Problem, cut: Cut) -> int:
    """Return how many assignments of bits a cut has, those counted whose wires have more bits than what they are made of."""
    choices = [problem.weights[w].bits for w in cut.weights] + [problem.groups[g].bits for g in cut.acts]
    return prod(map(len, [*choices, *(problem.values[wire.value].wire_bits for wire in cut.wires)]))
