"""`autosplitc zoo list` and `autosplitc zoo fetch NAME`."""

from __future__ import annotations

import click

from .entries import Entry
from .registry import lookup, names, resolve


@click.group("zoo")
def zoo() -> None:
    """Models by name; `zoo:NAME` stands wherever a model does."""


@zoo.command("list")
def list_models() -> None:
    """List the models: name, file size, licence, and whether the file lies ready."""
    rows = [("NAME", "SIZE", "LICENCE", "READY", "WHAT"), *(_row(lookup(name)) for name in names())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@zoo.command("fetch")
@click.argument("name")
def fetch_model(name: str) -> None:
    """Make NAME's ONNX file, if it does not lie ready, and print its path."""
    entry = lookup(name)
    if not entry.path.is_file():
        click.echo(f"making {entry.name} from {entry.source}", err=True)
    click.echo(resolve(name).path)


def _row(entry: Entry) -> tuple[str, ...]:
    ready = entry.path.is_file()
    size = f"{entry.path.stat().st_size / 1e6:.1f} MB" if ready else "-"
    return entry.name, size, entry.licence, "yes" if ready else "no", entry.description
