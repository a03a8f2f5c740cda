"""Which of the listed plans is the fastest at which rate of the link: every plan takes `fixed_ms` + bits / rate.

A plan keeps its bits at all rates; one that is not listed might win at a rate far from the planned one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from autosplitc.passes import Link, message_bits

from .report_data import Bundle, Json, PlanRow

SPAN = 1000.0
"""Rates are looked at from the planned one / SPAN to the planned one x SPAN."""


@dataclass(frozen=True, slots=True)
class Line:
    """The latency of a plan at any rate: fixed_ms, and the bits of its message."""

    plan: PlanRow
    fixed_ms: float
    bits: int

    def at(self, rate_bps: float) -> float:
        """Return the latency in ms at a rate."""
        return self.fixed_ms + 1e3 * self.bits / rate_bps


@dataclass(frozen=True, slots=True)
class Rates:
    """The lines of the plans that keep all limits, the chosen one's among them, and the rate that was planned for."""

    rate_bps: float
    lines: tuple[Line, ...]

    @property
    def chosen(self) -> Line:
        """The line of the chosen plan."""
        return next(line for line in self.lines if line.plan.chosen)

    def winner(self, rate_bps: float) -> Line:
        """Return the fastest at a rate; of equals the chosen one."""
        return min(self.lines, key=lambda line: (round(line.at(rate_bps), 6), not line.plan.chosen, line.plan.number))

    def switches(self) -> list[tuple[float, Line]]:
        """Return the rates, ascending, from which on another plan wins, with that plan; the first is the least rate looked at."""
        low, high = self.rate_bps / SPAN, self.rate_bps * SPAN
        found = sorted({low, *(rate for rate in _crossings(self.lines) if low < rate < high)})
        switches: list[tuple[float, Line]] = []
        for rate, end in zip(found, [*found[1:], high], strict=True):
            winner = self.winner((rate * end) ** 0.5)
            if not switches or switches[-1][1] is not winner:
                switches.append((rate, winner))
        return switches

    def range_of_chosen(self) -> tuple[tuple[float, Line] | None, tuple[float, Line] | None] | None:
        """Return below and above which rate which other plan wins, None for no such rate; None where another wins at the planned rate."""
        switches = self.switches()
        place = max((i for i, (rate, _) in enumerate(switches) if rate <= self.rate_bps), default=0)
        if switches[place][1] is not self.chosen:
            return None
        below = (switches[place][0], switches[place - 1][1]) if place else None
        return below, switches[place + 1] if place + 1 < len(switches) else None


def rates_of(bundle: Bundle) -> Rates | None:
    """Return the lines of a bundle; None where its files do not tell them."""
    link = link_of(bundle.problem)
    if link is None or bundle.chosen is None:
        return None
    return Rates(link.rate_bps, tuple(_line(link, plan) for plan in bundle.plans if plan.feasible or plan.chosen))


def link_of(problem: Json | None) -> Link | None:
    """Return the link of a planning problem; None without one."""
    if problem is None:
        return None
    stored: Json = problem["link"]
    numbers = {name: int(stored.get(name, 0)) for name in ("capacity_bytes", "overhead_bytes", "packet_ns")}
    return Link(int(stored["rate_bps"]), int(stored["fixed_ns"]), **numbers)


def _line(link: Link, plan: PlanRow) -> Line:
    bits = message_bits(link, round(plan.sent_bytes))
    total_ms = plan.edge_ms + plan.link_ms + plan.cloud_ms
    return Line(plan, max(total_ms - 1e3 * bits / link.rate_bps, 0.0), bits)


def _crossings(lines: Sequence[Line]) -> set[float]:
    """Return the rates at which two lines meet."""
    found: set[float] = set()
    for i, first in enumerate(lines):
        for second in lines[i + 1 :]:
            fixed_ms, bits = second.fixed_ms - first.fixed_ms, first.bits - second.bits
            if fixed_ms and bits / fixed_ms > 0:
                found.add(1e3 * bits / fixed_ms)
    return found
