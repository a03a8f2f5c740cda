"""`autosplitc verify OUT`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from .cli_flags import PATH, common
from .cli_runtime import run_runtime
from .verify_bundle import verify_bundle

KIT_FILE, CHECKS = "kit.json", "check"
"""What tells a device kit from a bundle."""


@click.command("verify", short_help="Check a bundle: digests, and that it runs.")
@click.argument("out", type=PATH)
@common
def verify_command(out: Path, quiet: bool, verbose: bool, as_json: bool) -> int:
    """Check the bundle in OUT: manifest, digests, and both graphs on seeded noise. Exit code 4 where something is wrong.

    OUT may be a device kit: its checks are replayed then.
    """
    del verbose
    if (out / KIT_FILE).is_file() and (out / CHECKS).is_dir():
        return run_runtime(("verify", str(out), *(["--json"] if as_json else []), *(["--quiet"] if quiet else [])))
    found = verify_bundle(out)
    if as_json:
        click.echo(json.dumps({"folder": str(out), "ok": found}, indent=2))
    elif not quiet:
        click.echo("\n".join(f"ok  {line}" for line in found))
    return 0
