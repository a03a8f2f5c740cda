"""report.html: whole, escaped, the same from run to run, and with whatever is missing named."""

from __future__ import annotations

import csv
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from plotly.graph_objects import Figure

from autosplitc.cli import main
from autosplitc.ir import CompileError
from autosplitc.report import write_report
from autosplitc.report_page import plotly_js

from .conftest import Tool

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "fashion"
MODEL = str(EXAMPLE / "fashion.onnx")
NASTY = "</script><script>alert(1)</script><b>&\"'%{x}"
FIGURES = ("bars", "front", "rate", "bits", "memory")


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a bundle with a split; tests must not change it."""
    return made(tmp_path_factory.mktemp("split"), "--net", "ble", "--edge-memory", "64KiB", "--min-sqnr", "10dB")


@pytest.fixture(scope="module")
def cloud_only(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a bundle without an edge part."""
    return made(tmp_path_factory.mktemp("cloud"), "--net", "1gbps", "--edge-memory", "100B")


@pytest.fixture(scope="module")
def edge_only(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a bundle without a cloud part."""
    return made(tmp_path_factory.mktemp("edge"), "--net", "ble")


def made(folder: Path, *flags: str) -> Path:
    assert main([MODEL, "-t", "eyeriss", *flags, "-q", "-o", str(folder / "out")]) == 0
    return folder / "out"


def copied(bundle: Path, place: Path) -> Path:
    """Return a copy of a bundle without its graphs."""
    return Path(shutil.copytree(bundle, place / "copy", ignore=shutil.ignore_patterns("*.onnx")))


def figures_of(text: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="figures">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def without_plotly(text: str) -> str:
    assert text.count(plotly_js()) <= 1
    return text.replace(plotly_js(), "")


class Tags(HTMLParser):
    """Collects elements with their attributes, and the text outside scripts and styles; counts what is open."""

    def __init__(self) -> None:
        """Start with nothing."""
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take in the start of an element."""
        self.found.append((tag, dict(attrs)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Take in the end of an element."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Take in text."""
        if self.open[-1:] not in (["script"], ["style"]):
            self.words.append(data)


def read(text: str) -> tuple[Tags, str]:
    tags = Tags()
    tags.feed(without_plotly(text))
    assert tags.open == []
    return tags, " ".join("".join(tags.words).split())


def test_every_compile_writes_one_that_report_writes_again(split: Path, tmp_path: Path, tool: Tool) -> None:
    written = (split / "report.html").read_bytes()
    copy = copied(split, tmp_path)
    (copy / "report.html").unlink()
    done = tool("report", copy)
    assert (done.code, done.out) == (0, f"wrote {copy / 'report.html'}\n")
    assert (copy / "report.html").read_bytes() == written
    assert 4_000_000 < len(written) < 6_000_000


def test_no_report(tmp_path: Path) -> None:
    folder = made(tmp_path, "--net", "ble", "--no-report")
    assert not (folder / "report.html").exists()
    assert main(["report", "-q", str(folder)]) == 0
    assert (folder / "report.html").is_file()


def test_the_same_bundle_compiled_twice_has_the_same_report(split: Path, tmp_path: Path) -> None:
    again = made(tmp_path, "--net", "ble", "--edge-memory", "64KiB", "--min-sqnr", "10dB")
    assert (again / "report.html").read_bytes() == (split / "report.html").read_bytes()


def test_seconds_and_memory_of_the_compiler_are_left_out(split: Path, tmp_path: Path) -> None:
    copy = copied(split, tmp_path)
    path = copy / "measurements.json"
    measured = json.loads(path.read_text(encoding="utf-8"))
    for name in ("times_s", "compile", "edge_rss_bytes"):
        del measured[name]
    measured["sizes"] = {}
    path.write_text(json.dumps(measured), encoding="utf-8")
    assert write_report(copy).read_bytes() == (split / "report.html").read_bytes()


def test_the_answers_of_a_split(split: Path) -> None:
    _, words = read((split / "report.html").read_text(encoding="utf-8"))
    manifest = json.loads((split / "manifest.json").read_text(encoding="utf-8"))
    with (split / "solutions.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    cloud, chosen = next(r for r in rows if r["kind"] == "cloud-only"), next(r for r in rows if r["chosen"] == "1")
    assert f"Yes, split after {manifest['decision']['after']}: {float(chosen['latency_ms']):.1f} ms a sample." in words
    ratio = float(cloud["latency_ms"]) / float(chosen["latency_ms"])
    assert f"{ratio:.1f} times as fast" in words
    assert "Proven: no cut and no choice of bits is faster" in words
    assert "No calibration data was given" in words
    assert f"{manifest['wire']['bytes_per_sample']:,} B" in words
    assert "Above " in words


def test_nothing_is_fetched(split: Path) -> None:
    text = (split / "report.html").read_text(encoding="utf-8")
    tags, _ = read(text)
    asked = [value for _, attrs in tags.found for name, value in attrs.items() if name in ("src", "href", "srcset", "action", "data")]
    assert asked == []
    policy = next(attrs["content"] for tag, attrs in tags.found if tag == "meta" and "http-equiv" in attrs)
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy
    assert "@import" not in text.replace(plotly_js(), "")
    assert "url(" not in text.replace(plotly_js(), "")


def test_figures_have_places_and_are_plotlys(split: Path, cloud_only: Path, edge_only: Path) -> None:
    for folder, names in ((split, FIGURES), (cloud_only, FIGURES[:3]), (edge_only, FIGURES)):
        text = (folder / "report.html").read_text(encoding="utf-8")
        figures = figures_of(text)
        assert sorted(figures) == sorted(f"figure-{name}" for name in names)
        ids = [attrs["id"] for _, attrs in read(text)[0].found if "id" in attrs]
        assert len(ids) == len(set(ids))
        for name, figure in figures.items():
            assert name in ids
            drawn = Figure(data=figure["data"], layout=figure["layout"])
            assert len(drawn.data) > 0
            assert all(len(trace.x) == len(trace.y) > 0 for trace in drawn.data)


def test_cloud_only_and_edge_only(cloud_only: Path, edge_only: Path) -> None:
    _, cloud = read((cloud_only / "report.html").read_text(encoding="utf-8"))
    assert "No, do not split: send the input and run everything in the cloud" in cloud
    assert "Nothing runs on the edge" in cloud
    _, edge = read((edge_only / "report.html").read_text(encoding="utf-8"))
    assert "No need to split: everything runs on the edge" in edge
    assert "in the cloud" not in re.sub(r"run all in the cloud|the rest in the cloud", "", edge)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("problem.json", "The graph is left out"),
        ("solutions.csv", "The comparison of plans is left out"),
        ("layers.csv", "Bits, errors and memory is left out"),
        ("measurements.json", "nothing was measured"),
    ],
)
def test_a_file_that_is_missing_or_damaged_is_named(split: Path, tmp_path: Path, name: str, line: str) -> None:
    copy = copied(split, tmp_path)
    (copy / name).unlink()
    _, words = read(write_report(copy).read_text(encoding="utf-8"))
    assert line in words
    if name.endswith(".json"):
        (copy / name).write_text("{", encoding="utf-8")
        assert line in read(write_report(copy).read_text(encoding="utf-8"))[1]


def test_a_folder_without_a_bundle_is_refused(tmp_path: Path, tool: Tool) -> None:
    done = tool("report", tmp_path)
    assert (done.code, done.out) == (1, "")
    assert "error[AS630]" in done.err
    with pytest.raises(CompileError):
        write_report(tmp_path)


def test_names_may_hold_anything(split: Path, tmp_path: Path) -> None:
    copy = copied(split, tmp_path)
    quoted, cell = json.dumps(NASTY)[1:-1], '"' + NASTY.replace('"', '""') + '"'
    for path in copy.iterdir():
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".json":
            path.write_text(
                text.replace("stem/relu", quoted).replace("waist/clip", quoted).replace("fashion.onnx", quoted), encoding="utf-8"
            )
        elif path.suffix == ".csv":
            path.write_text(re.sub(r"(?m)(^|,)(stem/relu|waist/clip)(?=,)", lambda m: m[1] + cell, text), encoding="utf-8")
    text = write_report(copy).read_text(encoding="utf-8")
    tags, words = read(text)
    assert "<script>alert" not in text
    assert " ".join(NASTY.split()) in words
    assert sum(tag == "script" for tag, _ in tags.found) == 3
    assert all(Figure(data=figure["data"], layout=figure["layout"]) for figure in figures_of(text).values())


def test_baselines_and_a_front_stand_in_the_figures(split: Path, tmp_path: Path) -> None:
    copy = copied(split, tmp_path)
    row = {"kind": "split", "after": "x", "edge_s": 0.001, "link_s": 0.02, "cloud_s": 0.003, "error": 0.5, "why": ""}
    rows = [
        {**row, "strategy": "u4"},
        {**row, "strategy": "qdmp", "error": None, "why": "RAM over by 3 KB"},
        {**row, "strategy": "auto-split"},
    ]
    (copy / "compare.json").write_text(json.dumps({"rows": rows}), encoding="utf-8")
    (copy / "front.csv").write_text("max_error,point,latency_ms,error\n0.1,1,9.5,0.02\n0.2,1,9.5,0.02\n0.3,,,\n", encoding="utf-8")
    text = write_report(copy).read_text(encoding="utf-8")
    assert "Of 2 other methods under the same cost model 1 keep all limits" in read(text)[1]
    traces = {trace["name"]: trace for trace in figures_of(text)["figure-front"]["data"]}
    assert (traces["baselines"]["x"], traces["baselines"]["y"]) == ([24.0], [0.5])
    assert (traces["proven front, any memory"]["x"], traces["proven front, any memory"]["y"]) == ([9.5], [0.02])
    names = figures_of(text)["figure-bars"]["layout"]["yaxis"]["ticktext"]
    assert names[-2:] == ["u4", "qdmp"]


def test_the_bars_add_up_to_the_latencies(split: Path) -> None:
    bars = figures_of((split / "report.html").read_text(encoding="utf-8"))["figure-bars"]["data"]
    with (split / "solutions.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [trace["name"] for trace in bars] == ["edge", "link", "cloud"]
    totals = [sum(parts) for parts in zip(*(trace["x"] for trace in bars), strict=True)]
    assert totals == pytest.approx([float(row["latency_ms"]) for row in rows[: len(totals)]], rel=1e-4)


def test_memory_is_that_of_the_layers(split: Path) -> None:
    found = figures_of((split / "report.html").read_text(encoding="utf-8"))["figure-memory"]
    with (split / "layers.csv").open(encoding="utf-8") as file:
        used = [int(row["ram_bytes"]) for row in csv.DictReader(file) if row["side"] == "edge"]
    resident, working = (trace["y"] for trace in found["data"])
    assert len(set(resident)) == 1
    assert 0 < resident[0] < min(used) / 1e3
    assert [1e3 * (a + b) for a, b in zip(resident, working, strict=True)] == pytest.approx(used, rel=1e-4)
    assert f"peak {max(used) / 1e3:.3g} KB" in found["layout"]["annotations"][0]["text"]


def test_several_limits_have_a_page_above_theirs(split: Path, tmp_path: Path, tool: Tool) -> None:
    heads = "max_drop,folder,kind,after,solution,latency_ms,x_cloud_only,metric,drop,drop_low,drop_high,n,holds,ending"
    rows = ["0.0,drop-0%,split,x,1,9,0.3,top1,0.0,-0.01,0.01,200,1,fastest", "0.1,drop-10%,split,x,1,9,0.3,top1,0.12,,,200,0,broken"]
    (tmp_path / "thresholds.csv").write_text("\n".join((heads, *rows)) + "\n", encoding="utf-8")
    for name in ("drop-0%", "drop-10%"):
        copied(split, tmp_path).rename(tmp_path / name)
    done = tool("report", tmp_path)
    assert done.code == 0
    assert [line.removeprefix(f"wrote {tmp_path}/") for line in done.out.splitlines()] == [
        "drop-0%/report.html",
        "drop-10%/report.html",
        "report.html",
    ]
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    tags, words = read(text)
    assert [attrs["href"] for tag, attrs in tags.found if tag == "a"] == ["drop-0%25/report.html", "drop-10%25/report.html"]
    assert "a sample whatever may be lost, 0 % to 10 %" in words
    assert "12.00 %" in words
    figures = figures_of(text)
    assert figures["figure-front"]["data"][0]["y"] == [0.0, 12.0]
    assert figures["figure-bars"]["layout"]["yaxis"]["ticktext"][-1] == "Cloud-Only"
    assert all(Figure(data=figure["data"], layout=figure["layout"]) for figure in figures.values())
