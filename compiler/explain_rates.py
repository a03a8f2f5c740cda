"""How far the rate of the link and the edge's memory may move before the decision changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from math import ceil, floor
from typing import TypeAlias

from autosplitc.passes import OutOfTimeError, Problem, Solution, fixed_ns, least_amount, link_at, message_bits

from .explain import Price, Stays
from .explain_case import rate_text
from .explain_prices import Question, latency_price
from .line import Line

FARTHEST = 1000
"""Rates are looked at up to so many times as great and as small."""

MBPS = 1_000_000

Faster: TypeAlias = Callable[[int], "tuple[Line, str] | None"]
"""The plan that is faster than the one in question at a rate, and its name; None where none is."""


def rate_price(question: Question) -> Price:
    """Return what a faster link buys; where no plan keeps the limits, also the least rate at which one does."""
    problem, rate = question.problem, question.problem.link.rate_bps
    steps = tuple(question.step(text, at_rate(problem, rate + bps)) for text, bps in (("1 Mbps", MBPS), ("1 %", rate // 100)))
    if question.base is not None:
        sends = question.base.figures.payload_bytes > 0 or any(step.gain_s for step in steps)
        unknown = any(step.gain_s is None for step in steps)
        return Price("rate", "binds" if sends else "unknown" if unknown else "slack", float(rate), None, steps)
    pair = _kept_from(question, question.target_ns, rate, rate * FARTHEST)
    if pair is None:
        return Price("rate", "slack" if question.complete else "unknown", float(rate), None, steps)
    return Price("rate", "binds", float(rate), None, steps, changes_from=float(pair[0]), changes_at=float(pair[1]))


def latency_kept(question: Question) -> Price:
    """Return the limit on the latency, with the rate from which on it is kept."""
    price = latency_price(question.case)
    limit_ns, rate = question.problem.limits.latency_ns, question.problem.link.rate_bps
    if limit_ns is None or question.base is None:
        return price
    pair = _kept_from(question, limit_ns + 1, max(1, rate // FARTHEST), rate)
    return replace(price, note="" if pair is None else f"some plan keeps it from {rate_text(pair[1])} on")


def _kept_from(question: Question, below_ns: int | None, low_bps: int, high_bps: int) -> tuple[int, int] | None:
    """Return a rate at which no plan is faster than `below_ns`, and the least known at which one is; None where none is at the highest."""

    def enough(rate: int) -> int | None:
        return None if question.what_if.fastest(at_rate(question.problem, rate), below_ns).solution is None else rate

    try:
        if enough(high_bps) is None:
            return None
        if enough(low_bps) is not None:
            return low_bps, low_bps
    except OutOfTimeError:
        question.complete = False
        return None
    finest = max(1, low_bps // 10**6)
    low, high = least_amount(enough, low_bps, high_bps, finest)
    question.complete = question.complete and high - low <= finest
    return low, high


def rate_stays(question: Question) -> Stays | None:
    """Return the rates between which the plan stays the fastest; None where there is no such plan."""
    if question.base is None:
        return None
    own, rate = line_of(question.problem, question.base), question.problem.link.rate_bps
    ends = max(1, rate // FARTHEST), rate * FARTHEST

    def faster(at_bps: int) -> tuple[Line, str] | None:
        problem = at_rate(question.problem, at_bps)
        found = question.what_if.fastest(problem, ceil(own.at_ns(at_bps))).solution
        return None if found is None else (line_of(question.problem, found), name_of(question, found))

    changes: list[tuple[Fraction, str] | None] = []
    sought: list[float | None] = []
    for end in ends:
        try:
            changes.append(next_change(faster, own, rate, end))
            sought.append(float(end))
        except OutOfTimeError:
            question.complete = False
            changes.append(None)
            sought.append(None)
    below, above = changes
    return Stays(
        "rate",
        None if below is None else float(below[0]),
        None if above is None else float(above[0]),
        "" if below is None else below[1],
        "" if above is None else above[1],
        *sought,
    )


def next_change(faster: Faster, own: Line, rate_bps: int, end_bps: int) -> tuple[Fraction, str] | None:
    """Return the rate nearest to `rate_bps`, towards `end_bps`, from which on another plan is faster than `own`, and that plan's name.

    With x = 1 / rate latencies are straight lines, and the least of them is concave: a plan that is faster at some rate is the next one if
    none is faster where its line crosses, else that one is nearer. None where no plan is faster at the end.
    """
    best = faster(end_bps)
    if best is None or not best[0].beats(own, end_bps):
        return None
    while True:
        line, name = best
        crossing = Fraction((own.bits - line.bits) * 10**9, line.fixed_ns - own.fixed_ns)
        last = floor(crossing) if end_bps > rate_bps else ceil(crossing)
        if (last <= rate_bps) if end_bps > rate_bps else (last >= rate_bps):
            return crossing, name
        best = faster(last)
        if best is None or not best[0].beats(own, last):
            return crossing, name


def memory_stays(question: Question, price: Price) -> Stays | None:
    """Return the RAM between which the plan stays the fastest, given the price of RAM; None where there is no such plan."""
    if question.base is None:
        return None
    used_bits = question.base.figures.ram_bits
    below = ""
    if used_bits:
        less = replace(question.problem, limits=replace(question.problem.limits, ram_bits=used_bits - 1))
        try:
            found = question.what_if.fastest(less).solution
            below = name_of(question, found) if found is not None else "no plan keeps the limits"
        except OutOfTimeError:
            question.complete = False
    return Stays("RAM", used_bits / 8, price.changes_at, below)


def at_rate(problem: Problem, rate_bps: int) -> Problem:
    """Return a problem with its link at another rate."""
    return replace(problem, link=link_at(problem.link, max(rate_bps, 1)))


def line_of(problem: Problem, solution: Solution) -> Line:
    """Return a plan's latency by rate; the planner rounds every part that is sent, and every packet's header, to whole nanoseconds."""
    figures, link = solution.figures, problem.link
    if not figures.payload_bytes:
        return Line(fixed_ns(link, figures), 0)
    parts = len(solution.cut.crossing) + len(solution.cut.results) + link.packets(figures.payload_bytes)
    return Line(fixed_ns(link, figures), message_bits(link, figures.payload_bytes), 1 + -(-parts // 2))


def name_of(question: Question, solution: Solution) -> str:
    """Return a plan for people; one for the same cut as the plan in question says what it sends."""
    ops, base = solution.cut.ops, question.base
    if not ops:
        return "Cloud-Only"
    if base is not None and ops == base.cut.ops:
        return f"other bits at the same cut ({solution.figures.payload_bytes:,} B sent)"
    if len(ops) == len(question.problem.ops):
        return "Edge-Only"
    return f'split after "{question.problem.ops[ops[-1]].name}"'
