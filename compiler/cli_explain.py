"""`autosplitc explain OUT` and `autosplitc diff A B`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from .cli_flags import PATH, SECONDS, common


@click.command("explain", short_help="Say why a bundle is cut where it is, and what would change that.")
@click.argument("out", type=PATH)
@click.option("--all", "all_cuts", is_flag=True, help="Every cut of the model's order, each solved.")
@click.option("--quick", is_flag=True, help="Solve nothing again: cuts that were not listed have bounds, limits no prices.")
@click.option("--time-limit", "time_limit_s", type=SECONDS, default=20.0, show_default="20s", help="Time for solving again.")
@common
def explain_command(out: Path, quiet: bool, verbose: bool, as_json: bool, all_cuts: bool, quick: bool, time_limit_s: float) -> int:
    """Say why the bundle in OUT is cut where it is: its neighbours, what each limit costs, and how far rate and memory may move.

    Everything comes from the folder alone; all figures are predicted but for those that are called measured.
    """
    from .explain import explain
    from .explain_case import read_case
    from .explain_deep import deepen
    from .explain_text import explanation_json, explanation_text

    del quiet, verbose
    case = read_case(out)
    found = explain(case, all_cuts=all_cuts)
    found = found if quick else deepen(found, case, time_limit_s)
    click.echo(json.dumps(explanation_json(found, str(out)), indent=2, ensure_ascii=False) if as_json else explanation_text(found))
    return 0


@click.command("diff", short_help="Compare two bundles: decision, bits, options, figures.")
@click.argument("first", type=PATH, metavar="A")
@click.argument("second", type=PATH, metavar="B")
@common
def diff_command(first: Path, second: Path, quiet: bool, verbose: bool, as_json: bool) -> int:
    """Compare the bundles in A and B: decision, bits that differ, options that differ, figures predicted and measured.

    The exit code is 0 whether they differ or not.
    """
    from .diff import diff_bundles
    from .diff_text import diff_json, diff_text

    del quiet, verbose
    found = diff_bundles(first, second)
    click.echo(json.dumps(diff_json(found), indent=2, ensure_ascii=False) if as_json else diff_text(found))
    return 0
