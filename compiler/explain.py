"""Why a bundle is what it is: what `autosplitc explain` says, as values. Times are in seconds, rates in bits per second, memory in bytes.

`explain` is cheap: it solves nothing again. What needs further solves is `Deep`, made by `explain_deep.deepen`.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, TypeAlias

from autosplitc.passes import fixed_ns, message_bits

from .bundle_tables import Listed
from .explain_case import Case, milliseconds_text
from .explain_cuts import CutRow, cut_rows
from .explain_rules import Rule, rules_of
from .line import Line

Binding: TypeAlias = Literal["binds", "slack", "none", "unknown"]
"""Whether a limit makes the plan slower than it would be without; `none`: there is no such limit."""


@dataclass(frozen=True, slots=True)
class Rival:
    """A listed plan that becomes the faster one at another rate: from `rate_bps` on, `above` it or below."""

    number: int
    name: str
    rate_bps: float
    above: bool


@dataclass(frozen=True, slots=True)
class Step:
    """What a little more of something buys: `more` says how much, `gain_s` what the fastest plan is faster by (None: not determined).

    enough: no plan kept the limits before, and one does then.
    """

    more: str
    gain_s: float | None
    enough: bool = False


@dataclass(frozen=True, slots=True)
class Price:
    """What a limit costs.

    name: `RAM`, `storage`, `error`, `noise`, `latency` or `rate`. limit, used: in bytes, seconds, bits per second, or the measure of the
    error. free_gain_s: how much faster the fastest plan without the limit is. changes_at: the least amount at which a faster plan keeps the
    limits; changes_from: the greatest amount known not to be enough. note: what else is to be said.
    """

    name: str
    binding: Binding
    limit: float | None
    used: float | None
    steps: tuple[Step, ...] = ()
    free_gain_s: float | None = None
    changes_at: float | None = None
    changes_from: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Stays:
    """Over what range of one amount the plan stays the same: `low` to `high` (None: no end was found as far as `sought_to`).

    below, above: the plan that takes its place there.
    """

    name: str
    low: float | None
    high: float | None
    below: str = ""
    above: str = ""
    sought_low: float | None = None
    sought_high: float | None = None


@dataclass(frozen=True, slots=True)
class Deep:
    """What further solves tell. complete: all questions were answered in time. proven: every solve ended with a proof."""

    prices: tuple[Price, ...]
    stays: tuple[Stays, ...]
    solves: int
    complete: bool
    proven: bool
    note: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """All that is to be said of a bundle's decision."""

    decision: str
    cuts: tuple[CutRow, ...]
    rivals: tuple[Rival, ...]
    rules: tuple[Rule, ...]
    notes: tuple[str, ...]
    deep: Deep | None = None


def explain(case: Case, *, all_cuts: bool = False) -> Explanation:
    """Return what can be said of a case without solving anything again. all_cuts: every cut of the model's order is a row."""
    return Explanation(decision(case), cut_rows(case, all_cuts=all_cuts), rivals(case), rules_of(case), notes_of(case))


def decision(case: Case) -> str:
    """Return the decision in a sentence, against Cloud-Only and Edge-Only."""
    chosen = case.chosen
    opening = f"{chosen.name}: {milliseconds_text(chosen.typical_s)}"
    if case.forced:
        opening += f", as {case.forced} asks for"
    elif not chosen.feasible:
        opening += f", though it breaks a limit ({chosen.violations})"
    ends = {kind: _end(case, kind) for kind in ("cloud-only", "edge-only") if kind != chosen.kind}
    parts = [_against(chosen, plan) for plan in ends.values() if plan is not None]
    if ends.get("edge-only", chosen) is None:
        parts.append("Edge-Only is not possible")
    return "; ".join([opening, *parts])


def rivals(case: Case) -> tuple[Rival, ...]:
    """Return the nearest rate above and below at which a listed plan that keeps the limits becomes the fastest, as far as there is one.

    Latencies are straight lines in 1 / rate, so the rates are exact as far as the listed plans go; plans that are not listed may win
    earlier. Limits on the latency are not looked at.
    """
    chosen, link = line_of(case, case.chosen), case.problem.link
    crossings: list[tuple[Fraction, Listed]] = []
    for plan in case.plans:
        line = line_of(case, plan)
        if plan.chosen or plan.is_lossy or not plan.feasible or line.bits == chosen.bits:
            continue
        saved_ns = line.fixed_ns - chosen.fixed_ns
        if (chosen.bits - line.bits > 0) == (saved_ns > 0) and saved_ns:
            crossings.append((Fraction((chosen.bits - line.bits) * 10**9, saved_ns), plan))
    above = min(((r, p) for r, p in crossings if r > link.rate_bps), key=lambda c: (c[0], c[1].number), default=None)
    below = max(((r, p) for r, p in crossings if r <= link.rate_bps), key=lambda c: (c[0], -c[1].number), default=None)
    found = ((below, False), (above, True))
    return tuple(Rival(c[1].number, c[1].name, float(c[0]), above=is_above) for c, is_above in found if c is not None)


def line_of(case: Case, plan: Listed) -> Line:
    """Return the latency of a listed plan by rate."""
    link = case.problem.link
    if plan.chosen:
        return Line(fixed_ns(link, case.figures), message_bits(link, case.figures.payload_bytes))
    bits = message_bits(link, plan.payload_bytes)
    link_ns = round(Fraction(bits * 10**9, link.rate_bps))
    return Line(round((plan.edge_s + plan.link_s + plan.cloud_s) * 1e9) - link_ns, bits)


def notes_of(case: Case) -> tuple[str, ...]:
    """Return what the reader must know to take the figures for what they are."""
    notes: list[str] = []
    if case.bounded_by_accuracy:
        notes.append("accuracy is measured, errors are predicted: what follows takes no more predicted error than the chosen plan has")
    if case.forced:
        notes.append(f"the planner did not choose: {case.forced} did")
    if case.chosen.over_trace:
        notes.append("the plan was chosen by the median over a trace of the link; what follows is at the median rate")
    if case.decision.get("proof") != "optimal":
        notes.append("the time limit ended the search before the proof: a faster plan may exist")
    return tuple(notes)


def _end(case: Case, kind: str) -> Listed | None:
    found = [p for p in case.plans if p.kind == kind and not p.is_lossy]
    return next((p for p in found if p.feasible), found[0] if found else None)


def _against(chosen: Listed, other: Listed) -> str:
    ratio = f" ({other.typical_s / chosen.typical_s:.2f} x as long)" if chosen.typical_s else ""
    broken = f" but breaks a limit: {other.violations}" if not other.feasible else ""
    return f"{other.name} takes {milliseconds_text(other.typical_s)}{ratio}{broken}"
