"""Cuts beside the chosen one: the latency of their plans in parts, and why each was not chosen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from autosplitc.passes import Figures, Solution, cut_of, excess, prefix_bounds, size_text

from .bundle_tables import Listed
from .explain_case import Case, milliseconds_text

Basis: TypeAlias = Literal["listed", "solved", "bound", "refused"]
"""Where a row's figures come from: solutions.csv; a solve of this cut; a bound that no bits beat; nowhere, for it cannot be taken."""

NEIGHBOURS = 2
"""Cuts on either side of the chosen one that are always shown."""

OTHERS = 6
"""Further cuts that are shown: the best listed ones."""

HALF_NS = 0.5e-9
"""Latencies are whole nanoseconds; a difference of less is none."""


@dataclass(frozen=True, slots=True)
class CutRow:
    """A cut. position: ops on the edge; after: the last of them; prefix: whether they are the first ones of the order.

    ops: which they are, for the chosen cut and its neighbours where that is no prefix; else empty.
    number: its row in solutions.csv. latency_s: of its best plan, at least so much where `basis` is `bound`. edge_s, link_s, cloud_s,
    payload_bytes, ram_bytes: None where they are not known without a solve. reason: why it was not chosen.
    """

    position: int
    after: str
    kind: str
    chosen: bool
    basis: Basis
    latency_s: float | None
    edge_s: float | None
    link_s: float | None
    cloud_s: float | None
    payload_bytes: int | None
    ram_bytes: int | None
    reason: str
    number: int | None = None
    ops: tuple[int, ...] = ()
    prefix: bool = True


def cut_rows(case: Case, *, all_cuts: bool = False) -> tuple[CutRow, ...]:
    """Return the chosen cut, its neighbours, the best others listed, Cloud-Only and Edge-Only; or all cuts of the order.

    Neighbours of a prefix are those next to it in the order; of another cut those with an op more or less on the edge. Nothing is solved:
    cuts that are not listed have a lower bound on their latency, or no figure at all where they are no prefix.
    """
    count, at = len(case.problem.ops), len(case.cut.ops)
    bounds = prefix_bounds(case.bounded)
    own = _chosen_row(case)
    listed = [plan for plan in _best_listed(case) if not plan.chosen]
    best = sorted(listed, key=lambda p: (not p.feasible, p.typical_s))[:OTHERS]
    strangers = [replace(_listed_row(case, plan), prefix=False) for plan in best if not _is_prefix(case, plan)]
    prefixes = {plan.position: _listed_row(case, plan) for plan in listed if _is_prefix(case, plan)}
    shown = range(count + 1) if all_cuts else {0, count, *(p.position for p in best if _is_prefix(case, p))}
    if own.prefix:
        prefixes[at] = own
        shown = {*shown, *range(max(at - NEIGHBOURS, 0), min(at + NEIGHBOURS, count) + 1)}
    else:
        strangers += [own, *_beside(case)]
    rows = [prefixes.get(position) or _bare_row(case, position, bounds[position]) for position in shown]
    return tuple(sorted([*rows, *strangers], key=lambda row: (row.position, not row.chosen, row.after)))


def _beside(case: Case) -> Iterator[CutRow]:
    """Yield the cuts with one op more or less on the edge than a chosen one that is no prefix, those of the latest ops first."""
    problem, here = case.problem, frozenset(case.cut.ops)
    ready = [i for i, op in enumerate(problem.ops) if i not in here and all(problem.producer.get(v, i) in {*here, i} for v in op.reads)]
    ends = [i for i in case.cut.ops if not any(r in here for v in problem.ops[i].makes for r in problem.readers[v])]
    found = [*(here | {i} for i in ready[-NEIGHBOURS:]), *(here - {i} for i in ends[-NEIGHBOURS:])]
    for ops in (tuple(sorted(ops)) for ops in found):
        if 0 < len(ops) < len(problem.ops):
            refusal = cut_of(problem, ops).refusal
            row = _unknown_row(case, len(ops), refusal or "no plan for it is among the best", refused=bool(refusal))
            yield replace(row, after=problem.ops[ops[-1]].name, ops=ops, prefix=ops == tuple(range(len(ops))))


def solved_row(case: Case, row: CutRow, solution: Solution | None) -> CutRow:
    """Return a row whose figures were only bounded with those of its best plan."""
    if solution is None:
        return replace(row, reason="no bits go together")
    figures = solution.figures
    over = excess(replace(case.bounded.limits, latency_ns=None), figures)
    reason = _broken(case, over) if over else _slower(figures.latency_ns * 1e-9, case)
    return replace(_with_parts(row, figures), basis="solved", latency_s=figures.latency_ns * 1e-9, reason=reason)


def _with_parts(row: CutRow, figures: Figures) -> CutRow:
    return replace(
        row,
        edge_s=figures.edge_ns * 1e-9,
        link_s=figures.link_ns * 1e-9,
        cloud_s=figures.cloud_ns * 1e-9,
        payload_bytes=figures.payload_bytes,
        ram_bytes=-(-figures.ram_bits // 8),
    )


def _best_listed(case: Case) -> list[Listed]:
    """Return for each cut the plan to show: the chosen, else the fastest that keeps the limits, else the fastest."""
    found: dict[tuple[int, str, tuple[str, ...]], Listed] = {}
    for plan in sorted(case.plans, key=lambda p: (not p.chosen, not p.feasible, p.typical_s, p.number)):
        found.setdefault((plan.position, plan.after, plan.crossing), plan)
    return list(found.values())


def _is_prefix(case: Case, plan: Listed) -> bool:
    """Whether a listed plan's cut is a prefix: its last op is the one that stands there in the order, and the same values cross."""
    problem = case.problem
    if plan.after != (problem.ops[plan.position - 1].name if plan.position else ""):
        return False
    if not plan.crossing or case.options.get("space") != "dag":
        return True
    crossing = cut_of(problem, range(plan.position)).crossing
    return plan.crossing == tuple(sorted(word for v in crossing for word in problem.values[v].name.split()))


def _chosen_row(case: Case) -> CutRow:
    ops = case.cut.ops if case.cut.ops != tuple(range(len(case.cut.ops))) else ()
    return replace(_with_parts(_listed_row(case, case.chosen), case.figures), ops=ops, prefix=not ops)


def _listed_row(case: Case, plan: Listed) -> CutRow:
    return CutRow(
        position=plan.position,
        after=plan.after,
        kind=plan.kind,
        chosen=plan.chosen,
        basis="listed",
        latency_s=plan.latency_s,
        edge_s=plan.edge_s,
        link_s=plan.link_s,
        cloud_s=plan.cloud_s,
        payload_bytes=plan.payload_bytes,
        ram_bytes=plan.ram_bytes,
        reason="chosen" if plan.chosen else _not_chosen(case, plan),
        number=plan.number,
    )


def _not_chosen(case: Case, plan: Listed) -> str:
    if not plan.feasible:
        return f"breaks a limit: {plan.violations}"
    if plan.typical_s < case.chosen.typical_s and case.forced:
        return f"faster by {milliseconds_text(case.chosen.typical_s - plan.typical_s)}, but {case.forced} asks for the chosen one"
    if plan.typical_s < case.chosen.typical_s:
        return f"faster by {milliseconds_text(case.chosen.typical_s - plan.typical_s)}, but its accuracy was not measured"
    return _slower(plan.typical_s, case)


def _bare_row(case: Case, position: int, bound_ns: int) -> CutRow:
    """Return the row of a prefix that is not listed: refused, or with a bound."""
    refusal = case.refused.get(position) or cut_of(case.problem, range(position)).refusal
    if refusal:
        return _unknown_row(case, position, refusal, refused=True)
    bound_s = bound_ns * 1e-9
    slower = bound_s > case.figures.latency_ns * 1e-9
    reason = f"at least {milliseconds_text(bound_s)} at any bits" if slower else "no plan for it is among the best"
    return replace(_unknown_row(case, position, reason, refused=False), latency_s=bound_s)


def _unknown_row(case: Case, position: int, reason: str, *, refused: bool) -> CutRow:
    count = len(case.problem.ops)
    return CutRow(
        position=position,
        after=case.problem.ops[position - 1].name if position else "",
        kind="edge-only" if position == count else "split" if position else "cloud-only",
        chosen=False,
        basis="refused" if refused else "bound",
        latency_s=None,
        edge_s=None,
        link_s=None,
        cloud_s=None,
        payload_bytes=None,
        ram_bytes=None,
        reason=reason,
    )


def _slower(latency_s: float, case: Case) -> str:
    """Return by how much a plan that keeps the limits is slower than the chosen one."""
    own_s = case.chosen.typical_s
    more_s = latency_s - own_s
    if abs(more_s) < HALF_NS:
        return "as fast, but with more error, or later in the order"
    if more_s < 0:
        return f"faster by {milliseconds_text(-more_s)}"
    return f"slower by {milliseconds_text(more_s)}" + (f" ({latency_s / own_s:.2f} x)" if own_s else "")


def _broken(case: Case, over: Mapping[str, int]) -> str:
    """Return which limits the best plan for a cut breaks, by how much."""
    sizes = [f"{label} by {size_text(over[name] / 8)}" for name, label in (("ram", "RAM"), ("storage", "storage")) if name in over]
    error = [f"error by {over['error'] * case.problem.error_unit:.3g}"] if "error" in over else []
    return f"breaks a limit at any bits: {', '.join((*sizes, *error))}"
