"""What commands write: results to stdout, progress, warnings, times and modules asked for to stderr."""

from __future__ import annotations

import json
from collections.abc import Sequence

import click

from autosplitc.ir import EXIT_INFEASIBLE, CompileError, Diagnostic, print_module

from .cli_errors import show
from .hooks import Timing, Watch
from .interrupts import Interrupts
from .progress import ConsoleProgress
from .result import Result
from .summary import summary
from .table_text import columns


def watch_of(*, quiet: bool) -> Watch:
    """Return who looks on at a command: warnings and modules go to stderr, progress too unless it is to be quiet."""
    interrupts = click.get_current_context().find_object(Interrupts) or Interrupts()
    return Watch(show, lambda text: click.echo(text, err=True), None if quiet else ConsoleProgress(), interrupts.check)


def finish(result: Result, *, quiet: bool, as_json: bool, times: bool) -> int:
    """Write a result and return the exit code. Raises CompileError (AS501) where the best plan breaks a constraint."""
    if times:
        click.echo(times_table(result.timings), err=True)
    if result.folder is None:
        click.echo(print_module(result.module), nl=False)
        return 0
    if as_json:
        click.echo(json.dumps(result_json(result), indent=2, ensure_ascii=False))
    elif not quiet:
        click.echo(summary(result))
    if not result.best.feasible:
        raise infeasible(result)
    return 0


def result_json(result: Result) -> dict[str, object]:
    """Return what `--json` prints: the folder, the manifest, the measurements, every solution, the warnings."""
    return {
        "folder": str(result.folder),
        "manifest": result.manifest,
        "measurements": result.measurements,
        "solutions": [
            {
                "number": number,
                "kind": plan.kind,
                "after": plan.after,
                "latency_s": plan.latency_s,
                "latency_p50_s": plan.latency_p50_s,
                "latency_p95_s": plan.latency_p95_s,
                "payload_bytes": plan.payload_bytes,
                "edge_ram_bytes": plan.ram_bytes,
                "feasible": plan.feasible,
                "violations": list(plan.violations),
            }
            for number, plan in enumerate(result.solutions, 1)
        ],
        "warnings": [{"code": d.code, "message": d.message, "location": d.location, "hint": d.hint} for d in result.warnings],
    }


def infeasible(result: Result) -> CompileError:
    """Return the error for a plan that breaks a constraint: the best effort was written, and each broken constraint is named."""
    location = f"{result.folder}: {result.best.kind} plan"
    message = "no plan meets all constraints; the best effort was written"
    return CompileError(Diagnostic("AS501", message, location, result.best.violations), exit_code=EXIT_INFEASIBLE)


def times_table(timings: Sequence[Timing]) -> str:
    """Return the seconds of every step and their share of the sum."""
    total_s = sum(t.seconds for t in timings) or 1.0
    rows = [("STEP", "SECONDS", "SHARE"), *((t.step, f"{t.seconds:.3f}", f"{t.seconds / total_s:.0%}") for t in timings)]
    return columns([*rows, ("total", f"{total_s:.3f}", "100%")], right=frozenset({1, 2}))
