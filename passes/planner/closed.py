"""All sets of ops that are closed under predecessors, in ascending order of a lower bound on the latency of their plans.

The set that a bound is met at comes first; the others are parted by the op in which they first differ from it (Lawler 1972), each part has
a bound of its own, and so on. A part is bounded when its turn comes: until then it has the bound of what it is a part of.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heappop, heappush

from .cut_bounds import CutBounds, Least
from .cut_prices import Prices
from .prefix_bounds import prefix_bounds
from .problem import NONE, Problem
from .spaces import Candidate

ROOT_STEPS, STEPS = 48, 3
"""Steps of the ascent for all sets, and for each part of them."""

MOST_PARTS = 20_000
"""Parts after which what is left is given up; its bound is told then."""


@dataclass(frozen=True)
class Closed:
    """All closed sets. ends: also none and all of the ops. barred: values that may not cross; crossing: all values that do (None: any)."""

    ends: bool = False
    barred: frozenset[int] = frozenset()
    crossing: frozenset[int] | None = None
    most_parts: int = MOST_PARTS

    def candidates(self, problem: Problem) -> Iterator[Candidate]:
        """Yield the sets; where there are too many, the last one stands for all that are left."""
        count = len(problem.ops)
        ends: list[Candidate] = []
        if self.ends:
            bounds = prefix_bounds(problem)
            ends = sorted({Candidate(bounds[p], tuple(range(p))) for p in (0, count)})
        for candidate in _Parting(problem, self).candidates() if count > 1 else ():
            while ends and ends[0].bound_ns <= candidate.bound_ns:
                yield ends.pop(0)
            yield candidate
        yield from ends


@dataclass(frozen=True, slots=True)
class _Part:
    """The closed sets with `edge` on the edge and `cloud` off it. least: where its bound is met, None where that is not known yet."""

    edge: int
    cloud: int
    prices: Prices
    least: Least | None = None


class _Parting:
    """Parts of the closed sets but the empty and the whole one, by their bounds."""

    def __init__(self, problem: Problem, space: Closed) -> None:
        others = set(range(len(problem.values))) - space.crossing if space.crossing is not None else set[int]()
        self.problem = problem
        self.space = space
        self.bounds = CutBounds(problem, space.barred | others)
        self.heap: list[tuple[int, int, _Part]] = []
        self.pushed = 0

    def candidates(self) -> Iterator[Candidate]:
        """Yield the sets."""
        bounds = self.bounds
        edge = 0
        for v in self.space.crossing or ():
            maker = self.problem.producer.get(v, NONE)
            edge |= bounds.before[maker] | 1 << maker if maker != NONE else 0
        self._push(0, _Part(edge, bounds.cloud, self._ascended(edge, bounds.cloud, Prices(), ROOT_STEPS)[0]))
        while self.heap:
            bound, _, part = heappop(self.heap)
            if part.least is None:
                prices, least = self._ascended(part.edge, part.cloud, part.prices, STEPS)
                if least is not None:
                    self._push(max(bound, least.bound_ns), _Part(part.edge, part.cloud, prices, least))
                continue
            chosen = part.least.ops
            if chosen not in (0, bounds.everything) and self._is_wanted(chosen):
                yield Candidate(bound, tuple(i for i in range(bounds.count) if chosen >> i & 1))
            if self.pushed > self.space.most_parts:
                yield Candidate(bound, (), rest=True)
                return
            for edge, cloud in self._others(part, chosen):
                self._push(bound, _Part(edge, cloud, part.prices))

    def _push(self, bound: int, part: _Part) -> None:
        heappush(self.heap, (bound, self.pushed, part))
        self.pushed += 1

    def _others(self, part: _Part, chosen: int) -> Iterator[tuple[int, int]]:
        """Yield parts that together are all sets of a part but the chosen one."""
        bounds = self.bounds
        edge, cloud = part.edge, part.cloud
        for i in range(bounds.count):
            here = 1 << i
            last = chosen & here and not bounds.after[i] & chosen
            first = not chosen & here and not bounds.before[i] & ~chosen
            if last and not edge & here:
                yield edge, cloud | here | bounds.after[i]
                edge |= here | bounds.before[i]
            elif first and not cloud & here:
                if not (here | bounds.before[i]) & cloud:
                    yield edge | here | bounds.before[i], cloud
                cloud |= here | bounds.after[i]

    def _is_wanted(self, chosen: int) -> bool:
        """Whether all values cross that are to; the bounds have seen to it that no others do."""
        wanted, readers = self.space.crossing, self.problem.readers
        return wanted is None or all(any(not chosen >> r & 1 for r in readers[v]) for v in wanted)

    def _ascended(self, edge: int, cloud: int, start: Prices, steps: int) -> tuple[Prices, Least | None]:
        """Return prices with the best bound that some steps of subgradient ascent find, and where it is met."""
        limits = self.problem.limits
        scales = (limits.error, limits.ram_bits, limits.storage_bits)
        at = [p * max(s or 0, 1) for p, s in zip((start.error, start.ram, start.storage), scales, strict=True)]
        best, best_at, best_least = start, at, self.bounds.least(start, edge, cloud)
        if best_least is None or edge | cloud == self.bounds.everything:
            return best, best_least
        least, length = best_least, 1.0
        for _ in range(steps):
            slope = [0.0 if x <= 0 and g < 0 else g for x, g in zip(at, least.excess, strict=True)]
            steepness = sum(g * g for g in slope)
            if steepness == 0:
                break
            aim = best_least.bound_ns + max(abs(best_least.bound_ns), 1) * 0.1 * length - least.bound_ns
            at = [max(x + aim / steepness * g, 0.0) for x, g in zip(at, slope, strict=True)]
            prices = Prices(*(x / max(s or 0, 1) for x, s in zip(at, scales, strict=True)))
            found = self.bounds.least(prices, edge, cloud)
            if found is None:
                return best, None
            least = found
            if least.bound_ns > best_least.bound_ns:
                best, best_at, best_least = prices, at, least
            else:
                at, least, length = best_at, best_least, length / 2
        return best, best_least
