"""Solutions as plans: names and units in place of indices and integers, dominated ones left out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from ..facts import NamedBits, Plan
from .coded import ZSTD, is_coded
from .evaluate import Figures, excess, packed_bytes, sent_bytes
from .problem import Problem
from .provenance import measured_ns
from .search import Solution


def plan_of(problem: Problem, solution: Solution, names: Sequence[str]) -> Plan:
    """Return a solution as a plan. `names` are those of the ops in order.

    A value that only the wire reads has one quantiser: it stands with the same bits among activations and wires.
    """
    cut, bits, figures = solution.cut, solution.bits, solution.figures
    count = len(problem.ops)
    over = excess(problem.limits, figures)
    acts = {problem.groups[g].name: bits.acts[g] for g in cut.acts}
    acts |= {problem.values[i].name: bits.wires[i] for kind, i in cut.source.values() if kind == "wire"}
    edge_measured_ns, cloud_measured_ns = measured_ns(problem, cut, bits)
    gap = 0.0 if solution.proven else (figures.latency_ns - solution.bound_ns) / figures.latency_ns
    coded = is_coded(problem, cut, bits)
    return Plan(
        kind="cloud-only" if solution.position == 0 and count else "edge-only" if solution.position == count else "split",
        position=solution.position,
        after=names[cut.ops[-1]] if cut.ops else "",
        edge_s=figures.edge_ns * 1e-9,
        link_s=figures.link_ns * 1e-9,
        cloud_s=figures.cloud_ns * 1e-9,
        payload_bytes=figures.payload_bytes + packed_bytes(problem, cut, bits) - sum(sent_bytes(problem, cut, bits)[: len(cut.crossing)]),
        ram_bytes=_whole_bytes(figures.ram_bits),
        storage_bytes=_whole_bytes(figures.storage_bits),
        error=figures.error * problem.error_unit,
        proof="optimal" if solution.proven else "feasible",
        gap=gap,
        feasible=not over,
        violations=tuple(_violation(problem, figures, name) for name in over),
        weight_bits=tuple(NamedBits(problem.weights[w].name, bits.weights[w]) for w in cut.weights),
        act_bits=tuple(NamedBits(name, width) for name, width in acts.items()),
        wire_bits=tuple(NamedBits(problem.values[wire.value].name, bits.wires[wire.value]) for wire in cut.wires),
        edge_measured_s=edge_measured_ns * 1e-9,
        cloud_measured_s=cloud_measured_ns * 1e-9,
        edge_ops=() if cut.ops == tuple(range(len(cut.ops))) else tuple(names[i] for i in cut.ops),
        codec=ZSTD if coded else "",
        sent_bytes=float(figures.payload_bytes) if coded else None,
    )


def undominated_plans(plans: Iterable[Plan]) -> tuple[Plan, ...]:
    """Return plans sorted by latency without splits that a feasible plan beats in nothing and equals or betters in all.

    What counts: latency (over a trace its median and its 95 %), RAM, file bytes, payload and error. Cloud-Only, Edge-Only and the
    fastest split always stay.
    """
    ranked = sorted(plans, key=lambda p: (p.typical_s, p.latency_p95_s or 0.0, p.error, p.position))
    fastest = next((p for p in ranked if p.kind == "split"), None)
    kept: list[Plan] = []
    for plan in ranked:
        beaten = any(other.feasible and _no_worse(other, plan) for other in kept)
        if plan is fastest or plan.kind != "split" or not beaten:
            kept.append(plan)
    return tuple(kept)


def front(plans: Iterable[Plan], keep: int) -> tuple[Plan, ...]:
    """Return plans sorted by latency without those that a feasible plan equals or betters in both latency and error.

    Cloud-Only and the fastest split always stay, an Edge-Only where no other Edge-Only beats it. At most `keep` splits are listed, spread
    evenly, and as many of Edge-Only; the fastest and the strictest are among them.
    """
    ranked = sorted(plans, key=lambda p: (p.typical_s, p.latency_p95_s or 0.0, p.error, p.position))
    listed: dict[str, list[Plan]] = {"cloud-only": [], "split": [], "edge-only": []}
    least: dict[str, float] = {}
    for plan in ranked:
        own = listed[plan.kind]
        error = least.get(plan.kind, math.inf) if plan.kind == "edge-only" else min(least.values(), default=math.inf)
        if plan.kind == "cloud-only" or plan.error < error or not own:
            own.append(plan)
        if plan.feasible:
            least[plan.kind] = min(plan.error, least.get(plan.kind, math.inf))
    kept = [plan for kind in listed for plan in _thinned(listed[kind], keep)]
    return tuple(plan for plan in ranked if any(plan is other for other in kept))


def _thinned(plans: Sequence[Plan], keep: int) -> list[Plan]:
    """Return `keep` plans, the first and the last among them and the others spread evenly between; all where there are no more."""
    if len(plans) <= keep:
        return list(plans)
    return [plans[i * (len(plans) - 1) // max(keep - 1, 1)] for i in range(keep)]


def _no_worse(first: Plan, second: Plan) -> bool:
    return all(a <= b for a, b in zip(_merits(first), _merits(second), strict=True))


def _merits(plan: Plan) -> tuple[float, ...]:
    return plan.typical_s, plan.latency_p95_s or 0.0, plan.ram_bytes, plan.storage_bytes, plan.wire_bytes, plan.error


def _whole_bytes(bits: int) -> int:
    return (bits + 7) // 8


def _violation(problem: Problem, figures: Figures, name: str) -> str:
    """Return a sentence such as `RAM 12.40 MB, 4.40 MB over the limit of 8.00 MB`."""
    limits = problem.limits
    if name == "error":
        value, limit = figures.error * problem.error_unit, (limits.error or 0) * problem.error_unit
        return f"error {value:.4g}, {value - limit:.4g} over the limit of {limit:.4g}"
    if name == "latency":
        value, limit = figures.latency_ns * 1e-6, (limits.latency_ns or 0) * 1e-6
        return f"latency {value:.4g} ms, {value - limit:.4g} ms over the limit of {limit:.4g} ms"
    used, most = (figures.ram_bits, limits.ram_bits) if name == "ram" else (figures.storage_bits, limits.storage_bits or 0)
    label = "RAM" if name == "ram" else "storage"
    return f"{label} {size_text(used / 8)}, {size_text((used - most) / 8)} over the limit of {size_text(most / 8)}"


def size_text(nbytes: float) -> str:
    """Return a number of bytes for people: `640 B`, `43.3 KB`, `8.00 MB` (powers of 1,000)."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if nbytes >= scale:
            return f"{nbytes / scale:.3g} {unit}"
    return f"{nbytes:.0f} B"
