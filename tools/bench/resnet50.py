"""ResNet-50 through the whole command without data: seconds and peak memory. The goal: 20 s and 1.2 GB on 2 cores.

Run with `python -m autosplitc.bench.resnet50`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from .process import autosplitc
from .table import table


@click.command()
@click.option("--runs", default=3, show_default=True, help="How often.")
def resnet50(runs: int) -> None:
    """Compile zoo:light-resnet50 without data: seconds and peak memory of the whole process, and seconds a step."""
    rows: list[tuple[str, ...]] = []
    steps: dict[str, float] = {}
    with TemporaryDirectory() as scratch:
        for run in range(runs):
            out = Path(scratch) / f"out{run}"
            done = autosplitc("zoo:light-resnet50", "-t", "eyeriss", "--net", "3mbps", "-o", out, "-q")
            if done.code:
                sys.exit(done.stderr)
            rows.append((f"{run + 1}", f"{done.seconds:.1f}", f"{done.peak_rss_bytes / 1e6:.0f}"))
            steps = json.loads((out / "measurements.json").read_text())["compile"]["steps_s"]
    click.echo(table(("run", "seconds", "peak RSS MB"), rows))
    click.echo()
    click.echo(table(("step of the last run", "seconds"), [(name, f"{seconds:.2f}") for name, seconds in steps.items()]))


if __name__ == "__main__":
    resnet50()
