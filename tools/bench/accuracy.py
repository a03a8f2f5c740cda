"""Accuracy of whole networks on the edge, in integer kernels: ours beside ONNX Runtime's static quantisation, at several widths.

Run with `python -m autosplitc.bench.accuracy [MODEL ...]`. Everything is measured on emitted files in ONNX Runtime, on the same samples as
the float model. LSTMs stay float, in ours and in theirs. `--sensitivity` ranks scores of weights instead, `--time` takes the time of a
whole compile.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from . import accuracy_sensitivity, accuracy_time
from .accuracy_ort import METHODS, quantise
from .accuracy_ours import Compiler
from .accuracy_subject import Figures, Subject
from .table import table

MODELS = ("fashion", "mobilenet-v2", "yolov3-tiny", "plates")
UNIFORM = {"W8A8": (8, 8), "W6A8": (6, 8), "W4A8": (4, 8), "W4A4": (4, 4), "W2A8": (2, 8)}
MIXED = {"mixed 4.0": 4.0, "mixed 6.0": 6.0}
ROWS = ("float", *(f"ort {method}" for method in METHODS), *UNIFORM, *MIXED)
"""All rows, in their order. `ort METHOD` is W8A8 per channel; mixed rows have 8-bit activations and at most so many bits a weight."""


@dataclass(frozen=True)
class Row:
    """A row of the table. quantise_s: seconds to quantise, file_bytes: of the ONNX file."""

    model: str
    row: str
    quick: bool
    effort: str
    file_bytes: int
    quantise_s: float
    figures: Figures


@click.command()
@click.argument("wanted", nargs=-1, metavar="[MODEL]...")
@click.option("--rows", metavar="ROW,...", help=f"Rows to measure: {', '.join(ROWS)}; `ours` and `ort` stand for all of theirs.")
@click.option("--quick", is_flag=True, help="Few samples: does it run, does it collapse.")
@click.option("--effort", default="normal", show_default=True, type=click.Choice(["fast", "normal", "best"]), help="As for a compile.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="File for the rows; those that it holds are not measured again.")
@click.option("--keep", type=click.Path(path_type=Path), help="Folder in which the quantised models stay.")
@click.option("--cache", type=click.Path(path_type=Path), help="Folder for results of long computations; seconds then mean little.")
@click.option("--sensitivity", is_flag=True, help="Rank weights by each score and by what they do to the outputs, instead.")
@click.option("--time", "times", is_flag=True, help="Take the time of a whole compile, from nothing and from its cache, instead.")
def accuracy(
    wanted: Sequence[str],
    rows: str | None,
    quick: bool,
    effort: str,
    json_path: Path | None,
    keep: Path | None,
    cache: Path | None,
    sensitivity: bool,
    times: bool,
) -> None:
    """Print what quantisation costs models of the zoo, ours and ONNX Runtime's."""
    names = [name.removeprefix("zoo:") for name in wanted]
    if sensitivity:
        for name in names or accuracy_sensitivity.MODELS:
            click.echo(accuracy_sensitivity.printed(accuracy_sensitivity.rankings(name, effort)) + "\n")
    if times:
        for name in names or ("mobilenet-v2",):
            click.echo(accuracy_time.printed(accuracy_time.compile_times(name, effort)))
    if sensitivity or times:
        return
    chosen = _chosen(rows)
    done = _stored(json_path)
    for plain in names or MODELS:
        missing = [row for row in chosen if not any((d.model, d.row, d.quick, d.effort) == (plain, row, quick, effort) for d in done)]
        if missing:
            with TemporaryDirectory() as scratch:
                folder = keep or Path(scratch)
                folder.mkdir(parents=True, exist_ok=True)
                _measure(plain, missing, quick, effort, folder, cache, done, json_path)
        found = [d for d in done if (d.model, d.quick, d.effort) == (plain, quick, effort) and d.row in chosen]
        click.echo(printed(sorted(found, key=lambda d: ROWS.index(d.row))) + "\n")


def _chosen(text: str | None) -> list[str]:
    short = {"ours": [*UNIFORM, *MIXED], "ort": [f"ort {method}" for method in METHODS]}
    chosen = [row for part in (text.split(",") if text else ROWS) for row in short.get(part.strip(), [part.strip()])]
    unknown = [row for row in chosen if row not in ROWS]
    if unknown:
        raise click.BadParameter(f"{unknown[0]!r} is none of {', '.join(ROWS)}", param_hint="--rows")
    return [row for row in ROWS if row in chosen]


def _measure(
    name: str, rows: Sequence[str], quick: bool, effort: str, folder: Path, cache: Path | None, done: list[Row], json_path: Path | None
) -> None:
    """Measure rows of a model one after the other; each is kept as soon as it is there."""
    subject = Subject.of(name, quick)
    compiler = Compiler(subject, effort, cache)
    for row in rows:
        path = folder / f"{name}-{row.replace(' ', '-')}.onnx"
        if row == "float":
            made = Row(name, row, quick, effort, subject.path.stat().st_size, 0.0, subject.float_figures())
        else:
            ours = not row.startswith("ort ")
            if row in UNIFORM:
                seconds = compiler.uniform(*UNIFORM[row], path)
            elif ours:
                seconds = compiler.mixed(MIXED[row], path)
            else:
                seconds = quantise(subject, row.removeprefix("ort "), path)
            made = Row(name, row, quick, effort, path.stat().st_size, seconds, subject.judge(path, takes_bytes=ours))
        done.append(made)
        click.echo(f"{name} {row}: {100 * made.figures.accuracy:.2f}, {made.quantise_s:.1f} s", err=True)
        if json_path is not None:
            json_path.write_text(json.dumps([asdict(d) for d in done], indent=1) + "\n", encoding="utf-8")


def _stored(json_path: Path | None) -> list[Row]:
    if json_path is None or not json_path.is_file():
        return []
    rows: list[Row] = []
    for stored in json.loads(json_path.read_text(encoding="utf-8")):
        figures = dict(stored.pop("figures"))
        worst = figures.pop("worst")
        rows.append(Row(**stored, figures=Figures(**figures, worst=tuple(worst) if worst else None)))
    return rows


def printed(rows: Sequence[Row]) -> str:
    """Return the table of one model."""
    heading = ("model", "row", "accuracy %", "drop, points", "95 %", "n", "KL x 1e-3", "SQNR dB", "KB", "s", "labelled", "worst picture")
    cells: list[tuple[str, ...]] = []
    for row in rows:
        f = row.figures
        cells.append(
            (
                row.model,
                row.row,
                f"{100 * f.accuracy:.2f}",
                f"{100 * f.drop:.2f}",
                f"{100 * f.low:.2f} .. {100 * f.high:.2f}",
                f"{f.n}",
                "-" if f.kl is None else f"{1e3 * f.kl:.3g}",
                f"{f.sqnr_db:.1f}" if math.isfinite(f.sqnr_db) else "-",
                f"{row.file_bytes / 1000:.0f}",
                f"{row.quantise_s:.1f}",
                "-" if f.labelled is None else f"{f.labelled}",
                "-" if f.worst is None else f"{f.worst[0]} {100 * f.worst[1]:.0f}",
            )
        )
    return table(heading, cells)


if __name__ == "__main__":
    accuracy()
