"""Limits on the drop, the whole way on the embedded example: bundles, tables, dumps, `--like`, fixed plans."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autosplitc
from autosplitc import Result
from autosplitc.cli import main
from autosplitc.manifest import check_manifest

from .conftest import Tool

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "fashion"
FIXED = ("-t", "eyeriss", "--net", "ble", "--edge-memory", "40KiB", "--calib", str(EXAMPLE / "calib.npz"), "--effort", "fast")
COMPILE = (str(EXAMPLE / "fashion.onnx"), *FIXED)
STABLE = ("edge.onnx", "cloud.onnx", "layers.csv", "manifest.json", "solutions.csv")


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with 200 labelled samples."""
    path = tmp_path_factory.mktemp("data") / "eval.npz"
    with np.load(EXAMPLE / "eval.npz") as data:
        np.savez(path, image=data["image"][200:400], labels=data["labels"][200:400])
    return path


@pytest.fixture(scope="module")
def several(few: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a compile with three limits, with dumps; tests must not change it."""
    folder = tmp_path_factory.mktemp("several") / "out"
    args = [*COMPILE, "-q", "--eval", str(few), "--max-drop", "0,10%,30%", "-o", str(folder), "--dump-ir", str(folder.parent / "ir")]
    assert main(args) == 0
    return folder


def load(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def compiled(few: Path, **options: Any) -> Result:
    return autosplitc.compile(
        EXAMPLE / "fashion.onnx", network="ble", edge_memory="40KiB", calib=EXAMPLE / "calib.npz", effort="fast", evaluation=few, **options
    )


def plans_of(folder: Path) -> list[dict[str, str]]:
    """Return the rows of solutions.csv without why plans are out: whether they were measured or passed over depends on the other limits."""
    with (folder / "solutions.csv").open(encoding="utf-8") as file:
        return [{key: text for key, text in row.items() if key != "violations"} for row in csv.DictReader(file)]


def test_a_bundle_a_limit_each_complete(several: Path) -> None:
    assert sorted(p.name for p in several.iterdir()) == ["drop-0%", "drop-10%", "drop-30%", "report.html", "thresholds.csv"]
    latencies: list[float] = []
    for limit in (0.0, 0.1, 0.3):
        folder = several / f"drop-{100 * limit:g}%"
        manifest, measurements = load(folder / "manifest.json"), load(folder / "measurements.json")
        check_manifest(manifest)
        accuracy = measurements["accuracy"]
        assert manifest["options"]["max_drop"] == [limit]
        assert manifest["options"]["metric"] == accuracy["metric"] == "top1"
        assert manifest["decision"]["feasible"] is True
        assert (accuracy["threshold"], accuracy["holds"], accuracy["n"]) == (limit, True, 200)
        assert accuracy["drop"] <= limit
        chosen = [t for t in accuracy["evaluations"] if t["solution"] == manifest["decision"]["solution"]]
        assert chosen[0]["drop"] == accuracy["drop"]
        assert measurements["check"]["halves_equal_whole"] is True
        assert measurements["quality"]["top1"]["value"] == pytest.approx(accuracy["value"])
        latencies.append(manifest["predicted"]["latency_s"])
    assert latencies == sorted(latencies, reverse=True)
    assert len(set(latencies)) == 3


def test_the_table_of_limits(several: Path) -> None:
    with (several / "thresholds.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["folder"], row["metric"], row["holds"]) for row in rows] == [(f"drop-{x}%", "top1", "1") for x in (0, 10, 30)]
    for row in rows:
        manifest = load(several / row["folder"] / "manifest.json")
        assert int(row["solution"]) == manifest["decision"]["solution"]
        shares = manifest["predicted"]
        assert float(row["x_cloud_only"]) == pytest.approx(shares["latency_s"] / shares["cloud_only_latency_s"], abs=1e-6)
        assert float(row["drop_low"]) <= float(row["drop"]) <= float(row["drop_high"])


def test_the_same_input_gives_the_same_bundles_and_replaces_them(several: Path, few: Path, tmp_path: Path, tool: Tool) -> None:
    args = (*COMPILE, "--eval", few, "--max-drop", "30%,0,10%", "-o", tmp_path / "out")
    assert tool(*args, "-q").code == 0
    again = tool(*args)
    assert again.code == 0
    for folder in ("drop-0%", "drop-10%", "drop-30%"):
        assert {name: (several / folder / name).read_bytes() for name in STABLE} == {
            name: (tmp_path / "out" / folder / name).read_bytes() for name in STABLE
        }
    lines = again.out.splitlines()
    assert lines[1] == " top1, measured on the emitted files; latencies predicted"
    assert [line.split()[0] for line in lines[3:6]] == ["0", "10", "30"]
    assert tool(*COMPILE, "-q", "--eval", few, "--max-drop", "none", "-o", tmp_path / "out").code == 0
    assert (tmp_path / "out" / "manifest.json").is_file()
    assert not (tmp_path / "out" / "drop-0%").exists()


def test_a_folder_with_something_else_in_it_is_not_replaced(few: Path, tmp_path: Path, tool: Tool, several: Path) -> None:
    import shutil

    shutil.copytree(several, tmp_path / "out")
    (tmp_path / "out" / "drop-10%" / "notes.txt").write_text("mine")
    done = tool(*COMPILE, "-q", "--eval", few, "-o", tmp_path / "out")
    assert "AS602" in done.err
    assert "drop-10%/notes.txt" in done.err
    assert done.code == 1


def test_one_limit_alone_gives_the_same_bundle(several: Path, few: Path, tmp_path: Path, tool: Tool) -> None:
    done = tool(*COMPILE, "--eval", few, "--max-drop", "10%", "-o", tmp_path / "out")
    assert done.code == 0
    folders = (several / "drop-10%", tmp_path / "out")
    graphs, others = ({name: (folder / name).read_bytes() for name in STABLE if name != "solutions.csv"} for folder in folders)
    assert graphs == others
    plans, others = (plans_of(folder) for folder in folders)
    assert plans == others
    (quality,) = [line for line in done.out.splitlines() if line.startswith(" quality")]
    assert ", limit 10), 95 % interval " in quality
    assert quality.endswith("measured on the emitted files, evaluation, n = 200")
    (heading,) = [line for line in done.out.splitlines() if line.lstrip().startswith("#")]
    assert heading.split() == ["#", "plan", "ms", "sent", "B", "RAM", "drop"]


def test_going_on_from_a_dump_measures_again(several: Path, few: Path, tmp_path: Path, tool: Tool) -> None:
    (dump,) = (several.parent / "ir").glob("*-choose-plan.air")
    calib = ("--calib", EXAMPLE / "calib.npz")
    without = tool("opt", dump, "-p", "lower", *calib, "-o", tmp_path / "out")
    assert without.code == 2
    assert "error[AS120]" in without.err
    assert "--max-drop 0%,10%,30%" in without.err
    done = tool("opt", dump, "-p", "lower", "--eval", few, *calib, "-q", "-o", tmp_path / "out")
    assert done.code == 0
    name = "drop-10%/manifest.json"
    assert (tmp_path / "out" / name).read_bytes() == (several / name).read_bytes()
    names = sorted(p.name for p in (several.parent / "ir").glob("*-partition-*.air"))
    assert [name.partition("-")[2] for name in names] == [f"partition-drop-{x}%.air" for x in (0, 10, 30)]


def test_several_limits_in_the_api(few: Path, tmp_path: Path) -> None:
    made = compiled(few, max_drop=[0.3, 0.1])
    assert [r.manifest["options"]["max_drop"] for r in made.by_drop] == [[0.1], [0.3]]
    assert made.best == made.by_drop[0].best
    assert made.folder is not None
    assert [r.folder for r in made.by_drop] == [made.folder / "drop-10%", made.folder / "drop-30%"]
    made.save(tmp_path / "kept")
    assert (tmp_path / "kept" / "drop-30%" / "edge.onnx").is_file()


def test_plans_that_failed_are_marked(few: Path) -> None:
    made = compiled(few, max_drop=0.1)
    tried: list[tuple[int, float]] = [(t["solution"] - 1, t["drop"]) for t in made.measurements["accuracy"]["evaluations"]]
    assert made.by_drop == ()
    failed = [made.solutions[i] for i, drop in tried if drop > 0.1]
    assert failed
    assert all(p.violations == ("accuracy: top1 loses more than the limit of 10 points",) and not p.feasible for p in failed)
    assert made.best.latency_s == min(p.latency_s for p in made.solutions if p.feasible)
    assert made.manifest["decision"]["why"].startswith("the fastest plan that was measured to lose no more than 10 points (top1); ")


def test_a_plan_that_is_picked_is_measured_and_told(few: Path, tmp_path: Path, tool: Tool) -> None:
    plans = compiled(few, max_drop="none").solutions
    number = next(i for i, p in enumerate(plans, 1) if p.kind == "split")
    done = tool(*COMPILE, "--eval", few, "--pick", str(number), "-o", tmp_path / "out")
    assert done.code == 3
    assert "error[AS501]" in done.err
    assert "note: accuracy: top1 loses more than the limit of 1 point\n" in done.err
    assert "note: measured: top-1 " in done.err
    found = load(tmp_path / "out" / "measurements.json")["accuracy"]
    assert (found["n"], found["holds"], [t["solution"] for t in found["evaluations"]]) == (200, False, [number])
    assert load(tmp_path / "out" / "manifest.json")["decision"]["feasible"] is False


def test_too_few_samples_are_told(few: Path, tmp_path: Path, tool: Tool) -> None:
    with np.load(few) as data:
        np.savez(tmp_path / "20.npz", image=data["image"][:20], labels=data["labels"][:20])
    done = tool(*COMPILE, "--eval", tmp_path / "20.npz", "-o", tmp_path / "out")
    assert "warning[AS506]: n = 20: one sample is 5 points, more than the limit of 1 point" in done.err
    assert " samples   too few: n = 20: one sample is 5 points, more than the limit of 1 point" in done.out


def test_cloud_only_is_the_answer_with_the_nearest_miss_beside_it(few: Path, tmp_path: Path, tool: Tool) -> None:
    bits = ("--weight-bits", "2", "--act-bits", "2", "--wire-bits", "2")
    done = tool(*COMPILE, "--eval", few, "--max-drop", "0", *bits, "-o", tmp_path / "out")
    assert done.code == 0
    assert "warning[AS507]: no plan with an edge part was measured to lose no more than 0 points (top1)" in done.err
    assert "AS505" not in done.err
    (missed,) = [line for line in done.out.splitlines() if line.startswith(" missed")]
    assert missed.startswith(' missed    the split after "')
    manifest = load(tmp_path / "out" / "manifest.json")
    assert manifest["decision"]["kind"] == "cloud-only"
    assert load(tmp_path / "out" / "measurements.json")["accuracy"]["ending"] == "cloud-only"


def test_like_takes_the_options_of_an_earlier_bundle(several: Path, few: Path, tmp_path: Path, tool: Tool) -> None:
    like = ("--like", several / "drop-30%", "--calib", EXAMPLE / "calib.npz", "--eval", few)
    done = tool(EXAMPLE / "fashion.onnx", *like, "--net", "3mbps", "-q", "-o", tmp_path / "out")
    assert done.code == 0
    earlier, options = (load(folder / "manifest.json")["options"] for folder in (several / "drop-30%", tmp_path / "out"))
    assert options == {**earlier, "net": "3mbps"}
    assert options["edge_ram_bytes"] == 40 * 1024
    again = autosplitc.compile(
        EXAMPLE / "fashion.onnx", like=several / "drop-30%", calib=EXAMPLE / "calib.npz", evaluation=few, network="3mbps"
    )
    assert again.manifest["options"]["net"] == "ble", "an argument at its default is not given"
    assert again.manifest["graphs"] == load(several / "drop-30%" / "manifest.json")["graphs"]
