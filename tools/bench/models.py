"""Models through the full command: sizes, decision, latency against Cloud-Only, quality, time, memory, and whether all of it repeats.

Run with `python -m autosplitc.bench.models [NAME ...]`, names as `autosplitc zoo list` shows them, or paths of ONNX files.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from autosplitc.ir import import_onnx, print_module, read_dump, unknown_input_dims
from autosplitc.passes import FACT_TYPES, pass_names
from autosplitc.zoo import names, resolve

from .process import autosplitc
from .table import table

IGNORED = ("measurements.json",)
"""What differs from run to run."""


@dataclass(frozen=True, slots=True)
class Case:
    """A model and what the command needs to know of it."""

    name: str
    path: Path
    flags: tuple[str, ...]
    calib: Path | None


@dataclass(frozen=True, slots=True)
class Row:
    """What was found for a model. Latencies are predicted; the rest is measured.

    dumps: how many print as they were read and give the same bundle when gone on from, of all. repeats: a second run gave the same bytes.
    """

    model: str
    ops_before: int
    ops_after: int
    decision: str
    cut: str
    payload_bytes: int
    edge_file_bytes: int
    latency_ms: float
    against_cloud_only: float | None
    sqnr_db: float | None
    top1: float | None
    seconds: float
    peak_rss_mb: float
    halves_equal_whole: bool
    repeats: bool
    dumps: str


@click.command()
@click.argument("wanted", nargs=-1, metavar="[NAME]...")
@click.option("--edge", default="eyeriss", show_default=True)
@click.option("--net", default="3mbps", show_default=True)
@click.option("--dumps/--no-dumps", default=True, help="Whether to read every dump back and to go on from it.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="File for the figures as JSON.")
def models(wanted: Sequence[str], edge: str, net: str, dumps: bool, json_path: Path | None) -> None:
    """Compile models and print what comes out; fails where halves and whole differ, or bytes do from run to run."""
    rows: list[Row] = []
    for name in wanted or names():
        with TemporaryDirectory() as scratch:
            row = measure(_case(name), ("-t", edge, "--net", net), Path(scratch), dumps=dumps)
        rows.append(row)
        click.echo(f"{row.model}: {row.seconds:.1f} s", err=True)
    click.echo(_printed(rows))
    if json_path is not None:
        json_path.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    bad = [row.model for row in rows if not (row.halves_equal_whole and row.repeats and "!" not in row.dumps)]
    if bad:
        sys.exit(f"not as it should be: {', '.join(bad)}")


def _case(name: str) -> Case:
    if Path(name).suffix == ".onnx":
        path, shapes, calib, evaluation = Path(name), (), None, None
    else:
        found = resolve(name)
        path, shapes, calib, evaluation = found.path, found.input_shapes, found.calib, found.evaluation
    flags: list[str] = []
    if unknown_input_dims(import_onnx(path)):
        flags += [part for key, shape in shapes for part in ("--input-shape", f"{key}:{'x'.join(map(str, shape))}")]
    if calib is not None:
        flags += ["--calib", str(calib)]
    if evaluation is not None:
        flags += ["--eval", str(evaluation)]
    return Case(name, path, tuple(flags), calib)


def measure(case: Case, devices: tuple[str, ...], scratch: Path, *, dumps: bool) -> Row:
    """Compile a model twice, once with dumps, and go on from each of them."""
    plain, dumped = scratch / "plain", scratch / "dumped"
    command = (case.path, *devices, *case.flags, "-q")
    run = autosplitc(*command, "-o", plain)
    again = autosplitc(*command, "-o", dumped, "--dump-ir", scratch / "ir")
    if run.code or again.code:
        sys.exit(f"{case.name}: exit code {run.code or again.code}\n{run.stderr or again.stderr}")
    manifest = json.loads((plain / "manifest.json").read_text())
    measured = json.loads((plain / "measurements.json").read_text())
    predicted, quality = manifest["predicted"], measured["quality"]
    cloud_only_s = predicted["cloud_only_latency_s"]
    files = sorted((scratch / "ir").glob("*.air"))
    simplified = next(path for path in files if path.name.endswith("-drop-identities.air"))
    return Row(
        case.name,
        len(read_dump(files[0], FACT_TYPES).main.ops),
        len(read_dump(simplified, FACT_TYPES).main.ops),
        manifest["decision"]["kind"],
        manifest["decision"]["after"],
        measured["payload_bytes"],
        sum(file["bytes"] for file in manifest["graphs"]["edge"]["files"]),
        predicted["latency_s"] * 1e3,
        predicted["latency_s"] / cloud_only_s if cloud_only_s else None,
        quality["sqnr_db"],
        quality["top1"]["value"] if quality["top1"] else None,
        run.seconds,
        run.peak_rss_bytes / 1e6,
        measured["check"]["halves_equal_whole"],
        same_bundle(plain, dumped),
        _dumps(case, files, plain, scratch) if dumps else "-",
    )


def same_bundle(first: Path, second: Path) -> bool:
    """Whether two folders hold the same bytes, what differs from run to run aside."""
    return dict(_files(first)) == dict(_files(second))


def _files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name not in IGNORED:
            yield path.name, path.read_bytes()


def _dumps(case: Case, files: Sequence[Path], bundle: Path, scratch: Path) -> str:
    """Return how many dumps read back and lead to the same bundle; `!` and the others' names stand behind."""
    wrong = [path.name for path in files if not _goes_on(case, path, bundle, scratch / "again")]
    return f"{len(files) - len(wrong)}/{len(files)}" + "".join(f" !{name}" for name in wrong)


def _goes_on(case: Case, dump: Path, bundle: Path, out: Path) -> bool:
    if print_module(read_dump(dump, FACT_TYPES)) != dump.read_text(encoding="utf-8"):
        return False
    done = dump.stem.partition("-")[2]
    order = pass_names()
    rest = order[order.index(done) + 1 :] if done in order else order
    flags = _data_flags(case, rest)
    run = autosplitc("opt", dump, "-p", ",".join(rest), "-q", "-o", out, *flags) if rest else None
    return run is None or (run.code == 0 and same_bundle(bundle, out))


def _data_flags(case: Case, passes: Sequence[str]) -> tuple[str, ...]:
    """Flags for the data that the rest of the pipeline needs; what only measures is left out."""
    return ("--calib", str(case.calib)) if case.calib is not None and "calibrate" in passes else ()


def _printed(rows: Sequence[Row]) -> str:
    sizes = ("model", "ops", "decision", "payload B", "edge file B", "ms", "x cloud")
    heading = (*sizes, "SQNR dB", "top-1", "s", "RSS MB", "equal", "repeats", "dumps")
    cells: list[tuple[Any, ...]] = []
    for row in rows:
        decision = f"{row.decision} {row.cut}" if row.decision == "split" else row.decision
        cells.append(
            (
                row.model,
                f"{row.ops_before} > {row.ops_after}",
                decision,
                f"{row.payload_bytes:,}",
                f"{row.edge_file_bytes:,}",
                f"{row.latency_ms:.1f}",
                _figure(row.against_cloud_only, ".3f"),
                _figure(row.sqnr_db, ".1f"),
                _figure(row.top1, ".2%"),
                f"{row.seconds:.1f}",
                f"{row.peak_rss_mb:.0f}",
                "yes" if row.halves_equal_whole else "NO",
                "yes" if row.repeats else "NO",
                row.dumps,
            )
        )
    return table(heading, cells)


def _figure(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


if __name__ == "__main__":
    models()
