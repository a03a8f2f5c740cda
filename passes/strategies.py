"""Other methods' plans in place of ours (`--strategy`): the baselines that quantise, as bundles that run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from autosplitc.ir import CompileError, Diagnostic, Module, did_you_mean

from .base import Env
from .facts import Plan, Request, Splits
from .planner import Problem, Solution, build, cut_of, plan_of, prefix
from .planner.baselines import Placed, algorithm1, as_float, min_cut, uniform

OURS = "auto-split"
UNIFORM = {"u2": 2, "u4": 4, "u6": 6, "u8": 8}
EMITTED = (OURS, "auto-split-paper", "qdmp-e+u4", *UNIFORM, "cloud-only")
"""Strategies whose plans can be emitted."""

IN_FLOAT = ("edge-only float", "neurosurgeon", "dads", "qdmp", "qdmp-e")
"""Those whose edge part computes in float, which only `autosplitc compare` knows."""

ANY_DROP = (1.0,)
"""With accuracy as the constraint no tensor has a limit of its own, so that baselines may take any bits."""


def check_strategy(name: str) -> None:
    """Check a strategy's name. Raises CompileError: AS167."""
    if name in EMITTED:
        return
    if name in IN_FLOAT:
        message = f"{name} computes in float on the edge: it can be compared, not emitted"
        raise CompileError(Diagnostic("AS167", message, f"--strategy {name}", hint="autosplitc compare"))
    hint = did_you_mean(name, EMITTED) or ", ".join(EMITTED)
    raise CompileError(Diagnostic("AS167", f"there is no strategy {name!r}", f"--strategy {name}", hint=hint))


def strategy_plans(module: Module, env: Env, ours: Callable[[], float]) -> tuple[Plan, ...]:
    """Return the plan of the request's strategy and, beside it, Cloud-Only, the faster one first.

    ours: gives the error of our own plan, in units, which Algorithm 1 is held to where there is no `--max-error`.
    Raises CompileError: AS167 for no such strategy, AS168 where it has no plan for this model and edge.
    """
    request = module.fact(Request)
    check_strategy(request.strategy)
    problem = build(module.with_fact(replace(request, max_drop=ANY_DROP)), env)
    found = _placed(module, env, problem, request.strategy, ours)
    if found is None:
        message = f"{request.strategy} has no plan for this model on {request.edge}"
        raise CompileError(Diagnostic("AS168", message, f"--strategy {request.strategy}", hint="autosplitc compare lists those that have"))
    names = [op.name for op in module.main.ops]
    # Nothing says that no plan is faster: that is our own planner's claim alone.
    plans = dict.fromkeys(replace(plan_of(problem, solution, names), proof="feasible") for solution in _solutions(problem, found))
    return tuple(sorted(plans, key=lambda plan: plan.latency_s))


def _placed(module: Module, env: Env, problem: Problem, strategy: str, ours: Callable[[], float]) -> Placed | None:
    widths = sorted(set(env.edge.weight_bits) & set(env.edge.act_bits) & set(UNIFORM.values()))
    if strategy in UNIFORM:
        return uniform(problem, prefix(problem, len(problem.ops)), UNIFORM[strategy]) if UNIFORM[strategy] in widths else None
    if strategy == "cloud-only":
        return uniform(problem, prefix(problem, 0), 8)
    if strategy == "qdmp-e+u4":
        cut = min_cut(as_float(problem, env.edge.float_bits))
        return None if cut is None else uniform(problem, cut_of(problem, cut.cut.ops), 4)
    if problem.limits.error is None:
        problem = replace(problem, limits=replace(problem.limits, error=round(ours() / problem.error_unit)))
    potential = [s.position for s in module.fact(Splits).splits if s.potential and not s.reason and s.position]
    return algorithm1(problem, potential, widths)


def _solutions(problem: Problem, found: Placed) -> Iterator[Solution]:
    raw = uniform(problem, prefix(problem, 0), 8)
    for placed in (found, raw):
        if placed is not None:
            yield Solution(placed.cut, placed.bits, placed.figures, placed.figures.latency_ns)
