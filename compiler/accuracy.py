"""The accuracy constraint: which plan is the fastest that was measured to lose no more than the limit, for several limits at once.

`search` knows plans and a way to measure one, and nothing of files: see `evaluation.py` for the measuring and `decide.py` for the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from autosplitc.passes import Plan

from .drop import Drop

Json = dict[str, Any]

Measure: TypeAlias = Callable[[int, float], Drop]
"""The drop of the plan of an index; the measuring may end early where the drop is sure to be over the limit (share of 1)."""

Ending: TypeAlias = Literal["fastest", "cloud-only", "evaluations", "broken"]
"""How a search ended: the fastest plan that holds; Cloud-Only, for no plan with an edge part held; `max_evals` ran out before every
faster plan was judged; no plan that was measured holds."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A plan that was measured: its index into the solutions, and what it lost."""

    index: int
    drop: Drop


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer for a limit on the drop (share of 1).

    chosen: the plan to take and what it lost. nearest: the plan with an edge part that missed the limit by least, None where none did.
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
    trials: dict[int, Drop] = field(default_factory=dict[int, Drop])

    def passed_over(self, index: int, limit: float) -> bool:
        """Whether a plan of the same kind with no more predicted error failed this limit."""
        plan = self.plans[index]
        failed = (self.plans[i] for i, drop in self.trials.items() if not drop.holds(limit))
        return any(other.kind == plan.kind and other.error <= plan.error for other in failed)

    def judge(self, index: int, limit: float) -> None:
        """Measure a plan that was not measured yet."""
        self.left -= 1
        self.trials[index] = self.measure(index, limit)

    def run(self, limits: set[float]) -> None:
        """Measure candidates, the fastest first, until each limit has one that holds or only one evaluation is left, the surest plan's."""
        surest = self.surest()
        for index in self.order:
            wanted = {limit for limit in limits if not self.passed_over(index, limit)}
            if index in self.trials or not wanted:
                continue
            if self.left <= (surest not in self.trials and index != surest):
                break
            self.judge(index, max(wanted))
            limits -= {limit for limit in limits if self.trials[index].holds(limit)}
            if not limits:
                return
        if surest not in self.trials and self.left > 0:
            self.judge(surest, max(limits))

    def surest(self) -> int:
        """The candidate of least predicted error, which Cloud-Only is wherever it is one."""
        return min(self.order, key=lambda i: (self.plans[i].kind != "cloud-only", self.plans[i].error))

    def verdict(self, limit: float) -> Verdict:
        """Return the answer for a limit."""
        trials = tuple(Trial(i, drop) for i, drop in self.trials.items())
        missed = [t for t in trials if not t.drop.holds(limit) and self.plans[t.index].kind != "cloud-only"]
        nearest = min(missed, key=lambda t: (t.drop.drop, t.index), default=None)
        held = [i for i in self.order if i in self.trials and self.trials[i].holds(limit)]
        best = held[0] if held else min(trials, key=lambda t: (not t.drop.complete, t.drop.drop, t.index)).index
        ahead = self.order[: self.order.index(best)] if held else self.order
        unmeasured = [i for i in ahead if i not in self.trials]
        over = [i for i in unmeasured if self.passed_over(i, limit)]
        ending: Ending = "broken" if not held else "fastest"
        if len(over) < len(unmeasured):
            ending = "evaluations" if held else "broken"
        elif held and self.plans[best].kind == "cloud-only" and (nearest is not None or over):
            ending = "cloud-only"
        return Verdict(limit, Trial(best, self.trials[best]), ending, nearest, tuple(over), trials)


def search(plans: Sequence[Plan], order: Sequence[int], limits: Sequence[float], measure: Measure, max_evals: int) -> tuple[Verdict, ...]:
    """Return the answer for each limit: the fastest candidate that was measured to keep it.

    order: indices of the candidates, the fastest first, at least one. Each is measured at most once, whatever the number of limits; a plan
    is passed over for a limit where another of its kind with no more predicted error failed it. At most `max_evals` (1 or more) are
    measured; the last one is kept for the plan of least predicted error, where no faster one held. Where none holds, the answer is the
    one that lost least. Raises what `measure` raises.
    """
    found = _Search(plans, order, measure, max_evals)
    found.run(set(limits))
    return tuple(found.verdict(limit) for limit in limits)


def accuracy_json(verdict: Verdict, plans: Sequence[Plan], measured: Drop) -> Json:
    """Return what measurements.json holds as `accuracy`; `measured` is the drop of the bundle's own files."""
    trials = [Trial(t.index, measured) if t.index == verdict.chosen.index else t for t in verdict.trials]
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
