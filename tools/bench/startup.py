"""Time of `import autosplitc`, and which of the heavy libraries it loads. The goal: 0.15 s, and none.

Run with `python -m autosplitc.bench.startup`.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys

import click

from .table import table

RUNS = 7
STATEMENTS = ("import autosplitc", "from autosplitc import compile", "from autosplitc.cli import main")
_PROGRAM = """
import json, sys, time
started_s = time.perf_counter()
{}
seconds = time.perf_counter() - started_s
heavy = [name for name in ("onnx", "onnxruntime", "ortools", "onnx_graphsurgeon") if name in sys.modules]
print(json.dumps([seconds, heavy]))
"""


@click.command()
def startup() -> None:
    """Time imports and list the heavy libraries that they load."""
    rows: list[tuple[str, ...]] = []
    for statement in STATEMENTS:
        command = [sys.executable, "-c", _PROGRAM.format(statement)]
        found = [json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout) for _ in range(RUNS)]
        seconds = [run[0] for run in found]
        heavy = ", ".join(found[0][1]) or "none"
        rows.append((statement, f"{statistics.median(seconds):.3f}", f"{min(seconds):.3f}", f"{max(seconds):.3f}", heavy))
    click.echo(table(("", "median s", "least", "most", "heavy libraries"), rows))


if __name__ == "__main__":
    startup()
