"""`autosplitc zoo list` and `autosplitc zoo fetch NAME`."""

from __future__ import annotations

import click

from .entries import Entry
from .registry import lookup, names, resolve
from .samples import data, data_entry


@click.group("zoo")
def zoo() -> None:
    """Models by name; `zoo:NAME` stands wherever a model does."""


@zoo.command("list")
def list_models() -> None:
    """List the models: name, file size, licence, and whether the file lies ready; then the samples that go with them."""
    _print([("NAME", "SIZE", "LICENCE", "READY", "WHAT"), *(_row(lookup(name)) for name in names())])
    click.echo("")
    _print([("DATA FOR", "READY", "METRIC", "PREPROCESS", "LICENCE", "SOURCE"), *(row for name in names() for row in _data_rows(name))])


@zoo.command("fetch")
@click.argument("name")
def fetch_model(name: str) -> None:
    """Make NAME's ONNX file and its samples, where they do not lie ready, and print their paths."""
    entry, samples = lookup(name), data_entry(name)
    if not entry.path.is_file():
        click.echo(f"making {entry.name} from {entry.source}", err=True)
    click.echo(resolve(name).path)
    if samples is not None:
        if not samples.ready:
            click.echo(f"making samples for {samples.name}: {samples.source}", err=True)
        found = data(samples.name)
        for path in (found.calib, found.evaluation, found.labelled):
            if path is not None:
                click.echo(path)


def _print(rows: list[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _data_rows(name: str) -> list[tuple[str, ...]]:
    found = data_entry(name)
    if found is None:
        return []
    return [(found.name, "yes" if found.ready else "no", found.metric, found.preprocess, found.licence, found.source)]


def _row(entry: Entry) -> tuple[str, ...]:
    ready = entry.path.is_file()
    size = f"{entry.path.stat().st_size / 1e6:.1f} MB" if ready else "-"
    return entry.name, size, entry.licence, "yes" if ready else "no", entry.description
