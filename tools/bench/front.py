"""`autosplitc bench front`: what the front of a model takes, and how much of it is proven."""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

import click

from autosplitc.ir import read_dump
from autosplitc.passes import FACT_TYPES, Front, Plan

from .process import autosplitc
from .table import table

MODELS = ("zoo:fashion", "zoo:mobilenet-v2", "zoo:light-resnet50", "zoo:light-inception-v1")


@click.command("front", short_help="Seconds and memory of whole fronts.")
@click.argument("models", nargs=-1)
@click.option("--space", type=click.Choice(("linear", "dag")), default="linear", show_default=True, help="Cuts to choose among.")
@click.option("-t", "--edge", default="eyeriss", show_default=True, help="Edge target.")
@click.option("--net", default="3mbps", show_default=True, help="Link.")
@click.option("--edge-memory", help="The edge's RAM.")
def front(models: tuple[str, ...], space: str, edge: str, net: str, edge_memory: str | None) -> None:
    """Seek the front of each of MODELS in a fresh process without a cache, and print what it took."""
    heading = ("model", "ops", "one plan s", "front s", "cells proven", "points", "splits", "peak RSS MB")
    rows: list[tuple[object, ...]] = []
    for model in models or MODELS:
        with tempfile.TemporaryDirectory(prefix="autosplitc-bench-") as folder:
            memory = () if edge_memory is None else ("--edge-memory", edge_memory)
            flags = ("-t", edge, "--net", net, *memory, "--space", space, "--front", "--no-cache", "--time-passes")
            run = autosplitc(model, *flags, "--stop-after", "find-front", "--dump-ir", folder)
            if run.code:
                print(run.stderr, file=sys.stderr)
                raise click.exceptions.Exit(run.code)
            last = max(Path(folder).glob("*-find-front.air"))
            module = read_dump(last, FACT_TYPES)
        fact = module.fact(Front)
        proven = sum(cell.proof == "optimal" for cell in fact.cells)
        seconds = [_seconds(run.stderr, name) for name in ("assign-bits", "find-front")]
        splits: list[Plan] = [p for p in fact.points if p.kind == "split"]
        counts = (f"{proven} of {len(fact.cells)}", len(fact.points), len(splits), f"{run.peak_rss_bytes / 1e6:.0f}")
        rows.append((model, len(module.main.ops), *seconds, *counts))
        print(table(heading, rows[-1:]), flush=True)
    print()
    print(table(heading, rows))


def _seconds(times: str, step: str) -> str:
    """Return the seconds of a step from the table that `--time-passes` prints."""
    found = re.search(rf"^{step}\s+([0-9.]+)", times, re.MULTILINE)
    return found[1] if found else "-"


if __name__ == "__main__":
    sys.exit(front.main(standalone_mode=False))
