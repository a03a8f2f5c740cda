"""`autosplitc targets`: what it lists, shows, checks and costs."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest

from .conftest import Tool


def test_targets_show_says_every_figure_and_its_source(tool: Tool) -> None:
    shown = tool("targets", "show", "eyeriss:clock=250MHz").out
    assert re.search(r"^compute.clock +250MHz", shown, re.MULTILINE)
    assert re.search(r"^compute.array +12 x 14", shown, re.MULTILINE)
    found = json.loads(tool("targets", "show", "tpu", "--json").out)
    assert {line["field"]: line["value"] for line in found["fields"]}["memory.bandwidth"] == "13GB/s"


def test_targets_check_ends_with_1_where_something_is_wrong(tool: Tool) -> None:
    good = tool("targets", "check", "eyeriss")
    assert (good.code, good.err) == (0, "")
    assert [line.split()[0] for line in good.out.splitlines()] == ["ok"] * 8
    bad = tool("targets", "check", "eyeriss:weight-bits=4")
    assert bad.code == 1
    assert "AS415" in bad.err
    assert "FAIL" in bad.out
    findings = json.loads(tool("targets", "check", "eyeriss:weight-bits=4", "--json").out)["findings"]
    assert [f["check"] for f in findings if not f["holds"]] == ["8 bit"]


def test_targets_cost_agrees_with_the_compiler(tool: Tool, tmp_path: Path) -> None:
    """In float every op costs what the same device costs as a plan's cloud; so small a memory leaves it every op."""
    found = json.loads(tool("targets", "cost", "tpu", "zoo:fashion", "--json").out)
    tool("zoo:fashion", "-t", "eyeriss", "--net", "ble", "--edge-memory", "1KiB", "-q", "-o", tmp_path / "out")
    layers = list(csv.DictReader((tmp_path / "out" / "layers.csv").open()))
    cloud = {row["node"]: float(row["latency_ms"]) for row in layers if row["side"] == "cloud"}
    costs = {op["op"]: op["latency_s"]["float"] * 1e3 for op in found["ops"]}
    assert cloud.keys() == costs.keys()
    assert all(costs[node] == pytest.approx(ms, abs=1e-5) for node, ms in cloud.items())
    table = list(csv.DictReader(io.StringIO(tool("targets", "cost", "eyeriss", "zoo:fashion", "--csv").out)))
    assert len(table) == len(found["ops"])
    assert all(float(row["ms_w2a2"]) <= float(row["ms_w8a8"]) <= float(row["ms_float"]) for row in table)
    assert tool("targets", "cost", "eyeriss", "zoo:fashion").out.splitlines()[-1].startswith("total")
