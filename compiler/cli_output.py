"""What commands write: results to stdout, progress, warnings, times and modules asked for to stderr."""

from __future__ import annotations

import json
from collections.abc import Sequence

import click

from autosplitc.ir import EXIT_INFEASIBLE, EXIT_INTERRUPTED, CompileError, Diagnostic, print_module
from autosplitc.passes import Front

from .cli_errors import show
from .hooks import Timing, Watch
from .interrupts import Interrupts
from .progress import ConsoleProgress
from .result import Result
from .summary import summary
from .summary_accuracy import drop_text
from .table_text import columns


def watch_of(*, quiet: bool) -> Watch:
    """Return who looks on at a command: warnings and modules go to stderr, progress too unless it is to be quiet."""
    interrupts = click.get_current_context().find_object(Interrupts) or Interrupts()
    return Watch(show, lambda text: click.echo(text, err=True), None if quiet else ConsoleProgress(), interrupts.check, interrupts.settle)


def finish(result: Result, *, quiet: bool, as_json: bool, times: bool) -> int:
    """Write a result and return the exit code.

    Raises CompileError: AS191 where a step was interrupted and its part was kept, else AS501 where the best plan breaks a constraint.
    """
    if times:
        click.echo(times_table(result.timings), err=True)
    interrupts = click.get_current_context().find_object(Interrupts)
    settled = interrupts is not None and interrupts.settled
    if result.folder is None:
        click.echo(print_module(result.module), nl=False)
        if settled:
            raise broken_off(result)
        return 0
    if as_json:
        click.echo(json.dumps(result_json(result), indent=2, ensure_ascii=False))
    elif not quiet:
        click.echo(summary(result))
    if settled:
        raise broken_off(result)
    if not all(part.best.feasible for part in result.by_drop or (result,)):
        raise infeasible(result)
    return 0


def result_json(result: Result) -> dict[str, object]:
    """Return what `--json` prints: the folder, the manifest, the measurements, every solution, the warnings.

    With several limits on the drop `by_drop` holds all but the warnings for each, and the rest is that of the first.
    """
    several = {"by_drop": [_bundle_json(part) for part in result.by_drop]} if result.by_drop else {}
    warnings = [{"code": d.code, "message": d.message, "location": d.location, "hint": d.hint} for d in result.warnings]
    return {**_bundle_json(result), **several, "warnings": warnings}


def _bundle_json(result: Result) -> dict[str, object]:
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
                "codec": plan.codec,
                "sent_bytes": plan.sent_bytes,
                "edge_ram_bytes": plan.ram_bytes,
                "feasible": plan.feasible,
                "violations": list(plan.violations),
            }
            for number, plan in enumerate(result.solutions, 1)
        ],
    }


def broken_off(result: Result) -> CompileError:
    """Return the error for Ctrl-C while the front was sought: what was known of it was written, and all the rest."""
    front = result.module.get(Front)
    cells = () if front is None else front.cells
    sought = sum(cell.proof != "unsought" for cell in cells)
    message = f"interrupted; the front is partial: {sought} of {len(cells)} cells were sought, all else is whole"
    hint = "the same command again goes on from there"
    return CompileError(Diagnostic("AS191", message, str(result.folder or ""), hint=hint), exit_code=EXIT_INTERRUPTED)


def infeasible(result: Result) -> CompileError:
    """Return the error for plans that break a constraint: the best effort was written, and each broken constraint is named."""
    found: list[Diagnostic] = []
    for part in result.by_drop or (result,):
        if not part.best.feasible:
            accuracy = part.measurements.get("accuracy")
            measured = (f"measured: {drop_text(accuracy)}, n = {accuracy['n']}",) if accuracy and not accuracy["holds"] else ()
            location = f"{part.folder}: {part.best.kind} plan"
            message = "no plan meets all constraints; the best effort was written"
            found.append(Diagnostic("AS501", message, location, (*part.best.violations, *measured)))
    return CompileError(found, exit_code=EXIT_INFEASIBLE)


def times_table(timings: Sequence[Timing]) -> str:
    """Return the seconds of every step and their share of the sum."""
    total_s = sum(t.seconds for t in timings) or 1.0
    rows = [("STEP", "SECONDS", "SHARE"), *((t.step, f"{t.seconds:.3f}", f"{t.seconds / total_s:.0%}") for t in timings)]
    return columns([*rows, ("total", f"{total_s:.3f}", "100%")], right=frozenset({1, 2}))
