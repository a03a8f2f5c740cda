"""`autosplitc report OUT`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from .cli_flags import PATH, common
from .folder import writing_to
from .report import write_reports


@click.command("report", short_help="Write report.html of a bundle again.")
@click.argument("out", type=PATH)
@common
def report_command(out: Path, quiet: bool, verbose: bool, as_json: bool) -> int:
    """Write report.html of the bundle in OUT again, from the files of the folder alone."""
    del verbose
    with writing_to(out):
        written = write_reports(out)
    if as_json:
        click.echo(json.dumps({"folder": str(out), "reports": [str(path) for path in written]}, indent=2))
    elif not quiet:
        click.echo("\n".join(f"wrote {path}" for path in written))
    return 0
