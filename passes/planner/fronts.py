"""The front: the fastest plan over all cuts at each of several limits on the error and on the edge's memory.

A tighter cell is never faster than a looser one, so what a looser cell has proven bounds it from below, and every known plan that keeps its
limits bounds it from above. Where the two meet there is nothing to solve; else only what is faster than the known plan is looked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from heapq import merge
from itertools import islice

from .cpsat import Effort
from .cut import cut_of
from .evaluate import Figures, excess
from .formulate import formulate
from .least_error import most_accurate
from .prefix_bounds import Sweeps
from .problem import Problem
from .search import Formed, Solution, best_effort, rank, search
from .spaces import Candidate, Linear, Only, Space

STRICTEST = 3
"""Cuts, of those that win at the loosest limits, whose least errors say where the levels of error end."""

MEMORY_CUTS = 64
"""Cuts, the most promising ones, whose least memory says where the levels of memory end."""


@dataclass(frozen=True, slots=True)
class Levels:
    """Limits of the cells, the loosest first: errors in units, memory in bits."""

    errors: tuple[int, ...]
    ram_bits: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """The fastest plan within limits on error (units) and memory (bits). solution: None where none keeps them or was found in time.

    bound_ns: no plan within the limits is faster; None: there is none within them. spent_s: deterministic seconds of the solver.
    """

    error: int
    ram_bits: int
    solution: Solution | None
    bound_ns: int | None
    spent_s: float = 0.0

    @property
    def proven(self) -> bool:
        """Whether no plan within the limits is faster, or there is none."""
        return self.bound_ns is None if self.solution is None else self.solution.figures.latency_ns <= (self.bound_ns or 0)


Solver = Callable[[Problem, Effort, int | None, int], Cell]
"""Seeks the fastest plan of a problem: in so much time, faster than a latency, none being faster than another; see `Seeker.solved`."""


@dataclass(frozen=True)
class WithEdgeOnly:
    """A space and, after its own cuts of the same bound, the cut with all ops on the edge. sweeps: over the problem but for its limits."""

    inner: Space
    sweeps: Sweeps

    def candidates(self, problem: Problem) -> Iterator[Candidate]:
        """Yield the cuts, each once."""
        bounds = self.sweeps.bounds(problem.limits.error)
        count = len(problem.ops)
        whole = Candidate(bounds[count], tuple(range(count)))
        if isinstance(self.inner, Linear):
            others = iter(sorted(Candidate(bounds[p], tuple(range(p))) for p in set(self.inner.positions) if p < count))
        else:
            others = (c for c in self.inner.candidates(problem) if c.rest or len(c.ops) < count)
        yield from merge(others, (whole,), key=lambda c: c.bound_ns)


class Seeker:
    """Finds the cells of a problem's front, one after the other, in a fixed order.

    ends: Cloud-Only and Edge-Only where they can be taken; they may break limits. levels: empty until they are known. `solve` may be
    wrapped, so that answers are kept.
    """

    def __init__(self, problem: Problem, space: Space, effort: Effort, known: Sequence[Solution] = ()) -> None:
        self.problem = problem
        self.space = WithEdgeOnly(space, Sweeps(problem))
        self.formed = Formed()
        self.left_s, self.seed = effort.limit_s, effort.seed
        ends = (best_effort(problem, cut_of(problem, range(n)), effort) for n in dict.fromkeys((0, len(problem.ops))))
        self.ends = tuple(s for s in ends if s is not None)
        self.known = [*self.ends, *known]
        self.cells: list[Cell] = []
        self.levels = Levels((), ())
        self.solve: Solver = self.solved

    def front(self, errors: int, memories: int) -> Iterator[Cell]:
        """Yield the cells of so many levels of error x memory, looser ones and those that part the rest evenly first."""
        searches = errors * memories
        loosest: list[Cell] = []
        first = self.cell(self._no_error_limit(), self.problem.limits.ram_bits, searches)
        rams = self.memory_levels(first, memories)
        for ram_bits in rams:
            searches -= 1
            loosest.append(self.cell(self._no_error_limit(), ram_bits, searches))
        self.levels = Levels(self.error_levels(loosest, errors), rams)
        searches = len(self.levels.errors) * len(rams)
        for i in _spread(len(self.levels.errors)):
            for ram_bits in rams:
                yield self.cell(self.levels.errors[i], ram_bits, searches)
                searches -= 1

    def cell(self, error: int, ram_bits: int, searches: int) -> Cell:
        """Return the cell with these limits; it may take one of `searches` equal parts of the time that is left."""
        known = self._best_known(error, ram_bits)
        looser = [c for c in self.cells if c.error >= error and c.ram_bits >= ram_bits]
        least_ns = max((c.bound_ns for c in looser if c.bound_ns is not None), default=0)
        if any(c.solution is None and c.proven for c in looser):
            found = Cell(error, ram_bits, None, None)
        elif known is not None and known.figures.latency_ns <= least_ns:
            found = Cell(error, ram_bits, known, least_ns)
        else:
            free = self.problem.limits.error is None and error == self._no_error_limit()
            limits = replace(self.problem.limits, error=None if free else error, ram_bits=ram_bits)
            effort = Effort(self.left_s / max(searches, 1), self.seed)
            sought = self.solve(replace(self.problem, limits=limits), effort, known and known.figures.latency_ns, least_ns)
            self.left_s = max(self.left_s - sought.spent_s, 0.0)
            found = replace(sought, error=error, solution=sought.solution or known)
            self.known += [sought.solution] if sought.solution is not None else []
        self.cells.append(found)
        return found

    def solved(self, problem: Problem, effort: Effort, below_ns: int | None, least_ns: int) -> Cell:
        """Return the fastest plan within the problem's limits that is faster than `below_ns`, no plan being faster than `least_ns`."""
        limits = problem.limits
        found = search(problem, self.space, effort, below_ns=below_ns, formed=self.formed)
        best = next(iter(found.solutions), None)
        reached_ns = below_ns if best is None else best.figures.latency_ns
        bound_ns = reached_ns if found.open_ns is None else max(found.open_ns, least_ns)
        if bound_ns is not None and reached_ns is not None:
            bound_ns = min(bound_ns, reached_ns)
        return Cell(limits.error or 0, limits.ram_bits, best, bound_ns, found.spent_s)

    def memory_levels(self, loosest: Cell, count: int) -> tuple[int, ...]:
        """Return limits on memory: the problem's, then by equal ratios from what the fastest plan takes down to the least that any takes.

        Plans with something on the edge count, of the `MEMORY_CUTS` cuts whose bounds on the latency are the least.
        """
        most = self.problem.limits.ram_bits
        best = loosest.solution
        cuts = (cut_of(self.problem, c.ops) for c in islice(self.space.candidates(self.problem), MEMORY_CUTS) if c.ops and not c.rest)
        least = min((formulate(self.problem, cut).ram_low() for cut in cuts if not cut.refusal), default=most)
        start = min(most, max(best.figures.ram_bits if best is not None else most, least))
        if least >= most:
            return (most,)
        return tuple(dict.fromkeys((most, *ratios(start, least, count)[1:])))

    def error_levels(self, loosest: Sequence[Cell], count: int) -> tuple[int, ...]:
        """Return limits on the error, by equal ratios from the loosest that matters down to the least that there can be.

        The loosest is the greatest error of the fastest plans at any level of memory, the least that of the cuts which win there.
        """
        best = [c.solution for c in loosest if c.solution is not None]
        most = max((s.figures.error for s in best), default=0)
        cuts = list({s.cut.ops: s.cut for s in sorted(best, key=rank) if s.cut.ops}.values())[:STRICTEST]
        strictest: list[Solution] = []
        for cut in cuts:
            found = most_accurate(self.problem, cut, Effort(self.left_s / (4 * STRICTEST), self.seed))
            if found is not None:
                self.left_s = max(self.left_s - found.spent_s, 0.0)
                strictest.append(self._fastest_of(found.solution))
        self.known += strictest
        return ratios(most, min((s.figures.error for s in strictest), default=most), count)

    def _fastest_of(self, strict: Solution) -> Solution:
        """Return the fastest plan of a cut with no more error."""
        limits = replace(self.problem.limits, error=strict.figures.error)
        found = search(replace(self.problem, limits=limits), Only(strict.cut.ops), Effort(self.left_s / (4 * STRICTEST), self.seed))
        self.left_s = max(self.left_s - found.spent_s, 0.0)
        return next(iter(found.solutions), strict)

    def _best_known(self, error: int, ram_bits: int) -> Solution | None:
        limits = replace(self.problem.limits, error=error, ram_bits=ram_bits, latency_ns=None)
        return min((s for s in self.known if not excess(limits, s.figures)), key=rank, default=None)

    def _no_error_limit(self) -> int:
        """Return the problem's limit on the error; without one what no plan exceeds."""
        problem = self.problem
        if problem.limits.error is not None:
            return problem.limits.error
        rows = [*(w.error for w in problem.weights), *(g.error for g in problem.groups), *(e for v in problem.values for e in v.wire_error)]
        return sum(max(row, default=0) for row in rows)


def ratios(most: int, least: int, count: int) -> tuple[int, ...]:
    """Return `count` numbers from `most` down to `least` by equal ratios, rounded to whole ones, each once."""
    steps = max(count - 1, 1)
    inner = (round(most * (max(least, 1) / max(most, 1)) ** (k / steps)) for k in range(1, steps))
    listed = (most, *inner, least) if count > 1 else (most,)
    return tuple(dict.fromkeys(n for n in listed if least <= n <= most))


def undominated_figures(found: Sequence[Figures]) -> list[int]:
    """Return which figures no others equal or better in latency, error and memory, the fastest first; of equal ones the first."""
    order = sorted(range(len(found)), key=lambda i: (found[i].latency_ns, found[i].error, found[i].ram_bits, i))
    kept: list[int] = []
    for i in order:
        if not any(found[k].error <= found[i].error and found[k].ram_bits <= found[i].ram_bits for k in kept):
            kept.append(i)
    return kept


def _spread(count: int) -> list[int]:
    """Return 0..count - 1: the two ends, then what lies in the middle between those before."""
    order = [0, count - 1]
    gaps = [(0, count - 1)]
    while gaps:
        low, high = gaps.pop(0)
        middle = (low + high) // 2
        if low < middle < high:
            order.append(middle)
            gaps += [(low, middle), (middle, high)]
    return list(dict.fromkeys(i for i in order if i < count))
