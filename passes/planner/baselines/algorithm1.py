"""Auto-Split's own search, Algorithm 1 of the paper: a Lagrangian for weights and one for activations, on a grid of memory budgets.

Potential splits are those of formula (6). For each of them, and each pair of budgets that uniform bit-widths give, (8) and (9) are solved
with multipliers (Shoham and Gersho 1988): every tensor takes the bits of least error + multiplier x memory, and the multiplier is the
least one at which the budget holds. What a multiplier cannot reach, points off the convex hull, is not found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..cut import Cut, live_values, prefix
from ..evaluate import excess
from ..problem import Problem
from .placed import Placed
from .uniform import nearest, uniform, with_wires

STEPS = 64
"""Halvings of the range of a multiplier."""


@dataclass(frozen=True, slots=True)
class _Tensor:
    """Something with bits to choose: its index, elements, widths, and error at 1..8 bits."""

    index: int
    elements: int
    bits: tuple[int, ...]
    error: tuple[int, ...]


def algorithm1(problem: Problem, potential: Iterable[int], bits: Sequence[int]) -> Placed | None:
    """Return the fastest plan on the paper's list that keeps all limits but that on the latency; None where none does.

    potential: positions of formula (6), Edge-Only among them where it fits. bits: the widths of the grid. Cloud-Only is first on the list.
    Ties break for the first found.
    """
    best = uniform(problem, prefix(problem, 0), 8)
    for position in potential:
        cut = prefix(problem, position)
        for found in _on_the_grid(problem, cut, bits) if not cut.refusal else ():
            if excess(problem.limits, found.figures).keys() - {"latency"}:
                continue
            if best is None or found.figures.latency_ns < best.figures.latency_ns:
                best = found
    return best


def _on_the_grid(problem: Problem, cut: Cut, grid: Sequence[int]) -> Iterator[Placed]:
    weights = [_Tensor(w, item.elements, item.bits, item.error) for w in cut.weights for item in (problem.weights[w],)]
    sizes = _group_sizes(problem, cut)
    acts = [_Tensor(g, sizes.get(g, 0), item.bits, item.error) for g in cut.acts for item in (problem.groups[g],)]
    working_set = _working_set(problem, cut)

    def weight_memory(chosen: Mapping[int, int]) -> int:
        return sum(t.elements * chosen[t.index] for t in weights)

    for_weights = [_within(weights, weight_memory, weight_memory(_all_at(weights, b))) for b in grid]
    for_acts = [_within(acts, working_set, working_set(_all_at(acts, b))) for b in grid]
    for chosen_weights in for_weights:
        for chosen_acts in for_acts:
            if chosen_weights is not None and chosen_acts is not None:
                found = with_wires(problem, cut, chosen_weights, chosen_acts, 8)
                if found is not None:
                    yield found


def _within(tensors: Sequence[_Tensor], memory: Callable[[Mapping[int, int]], int], budget: int) -> dict[int, int] | None:
    """Return the bits that the least multiplier gives at which `memory` keeps the budget; None where none does."""
    free = _at(tensors, 0.0)
    if memory(free) <= budget:
        return free
    low, high = 0.0, 1.0
    while memory(_at(tensors, high)) > budget:
        if high > 1e18:
            return None
        low, high = high, high * 4
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if memory(_at(tensors, middle)) <= budget else (middle, high)
    return _at(tensors, high)


def _at(tensors: Sequence[_Tensor], multiplier: float) -> dict[int, int]:
    """Return the bits of least error + multiplier x memory, fewest where it ties."""
    return {t.index: min(t.bits, key=lambda b, t=t: (t.error[b - 1] + multiplier * t.elements * b, b)) for t in tensors}


def _all_at(tensors: Sequence[_Tensor], bits: int) -> dict[int, int]:
    return {t.index: nearest(t.bits, bits) for t in tensors}


def _group_sizes(problem: Problem, cut: Cut) -> dict[int, int]:
    """Return the elements of the largest value of every group on the edge."""
    found: dict[int, int] = {}
    for value, (kind, group) in cut.source.items():
        if kind == "act":
            found[group] = max(found.get(group, 0), problem.values[value].elements or 0)
    return found


def _working_set(problem: Problem, cut: Cut) -> Callable[[Mapping[int, int]], int]:
    """Return the function from bits of groups to the largest working set in bits; what has no choice counts at its own width."""
    steps = live_values(problem, cut)
    fixed = [sum((problem.values[v].elements or 0) * problem.values[v].own_bits for v in step if not _chosen(cut, v)) for step in steps]
    free = [[(cut.source[v][1], problem.values[v].elements or 0) for v in step if _chosen(cut, v)] for step in steps]

    def largest(chosen: Mapping[int, int]) -> int:
        sums = (own + sum(size * chosen[group] for group, size in step) for own, step in zip(fixed, free, strict=True))
        return max(sums, default=0)

    return largest


def _chosen(cut: Cut, value: int) -> bool:
    return value in cut.source and cut.source[value][0] == "act"
