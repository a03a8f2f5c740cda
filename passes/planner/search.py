"""The fastest plan over all prefix cuts, and the fastest of each of the next best cuts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from heapq import heapify, heappop, heappush

from .bounds import all_values, least_error
from .cpsat import Effort
from .cut import Cut, prefix
from .evaluate import Figures, evaluate
from .formulate import assignment, formulate
from .instance import Instance, Pick
from .prefix_bounds import prefix_bounds
from .problem import Assignment, Problem
from .solve import Opening, begin, conclude, deepened, solve


@dataclass(frozen=True, slots=True)
class Solution:
    """The fastest plan found for one cut.

    bound_ns: no plan for this cut is faster; equal to the latency where that is proven.
    """

    position: int
    cut: Cut
    bits: Assignment
    figures: Figures
    bound_ns: int

    @property
    def proven(self) -> bool:
        """Whether no plan for this cut is faster."""
        return self.figures.latency_ns <= self.bound_ns


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found.

    solutions: the fastest first. open_ns: least bound of the cuts that were not solved to the end; None: all were, or pruned.
    solved: how many cuts were looked into. spent_s: deterministic seconds of the solver.
    """

    solutions: tuple[Solution, ...]
    open_ns: int | None
    solved: int
    spent_s: float


def search(problem: Problem, positions: Iterable[int], effort: Effort, keep: int = 1, ceiling_ns: int | None = None) -> Found:
    """Return the fastest plan for each of the `keep` best cuts among `positions`.

    Plans slower than `ceiling_ns` are of no use; where there is nothing else, that of the most promising cut stands alone.

    Cuts are taken in the order of their lower bound, and left out where it shows that they cannot be among the best: only valid bounds
    prune. When a cut's turn comes it is looked into, then more closely, then solved; in between it waits for those with lower bounds. What
    the first look finds is not kept: most cuts get no further. Ties break by error, then position. The limit on latency is not looked at.
    """
    bounds = prefix_bounds(problem)
    waiting = [(bounds[p], p) for p in set(positions)]
    heapify(waiting)
    once: set[int] = set()
    twice: dict[int, _Begun] = {}
    found: list[Solution] = []
    open_bounds: list[int] = []
    solved, spent = 0, 0.0
    while waiting:
        bound, position = heappop(waiting)
        cutoff = _cutoff(found, keep, ceiling_ns)
        if cutoff is not None and bound >= cutoff:
            break
        if position not in twice:
            begun = _looked_into(problem, position, cutoff or ceiling_ns, closely=position in once)
            if begun is not None:
                heappush(waiting, (max(bound, begun.opening.bound_ns), position))
                twice |= {position: begun} if position in once else {}
                once.add(position)
            continue
        begun = twice.pop(position)
        outcome = conclude(begun.opening, replace(effort, limit_s=max(effort.limit_s - spent, 0.0)), cutoff)
        solved += 1
        spent += outcome.spent_s
        if outcome.pick is not None:
            found.append(solution_of(problem, position, begun.cut, begun.opening.instance, outcome.pick, outcome.bound_ns))
            found = sorted(found, key=lambda s: (s.figures.latency_ns, s.figures.error, s.position))[:keep]
            found = [s for s in found if s is found[0] or ceiling_ns is None or s.figures.latency_ns <= ceiling_ns]
        if outcome.status in ("feasible", "unknown"):
            open_bounds.append(max(outcome.bound_ns, bound))
    return Found(tuple(found), min(open_bounds, default=None), solved, spent)


@dataclass(frozen=True, slots=True)
class _Begun:
    """A cut whose turn has come: what is known of its instance."""

    cut: Cut
    opening: Opening


def _looked_into(problem: Problem, position: int, target_ns: int | None, *, closely: bool) -> _Begun | None:
    """Return what is known of a cut, None where it is refused or out of reach."""
    cut = prefix(problem, position)
    opening = None if cut.refusal else begin(formulate(problem, cut), target_ns)
    if opening is None:
        return None
    return _Begun(cut, deepened(opening, target_ns) if closely else opening)


def _cutoff(found: list[Solution], keep: int, ceiling_ns: int | None) -> int | None:
    """Return the latency from which on a plan is of no use; one as fast as the worst that is kept is, for it may have less error."""
    if not found:
        return None
    useful = [found[-1].figures.latency_ns] if len(found) == keep else []
    useful += [] if ceiling_ns is None else [ceiling_ns]
    return min(useful) + 1 if useful else None


def best_effort(problem: Problem, position: int, effort: Effort) -> Solution | None:
    """Return a plan for a cut that may break limits; None only where the cut is refused or no bits go together.

    It is the fastest within all limits; else the fastest within the limit on error; else the one of least error.
    """
    cut = prefix(problem, position)
    if cut.refusal:
        return None
    instance = formulate(problem, cut)
    roomy = replace(problem.limits, ram_bits=max(problem.limits.ram_bits, _most_ram(instance)), storage_bits=None)
    for limits in (problem.limits, roomy):
        loosened = replace(instance, limits=limits)
        outcome = solve(loosened, effort)
        if outcome.pick is not None:
            return solution_of(problem, position, cut, loosened, outcome.pick, outcome.bound_ns)
    domains = all_values(instance)
    if not all(domains):
        return None
    pick = least_error(instance, domains)
    return solution_of(problem, position, cut, instance, pick, instance.latency_low())


def _most_ram(instance: Instance) -> int:
    return instance.resident.high() + max(step.high() for step in instance.steps)


def solution_of(problem: Problem, position: int, cut: Cut, instance: Instance, pick: Pick, bound_ns: int) -> Solution:
    """Return a pick as a solution."""
    bits = assignment(instance, pick)
    return Solution(position, cut, bits, evaluate(problem, cut, bits), bound_ns)
