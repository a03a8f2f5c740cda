"""Plans for several bounds on the error, so that those which accuracy turns down have stricter ones behind them.

The loosest level is the problem's own limit, or none. What wins there shows how far errors go; the other levels part the way from its error
down to the least that its cuts can have by equal ratios. Edge-Only has levels of its own, since its error is the sum over all tensors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from .cpsat import Effort
from .cut import Cut
from .error_tables import bounded
from .evaluate import evaluate, excess
from .least_error import most_accurate
from .problem import Problem
from .search import Solution, search
from .spaces import Linear, Only, Space

STRICTEST = 3
"""Cuts, of those that win without a bound, whose plans of least error are listed too."""


@dataclass
class _Time:
    """Deterministic seconds that are left for some further searches, and the seed."""

    left_s: float
    searches: int
    seed: int

    def next(self) -> Effort:
        """Return what the next search gets: an equal part of what is left."""
        share = self.left_s / max(self.searches, 1)
        self.searches -= 1
        return Effort(share, self.seed)

    def spend(self, seconds: float) -> None:
        """Take off what a search took."""
        self.left_s = max(self.left_s - seconds, 0.0)


def at_levels(
    problem: Problem, loosest: Sequence[Solution], space: Space, effort: Effort, levels: int, keep: int, ceiling_ns: int | None
) -> list[Solution]:
    """Return plans stricter than the `loosest`, whose splits are sought in `space`; `keep` a level.

    Each plan is the fastest of its cut within the level that it was sought at. None is slower than `ceiling_ns`, but for Edge-Only.
    """
    fitting = [s for s in loosest if not _beyond(problem, s)]
    whole = len(problem.ops)
    time = _Time(effort.limit_s, 2 * (levels - 1) + 2 * (STRICTEST + 1), effort.seed)
    found: list[Solution] = []
    for end in (False, True):
        best = [s for s in fitting if (s.position == whole) == end and s.position > 0]
        sought_in = Linear([whole]) if end else space
        strictest = [s for cheapest in best[:STRICTEST] if (s := _strictest(problem, cheapest.cut, time)) is not None]
        if not best or not strictest:
            continue
        found += strictest
        for error in _between(min(s.figures.error for s in strictest), max(s.figures.error for s in best), levels):
            listed = search(bounded(problem, error), sought_in, time.next(), keep, None if end else ceiling_ns)
            time.spend(listed.spent_s)
            found += [_in_units_of(problem, s) for s in listed.solutions]
    return found


def _between(least: int, most: int, levels: int) -> Iterator[int]:
    """Yield the bounds between two errors, the loosest first, by equal ratios."""
    for k in range(1, levels):
        error = round(most * (max(least, 1) / max(most, 1)) ** (k / levels))
        if least < error < most:
            yield error


def _strictest(problem: Problem, cut: Cut, time: _Time) -> Solution | None:
    """Return the fastest plan among those of least error for a cut."""
    least = most_accurate(problem, cut, time.next())
    if least is None:
        return None
    error = least.solution.figures.error
    found = search(replace(problem, limits=replace(problem.limits, error=error)), Only(cut.ops), time.next())
    time.spend(least.spent_s + found.spent_s)
    return next(iter(found.solutions), least.solution)


def _beyond(problem: Problem, solution: Solution) -> bool:
    """Whether a plan breaks a limit other than that on latency."""
    return bool(excess(replace(problem.limits, latency_ns=None), solution.figures))


def _in_units_of(problem: Problem, solution: Solution) -> Solution:
    return replace(solution, figures=evaluate(problem, solution.cut, solution.bits))
