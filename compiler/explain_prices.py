"""What a limit costs: by how much the fastest plan gets faster with a little more of something, or with no limit at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from autosplitc.passes import OutOfTimeError, Problem, Solution, WhatIf, all_error, all_ram_bits, all_storage_bits, least_amount, tolerant

from .explain import Binding, Price, Step
from .explain_case import Case

KIB_BITS = 8 << 10

DECIBEL = 10**0.1
"""Factor of noise power that is 1 dB."""


@dataclass
class Question:
    """What all questions to a case share.

    problem: at the case's own limits and rate. base: the plan that they are about, the fastest one; None where no plan keeps the limits.
    target_ns: only faster plans are an answer; None: any plan is. complete: whether all questions so far were answered in time.
    """

    case: Case
    what_if: WhatIf
    problem: Problem
    base: Solution | None
    target_ns: int | None
    complete: bool = True

    def answer(self, problem: Problem) -> Solution | None:
        """Return the fastest plan for another problem, None where none is an answer. Raises OutOfTimeError."""
        return self.what_if.fastest(problem, self.target_ns).solution

    def step(self, more: str, problem: Problem) -> Step:
        """Return what another problem's fastest plan gains; nothing is determined once time is up."""
        try:
            found = self.answer(problem)
        except OutOfTimeError:
            self.complete = False
            return Step(more, None)
        if found is None:
            return Step(more, 0.0)
        if self.base is None:
            return Step(more, None, enough=True)
        return Step(more, (self.base.figures.latency_ns - found.figures.latency_ns) * 1e-9)


@dataclass(frozen=True, slots=True)
class _Amount:
    """A limit as a number: how a problem gets another one, and how much of it a plan uses.

    most: more than any plan uses. unit: what one of it is in the price's unit. steps: further amounts and what they are called.
    finest: no closer is the amount sought at which the plan changes.
    """

    name: str
    limit: int
    most: int
    unit: float
    put: Callable[[int], Problem]
    used: Callable[[Solution], int]
    steps: Sequence[tuple[str, int]]
    finest: int = 1


def ram_price(question: Question) -> Price:
    """Return the price of RAM."""
    problem, limit = question.problem, question.problem.limits.ram_bits
    steps = (("1 KiB", KIB_BITS), ("1 %", max(limit // 100, 1)))
    amount = _Amount(
        "RAM",
        limit,
        max(all_ram_bits(problem), limit),
        1 / 8,
        lambda bits: replace(problem, limits=replace(problem.limits, ram_bits=bits)),
        lambda s: s.figures.ram_bits,
        steps,
    )
    return _price(question, amount)


def storage_price(question: Question) -> Price:
    """Return the price of storage."""
    problem, limit = question.problem, question.problem.limits.storage_bits
    if limit is None:
        return Price("storage", "none", None, None if question.base is None else question.base.figures.storage_bits / 8)
    steps = (("1 KiB", KIB_BITS), ("1 %", max(limit // 100, 1)))
    amount = _Amount(
        "storage",
        limit,
        max(all_storage_bits(problem), limit),
        1 / 8,
        lambda bits: replace(problem, limits=replace(problem.limits, storage_bits=bits)),
        lambda s: s.figures.storage_bits,
        steps,
    )
    return _price(question, amount)


def error_price(question: Question) -> Price:
    """Return the price of the error budget: `--max-error`, or what the chosen plan has where accuracy is the constraint."""
    problem, case = question.problem, question.case
    limit = problem.limits.error
    if limit is None:
        return Price("error", "none", None, None if question.base is None else question.base.figures.error * problem.error_unit)
    steps = [("10 %", limit // 10)]
    tenth = error_of_tenth_point(case)
    if tenth is not None:
        steps.append(("0.1 point of accuracy", max(round(tenth / problem.error_unit), 1)))
    amount = _Amount(
        "error",
        limit,
        max(all_error(problem), limit),
        problem.error_unit,
        lambda units: replace(problem, limits=replace(problem.limits, error=units)),
        lambda s: s.figures.error,
        steps,
        max(limit // 1000, 1),
    )
    found = _price(question, amount)
    if tenth is None:
        return found
    return replace(found, note="what 0.1 point admits is interpolated between measured drops")


def noise_price(question: Question) -> Price:
    """Return the price of `--min-sqnr`: what 1 dB less buys."""
    limit = question.case.options.get("min_sqnr_db")
    if question.problem.limits.tensor_error is None:
        return Price("noise", "none", None, None)
    looser, free = tolerant(question.problem, DECIBEL), tolerant(question.problem, 1e3)
    if looser is None or free is None:
        return Price("noise", "unknown", limit, None, note="widths that break it are not in the problem, so it has no price here")
    without, step = question.step("30 dB", free), question.step("1 dB", looser)
    binding: Binding = "binds" if without.gain_s or without.enough else "unknown" if without.gain_s is None else "slack"
    return Price("noise", binding, limit, None, (step,), without.gain_s)


def latency_price(case: Case) -> Price:
    """Return whether the limit on the latency binds: it chooses no plan, but one may break it."""
    limit_ns = case.problem.limits.latency_ns
    used_s = case.chosen.typical_s
    if limit_ns is None:
        return Price("latency", "none", None, used_s)
    return Price("latency", "binds" if used_s > limit_ns * 1e-9 else "slack", limit_ns * 1e-9, used_s)


def error_of_tenth_point(case: Case) -> float | None:
    """Return the error that 0.1 point of accuracy more admits, by the plans of the chosen kind whose drop was measured to the end or not.

    The drop is taken as a straight line between the chosen plan and the next one of more error. None where none was measured.
    """
    if case.accuracy is None:
        return None
    errors = {p.number: p.error for p in case.plans}
    trials: list[dict[str, Any]] = list(case.accuracy.get("evaluations", ()))
    drops = {t["solution"]: t["drop"] for t in trials if t.get("drop") is not None and t["kind"] == case.kind}
    own = case.chosen.number
    if own not in drops:
        return None
    beyond = [n for n in drops if n in errors and errors[n] > errors[own] and drops[n] > drops[own]]
    if not beyond:
        return None
    following = min(beyond, key=lambda n: errors[n])
    return 0.001 * (errors[following] - errors[own]) / (drops[following] - drops[own])


def _price(question: Question, amount: _Amount) -> Price:
    """Return the price of an amount, as far as time allows."""
    used = None if question.base is None else amount.used(question.base) * amount.unit
    price = Price(amount.name, "unknown", amount.limit * amount.unit, used)
    try:
        free = question.answer(amount.put(amount.most))
    except OutOfTimeError:
        question.complete = False
        return price
    if free is None:
        return replace(price, binding="slack", steps=tuple(Step(text, 0.0) for text, _ in amount.steps), free_gain_s=0.0)
    steps = tuple(question.step(text, amount.put(amount.limit + more)) for text, more in amount.steps)
    gain_s = None if question.base is None else (question.base.figures.latency_ns - free.figures.latency_ns) * 1e-9

    def enough(value: int) -> int | None:
        found = question.answer(amount.put(value))
        return None if found is None else amount.used(found)

    low, high = least_amount(enough, amount.limit, max(amount.used(free), amount.limit + 1), amount.finest)
    question.complete = question.complete and high - low <= amount.finest
    return replace(price, binding="binds", steps=steps, free_gain_s=gain_s, changes_at=high * amount.unit, changes_from=low * amount.unit)
