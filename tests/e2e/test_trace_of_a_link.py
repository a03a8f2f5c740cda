"""Whole compiles over a trace of the link, and going on from their dumps."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import pytest

import autosplitc
from autosplitc.cli import main
from autosplitc.manifest import sha256_of_file
from autosplitc.passes import Request, Solutions
from autosplitc.targets import parse_network

STEPS = ("0,4", "1,0", "2,60", "5,12", "9,0.5")
NET = "walk.csv,rtt=1ms"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, residual_model: Any) -> Path:
    """Return a folder, the current one, with a model and a trace in it."""
    monkeypatch.chdir(tmp_path)
    Path("m.onnx").write_bytes(residual_model.SerializeToString())
    write_trace(*STEPS)
    return tmp_path


def write_trace(*rows: str) -> None:
    Path("walk.csv").write_text("\n".join(("time_s,rate_mbps", *rows)) + "\n", encoding="utf-8")


def run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(args)
    done = capsys.readouterr()
    return code, done.out, done.err


def test_a_compile_tells_median_and_95_percent(here: Path) -> None:
    made = autosplitc.compile("m.onnx", output=here / "out", network=NET, edge_memory=2000)
    network, best, predicted = parse_network(NET), made.best, made.manifest["predicted"]
    assert best.feasible
    p50_s, p95_s = network.quantiles_s(best.payload_bytes)
    assert (predicted["latency_p50_s"], predicted["latency_p95_s"]) == (
        best.edge_s + best.cloud_s + p50_s,
        best.edge_s + best.cloud_s + p95_s,
    )
    assert best.typical_s == min(p.typical_s for p in made.solutions if p.feasible)
    assert made.manifest["options"]["net_sha256"] == sha256_of_file(here / "walk.csv") == made.module.fact(Request).net_sha256
    with (here / "out" / "solutions.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["latency_p50_ms"]) for row in rows] == pytest.approx([p.typical_s * 1e3 for p in made.solutions], abs=1e-6)
    assert all(float(row["latency_p95_ms"]) >= float(row["latency_p50_ms"]) for row in rows)


def test_without_a_trace_the_columns_are_empty(here: Path) -> None:
    made = autosplitc.compile("m.onnx", output=here / "out", network="3mbps")
    assert made.manifest["predicted"]["latency_p50_s"] is None
    assert made.manifest["options"]["net_sha256"] == ""
    assert made.module.fact(Solutions).trace == ""
    with (here / "out" / "solutions.csv").open(encoding="utf-8") as file:
        assert {(row["latency_p50_ms"], row["latency_p95_ms"]) for row in csv.DictReader(file)} == {("", "")}


def test_the_summary_has_a_line_on_the_trace(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "m.onnx", "-t", "eyeriss", "--net", NET, "-o", "out")
    assert code == 0
    (line,) = (text for text in out.splitlines() if text.startswith(" trace "))
    assert line.endswith(" ms predicted over walk.csv (11 s, 0bps..60mbps)")
    assert re.search(r"p50 ms +p95 ms", out)
    assert "optimal at a rate of the trace, proven" in out
    assert "by the median over the trace" in out
    assert here


def test_a_dump_goes_on_with_the_same_trace_alone(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, _ = run(capsys, "m.onnx", "-t", "eyeriss", "--net", NET, "-o", "out", "--dump-ir", "ir", "-q")
    assert code == 0
    (dump,) = map(str, (here / "ir").glob("*-enumerate-splits.air"))
    assert run(capsys, "opt", dump, "-p", "plan,lower", "-o", "again", "-q")[0] == 0
    assert (here / "again" / "manifest.json").read_bytes() == (here / "out" / "manifest.json").read_bytes()

    write_trace("0,5")
    code, out, err = run(capsys, "opt", dump, "-p", "plan,lower", "-o", "other", "-q")
    assert (code, out) == (1, "")
    assert err.startswith("error[AS407]: the trace is not the one that the dump was made with (sha256 ")
    assert f"hint: --net {NET} plans again with what it holds now" in err
    assert run(capsys, "opt", dump, "--net", NET, "-p", "plan,lower", "-o", "other", "-q")[0] == 0

    (here / "walk.csv").unlink()
    code, out, err = run(capsys, "opt", dump, "-p", "plan,lower", "-o", "gone", "-q")
    assert (code, out) == (1, "")
    assert err.startswith("error[AS403]: cannot read the trace: No such file or directory\n  --> walk.csv\n")
    assert not (here / "gone").exists()


@pytest.mark.parametrize("rows", [("0,fast",), ("0,3,4",), ("0,-1",), ("0,0",), ("1,2", "1,3")])
def test_a_bad_trace_writes_nothing(here: Path, capsys: pytest.CaptureFixture[str], rows: tuple[str, ...]) -> None:
    write_trace(*rows)
    before = sorted(here.iterdir())
    code, out, err = run(capsys, "m.onnx", "-t", "eyeriss", "--net", NET, "-o", "out")
    assert (code, out) == (1, "")
    assert err.startswith("error[AS40")
    assert sorted(here.iterdir()) == before
