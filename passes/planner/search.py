"""The fastest plan over all cuts of a space, and the fastest of each of the next best cuts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from heapq import heappop, heappush

from .bounds import all_values, least_error
from .cpsat import Effort
from .cut import Cut, cut_of
from .evaluate import Figures, evaluate
from .formulate import assignment, formulate
from .instance import Instance, Pick
from .problem import Assignment, Problem
from .solve import Opening, begin, conclude, deepened, solve
from .spaces import Candidate, Space

MOST_FORMED = 128
"""Instances that are kept at a time."""


@dataclass(frozen=True, slots=True)
class Solution:
    """The fastest plan found for one cut.

    bound_ns: no plan for this cut is faster; equal to the latency where that is proven.
    """

    cut: Cut
    bits: Assignment
    figures: Figures
    bound_ns: int

    @property
    def position(self) -> int:
        """How many ops are on the edge."""
        return len(self.cut.ops)

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


def search(
    problem: Problem,
    space: Space,
    effort: Effort,
    keep: int = 1,
    ceiling_ns: int | None = None,
    below_ns: int | None = None,
    formed: Formed | None = None,
) -> Found:
    """Return the fastest plan for each of the `keep` best cuts of a space.

    Plans slower than `ceiling_ns` are of no use; where there is nothing else, that of the most promising cut stands alone. With `below_ns`
    only faster ones count, and there may be none. `formed` keeps instances for problems that differ in limits alone.

    Cuts are taken in the order of their lower bound, and left out where it shows that they cannot be among the best: only valid bounds
    prune. When a cut's turn comes it is looked into, then more closely, then solved; in between it waits for those with lower bounds. What
    the first look finds is not kept: most cuts get no further. Ties break by error, then by the number of ops on the edge, then by which.
    The limit on latency is not looked at.
    """
    formed = Formed() if formed is None else formed
    waiting = _Waiting(space.candidates(problem))
    once: set[tuple[int, ...]] = set()
    twice: dict[tuple[int, ...], _Begun] = {}
    found: list[Solution] = []
    open_bounds: list[int] = []
    solved, spent = 0, 0.0
    while (candidate := waiting.pop()) is not None:
        bound, ops = candidate.bound_ns, candidate.ops
        cutoff = _cutoff(found, keep, ceiling_ns)
        cutoff = below_ns if cutoff is None else cutoff if below_ns is None else min(cutoff, below_ns)
        if cutoff is not None and bound >= cutoff:
            break
        if candidate.rest:
            open_bounds.append(bound)
            continue
        if ops not in twice:
            begun = _looked_into(problem, formed, ops, cutoff or ceiling_ns, closely=ops in once)
            if begun is not None:
                waiting.push(Candidate(max(bound, begun.opening.bound_ns), ops))
                twice |= {ops: begun} if ops in once else {}
                once.add(ops)
            continue
        begun = twice.pop(ops)
        outcome = conclude(begun.opening, replace(effort, limit_s=max(effort.limit_s - spent, 0.0)), cutoff)
        solved += 1
        spent += outcome.spent_s
        if outcome.pick is not None:
            found.append(solution_of(problem, begun.cut, begun.opening.instance, outcome.pick, outcome.bound_ns))
            found = sorted(found, key=rank)[:keep]
            found = [s for s in found if s is found[0] or ceiling_ns is None or s.figures.latency_ns <= ceiling_ns]
        if outcome.status in ("feasible", "unknown"):
            open_bounds.append(max(outcome.bound_ns, bound))
    return Found(tuple(found), min(open_bounds, default=None), solved, spent)


def rank(solution: Solution) -> tuple[int, int, int, tuple[int, ...]]:
    """Return what solutions are sorted by: latency, error, the number of ops on the edge, and which they are."""
    return solution.figures.latency_ns, solution.figures.error, len(solution.cut.ops), solution.cut.ops


class _Waiting:
    """Cuts whose turn is to come, by their bound, then by the number of their ops; those of a space come in as late as they may."""

    def __init__(self, coming: Iterator[Candidate]) -> None:
        self.coming = coming
        self.following = next(coming, None)
        self.heap: list[tuple[int, int, tuple[int, ...], bool]] = []

    def push(self, candidate: Candidate) -> None:
        """Add a cut."""
        heappush(self.heap, (candidate.bound_ns, len(candidate.ops), candidate.ops, candidate.rest))

    def pop(self) -> Candidate | None:
        """Take the cut of the least bound."""
        while self.following is not None and (not self.heap or self.following.bound_ns <= self.heap[0][0]):
            self.push(self.following)
            self.following = next(self.coming, None)
        if not self.heap:
            return None
        bound, _, ops, rest = heappop(self.heap)
        return Candidate(bound, ops, rest)


@dataclass(frozen=True, slots=True)
class _Begun:
    """A cut whose turn has come: what is known of its instance."""

    cut: Cut
    opening: Opening


class Formed:
    """Cuts and their instances, made once for problems that differ in limits on error, RAM, storage or latency alone."""

    def __init__(self) -> None:
        self.kept: dict[tuple[int, ...], tuple[Cut, Instance | None]] = {}

    def of(self, problem: Problem, ops: tuple[int, ...]) -> tuple[Cut, Instance | None]:
        """Return a cut and its instance, None where it is refused."""
        if ops not in self.kept:
            cut = cut_of(problem, ops)
            while len(self.kept) >= MOST_FORMED:
                del self.kept[next(iter(self.kept))]
            self.kept[ops] = cut, None if cut.refusal else formulate(problem, cut)
        cut, instance = self.kept[ops]
        return cut, None if instance is None else replace(instance, limits=problem.limits)


def _looked_into(problem: Problem, formed: Formed, ops: tuple[int, ...], target_ns: int | None, *, closely: bool) -> _Begun | None:
    """Return what is known of a cut, None where it is refused or out of reach."""
    cut, instance = formed.of(problem, ops)
    opening = None if instance is None else begin(instance, target_ns)
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


def best_effort(problem: Problem, cut: Cut, effort: Effort) -> Solution | None:
    """Return a plan for a cut that may break limits; None only where the cut is refused or no bits go together.

    It is the fastest within all limits; else the fastest within the limit on error; else the one of least error.
    """
    if cut.refusal:
        return None
    instance = formulate(problem, cut)
    roomy = replace(problem.limits, ram_bits=max(problem.limits.ram_bits, _most_ram(instance)), storage_bits=None)
    for limits in (problem.limits, roomy):
        loosened = replace(instance, limits=limits)
        outcome = solve(loosened, effort)
        if outcome.pick is not None:
            return solution_of(problem, cut, loosened, outcome.pick, outcome.bound_ns)
    domains = all_values(instance)
    if not all(domains):
        return None
    pick = least_error(instance, domains)
    return solution_of(problem, cut, instance, pick, instance.latency_low())


def _most_ram(instance: Instance) -> int:
    return instance.resident.high() + max(step.high() for step in instance.steps)


def solution_of(problem: Problem, cut: Cut, instance: Instance, pick: Pick, bound_ns: int) -> Solution:
    """Return a pick as a solution."""
    bits = assignment(instance, pick)
    return Solution(cut, bits, evaluate(problem, cut, bits), bound_ns)
