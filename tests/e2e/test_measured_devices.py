"""Plans from a device's profile: what drives them, how every figure says what it rests on, and what is refused."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import autosplitc
from autosplitc.cli import main
from autosplitc.ir import CompileError
from autosplitc.manifest import check_manifest
from autosplitc.passes import Costs
from autosplitc.result import Result
from autosplitc.summary import summary
from autosplitc.targets import OpView, view

MODEL = Path(__file__).resolve().parents[2] / "examples" / "fashion" / "fashion.onnx"
CALIB = MODEL.with_name("calib.npz")
TIMES = {"float": 2e-6, "8": 1e-6, "6": 1e-6}
"""Seconds a kilo-MAC, so that figures in ms are round."""


def time_s(op: OpView, context: str) -> float:
    """10 us, and by the context what a thousand multiply-accumulates take."""
    return 1e-5 + TIMES[context] * op.macs * 1e-3


@dataclass(frozen=True)
class Board:
    """A profile of the example on a device that never was."""

    content: dict[str, Any]
    file: Path

    def edited(self, path: Path, edit: Callable[[dict[str, Any]], object]) -> Path:
        """Return another profile, changed."""
        content = json.loads(json.dumps(self.content))
        edit(content)
        path.write_text(json.dumps(content))
        return path


@pytest.fixture(scope="module")
def board(make_profile: Callable[..., dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Board:
    """Return a profile in float and at 8 bits, with the wire at 8 bits for the values behind the example's ops."""
    import onnxruntime

    graph = autosplitc.compile(MODEL, passes="simplify").module.main
    ops = [(op.name, view(graph, op)) for op in graph.ops]
    sizes = {t.elements for _, op in ops for t in (*op.inputs, *op.results) if t.elements}
    wires = [(n, 8, n * 1e-9 + 1e-6, n * 1e-9 + 2e-6) for n in sorted(sizes)]
    digest = hashlib.sha256(MODEL.read_bytes()).hexdigest()
    content = make_profile(ops, time_s, ("float", "8"), wires, digest, onnxruntime.__version__)
    file = tmp_path_factory.mktemp("board") / "board.json"
    file.write_text(json.dumps(content))
    return Board(content, file)


def compiled(board: Path | str, cloud: Path | str, **options: Any) -> Result:
    return autosplitc.compile(MODEL, str(board), str(cloud), "20mbps", calib=CALIB, **options)


def rows(result: Result, table: str) -> list[dict[str, str]]:
    assert result.folder is not None
    with (result.folder / table).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def line(result: Result, head: str) -> str:
    """Return the line of the summary that begins with a word, "" where there is none."""
    return next((text[11:] for text in summary(result).splitlines() if text.startswith(f" {head} ")), "")


@pytest.fixture(scope="module")
def measured(board: Board) -> Result:
    """Return the middle cut with both sides on the device, at 8 bits."""
    middle = autosplitc.compile(MODEL, passes="simplify").module.main.ops[3].name
    return compiled(board.file, board.file, act_bits=[8], wire_bits=[8], cut=[middle])


def test_a_plan_takes_the_sum_of_what_its_ops_took(measured: Result) -> None:
    plan, ops = measured.best, measured.module.main.ops
    assert plan.kind == "split"
    views = [view(measured.module.main, op) for op in ops]
    (wire,) = measured.manifest["wire"]["tensors"]
    elements = wire["nbytes"]
    edge_s = sum(time_s(op, "8") for op in views[: plan.position]) + elements * 1e-9 + 1e-6
    cloud_s = sum(time_s(op, "float") for op in views[plan.position :]) + elements * 1e-9 + 2e-6
    assert plan.edge_s == pytest.approx(edge_s, abs=1e-8)
    assert plan.cloud_s == pytest.approx(cloud_s, abs=1e-8)
    assert (plan.edge_measured_s, plan.cloud_measured_s) == (plan.edge_s, plan.cloud_s)


def test_figures_say_that_they_were_measured(measured: Result) -> None:
    plan = measured.best
    assert " measured + link " in line(measured, "latency")
    assert line(measured, "latency").split(";")[0].endswith(" measured")
    assert line(measured, "profile") == ""
    check_manifest(measured.manifest)
    predicted = measured.manifest["predicted"]
    assert (predicted["edge_measured_s"], predicted["cloud_measured_s"]) == (plan.edge_s, plan.cloud_s)
    (chosen,) = (row for row in rows(measured, "solutions.csv") if row["chosen"] == "1")
    assert (chosen["edge_measured_ms"], chosen["cloud_measured_ms"]) == (chosen["edge_ms"], chosen["cloud_ms"])
    assert float(chosen["edge_ms"]) > 0 < float(chosen["cloud_ms"])
    assert {row["basis"] for row in rows(measured, "layers.csv")} == {"measured"}


def test_nothing_takes_no_label(board: Board) -> None:
    """In the cloud the device is slower, being in float there, so all stays on the edge: link and cloud take nothing."""
    result = compiled(board.file, board.file)
    assert result.best.kind == "edge-only"
    assert line(result, "latency").split(";")[0].endswith(" measured + link 0.0 + cloud 0.0")


def test_widths_that_were_not_profiled_are_predictions(board: Board, tmp_path: Path) -> None:
    """The device takes 6 bits, but ran at 8 alone: what holds 6 bits is predicted, the first op, which reads 8 bits, was measured."""
    path = board.edited(tmp_path / "six.json", lambda c: c["limits"].update(act_bits=[6, 8]))
    middle = autosplitc.compile(MODEL, passes="simplify").module.main.ops[3].name
    result = compiled(path, "tpu", act_bits=[6], wire_bits=[6], cut=[middle])
    plan = result.best
    assert 0 < plan.edge_measured_s < plan.edge_s
    assert plan.cloud_measured_s == 0
    latency = line(result, "latency")
    share = round(100 * plan.edge_measured_s / plan.edge_s)
    assert f" ({share} % measured, rest predicted) + link " in latency
    assert latency.split(";")[0].endswith(" predicted")
    layers = [(row["side"], row["basis"]) for row in rows(result, "layers.csv")]
    assert layers[0] == ("edge", "measured")
    assert set(layers[1:]) == {("edge", "predicted"), ("cloud", "predicted")}


def test_ops_that_were_not_timed_stop_the_compile(board: Board, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = board.edited(tmp_path / "few.json", lambda c: c["ops"].pop(0))
    code = main([str(MODEL), "-t", str(path), "--net", "20mbps", "--calib", str(CALIB), "-o", str(tmp_path / "out")])
    first = board.content["ops"][0]
    lines = capsys.readouterr().err.splitlines()
    at = next(i for i, text in enumerate(lines) if "AS444" in text)
    assert code == 1
    assert lines[at].endswith(f"1 of {len(board.content['ops'])} ops are not in the profile")
    assert lines[at + 2] == f"  note: {first['op']} ({first['kind']})"
    assert lines[at + 3] == f"  hint: -t {path}:interpolate=true, or profile this model"
    assert not (tmp_path / "out").exists()


def test_ops_that_were_not_timed_may_be_interpolated(board: Board, tmp_path: Path) -> None:
    path = board.edited(tmp_path / "few.json", lambda c: c["ops"].pop(0))
    result = compiled(f"{path}:interpolate=true", board.file, act_bits=[8], wire_bits=[8], cut=[board.content["ops"][3]["op"]])
    total = len(board.content["ops"])
    assert [w.message.split(":")[0] for w in result.warnings if w.code == "AS445"] == [f"1 of {total} ops are not in the profile"]
    assert line(result, "profile") == f"1 of {total} ops on the edge are not in the profile: interpolated"
    assert [op.edge_measured != () for op in result.module.fact(Costs).ops] == [False] + [True] * (total - 1)
    layers = rows(result, "layers.csv")
    assert [row["basis"] for row in layers[:2]] == ["predicted", "measured"]
    assert "% measured, rest predicted) + link" in line(result, "latency")


def test_a_profile_of_another_model_writes_nothing(board: Board, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = board.edited(tmp_path / "other.json", lambda c: c["model"].update(sha256="1" * 64))
    out = tmp_path / "out"
    for flags in (["-t", str(path)], ["-t", "eyeriss", "--cloud", str(path)]):
        assert main([str(MODEL), *flags, "--net", "20mbps", "-o", str(out)]) == 1
        assert "error[AS442]: the profile is of another model" in capsys.readouterr().err
    assert not out.exists()


def test_going_on_from_a_dump_checks_again(board: Board, tmp_path: Path) -> None:
    dumps = tmp_path / "ir"
    flags = ["-t", str(board.file), "--net", "20mbps", "--calib", str(CALIB), "-q", "--stop-after", "liveness", "--dump-ir", str(dumps)]
    assert main([str(MODEL), *flags]) == 0
    last = max(dumps.glob("*.air"))
    rest = ["-p", "estimate-cost,enumerate-splits,plan,lower", "--calib", str(CALIB), "-q", "-o", str(tmp_path / "out")]
    other = board.edited(tmp_path / "other.json", lambda c: c["runtime"].update(onnxruntime="1.1.0"))
    assert main(["opt", str(last), *rest, "-t", str(other)]) == 1
    assert main(["opt", str(last), *rest, "-t", f"{other}:runtime=1.1.2"]) == 0
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["predicted"]["edge_only_latency_s"] > 0


def test_other_targets_keep_their_summary() -> None:
    result = compiled("eyeriss", "tpu")
    assert "measured" not in line(result, "latency")
    assert line(result, "latency").split(";")[0].endswith("   predicted")
    assert line(result, "profile") == ""
    assert {row["basis"] for row in rows(result, "layers.csv")} == {"predicted"}


def test_a_broken_profile_is_told_before_anything_runs(board: Board, tmp_path: Path) -> None:
    path = board.edited(tmp_path / "bad.json", lambda c: c["ops"][0]["times"]["8"].update(median_s=-1))
    with pytest.raises(CompileError) as caught:
        autosplitc.compile(tmp_path / "no-such-model.onnx", str(path))
    assert [d.code for d in caught.value.diagnostics] == ["AS441"]
