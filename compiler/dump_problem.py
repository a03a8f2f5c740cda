"""`--dump-problem FILE`: the planning problem as the solver sees it, also without a bundle."""

from __future__ import annotations

from pathlib import Path

from autosplitc.ir import CompileError, Diagnostic, Module
from autosplitc.passes import Costs, Env, Liveness, Sensitivity, dumped_problem, problem_text

from .folder import writing_to

_NEEDED = (Sensitivity, Liveness, Costs)


def check_dump_place(place: Path | None, output: Path | None) -> None:
    """Check that a dump does not go into the bundle's folder, which is replaced whole. Raises CompileError (AS605)."""
    if place is not None and output is not None and output.resolve() in place.resolve().parents:
        message = "the output folder is replaced whole, with all that is written there; every bundle holds a problem.json of its own"
        raise CompileError(Diagnostic("AS605", message, f"--dump-problem {place}", hint="--dump-problem ANOTHER_FOLDER/problem.json"))


def write_problem(module: Module, env: Env, place: Path | None) -> None:
    """Write the planning problem of a module that was planned, or could be, where a place is given.

    Raises CompileError: AS121 where passes are missing, AS603, AS604 where it cannot be written.
    """
    if place is None:
        return
    missing = [fact.name for fact in _NEEDED if module.get(fact) is None]
    if missing:
        message = f"there is no planning problem yet: no pass has given {', '.join(missing)}"
        raise CompileError(Diagnostic("AS121", message, f"--dump-problem {place}", hint="--stop-after assign-bits, or later"))
    with writing_to(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(problem_text(dumped_problem(module, env)), encoding="utf-8")
