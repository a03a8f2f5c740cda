"""The cuts that a request admits: prefixes of the order or any closed sets, all or those that exactly the named tensors cross."""

from __future__ import annotations

from autosplitc.ir import CompileError, Diagnostic, Module

from .enumerate_splits import no_such_cut, positions_of_cut, unsendable
from .facts import Plan, Request, Split, Splits
from .planner import ClosedSpace, Cut, LinearSpace, Problem, Solution, Space, cut_of, prefix
from .reorder import crossing_of, edge_names, least_edge

SPACES = ("linear", "dag")


def space_of(module: Module, problem: Problem) -> Space:
    """Return the cuts between none and all of the ops that `--space` and `--cut` admit.

    Raises CompileError: AS152 for a `--cut` that is no cut.
    """
    request, splits = module.fact(Request), module.fact(Splits).splits
    check_cut(module)
    if request.space == "dag":
        index = {value.name: v for v, value in enumerate(problem.values)}
        barred = frozenset(index[name] for name in unsendable(module.main) if name in index)
        return ClosedSpace(barred=barred, crossing=frozenset(index[name] for name in request.cut) if request.cut else None)
    return LinearSpace([s.position for s in _open_splits(request, splits)])


def check_cut(module: Module) -> None:
    """Raise CompileError (AS152) for a `--cut` that is no cut of the space."""
    request, splits = module.fact(Request), module.fact(Splits).splits
    if request.space == "linear":
        positions_of_cut(request.cut, splits)
    elif request.cut and least_edge(module.main, request.cut) is None:
        raise no_such_cut(request.cut, splits)


def is_wanted(module: Module, plan: Plan) -> bool:
    """Whether exactly the tensors of `--cut` cross a plan's cut."""
    return frozenset(crossing_of(module.main, edge_names(module.main, plan))) == frozenset(module.fact(Request).cut)


def solution_is_wanted(module: Module, problem: Problem, solution: Solution) -> bool:
    """Whether exactly the tensors of `--cut` cross a solution's cut."""
    return frozenset(problem.values[v].name for v in solution.cut.crossing) == frozenset(module.fact(Request).cut)


def cuts_by_memory(module: Module, problem: Problem) -> list[Cut]:
    """Return cuts for a best effort where none keeps the limits, those of the least memory first."""
    request, splits = module.fact(Request), module.fact(Splits).splits
    if request.cut and request.space == "dag":
        return [_least_cut(module, problem)]
    ranked = sorted(_open_splits(request, splits), key=lambda s: (s.memory_bytes, s.position))
    return [prefix(problem, s.position) for s in ranked]


def cannot_be_taken(module: Module, problem: Problem) -> CompileError:
    """Return the error (AS504) for a `--cut` that there is but that cannot be taken."""
    request, splits = module.fact(Request), module.fact(Splits).splits
    if request.space == "linear":
        split = splits[positions_of_cut(request.cut, splits)[0]]
        reason = split.reason or prefix(problem, split.position).refusal
    else:
        odd = next((name for name in request.cut if name in unsendable(module.main)), "")
        reason = f"{odd!r} cannot be sent" if odd else _least_cut(module, problem).refusal
    named = ", ".join(map(repr, request.cut))
    return CompileError(Diagnostic("AS504", f"the cut at {named} cannot be taken", notes=(reason,) if reason else ()))


def _least_cut(module: Module, problem: Problem) -> Cut:
    edge = least_edge(module.main, module.fact(Request).cut) or frozenset()
    return cut_of(problem, (i for i, op in enumerate(module.main.ops) if op.name in edge))


def _open_splits(request: Request, splits: tuple[Split, ...]) -> list[Split]:
    """Return the linear cuts inside the model that can be taken, all or those that the named tensors cross."""
    wanted = positions_of_cut(request.cut, splits) if request.space == "linear" else ()
    return [s for s in splits[1:-1] if not s.reason and (not wanted or s.position in wanted)]
