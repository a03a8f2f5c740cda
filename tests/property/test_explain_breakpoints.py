"""What `explain` says of random problems agrees with solving them again on either side of every breakpoint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import ceil, floor
from typing import Protocol

import pytest

from autosplitc.explain import Price
from autosplitc.explain_case import Case
from autosplitc.explain_prices import Question, error_price, ram_price
from autosplitc.explain_rates import at_rate, line_of, memory_stays, rate_stays
from autosplitc.passes.planner import Effort, Limits, LinearSpace, Problem, Solution, WhatIf, evaluate, search

SEEDS = range(40)

COARSE_NS = 1000
"""Headers of packets are rounded to whole nanoseconds; those that take less than this would shift a crossing by more than is checked."""


class Problems(Protocol):
    def loose(self, seed: int, ops: int = 4) -> Problem: ...
    def tight(self, seed: int, ops: int = 4) -> Problem: ...


def best(problem: Problem) -> Solution | None:
    found = search(problem, LinearSpace(range(len(problem.ops) + 1)), Effort(5.0, 0)).solutions
    return next(iter(found), None)


def question_of(problem: Problem) -> Question | None:
    solution = best(problem)
    if solution is None:
        return None
    space = LinearSpace(range(len(problem.ops) + 1))
    what_if = WhatIf(space, Effort(5.0, 0), lambda: 0.0, 1.0)
    case = Case(problem, solution.cut, solution.bits, (), {}, {"kind": "split"}, {})
    return Question(case, what_if, problem, solution, solution.figures.latency_ns)


@pytest.mark.parametrize("seed", SEEDS)
def test_rates(problems: Problems, seed: int) -> None:
    question = question_of(problems.loose(seed))
    assert question is not None
    assert question.base is not None
    stays = rate_stays(question)
    assert stays is not None
    problem, own = question.problem, line_of(question.problem, question.base)
    rate = problem.link.rate_bps
    for end, outer, inner in ((stays.low, floor, ceil), (stays.high, ceil, floor)):
        if end is None or 0 < at_rate(problem, round(end)).link.packet_ns < COARSE_NS:
            continue
        away = 0.999 if end is stays.low else 1.001
        beyond = outer(end * away)
        found = best(at_rate(problem, beyond))
        assert found is not None
        itself = evaluate(at_rate(problem, beyond), question.base.cut, question.base.bits)
        assert found.figures.latency_ns < itself.latency_ns or abs(end - rate) < 1
        within = inner(end / away)
        if min(end, rate) <= within <= max(end, rate):
            found = best(at_rate(problem, within))
            assert found is not None
            assert found.figures.latency_ns >= own.at_ns(within) - 2 * own.doubt_ns


@pytest.mark.parametrize("seed", SEEDS)
def test_memory(problems: Problems, seed: int) -> None:
    question = question_of(problems.tight(seed))
    if question is None or question.base is None:
        return
    price = ram_price(question)
    agrees(question, price, lambda bits: replace(question.problem.limits, ram_bits=bits), 8)
    stays = memory_stays(question, price)
    assert stays is not None
    low = round(8 * (stays.low or 0))
    held = best(replace(question.problem, limits=replace(question.problem.limits, ram_bits=low)))
    assert held is not None
    assert held.figures.latency_ns == question.base.figures.latency_ns


@pytest.mark.parametrize("seed", SEEDS)
def test_error(problems: Problems, seed: int) -> None:
    question = question_of(problems.tight(seed))
    if question is None or question.problem.limits.error is None:
        return
    agrees(question, error_price(question), lambda units: replace(question.problem.limits, error=units), 1 / question.problem.error_unit)


def agrees(question: Question, price: Price, limits: Callable[[int], Limits], scale: float) -> None:
    """Check a price against solves at the amount at which the plan is said to change, and below."""
    assert question.base is not None
    own_ns = question.base.figures.latency_ns
    free = best(replace(question.problem, limits=limits(10**13)))
    assert free is not None
    assert (price.free_gain_s or 0.0) == pytest.approx((own_ns - free.figures.latency_ns) * 1e-9, abs=1e-12)
    assert (price.binding == "binds") == (free.figures.latency_ns < own_ns)
    if price.changes_at is None or price.changes_from is None:
        return
    at, before = (
        best(replace(question.problem, limits=limits(round(scale * amount)))) for amount in (price.changes_at, price.changes_from)
    )
    assert at is not None
    assert at.figures.latency_ns < own_ns
    assert before is not None
    assert before.figures.latency_ns == own_ns
