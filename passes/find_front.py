"""find-front: the fastest plan over all cuts at each of several limits on error and memory, for those who want the whole trade-off."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, ClassVar

from autosplitc.ir import Diagnostic, Module

from .assign_bits import SOLVER_SECONDS
from .base import Cache, Env, Pass
from .cut_space import space_of
from .facts import Costs, Front, FrontCell, Liveness, Plan, Request, Sensitivity, Solutions, Splits
from .over_trace import over_trace
from .planner import (
    Assignment,
    Cell,
    Effort,
    Problem,
    Seeker,
    Solution,
    build,
    cut_of,
    evaluate,
    excess,
    front,
    plan_of,
    problem_text,
    problem_to_json,
    undominated_figures,
    undominated_plans,
)

VERSION = 1
"""Part of every key in the cache; it goes up when the same cell is sought differently."""


@dataclass(frozen=True)
class FindFront(Pass):
    """Gives `front`, and `solutions` with the front's plans among them.

    error_levels, memory_levels: how many limits on each, see docs/front.md. time_limit_s (None: the request's) is counted in the solver's
    deterministic time. Finished cells are kept in the cache, so that a run that was interrupted goes on. With a trace of the link the
    front is that of its median rate.
    """

    name: ClassVar[str] = "find-front"
    summary: ClassVar[str] = "seek the fastest plan at many limits on error and memory (--front)"
    needs: ClassVar = (Request, Sensitivity, Liveness, Costs, Splits, Solutions)
    gives: ClassVar = (Front, Solutions)
    error_levels: int = 16
    memory_levels: int = 4
    time_limit_s: float | None = None

    def apply(self, module: Module, env: Env) -> Module:
        """Return the module with the facts. Ctrl-C ends the search; the front is partial then.

        Warns: AS509 where time ran out before every cell was proven.
        """
        request = module.fact(Request)
        problem = build(module, env)
        if env.network.trace is not None:
            problem = replace(problem, limits=replace(problem.limits, latency_ns=None))
        limit_s = request.time_limit_s if self.time_limit_s is None else self.time_limit_s
        space = space_of(module, problem)
        seeker = Seeker(problem, space, Effort(SOLVER_SECONDS * limit_s, env.seed))
        seeker.solve = _Kept(seeker, env.cache, f"front-cell-{VERSION} {_digest(problem)} {space!r} {env.seed}").solved
        errors, memories = max(self.error_levels, 1), max(self.memory_levels, 1)
        cells: list[Cell] = []
        partial = False
        try:
            cells.extend(env.progress.track(seeker.front(errors, memories), self.name, errors * memories))
        except KeyboardInterrupt:
            partial = True
        found = _front(module, problem, seeker, cells, partial=partial)
        _warn(found, env)
        return module.with_fact(found, _merged(module, env, found))


@dataclass(frozen=True)
class _Kept:
    """A seeker's solver whose answers are kept in a cache. What a kept answer took in time counts as if it were taken again."""

    seeker: Seeker
    cache: Cache
    opening: str

    def solved(self, problem: Problem, effort: Effort, below_ns: int | None, least_ns: int) -> Cell:
        limits = problem.limits
        key = f"{self.opening} {limits.error} {limits.ram_bits} {below_ns} {least_ns} {effort.limit_s!r}"
        kept = self.cache.get(key)
        known = None if kept is None else _read(problem, kept)
        if known is None:
            known = self.seeker.solved(problem, effort, below_ns, least_ns)
            self.cache.put(key, _written(known))
        return known


def _digest(problem: Problem) -> str:
    return sha256(problem_text(problem_to_json(problem)).encode()).hexdigest()


def _written(cell: Cell) -> bytes:
    """Return a cell as JSON."""
    found: dict[str, Any] = {"error": cell.error, "ram_bits": cell.ram_bits, "bound_ns": cell.bound_ns, "spent_s": cell.spent_s}
    if cell.solution is not None:
        bits = cell.solution.bits
        chosen = [list(part.items()) for part in (bits.weights, bits.acts, bits.wires)]
        found["solution"] = {"ops": cell.solution.cut.ops, "bits": chosen, "bound_ns": cell.solution.bound_ns}
    return json.dumps(found).encode()


def _read(problem: Problem, kept: bytes) -> Cell | None:
    """Return the cell that `_written` wrote; None for anything else."""
    try:
        found = json.loads(kept)
        solution = None
        if "solution" in found:
            cut = cut_of(problem, found["solution"]["ops"])
            bits = Assignment(*(dict(part) for part in found["solution"]["bits"]))
            solution = Solution(cut, bits, evaluate(problem, cut, bits), found["solution"]["bound_ns"])
        return Cell(found["error"], found["ram_bits"], solution, found["bound_ns"], found["spent_s"])
    except (ValueError, KeyError, TypeError, IndexError):
        return None


def _front(module: Module, problem: Problem, seeker: Seeker, cells: list[Cell], *, partial: bool) -> Front:
    """Return the fact: points without repetitions, each cell with the first point that is its answer."""
    solutions = [*(c.solution for c in cells if c.solution is not None), *(s for s in seeker.ends if _fits(problem, s))]
    kept = [solutions[i] for i in undominated_figures([s.figures for s in solutions])]
    kept += [end for end in seeker.ends if not any(end.figures == s.figures and end.cut.ops == s.cut.ops for s in kept)]
    kept.sort(key=lambda s: (s.figures.latency_ns, s.figures.error, s.figures.ram_bits))
    names = [op.name for op in module.main.ops]
    proven = {c.solution.figures.latency_ns for c in cells if c.solution is not None and c.proven}
    points = tuple(plan_of(problem, _as_proven(s, proven), names) for s in kept)
    sought = {(c.error, c.ram_bits): c for c in cells}
    listed: list[FrontCell] = []
    for error in seeker.levels.errors:
        for ram_bits in seeker.levels.ram_bits:
            cell = sought.get((error, ram_bits))
            point, proof, gap = (-1, "unsought", 0.0) if cell is None else (_point(problem, cell, kept), *_proof(cell))
            listed.append(FrontCell(error * problem.error_unit, ram_bits // 8, point, proof, gap))
    return Front(module.main.name, tuple(listed), points, partial)


def _as_proven(solution: Solution, proven_ns: set[int]) -> Solution:
    """Return a solution with the proof of its cell: no plan over all cuts within the cell's limits is faster."""
    latency_ns = solution.figures.latency_ns
    return replace(solution, bound_ns=latency_ns) if latency_ns in proven_ns else solution


def _fits(problem: Problem, solution: Solution) -> bool:
    """Whether a plan keeps the limits but that on latency."""
    return not excess(replace(problem.limits, latency_ns=None), solution.figures)


def _point(problem: Problem, cell: Cell, points: list[Solution]) -> int:
    """Return the first of the points that keeps a cell's limits and is as fast as its plan: one that betters it, or itself."""
    if cell.solution is None:
        return -1
    own = cell.solution.figures
    for i, point in enumerate(points):
        figures = point.figures
        no_worse = figures.latency_ns <= own.latency_ns and figures.error <= own.error and figures.ram_bits <= own.ram_bits
        if no_worse and _fits(problem, point):
            return i
    return -1


def _proof(cell: Cell) -> tuple[str, float]:
    if cell.proven:
        return "optimal", 0.0
    if cell.solution is None or not cell.solution.figures.latency_ns:
        return "feasible", 1.0
    return "feasible", 1 - (cell.bound_ns or 0) / cell.solution.figures.latency_ns


def _merged(module: Module, env: Env, found: Front) -> Solutions:
    """Return the solutions with the front's plans that no other equals or betters."""
    request, solutions = module.fact(Request), module.fact(Solutions)
    known = {replace(plan, proof="", gap=0.0): i for i, plan in enumerate(solutions.plans)}
    timed = (over_trace(plan, env.network, request.max_latency_s) for plan in found.points)
    new: list[Plan] = [plan for plan in timed if replace(plan, proof="", gap=0.0) not in known]
    plans = (*solutions.plans, *new)
    return replace(solutions, plans=front(plans, len(plans)) if request.max_drop else undominated_plans(plans))


def _warn(found: Front, env: Env) -> None:
    open_cells = [cell.gap for cell in found.cells if cell.proof == "feasible"]
    if open_cells:
        count = f"{len(open_cells)} of {len(found.cells)} cells of the front are"
        message = f"the time limit ended the search: {count} not proven, the widest gap is {max(open_cells):.1%}"
        env.warn(Diagnostic("AS509", message, hint="--set find-front.time-limit-s=300", severity="warning"))
