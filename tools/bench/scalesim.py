"""Our cycles and counts against SCALE-Sim's own: its rows, random layers, and the time that both take.

Run with `python -m autosplitc.bench.scalesim rows FILE.csv`, `... fuzz` or `... speed`. The last two run SCALE-Sim 3.0.0 in an environment
of its own, made with pip on first use; it has no v1, whose rows are in `tests/data/scalesim`.
"""

from __future__ import annotations

import random
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TypeAlias

import click

from autosplitc.targets.counts_v3 import ArrayConfig, ConvShape, counts
from autosplitc.zoo.cache import cache_folder

from .scalesim_process import Reply, Task, environment, run
from .scalesim_random import random_task
from .scalesim_rows import compare_rows
from .table import table

TPU = ArrayConfig(256, 256, "os", 6144, 6144, 2048)
EYERISS = ArrayConfig(12, 14, "ws", 36, 36, 36)
"""SCALE-Sim v3's published configurations."""

TIMED = (
    ("conv1, 7x7 3-64", ConvShape(229, 229, 7, 7, 3, 64, 2), "tpu", TPU),
    ("layer4.1.conv2, 3x3 512-512", ConvShape(9, 9, 3, 3, 512, 512, 1), "tpu", TPU),
    ("fc, 2048-1000", ConvShape(1, 1, 1, 1, 2048, 1000, 1), "tpu", TPU),
    ("layer4.0.conv3, 1x1 512-2048", ConvShape(7, 7, 1, 1, 512, 2048, 1), "eyeriss", EYERISS),
    ("layer4.1.conv2, 3x3 512-512", ConvShape(9, 9, 3, 3, 512, 512, 1), "eyeriss", EYERISS),
)
"""ResNet-50's. The last is of our slow kind: windows that overlap in an input that does not fit, whose stream is laid out."""

_Figure: TypeAlias = tuple[str, bool, str, str, str]
"""Column, whether both say the same, where it stands, what SCALE-Sim says, what we say."""

_VENV = click.option(
    "--venv",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Environment with SCALE-Sim, made if it is not there. Default: in the user's cache folder.",
)
_SHOW = click.option("--show", default=10, show_default=True, help="Most mismatches to print in full.")


@click.group()
def scalesim() -> None:
    """Compare our cycles and counts with SCALE-Sim's."""


@scalesim.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@_SHOW
def rows(files: Sequence[Path], show: int) -> None:
    """Check rows that SCALE-Sim made, in the form of the reference files. Exit 1 for a mismatch or a file of another form."""
    wrong = 0
    for file in files:
        try:
            compared = compare_rows(file)
        except ValueError as error:
            raise click.ClickException(f"{file}: {error}") from error
        click.echo(f"{file}: {compared.rows} rows of SCALE-Sim {compared.form}")
        wrong += _report([(cell.column, cell.equal, f"line {cell.line}", cell.theirs, cell.ours) for cell in compared.cells], show)
    sys.exit(1 if wrong else 0)


@scalesim.command()
@click.option("--count", default=1000, show_default=True, type=click.IntRange(1), help="How many layers.")
@click.option("--seed", default=0, show_default=True, help="Which ones.")
@click.option("--calc", default=0.5, show_default=True, type=click.FloatRange(0, 1), help="Share that is simulated with its memories.")
@_VENV
@_SHOW
def fuzz(count: int, seed: int, calc: float, folder: Path | None, show: int) -> None:
    """Compare random layers on random arrays with SCALE-Sim itself. Exit 1 for a mismatch."""
    source = random.Random(seed)
    tasks = [random_task(source, "calc" if number < round(count * calc) else "compute") for number in range(count)]
    compared: list[_Figure] = []
    failures: Counter[str] = Counter()
    for task, reply in zip(tasks, _replies(folder, tasks), strict=True):
        if reply.error:
            failures[reply.error] += 1
        compared.extend((column, theirs == ours, str(task), theirs, ours) for column, theirs, ours in _both(task, reply))
    click.echo(f"{count} layers, seed {seed}, {sum(task.mode == 'calc' for task in tasks)} of them with memories")
    for message, times in failures.items():
        click.echo(f"SCALE-Sim failed on {times}: {message}")
    sys.exit(1 if _report(compared, show) or failures else 0)


@scalesim.command()
@_VENV
def speed(folder: Path | None) -> None:
    """Time layers of ResNet-50 in SCALE-Sim and here, all counts of CALC mode; takes some minutes. The goal: a ratio over 10^6."""
    tasks = [Task(layer, array, "calc") for _, layer, _, array in TIMED]
    lines: list[tuple[str, ...]] = []
    for (name, layer, device, array), task, reply in zip(TIMED, tasks, _replies(folder, tasks), strict=True):
        if reply.error:
            raise click.ClickException(f"SCALE-Sim failed on {name}: {reply.error}")
        ours_s = _median_s(layer, array)
        wrong = [column for column, theirs, ours in _both(task, reply) if theirs != ours]
        figures = f"{reply.seconds:.1f}", f"{ours_s * 1e6:.1f}", f"{reply.seconds / ours_s:.1e}", ", ".join(wrong) or "none"
        lines.append((name, device, *figures))
    click.echo(table(("layer", "array", "SCALE-Sim s", "ours us", "ratio", "mismatches"), lines))


def _replies(folder: Path | None, tasks: Sequence[Task]) -> Iterator[Reply]:
    """Run tasks in SCALE-Sim's environment. Raises ClickException where there is none to be had."""
    chosen = folder or cache_folder() / "scalesim-3.0.0"
    try:
        yield from run(environment(chosen), tasks)
    except (OSError, subprocess.CalledProcessError, RuntimeError) as error:
        raise click.ClickException(f"SCALE-Sim does not run in {chosen}: {error}") from error


def _both(task: Task, reply: Reply) -> Iterator[tuple[str, str, str]]:
    """Yield what SCALE-Sim and we say of each column, percentages in six digits as in the reference files."""
    ours = asdict(counts(task.layer, task.array))
    for column, theirs in reply.columns.items():
        form = ".6f" if column.endswith("pct") else "d"
        yield column, format(theirs, form), format(ours[column], form)


def _median_s(layer: ConvShape, array: ArrayConfig) -> float:
    """Median time of a call, over a second or so."""
    seconds: list[float] = []
    stop_s = time.perf_counter() + 1
    while time.perf_counter() < stop_s:
        started_s = time.perf_counter()
        counts(layer, array)
        seconds.append(time.perf_counter() - started_s)
    return statistics.median(seconds)


def _report(compared: Sequence[_Figure], show: int) -> int:
    """Print mismatches by column, then the first of them; return how many there are."""
    of, wrong = Counter(column for column, *_ in compared), Counter(column for column, equal, *_ in compared if not equal)
    click.echo(table(("column", "mismatches"), [(column, f"{wrong[column]} of {total}") for column, total in of.items()]))
    for column, _, where, theirs, ours in [figure for figure in compared if not figure[1]][:show]:
        click.echo(f"{where}: {column} is {theirs}, ours {ours}")
    return wrong.total()


if __name__ == "__main__":
    scalesim()
