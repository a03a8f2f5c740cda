"""Every strategy beside ours, on the embedded example."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from autosplitc.compare import Comparison, compare_model
from autosplitc.hooks import Watch
from autosplitc.options import Options

from .conftest import Tool

MODEL = Path(__file__).resolve().parents[3] / "examples" / "fashion" / "fashion.onnx"
STRATEGIES = (
    "cloud-only",
    "edge-only float",
    "neurosurgeon",
    "qdmp",
    "qdmp-e",
    "qdmp-e+u4",
    "u2",
    "u4",
    "u6",
    "u8",
    "auto-split-paper",
    "dads",
    "auto-split",
)


@pytest.fixture(scope="module")
def roomy() -> Comparison:
    return compare_model(MODEL, Options(edge="eyeriss", net="ble", edge_ram_bytes=96 * 1024), Watch())


def test_every_strategy_has_a_row(roomy: Comparison) -> None:
    assert tuple(row.strategy for row in roomy.rows) == STRATEGIES


def test_ours_is_never_beaten_at_the_same_error(roomy: Comparison) -> None:
    assert roomy.beaten_by == ()
    sided = [row for row in roomy.rows if row.ours_s is not None and not row.why]
    assert {"u2", "u4", "auto-split-paper"} <= {row.strategy for row in sided}
    assert all(row.ours_s is not None and row.ours_s <= row.latency_s + 1e-9 for row in sided)


def test_a_float_model_that_does_not_fit_is_said_not_to(roomy: Comparison) -> None:
    rows = {row.strategy: row for row in roomy.rows}
    assert rows["edge-only float"].why == "RAM over by 266 KB"
    assert rows["edge-only float"].error is None
    assert rows["u4"].why == ""
    assert rows["qdmp"].ram_bytes >= rows["qdmp-e"].ram_bytes


def test_dads_sees_the_graph_as_it_was_imported(roomy: Comparison) -> None:
    rows = {row.strategy: row for row in roomy.rows}
    assert rows["dads"].ops > rows["qdmp"].ops
    assert rows["dads"].latency_s >= rows["qdmp"].latency_s


def test_cloud_only_as_a_picture_has_rows_where_samples_tell_its_size() -> None:
    options = Options(edge="eyeriss", net="ble", edge_ram_bytes=1024, calib=str(MODEL.parent / "calib.npz"), codec="all")
    found = compare_model(MODEL, options, Watch())
    rows = {row.strategy: row for row in found.rows}
    png, jpeg, raw = rows["cloud-only png"], rows["cloud-only jpeg:75"], rows["cloud-only"]
    assert png.payload_bytes < raw.payload_bytes
    assert png.error == 0
    assert png.ours_s is not None
    assert raw.ours_s is not None
    assert raw.ours_s <= png.latency_s < raw.latency_s
    assert (jpeg.codec, jpeg.error, jpeg.ours_s) == ("jpeg:75", None, None)
    assert rows["auto-split"].latency_s <= png.latency_s


def test_what_is_faster_than_a_proven_plan_is_found_out(roomy: Comparison) -> None:
    slow = tuple(replace(row, ours_s=row.latency_s + 1e-6) if row.strategy == "u4" else row for row in roomy.rows)
    assert [row.strategy for row in replace(roomy, rows=slow).beaten_by] == ["u4"]
    unproven = tuple(replace(row, ours_proven=False) for row in slow)
    assert replace(roomy, rows=unproven).beaten_by == ()


def test_json_and_csv_hold_the_same_rows(tool: Tool) -> None:
    args = ("compare", MODEL, "-t", "eyeriss", "--net", "ble", "--edge-memory", "32KiB", "-q")
    as_json, as_csv = json.loads(tool(*args, "--json").out), list(csv.DictReader(io.StringIO(tool(*args, "--csv").out)))
    assert as_json["schema"] == "autosplitc-comparison/1"
    assert [row["strategy"] for row in as_json["rows"]] == [row["strategy"] for row in as_csv]
    for mine, theirs in zip(as_json["rows"], as_csv, strict=True):
        assert float(theirs["latency_s"]) == mine["latency_s"]
        assert mine["latency_s"] == pytest.approx(mine["edge_s"] + mine["link_s"] + mine["cloud_s"])


def test_a_flag_that_is_missing_is_named(tool: Tool) -> None:
    done = tool("compare", MODEL, "-t", "eyeriss")
    assert done.code == 2
    assert "--net" in done.err


def test_the_table_names_the_fastest_that_fits(tool: Tool) -> None:
    done = tool("compare", MODEL, "-t", "eyeriss", "--net", "ble", "--edge-memory", "96KiB", "-q")
    lines = done.out.splitlines()
    assert len(lines) == 2 + len(STRATEGIES) + 1
    assert lines[-1].startswith("fastest that keeps memory and storage, whatever its error: u2")


def test_a_folder_gets_our_bundle_and_the_comparison(tool: Tool, tmp_path: Path) -> None:
    out = tmp_path / "out"
    args = ("compare", MODEL, "-t", "eyeriss", "--net", "ble", "--edge-memory", "96KiB", "-q", "-o", out)
    assert tool(*args).code == 0
    rows = json.loads((out / "compare.json").read_text())["rows"]
    manifest = json.loads((out / "manifest.json").read_text())
    assert [row["strategy"] for row in rows] == list(STRATEGIES)
    assert rows[-1]["latency_s"] == pytest.approx(manifest["predicted"]["latency_s"])
    assert len((out / "compare.csv").read_text().splitlines()) == 1 + len(rows)
    assert "neurosurgeon" in (out / "report.html").read_text()
    assert tool(*args).code == 0


@pytest.mark.heavy
def test_accuracy_is_measured_where_there_are_samples(tool: Tool, tmp_path: Path) -> None:
    folder = Path(__file__).parents[3] / "examples" / "fashion"
    with np.load(folder / "eval.npz") as stored:
        np.savez(tmp_path / "few.npz", **{name: stored[name][:100] for name in stored.files})
    data = ("--calib", folder / "calib.npz", "--eval", tmp_path / "few.npz", "--codec", "none", "--effort", "fast")
    found = json.loads(tool("compare", MODEL, "-t", "eyeriss", "--net", "3mbps", *data, "--json", "-q").out)
    rows = {row["strategy"]: row for row in found["rows"]}
    assert {(row["metric"], row["n"]) for row in rows.values()} == {("top1", 100)}
    assert rows["u2"]["accuracy"] < rows["u8"]["accuracy"]
    assert rows["dads"]["accuracy"] == rows["cloud-only"]["accuracy"]
    assert all(row["accuracy_low"] <= row["accuracy"] <= row["accuracy_high"] for row in rows.values())
