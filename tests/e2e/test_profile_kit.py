"""The profile kit: written by the command, run with numpy and onnxruntime alone, and what it measures drives a plan."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, numpy_helper, parser

import autosplitc
from autosplitc.cli import main
from autosplitc.passes import Costs, op_views
from autosplitc.targets import MeasuredTarget, load_target, signature

GUARD = """
import runpy, sys

class Guard:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in forbidden:
            raise ImportError(f"No module named {name!r}")

forbidden = sys.argv[1].split(",")
sys.meta_path.insert(0, Guard())
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Runs a program as if some packages were not installed."""

OURS = ("autosplitc", "onnx", "click", "jsonschema", "lark", "networkx", "onnx_graphsurgeon", "ortools", "rich")
SEGMENT = ("m", "y")
"""Ops that onnxruntime makes one Gemm of."""


def small_model() -> ModelProto:
    """Return a residual block, pooled, with a product and a sum behind it that become one kernel."""
    model = parser.parse_model("""
        <ir_version: 10, opset_import: ["" : 21]>
        g (float[N, 3, 16, 16] x) => (float[N, 10] y) {
            c1 = Conv<pads = [1, 1, 1, 1]>(x, w1, b1)
            r1 = Relu(c1)
            c2 = Conv<pads = [1, 1, 1, 1]>(r1, w2, b2)
            a = Add(c2, r1)
            p = GlobalAveragePool(a)
            f = Flatten(p)
            m = MatMul(f, w3)
            y = Add(m, b3)
        }
    """)
    random = np.random.default_rng(0)
    sizes = {"w1": (8, 3, 3, 3), "b1": (8,), "w2": (8, 8, 3, 3), "b2": (8,), "w3": (8, 10), "b3": (10,)}
    arrays = {name: random.normal(0, 0.3, size).astype(np.float32) for name, size in sizes.items()}
    model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in arrays.items())
    return model


@dataclass(frozen=True)
class Device:
    """A kit, and how its program runs on a device without our packages."""

    kit: Path
    model: Path

    def run(self, *args: object, without: Sequence[str] = OURS, program: Path | None = None) -> tuple[int, str, list[str]]:
        """Return the exit code, what it prints, and the lines of what went wrong; progress is left out."""
        command = [sys.executable, "-I", "-c", GUARD, ",".join(without), str(program or self.kit / "profile.py"), *map(str, args)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout.strip(), [line for line in done.stderr.splitlines() if not line.startswith("round ")]


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Device:
    """Return a kit of the small model."""
    folder = tmp_path_factory.mktemp("profile")
    model = folder / "small.onnx"
    model.write_bytes(small_model().SerializeToString())
    assert main(["profile", str(model), "--kit", str(folder / "kit"), "--bits", "4,8", "--repeats", "5", "--name", "bench", "-q"]) == 0
    return Device(folder / "kit", model)


@pytest.fixture(scope="module")
def profile(device: Device) -> Path:
    """Return what the kit measured here."""
    path = device.model.with_name("here.json")
    assert device.run("-o", path) == (0, str(path), [])
    return path


def test_the_kit_is_whole_and_nothing_else(device: Device) -> None:
    kit = json.loads((device.kit / "kit.json").read_text())
    held = {p.relative_to(device.kit).as_posix() for p in device.kit.rglob("*") if p.is_file()}
    assert held == {*kit["files"], "kit.json"}
    assert [c["context"] for c in kit["contexts"]] == ["float", "4", "8"]
    assert {w["elements"] for w in kit["wires"]} == {3 * 16 * 16, 8 * 16 * 16, 8, 10}
    for name in ("profile.py", "profile_cases.py", "profile_kernels.py"):
        assert (device.kit / name).read_text() == Path(autosplitc.__file__).parents[1].joinpath("tools", "runtime", name).read_text()


def test_the_profile_is_a_target_that_knows_every_op(device: Device, profile: Path) -> None:
    """The program ran without any package of ours, and what it wrote passes the reader's schema."""
    target = load_target(str(profile))
    assert isinstance(target, MeasuredTarget)
    assert (target.name, target.weight_bits, target.act_bits, target.max_opset) == ("bench", (4, 8), (4, 8), 25)
    content = json.loads(profile.read_text())
    assert (content["name"], content["settings"]["threads"], content["settings"]["level"]) == ("bench", 1, "extended")
    assert content["settings"]["repeats"] == 5
    module = autosplitc.compile(device.model, str(profile), str(profile), passes="simplify,analyze").module
    assert [op["signature"] for op in content["ops"]] == [signature(view) for _, view in op_views(module)]
    assert all(op.cloud_measured for op in module.fact(Costs).ops)


def test_times_add_up_to_the_run(profile: Path) -> None:
    content = json.loads(profile.read_text())
    assert all(set(op["times"]) == {"float", "4", "8"} for op in content["ops"])
    for run in content["runs"]:
        total_s = sum(op["times"][run["context"]]["median_s"] for op in content["ops"])
        assert total_s == pytest.approx(run["median_s"], rel=1e-3)
        assert 0 < run["kernels_s"] <= run["median_s"]
        assert run["repeats"] >= 5
    segments = {op["op"]: op["segment"] for op in content["ops"] if op["segment"]}
    assert segments == dict.fromkeys(SEGMENT, SEGMENT[-1])
    by_name = {op["op"]: op["times"]["float"]["median_s"] for op in content["ops"]}
    assert by_name["a"] < by_name["r1"] + by_name["c2"]
    assert all(by_name[name] > 0 for name in SEGMENT)


def test_packing_is_timed_from_numbers_and_from_codes(profile: Path) -> None:
    wires = {(w["elements"], w["bits"]): w for w in json.loads(profile.read_text())["wires"]}
    assert len(wires) == 8
    large = wires[2048, 4]
    assert 0 < large["pack_codes_s"] < 1e-2
    assert large["pack_s"] + large["unpack_s"] > 0


def test_plans_rest_on_what_was_measured(device: Device, profile: Path) -> None:
    result = autosplitc.compile(device.model, str(profile), str(profile), "1mbps", weight_bits=[8], act_bits=[8])
    content = json.loads(profile.read_text())
    assert result.best.kind == "edge-only"
    took_s = sum(op["times"]["8"]["median_s"] for op in content["ops"])
    assert result.best.edge_s == pytest.approx(took_s, abs=len(content["ops"]) * 1e-9)
    assert result.best.edge_measured_s == pytest.approx(result.best.edge_s)


def copied(device: Device, folder: Path) -> Path:
    return shutil.copytree(device.kit, folder / "kit")


def remove_float(kit: Path) -> None:
    (kit / "float.onnx").unlink()


def break_float(kit: Path) -> None:
    (kit / "float.onnx").write_bytes((kit / "float.onnx").read_bytes()[:-50])


def another_schema(kit: Path) -> None:
    content = json.loads((kit / "kit.json").read_text())
    (kit / "kit.json").write_text(json.dumps({**content, "schema": "autosplitc-kit/2"}))


def no_kit(kit: Path) -> None:
    (kit / "kit.json").unlink()


def nothing(kit: Path) -> None:
    del kit


BROKEN: dict[str, tuple[Callable[[Path], None], tuple[str, ...], str, str]] = {
    "file-missing": (remove_float, OURS, "here.json", "profile.py: the kit is not whole: float.onnx missing in KIT: copy it again"),
    "no-kit": (no_kit, OURS, "here.json", "profile.py: no kit here: KIT/kit.json cannot be read: "),
    "other-kit": (another_schema, OURS, "here.json", "profile.py: KIT/kit.json is 'autosplitc-kit/2', and this program reads "),
    "no-runtime": (nothing, (*OURS, "onnxruntime"), "here.json", "profile.py: No module named 'onnxruntime': pip install numpy"),
    "no-folder": (nothing, OURS, "none/here.json", "profile.py: cannot write FOLDER/none/here.json: No such file or directory"),
    "too-old": (break_float, OURS, "here.json", "profile.py: onnxruntime VERSION does not run this kit, whose models have opset 21: "),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_wrong_is_said_in_a_line(device: Device, tmp_path: Path, case: str) -> None:
    import onnxruntime

    spoil, without, output, message = BROKEN[case]
    kit = copied(device, tmp_path)
    spoil(kit)
    (tmp_path / "here.json").write_text("as it was")
    before = sorted(tmp_path.rglob("*"))
    code, printed, lines = device.run("-o", tmp_path / output, without=without, program=kit / "profile.py")
    expected = message.replace("KIT", str(kit)).replace("FOLDER", str(tmp_path)).replace("VERSION", onnxruntime.__version__)
    assert (code, printed) == (1, "")
    assert lines[-1].startswith(expected), lines
    assert not any("Traceback" in line for line in lines)
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "here.json").read_text() == "as it was"


def test_wrong_flags_of_the_program(device: Device) -> None:
    code, _, lines = device.run("--repeats", "0")
    assert code == 2
    assert lines[-1].endswith("argument --repeats: expected a number from 1, not 0")


def cli(capsys: pytest.CaptureFixture[str], *args: object) -> tuple[int, str]:
    capsys.readouterr()
    code = main([str(arg) for arg in args])
    return code, capsys.readouterr().err


def test_a_kit_is_replaced_and_profiles_stay(device: Device, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kit = copied(device, tmp_path)
    (kit / "mine.json").write_text(json.dumps({"schema": "autosplitc-profile/1", "name": "mine"}))
    assert cli(capsys, "profile", device.model, "--kit", kit, "--bits", "8", "-q")[0] == 0
    assert json.loads((kit / "mine.json").read_text())["name"] == "mine"
    assert not (kit / "bits-4.onnx").exists()
    (kit / "notes.txt").write_text("mine")
    code, text = cli(capsys, "profile", device.model, "--kit", kit, "--bits", "8", "-q")
    assert code == 1
    assert "error[AS602]: the output folder holds what the compiler did not write: notes.txt" in text
    assert "hint: --force adds the kit to it, or --kit ANOTHER_FOLDER" in text
    assert cli(capsys, "profile", device.model, "--kit", kit, "--bits", "4", "--force", "-q")[0] == 0
    assert (kit / "notes.txt").read_text() == "mine"
    assert (kit / "bits-4.onnx").is_file()


def test_wrong_uses_of_the_command(device: Device, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "error[AS101]: missing --kit" in cli(capsys, "profile", device.model)[1]
    code, text = cli(capsys, "profile", device.model, "--kit", tmp_path / "kit", "-o", "here.json")
    assert (code, "error[AS105]: -o names the profile that --run measures" in text) == (2, True)
    code, text = cli(capsys, "profile", device.model, "--kit", tmp_path / "kit", "--name", "../up")
    assert (code, "error[AS103]" in text) == (2, True)
    inside = tmp_path / "kit" / "small.onnx"
    inside.parent.mkdir()
    shutil.copy(device.model, inside)
    assert "error[AS605]" in cli(capsys, "profile", inside, "--kit", tmp_path / "kit")[1]
    assert [p.name for p in inside.parent.iterdir()] == ["small.onnx"]


def test_a_run_that_fails_leaves_the_kit(device: Device, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "none" / "here.json"
    code, text = cli(capsys, "profile", device.model, "--kit", tmp_path / "kit", "--bits", "8", "--run", "-o", output, "-q")
    assert code == 1
    assert "error[AS447]: the kit could not measure this machine" in text
    assert f"note: profile.py: cannot write {output}: No such file or directory" in text
    assert (tmp_path / "kit" / "kit.json").is_file()


def test_this_machine_is_measured_at_once(device: Device, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = ["profile", str(device.model), "--kit", str(tmp_path / "kit"), "--bits", "8", "--repeats", "1", "--name", "mine", "--run"]
    assert main(args) == 0
    printed, progress = capsys.readouterr()
    assert [line.split()[0] for line in printed.splitlines() if line] == [
        "small.onnx", "float", "8", "packing", "wrote", "CONTEXT", "float", "8", "measured", "next"
    ]  # fmt: skip
    assert progress.splitlines()[0] == " round 1 of 5"
    target = load_target(str(tmp_path / "kit" / "mine.json"))
    assert (target.name, target.act_bits) == ("mine", (8,))


def test_a_model_that_cannot_begin_on_the_edge(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = parser.parse_model("""
        <ir_version: 10, opset_import: ["" : 21]>
        g (float[1, 8] x) => (float[K] y) { i = NonZero(x)  j = Cast<to = 1>(i)  y = ReduceSum<keepdims = 0>(j, axes) }
    """)
    model.graph.initializer.append(numpy_helper.from_array(np.array([0], np.int64), "axes"))
    path = tmp_path / "nonzero.onnx"
    path.write_bytes(model.SerializeToString())
    code, text = cli(capsys, "profile", path, "--kit", tmp_path / "kit", "-q")
    assert (code, "error[AS446]: nothing of the model can run on the edge" in text) == (1, True)
    assert not (tmp_path / "kit").exists()


def test_the_longest_part_that_can_be_on_the_edge(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What follows an op whose result has no known size, and what follows a custom op, stays in float or is left out."""
    model = parser.parse_model("""
        <ir_version: 10, opset_import: ["" : 21, "acme" : 1]>
        g (float[1, 3, 8, 8] x) => (float[1, 4, 8, 8] z, float[K] y) {
            c = Conv<pads = [1, 1, 1, 1]>(x, w)
            r = Relu(c)
            i = NonZero(r)
            j = Cast<to = 1>(i)
            y = ReduceSum<keepdims = 0>(j, axes)
            z = acme.Magic(r)
        }
    """)
    weights = np.random.default_rng(0).normal(0, 0.3, (4, 3, 3, 3)).astype(np.float32)
    model.graph.initializer.extend([numpy_helper.from_array(np.array([0], np.int64), "axes"), numpy_helper.from_array(weights, "w")])
    path = tmp_path / "mixed.onnx"
    path.write_bytes(model.SerializeToString())
    assert cli(capsys, "profile", path, "--kit", tmp_path / "kit", "--bits", "8", "-q")[0] == 0
    contexts: dict[str, dict[str, Any]] = {c["context"]: c for c in json.loads((tmp_path / "kit" / "kit.json").read_text())["contexts"]}
    assert set(contexts["8"]["values"].values()) == {"r", ""}
    assert set(contexts["float"]["values"].values()) == {"r", "i", "j", "y"}
