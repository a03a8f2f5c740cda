"""What further solves tell of a decision: the price of every limit, and how far rate and memory may move before it changes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from autosplitc.passes import Effort, OutOfTimeError, Solution, WhatIf, cut_of, excess

from .explain import Deep, Explanation, Price, Stays
from .explain_case import Case, milliseconds_text
from .explain_cuts import CutRow, solved_row
from .explain_prices import Question, error_price, latency_price, noise_price, ram_price, storage_price
from .explain_rates import latency_kept, memory_stays, rate_price, rate_stays

SOLVE_S = 2.0
"""Deterministic seconds of the solver for a single solve."""


def deepen(explanation: Explanation, case: Case, limit_s: float = 20.0, clock: Callable[[], float] = time.monotonic) -> Explanation:
    """Return an explanation with what further solves tell, as far as `limit_s` seconds of the clock allow; `Deep` says what is missing."""
    effort = Effort(SOLVE_S, int(case.options.get("seed") or 0))
    return _Asking(case, WhatIf(case.space, effort, clock, clock() + limit_s)).run(explanation)


@dataclass
class _Asking:
    """The questions to a case, asked one after the other until time is up."""

    case: Case
    what_if: WhatIf
    late: bool = False

    def run(self, explanation: Explanation) -> Explanation:
        """Return the explanation with all answers."""
        note, question = "", None
        try:
            question, note = self.question()
        except OutOfTimeError:
            self.late = True
        rows = tuple(self.solved(row) for row in explanation.cuts)
        prices, stays = ((latency_price(self.case),), ()) if question is None else _answers(question)
        complete = not self.late and question is not None and question.complete
        deep = Deep(prices, stays, self.what_if.solves, complete, self.what_if.proven, note)
        return replace(explanation, cuts=rows, deep=deep)

    def question(self) -> tuple[Question, str]:
        """Return what the questions are about, and what is to be said of that. Raises OutOfTimeError.

        They are about the chosen plan; where another keeps the limits and is faster, about that one.
        """
        case, problem = self.case, self.case.bounded
        own = Solution(case.cut, case.bits, case.figures, case.figures.latency_ns)
        broken = excess(problem.limits, case.figures)
        below_ns = None if broken.keys() - {"latency"} else case.figures.latency_ns
        found, limit_ns = self.what_if.fastest(problem, below_ns).solution, problem.limits.latency_ns
        kept = found is not None and (limit_ns is None or found.figures.latency_ns <= limit_ns)
        if broken and not kept:
            note = "no plan keeps the limits: the amounts are those from which on one does, all else as it is"
            return Question(case, self.what_if, problem, None, None if limit_ns is None else limit_ns + 1), note
        if found is None:
            return Question(case, self.what_if, problem, own, case.figures.latency_ns), ""
        faster = f"the fastest plan within these limits takes {milliseconds_text(found.figures.latency_ns * 1e-9)}"
        note = f"{faster}, sending {found.figures.payload_bytes:,} B: what follows is about it, not about the chosen plan"
        return Question(case, self.what_if, problem, found, found.figures.latency_ns), note

    def solved(self, row: CutRow) -> CutRow:
        """Return a row that had a bound alone with the figures of its best plan, as long as there is time."""
        if row.basis != "bound":
            return row
        problem = self.case.bounded
        try:
            return solved_row(self.case, row, self.what_if.best_of(problem, cut_of(problem, row.ops or range(row.position))))
        except OutOfTimeError:
            self.late = True
            return row


def _answers(question: Question) -> tuple[tuple[Price, ...], tuple[Stays, ...]]:
    """Return all prices, and the ranges over which the plan stays."""
    rate_range, rate = rate_stays(question), rate_price(question)
    ram = ram_price(question)
    ram_range = memory_stays(question, ram)
    prices = (rate, ram, storage_price(question), error_price(question), noise_price(question), latency_kept(question))
    return prices, tuple(found for found in (rate_range, ram_range) if found is not None)
