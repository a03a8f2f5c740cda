"""`autosplitc compare MODEL`: a thin layer over the comparison, and what it prints."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import click

from autosplitc.passes import size_text

from .cli_errors import missing_flag
from .cli_flags import PATH, common, data_flags, device_flags, input_shape_flag, plan_flags
from .cli_output import infeasible, watch_of
from .compare import Comparison, Row, compare_model
from .compare_accuracy import with_accuracy
from .driver import compile_model
from .folder import writing_to
from .options import Options
from .report import write_report
from .table_text import columns
from .tables import csv_text

SCHEMA = "autosplitc-comparison/1"

_LEFT_OUT = ("max_drop", "max_evals", "max_opset", "metric", "pick", "format", "strategy")
"""Flags of `compile` that say something of a bundle or of measured accuracy."""


@click.command("compare", short_help="Place a model in every known way, beside ours.")
@click.argument("model")
@device_flags
@input_shape_flag
@data_flags
@plan_flags
@click.option("-o", "--output", type=PATH, help="Folder for our bundle, with compare.json and compare.csv.")
@click.option("--force", is_flag=True, help="Add the bundle to a folder that holds other things.")
@click.option("--csv", "as_csv", is_flag=True, help="Results as CSV on stdout.")
@common
def compare_command(model: str, quiet: bool, verbose: bool, as_json: bool, as_csv: bool, **flags: Any) -> int:
    """Place MODEL, an ONNX file or zoo:NAME, as Neurosurgeon, DADS, QDMP, uniform widths and the paper's search do, beside our plan.

    All figures are predicted, under one cost model. With --eval the accuracy of what can be emitted is measured on its files.
    """
    del verbose
    if as_json and as_csv:
        raise click.UsageError("--json and --csv: one of them")
    for name, flag in (("edge", "--edge"), ("net", "--net")):
        if not flags[name]:
            raise missing_flag(flag)
    known = {f.name for f in fields(Options)}
    options = Options(**{name: value for name, value in flags.items() if name in known and value is not None})
    bundle = compile_model(model, options, watch_of(quiet=quiet)) if options.output is not None else None
    found = compare_model(model, replace(options, output=None), watch_of(quiet=quiet))
    if options.evaluation is not None:
        found = with_accuracy(found, model, options, watch_of(quiet=quiet))
    if options.output is not None:
        write_comparison(found, options.output)
    as_text = comparison_csv if as_csv else comparison_text
    click.echo(json.dumps(comparison_json(found), indent=2, ensure_ascii=False) if as_json else as_text(found))
    if bundle is not None and not bundle.best.feasible:
        raise infeasible(bundle)
    return 0


compare_command.params = [param for param in compare_command.params if param.name not in _LEFT_OUT]


def write_comparison(found: Comparison, folder: Path) -> None:
    """Write compare.json and compare.csv into a bundle, and its report again. Raises CompileError (AS603, AS604)."""
    with writing_to(folder):
        (folder / "compare.json").write_text(json.dumps(comparison_json(found), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        (folder / "compare.csv").write_text(comparison_csv(found) + "\n", encoding="utf-8")
        write_report(folder)


def comparison_json(found: Comparison) -> dict[str, Any]:
    """Return a comparison as JSON: `rows` with the fields of `Row` and `latency_s`, `normalised` to Cloud-Only raw. All are predicted."""
    unit_s = found.cloud_only_s
    rows = [{**asdict(row), "latency_s": row.latency_s, "normalised": row.latency_s / unit_s if unit_s else None} for row in found.rows]
    request = found.request
    devices = {"edge": request.edge, "cloud": request.cloud, "net": request.net}
    return {"schema": SCHEMA, "source": request.source, **devices, "figures": "predicted", "rows": rows}


def comparison_csv(found: Comparison) -> str:
    """Return a comparison as CSV, with the fields of the JSON form."""
    rows = comparison_json(found)["rows"]
    return csv_text(tuple(rows[0]), [tuple("" if value is None else value for value in row.values()) for row in rows]).rstrip("\n")


def comparison_text(found: Comparison) -> str:
    """Return a comparison as a table for people."""
    request = found.request
    heading = f"{request.source}   edge {request.edge}   cloud {request.cloud}   {request.net}   all figures predicted{_measured(found)}"
    accurate = any(row.accuracy is not None for row in found.rows)
    names = (
        "strategy",
        "cut after",
        "x cloud",
        "ms",
        "edge",
        "link",
        "cloud",
        "sent B",
        "RAM",
        "file",
        "error",
        "ours at that error",
        *(("accuracy, measured",) if accurate else ()),
        "",
    )
    table = columns(
        [names, *(_text_row(row, found.cloud_only_s, accurate=accurate) for row in found.rows)], right=frozenset(range(2, len(names) - 1))
    )
    fastest = min((row for row in found.rows if not row.why), key=lambda row: row.latency_s, default=None)
    if fastest is None:
        return f"{heading}\n{table}"
    return f"{heading}\n{table}\nfastest that keeps memory and storage, whatever its error: {fastest.strategy}, {_ms(fastest.latency_s)} ms"


def _measured(found: Comparison) -> str:
    """Return what is measured after all."""
    return ", but for bytes behind codecs, measured on calibration" if any(row.codec for row in found.rows) else ""


def _text_row(row: Row, cloud_only_s: float | None, *, accurate: bool) -> tuple[str, ...]:
    places = {"split": f"{row.after} ({row.ops} ops)", "cloud-only": "cloud only", "edge-only": "edge only"}
    return (
        row.strategy,
        places[row.kind],
        f"{row.latency_s / cloud_only_s:.3f}" if cloud_only_s else "-",
        *(_ms(seconds) for seconds in (row.latency_s, row.edge_s, row.link_s, row.cloud_s)),
        f"{row.payload_bytes:,}",
        size_text(row.ram_bytes),
        size_text(row.storage_bytes),
        _error(row),
        "-" if row.ours_s is None else _ms(row.ours_s),
        *((_accuracy(row),) if accurate else ()),
        row.why,
    )


def _error(row: Row) -> str:
    """Return a row's error; a float edge and a lossy codec have none that could be compared."""
    if row.error is not None:
        return f"{row.error:.3g}"
    return "lossy" if row.codec else "float"


def _accuracy(row: Row) -> str:
    """Return a row's accuracy with the number of samples."""
    return "-" if row.accuracy is None else f"{row.metric} {row.accuracy:.2%} (n = {row.n:,})"


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.4g}"
