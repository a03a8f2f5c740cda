"""assign-bits: the fastest plan for every promising cut, with weight, activation and wire bits proven under memory and error (OR-Tools)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import ClassVar

from autosplitc.ir import CompileError, Diagnostic, Module

from .base import Env, Pass
from .codec_plans import with_codecs
from .cut_space import cannot_be_taken, cuts_by_memory, solution_is_wanted, space_of
from .facts import Costs, Liveness, Plan, Request, Sensitivity, Solutions, Split, Splits
from .over_trace import networks_to_plan, over_trace, trace_text
from .planner import (
    Cut,
    Effort,
    Problem,
    Solution,
    Space,
    at_levels,
    best_effort,
    build,
    evaluate,
    excess,
    front,
    link_of,
    plan_of,
    prefix,
    search,
    undominated_plans,
)
from .strategies import OURS, strategy_plans

SOLVER_SECONDS = 0.4
"""Deterministic seconds of the solver in one second of a core, model building included (measured on problems of 50 to 300 ops)."""

LEVEL_SHARE = 6
"""A level lists one plan for so many of the loosest one."""


@dataclass(frozen=True)
class AssignBits(Pass):
    """Gives `solutions`: the fastest plan of each of the `keep` best cuts, Cloud-Only, and Edge-Only where the edge runs every op.

    A plan's `proof` says whether any plan for that cut is faster; that of the fastest feasible split speaks of all cuts. Where no
    split keeps the limits, the one of least memory is listed with what it breaks. With a trace of the link the plans for several of its
    rates are listed, the fastest by the median over the trace first; a proof speaks of the rate that the plan was sought at.
    `time_limit_s` (None: the request's) is counted in the solver's deterministic time, so that the same input gives the same plans.

    Where accuracy is the constraint (`max_drop`) no tensor has a limit of its own. Plans are then sought at `levels` bounds on the summed
    error, from none (or `max_error`) down to the least that is possible, half of the time for the first and half for the others, and those
    that no other plan beats in both latency and error are listed. A proof speaks of the plan's own bound then.
    """

    name: ClassVar[str] = "assign-bits"
    summary: ClassVar[str] = "choose weight, activation and wire bits for the fastest plan of every promising cut"
    needs: ClassVar = (Request, Sensitivity, Liveness, Costs, Splits)
    gives: ClassVar = (Solutions,)
    time_limit_s: float | None = None
    keep: int = 16
    levels: int = 8

    def apply(self, module: Module, env: Env) -> Module:
        """Return the module with the fact.

        Raises CompileError: AS209 for a model that can be cut nowhere, AS151 for bits that the edge does not take, AS152 for a `--cut` that
        is no cut, AS504 for one that cannot be taken, AS167 and AS168 for a strategy without
        a plan. Warns: AS502 where time ran out before the proof, AS503 for tensors that keep
        `min_sqnr_db` at no width.
        """
        request = module.fact(Request)
        if request.strategy == OURS:
            plans = self._ours(module, env)
            _warn_of_noise(request, module.fact(Sensitivity), plans, env)
        else:
            plans = strategy_plans(module, env, lambda: _error_of_the_best(self._ours(module, env)))
        return module.with_fact(Solutions(module.main.name, plans, trace_text(env.network)))

    def _ours(self, module: Module, env: Env) -> tuple[Plan, ...]:
        request, splits = module.fact(Request), module.fact(Splits).splits
        problem = build(module, env)
        if env.network.trace is not None:
            problem = replace(problem, limits=replace(problem.limits, latency_ns=None))
        limit_s = request.time_limit_s if self.time_limit_s is None else self.time_limit_s
        networks = networks_to_plan(env.network)
        effort = Effort(SOLVER_SECONDS * limit_s / len(networks), env.seed)
        levels = self.levels if request.max_drop else 1
        cuts = _Cuts(space_of(module, problem), cuts_by_memory(module, problem))
        sought = [self._seek(replace(problem, link=link_of(network)), cuts, effort, levels) for network in networks]
        solutions = [_at_the_link(problem, s) for found in sought for s in found.solutions]
        if request.cut and not any(solution_is_wanted(module, problem, s) for s in solutions):
            raise cannot_be_taken(module, problem)
        if not solutions:
            raise CompileError(_no_plan(problem, splits, request.source))
        names = [op.name for op in module.main.ops]
        listed = _each_once(plan_of(problem, s, names) for s in solutions)
        timed = (over_trace(plan, env.network, request.max_latency_s) for plan in listed)
        plans = front(timed, max(self.keep, 1)) if request.max_drop else undominated_plans(timed)
        plans = with_codecs(module, env, plans)
        return _weigh_open_cuts(plans, max(found.gap for found in sought), env)

    def _seek(self, problem: Problem, cuts: _Cuts, effort: Effort, levels: int) -> _Sought:
        """Return the best plans at one rate of the link."""
        part = effort if levels <= 1 else replace(effort, limit_s=effort.limit_s / 2)
        keep = max(self.keep, 1)
        ends = [s for p in dict.fromkeys((0, len(problem.ops))) if (s := best_effort(problem, prefix(problem, p), part)) is not None]
        ceiling_ns = _ceiling_ns(problem, ends)
        found = search(problem, cuts.space, part, keep, ceiling_ns)
        solutions = [*(found.solutions or _nearest(problem, cuts.by_memory, part)), *ends]
        open_ns = [s.bound_ns for s in ends if not s.proven and not excess(problem.limits, s.figures)]
        open_ns += [] if found.open_ns is None else [found.open_ns]
        best_ns = min((s.figures.latency_ns for s in solutions if not excess(problem.limits, s.figures)), default=0)
        gap = max(0.0, 1 - min(open_ns) / best_ns) if open_ns and best_ns else 0.0
        if levels > 1:
            solutions += at_levels(problem, solutions, cuts.space, part, levels, -(-keep // LEVEL_SHARE), ceiling_ns)
        return _Sought(solutions, gap)


@dataclass(frozen=True, slots=True)
class _Cuts:
    """Where plans are sought, and the cuts to fall back on where none keeps the limits."""

    space: Space
    by_memory: list[Cut]


@dataclass(frozen=True, slots=True)
class _Sought:
    """What was found at one rate. gap: by how much a plan in a cut that is not solved to the end may be faster than the best one."""

    solutions: list[Solution]
    gap: float


def _error_of_the_best(plans: tuple[Plan, ...]) -> float:
    best = next((plan for plan in plans if plan.feasible and not plan.is_lossy), plans[0])
    return best.error


def _at_the_link(problem: Problem, solution: Solution) -> Solution:
    """Return a solution that was sought at another rate with the latency that it has at the problem's; its bound stays as far below."""
    figures = evaluate(problem, solution.cut, solution.bits)
    return replace(solution, figures=figures, bound_ns=solution.bound_ns + figures.latency_ns - solution.figures.latency_ns)


def _each_once(plans: Iterable[Plan]) -> list[Plan]:
    """Return plans without repetitions; of two that differ in their proof alone the proven one."""
    found: dict[Plan, Plan] = {}
    for plan in sorted(plans, key=lambda p: p.gap):
        found.setdefault(replace(plan, proof="", gap=0.0), plan)
    return list(found.values())


def _ceiling_ns(problem: Problem, ends: list[Solution]) -> int | None:
    """Return the latency of Cloud-Only where it keeps the limits: it needs the least memory and has no error, so slower splits are idle."""
    return next((s.figures.latency_ns for s in ends if s.position == 0 and not excess(problem.limits, s.figures)), None)


def _nearest(problem: Problem, cuts: list[Cut], effort: Effort) -> list[Solution]:
    """Return a best effort for the first cut that has one."""
    for cut in cuts:
        solution = best_effort(problem, cut, effort)
        if solution is not None:
            return [solution]
    return []


def _no_plan(problem: Problem, splits: tuple[Split, ...], source: str) -> Diagnostic:
    """Return the error for a model whose input cannot be sent and that cannot run on the edge as a whole."""
    ends = (("Cloud-Only", splits[0]), ("Edge-Only", splits[-1]))
    notes = tuple(f"{name}: {split.reason or prefix(problem, split.position).refusal}" for name, split in ends)
    return Diagnostic("AS209", "the model can be cut nowhere, nor run on one side alone", source, notes)


def _weigh_open_cuts(plans: tuple[Plan, ...], gap: float, env: Env) -> tuple[Plan, ...]:
    """Return the plans with the proof of the fastest feasible one taken back where a cut that is not solved to the end may be faster."""
    best = next((i for i, p in enumerate(plans) if p.feasible), None)
    if not gap or best is None:
        return plans
    env.warn(
        Diagnostic(
            "AS502",
            f"the time limit ended the search: a plan up to {gap:.1%} faster than the best one found may exist",
            hint="--time-limit 300s",
            severity="warning",
        )
    )
    return (*plans[:best], replace(plans[best], proof="feasible", gap=gap), *plans[best + 1 :])


def _warn_of_noise(request: Request, sensitivity: Sensitivity, plans: tuple[Plan, ...], env: Env) -> None:
    """Warn of tensors of the fastest feasible plan that keep the SQNR asked for at no width that they may have."""
    plan = next((p for p in plans if p.feasible), None)
    if plan is None or request.max_error is not None or request.max_drop:
        return
    limit = 10 ** (-request.min_sqnr_db / 10)
    on_wire = {b for b in plan.wire_bits if request.wire_bits is not None and len(request.wire_bits) == 1}
    sides = (
        (request.weight_bits, sensitivity.weights, plan.weight_bits),
        (request.act_bits, sensitivity.activations, tuple(b for b in plan.act_bits if b not in on_wire)),
    )
    noisy: list[str] = []
    for asked, errors, chosen in sides:
        nsr = {e.tensor: e.nsr for e in errors}
        if asked is None or len(asked) != 1:
            noisy += [f"{c.name!r} has {_db(nsr[c.name][c.bits - 1])} at {c.bits} bits" for c in chosen if nsr[c.name][c.bits - 1] > limit]
    if noisy:
        count = f"{len(noisy)} tensor{'s keep' if len(noisy) > 1 else ' keeps'}"
        message = f"{count} {request.min_sqnr_db:g} dB at no width that the edge takes; each has the widest"
        env.warn(Diagnostic("AS503", message, notes=tuple(noisy[:5]), hint="--keep-float REGEX", severity="warning"))


def _db(nsr: float) -> str:
    return f"{-10 * math.log10(nsr):.1f} dB"
