"""The accuracy constraint: which plan is the fastest that was measured to lose no more than the limit, for several limits at once.

`search` knows plans and a way to measure one, and nothing of files: see `evaluation.py` for the measuring and `decide.py` for the whole.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from autosplitc.passes import Plan

from .drop import Drop

Json = dict[str, Any]

Measure: TypeAlias = Callable[[int, float], Drop]
"""The drop of the plan of an index; the measuring may end early where the drop is sure to be over the limit (share of 1)."""

Ending: TypeAlias = Literal["fastest", "cloud-only", "evaluations", "broken"]
"""How a search ended: the fastest plan that holds; Cloud-Only, for no plan with an edge part held; `max_evals` ran out before every
faster plan was measured or passed over; no plan that was measured holds."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A plan that was measured: its index into the solutions, and what it lost; above `limit` (share of 1) it may have ended early."""

    index: int
    drop: Drop
    limit: float = math.inf

    def fails(self, limit: float) -> bool:
        """Whether it was measured to lose more than a limit; measuring that ended early says so only up to the limit it ended at."""
        return not self.drop.holds(limit) and (self.drop.complete or limit <= self.limit)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer for a limit on the drop (share of 1).

    chosen: the plan to take and what it lost. nearest: the faster plan with an edge part that missed the limit by least, if any.
    passed_over: indices of plans that are faster and were not measured, since one of the same kind with no more predicted error had failed.
    trials: every plan that was measured, in that order, for all limits of the search.
    """

    limit: float
    chosen: Trial
    ending: Ending
    nearest: Trial | None
    passed_over: tuple[int, ...]
    trials: tuple[Trial, ...]

    @property
    def holds(self) -> bool:
        """Whether the chosen plan keeps the limit."""
        return self.chosen.drop.holds(self.limit)


@dataclass
class _Search:
    """A search under way. order: candidates, the fastest first. left: evaluations that may still be made."""

    plans: Sequence[Plan]
    order: Sequence[int]
    measure: Measure
    left: int
    trials: dict[int, Trial] = field(default_factory=dict[int, Trial])

    def passed_over(self, index: int, limit: float) -> bool:
        """Whether a plan of the same kind with no more predicted error failed this limit."""
        failed = (self.plans[i] for i, trial in self.trials.items() if trial.fails(limit))
        return any(_rules_out(plan, self.plans[index]) for plan in failed)

    def held(self, limit: float) -> int | None:
        """Return the fastest candidate that was measured to keep a limit."""
        return next((i for i in self.order if i in self.trials and self.trials[i].drop.holds(limit)), None)

    def open(self, chains: Sequence[int], limit: float) -> list[int]:
        """Return the plans of `chains` that may still be the answer for a limit: faster than the one that holds, and not passed over."""
        held = self.held(limit)
        ahead = chains if held is None else chains[: chains.index(held)]
        return [i for i in ahead if i not in self.trials and not self.passed_over(i, limit)]

    def run(self, limits: Sequence[float]) -> None:
        """Measure candidates until no limit has an open one; the last evaluation is the surest plan's where a limit has none that holds."""
        chains, surest = self.chains(), self.surest()
        while self.left > 0:
            openings = {limit: self.open(chains, limit) for limit in limits}
            widest = max(limits, key=lambda limit: (len(openings[limit]), limit))
            if not openings[widest]:
                return
            index = self.halving(openings[widest])
            if self.left == 1 and surest not in self.trials and any(self.held(limit) is None for limit in limits):
                index = surest
            wanted = [limit for limit in limits if index in openings[limit]] or limits
            self.left -= 1
            self.trials[index] = Trial(index, self.measure(index, max(wanted)), max(wanted))

    def chains(self) -> list[int]:
        """Return the candidates, the fastest first, less those that are slower than another of their kind with no more predicted error."""
        least: dict[str, float] = {}
        found: list[int] = []
        for index in self.order:
            plan = self.plans[index]
            if plan.error < least.get(_family(plan), math.inf):
                least[_family(plan)] = plan.error
                found.append(index)
        return found

    def halving(self, choices: Sequence[int]) -> int:
        """Return the choice after which the fewest stay open, whether it holds (then the faster ones) or not; of equals the fastest."""

        def most_left(place: int) -> int:
            plan = self.plans[choices[place]]
            return max(place, sum(not _rules_out(plan, self.plans[i]) for i in choices))

        return choices[min(range(len(choices)), key=lambda place: (most_left(place), place))]

    def surest(self) -> int:
        """The candidate of least predicted error, which Cloud-Only is wherever it is one."""
        return min(self.order, key=lambda i: (self.plans[i].kind != "cloud-only", self.plans[i].error))

    def verdict(self, limit: float) -> Verdict:
        """Return the answer for a limit."""
        trials = tuple(self.trials.values())
        held = self.held(limit)
        best = held if held is not None else min(trials, key=lambda t: (not t.drop.complete, t.drop.drop, t.index)).index
        ahead = self.order[: self.order.index(best)] if held is not None else self.order
        edged = [i for i in ahead if self.plans[i].kind != "cloud-only"]
        missed = [self.trials[i] for i in edged if i in self.trials and self.trials[i].fails(limit)]
        nearest = min(missed, key=lambda t: (t.drop.drop, t.index), default=None)
        unmeasured = [i for i in ahead if i not in self.trials]
        over = [i for i in unmeasured if self.passed_over(i, limit)]
        ending: Ending = "broken" if held is None else "fastest"
        if held is not None and len(over) < len(unmeasured):
            ending = "evaluations"
        elif held is not None and self.plans[best].kind == "cloud-only" and edged:
            ending = "cloud-only"
        return Verdict(limit, self.trials[best], ending, nearest, tuple(over), trials)


def _rules_out(failed: Plan, other: Plan) -> bool:
    """Whether a plan that failed tells that another fails too: it is of the same family, and no less error is predicted for it."""
    return _family(failed) == _family(other) and failed.error <= other.error


def _family(plan: Plan) -> str:
    """Return what a plan's error compares with: plans of its kind, or those whose codec loses, which have an error of another sort."""
    return "lossy" if plan.is_lossy else plan.kind


def search(plans: Sequence[Plan], order: Sequence[int], limits: Sequence[float], measure: Measure, max_evals: int) -> tuple[Verdict, ...]:
    """Return the answer for each limit: the fastest candidate that was measured to keep it.

    order: indices of the candidates, the fastest first, at least one. The drop of plans of one kind is taken to rise with their predicted
    error: one that fails rules out those with no less; one that holds leaves open only the faster. The next plan measured is the one that
    halves what is open for the limit with most open, so that a limit takes about log2(candidates) evaluations for a kind, and the answer is
    that of trying all, the fastest first, wherever the drops do rise so. Where they do not, it is still a plan that was measured to hold.
    Each plan is measured at most once, whatever the number of limits, and at most `max_evals` (1 or more) are: the last one is kept for the
    plan of least predicted error where a limit has none that holds. Where none holds, the answer is the one that lost least. Raises what
    `measure` raises.
    """
    found = _Search(plans, order, measure, max_evals)
    found.run(limits)
    return tuple(found.verdict(limit) for limit in limits)


def accuracy_json(verdict: Verdict, plans: Sequence[Plan], measured: Drop) -> Json:
    """Return what measurements.json holds as `accuracy`; `measured` is the drop of the bundle's own files."""
    trials = [replace(t, drop=measured) if t.index == verdict.chosen.index else t for t in verdict.trials]
    return {
        **measured.as_json(),
        "threshold": verdict.limit,
        "holds": measured.holds(verdict.limit),
        "ending": verdict.ending,
        "too_few_samples": measured.too_few(verdict.limit),
        "passed_over": [index + 1 for index in verdict.passed_over],
        "nearest_miss": None if verdict.nearest is None else _trial(verdict.nearest, plans),
        "evaluations": [_trial(trial, plans) for trial in trials],
    }


def _trial(trial: Trial, plans: Sequence[Plan]) -> Json:
    plan = plans[trial.index]
    figures = {name: value for name, value in trial.drop.as_json().items() if name in ("drop", "interval95", "n")}
    return {"solution": trial.index + 1, "kind": plan.kind, "after": plan.after, **figures, "complete": trial.drop.complete}
