"""What `export` writes: a Triton model repository, and a device kit whose checks `verify` replays."""

from __future__ import annotations

import ast
import json
import math
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from autosplitc.cli import main
from autosplitc.runtime.errors import LinkError
from autosplitc.runtime.export_device import DeviceSettings, export_device
from autosplitc.runtime.export_triton import TritonSettings, config_text, export_triton, model_name
from autosplitc.runtime.packing import pack, unpack
from autosplitc.runtime.verify import CheckError, noise_ratio, verify_kit

RUNTIME = Path(__file__).resolve().parents[3] / "tools" / "runtime"
Rows = NDArray[np.uint8]
PROGRAM = sorted(path for path in RUNTIME.glob("*.py") if not path.name.startswith("profile"))


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_triton_repository(tiny_bundle: Path, tmp_path: Path) -> None:
    made = export_triton(TritonSettings(tiny_bundle, tmp_path / "repo", model="tiny"))
    assert made == tmp_path / "repo" / "tiny"
    assert sorted(files_of(tmp_path / "repo")) == ["tiny/1/model.onnx", "tiny/config.pbtxt"]
    assert (made / "1" / "model.onnx").read_bytes() == (tiny_bundle / "cloud.onnx").read_bytes()
    (payload,) = json.loads((tiny_bundle / "manifest.json").read_text("utf-8"))["graphs"]["cloud"]["inputs"]
    assert (made / "config.pbtxt").read_text("utf-8") == (
        "# Written by autosplitc.\n"
        'name: "tiny"\n'
        'platform: "onnxruntime_onnx"\n'
        "max_batch_size: 8\n"
        "input [\n"
        f'  {{ name: "payload" data_type: TYPE_UINT8 dims: [ {payload["shape"][1]} ] }}\n'
        "]\n"
        "output [\n"
        '  { name: "y" data_type: TYPE_FP32 dims: [ 8, 8, 8 ] }\n'
        "]\n"
        "dynamic_batching { max_queue_delay_microseconds: 500 }\n"
        "optimization { graph { level: 1 } }\n"
    )
    before = files_of(made)
    assert export_triton(TritonSettings(tiny_bundle, tmp_path / "repo", model="tiny")) == made
    assert files_of(made) == before
    export_triton(TritonSettings(tiny_bundle, tmp_path / "repo", model="other", max_batch=4))
    assert sorted(path.name for path in (tmp_path / "repo").iterdir()) == ["other", "tiny"]


def test_a_fixed_batch_and_scalars_are_said_as_they_are() -> None:
    graph: dict[str, Any] = {
        "inputs": [{"name": "payload", "dtype": "u8", "shape": [1, 9]}],
        "outputs": [
            {"name": 'a"b', "dtype": "i64", "shape": ["K", 4]},
            {"name": "s", "dtype": "f32", "shape": []},
        ],
    }
    text = config_text("m", graph, "all", TritonSettings(Path(), Path()))
    assert "max_batch_size: 0\n" in text
    assert "dynamic_batching" not in text
    assert "optimization" not in text
    assert '{ name: "payload" data_type: TYPE_UINT8 dims: [ 1, 9 ] }' in text
    assert '{ name: "a\\"b" data_type: TYPE_INT64 dims: [ -1, 4 ] }' in text
    assert '{ name: "s" data_type: TYPE_FP32 dims: [ 1 ] reshape { shape: [ ] } }' in text
    graph["outputs"] = [{"name": "y", "dtype": "f32", "shape": None}]
    with pytest.raises(LinkError, match="unknown number of dimensions"):
        config_text("m", graph, "all", TritonSettings(Path(), Path()))


@pytest.mark.parametrize(("source", "name"), [("zoo:fashion", "fashion"), ("a/c d", "c_d"), (".onnx", "model"), ("../x.y.onnx", "x.y")])
def test_names_of_models(source: str, name: str) -> None:
    assert model_name({"source": {"name": source}}) == name


def foreign(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "mine.txt").write_text("mine", "utf-8")


@pytest.mark.parametrize("to", ["triton", "device"])
def test_what_is_not_ours_is_not_replaced(tiny_bundle: Path, tmp_path: Path, to: str) -> None:
    target = tmp_path / "target"
    foreign(target)

    def export(*, force: bool) -> None:
        if to == "triton":
            export_triton(TritonSettings(tiny_bundle, target, model="m", force=force))
        else:
            export_device(DeviceSettings(tiny_bundle, target, force=force))

    with pytest.raises(LinkError, match=r"mine\.txt") as caught:
        export(force=False)
    assert caught.value.code == "AS850"
    assert files_of(tmp_path) == {"target/mine.txt": b"mine"}
    export(force=True)
    assert (target / "mine.txt").read_text("utf-8") == "mine"
    assert len(files_of(target)) > 2


def test_nothing_is_left_where_a_file_of_the_bundle_was_changed(tiny_bundle: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(tiny_bundle, bundle)
    with (bundle / "cloud.onnx").open("ab") as file:
        file.write(b"x")
    with pytest.raises(LinkError) as caught:
        export_triton(TritonSettings(bundle, tmp_path / "repo", model="m"))
    assert caught.value.code == "AS804"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle"]


@pytest.fixture
def kit(tiny_bundle: Path, tmp_path: Path) -> Path:
    return export_device(DeviceSettings(tiny_bundle, tmp_path / "kit", samples=2))


def test_a_kit_holds_all_and_runs_without_the_package(kit: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    check = ["check/check.json", "check/inputs.npz", "check/outputs.npz", "check/payloads.npz"]
    assert sorted(files_of(kit)) == [*check, "edge.onnx", "kit.json", "manifest.json", "runtime.pyz"]
    words = [sys.executable, "-I", kit / "runtime.pyz", "verify", kit]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "ok  the payload of 2 samples is byte-identical\n" in done.stdout
    assert "ok  packing outside the graph is byte-identical\n" in done.stdout
    again = export_device(DeviceSettings(tiny_bundle, tmp_path / "again", samples=2))
    assert files_of(again) == files_of(kit)


def test_a_kit_made_on_samples_checks_those(tiny_bundle: Path, tmp_path: Path) -> None:
    images = np.random.default_rng(1).standard_normal((3, 3, 32, 32)).astype(np.float32)
    np.savez(tmp_path / "data.npz", x=images)
    made = export_device(DeviceSettings(tiny_bundle, tmp_path / "kit", check=str(tmp_path / "data.npz"), samples=2))
    with np.load(made / "check" / "inputs.npz") as file:
        assert np.array_equal(file["0.1"], images[1:2])
    assert verify_kit(made)["payload"]["identical"]


def resign(kit: Path, name: str) -> None:
    """Put a changed file's digest into the kit, so that the change itself is found."""
    from hashlib import sha256

    record = json.loads((kit / "kit.json").read_text("utf-8"))
    for file in record["files"]:
        if file["name"] == name:
            file["sha256"] = sha256((kit / name).read_bytes()).hexdigest()
    (kit / "kit.json").write_text(json.dumps(record), "utf-8")


def changed_payloads(kit: Path, change: Callable[[Rows], None]) -> None:
    path = kit / "check" / "payloads.npz"
    with np.load(path) as file:
        rows = file["payload"]
    change(rows)
    np.savez(path, payload=rows)
    resign(kit, "check/payloads.npz")


def test_a_step_of_rounding_is_told_and_more_is_an_error(kit: Path) -> None:
    (tensor,) = json.loads((kit / "manifest.json").read_text("utf-8"))["wire"]["tensors"]
    bits = tensor["bits"]

    def one_step(rows: Rows) -> None:
        codes = unpack(rows, bits, math.prod(tensor["shape"]))
        codes[0, 0] ^= 1
        rows[:] = pack(codes, bits)

    changed_payloads(kit, one_step)
    found = verify_kit(kit)["payload"]
    assert not found["identical"]
    assert found["tensors"] == [{"name": "r", "changed_share": 1 / (2 * math.prod(tensor["shape"])), "max_step": 1}]
    changed_payloads(kit, lambda rows: rows.__setitem__(slice(None), rows ^ 255))
    with pytest.raises(CheckError) as caught:
        verify_kit(kit)
    assert (caught.value.code, caught.value.exit_code) == ("AS856", 4)


def test_packing_that_gives_other_bytes_is_an_error(kit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def zeros(wire: dict[str, Any], values: dict[str, Any]) -> Rows:
        del values
        return np.zeros((2, wire["bytes_per_sample"]), np.uint8)

    monkeypatch.setattr("autosplitc.runtime.verify.payload_of", zeros)
    with pytest.raises(CheckError, match='packing "r" outside the graph'):
        verify_kit(kit)


def test_a_kit_that_was_changed_is_no_good(kit: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (kit / "edge.onnx").write_bytes(b"x")
    assert main(["verify", str(kit)]) == 1
    assert "error[AS804]: a file of the kit was changed" in capsys.readouterr().err
    with pytest.raises(LinkError) as caught:
        verify_kit(tmp_path)
    assert caught.value.code == "AS854"


def test_noise_ratio() -> None:
    x = np.array([3.0, 4.0], np.float32)
    assert noise_ratio(x, x) == 0
    assert noise_ratio(x + np.float32(0.5), x) == pytest.approx(0.5 / 25)
    assert noise_ratio(np.array([np.nan, 4.0], np.float32), x) == 1
    assert noise_ratio(np.array(["a"]), np.array(["b"])) == 1


def test_the_program_holds_every_file_that_it_imports(kit: Path) -> None:
    with zipfile.ZipFile(kit / "runtime.pyz") as program:
        names = set(program.namelist())
        assert all(entry.date_time == (1980, 1, 1, 0, 0, 0) for entry in program.infolist())
    assert "__main__.py" in names
    assert not [name for name in names if "profile" in name]
    for path in PROGRAM:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level:
                assert f"autosplitc_runtime/{node.module}.py" in names, (path.name, node.module)


def run_time_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield what is evaluated when a program runs: everything but annotations and what only type checkers read."""
    for name, value in ast.iter_fields(tree):
        if name in ("annotation", "returns"):
            continue
        for node in cast("list[object]", value) if isinstance(value, list) else [value]:
            if isinstance(node, ast.AST) and not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)):
                yield node
                yield from run_time_nodes(node)


@pytest.mark.parametrize("path", PROGRAM, ids=lambda path: path.name)
def test_the_runtime_is_python_3_8(path: Path) -> None:
    text = path.read_text("utf-8")
    tree = ast.parse(text, feature_version=(3, 8))
    assert "from __future__ import annotations" in text or path.name == "__init__.py"
    nodes = list(run_time_nodes(tree))
    assert not [node.lineno for node in nodes if isinstance(node, ast.keyword) and node.arg in ("strict", "slots", "kw_only")]
    later = {"removesuffix", "removeprefix", "pairwise", "is_relative_to", "hardlink_to", "with_stem", "to_thread", "file_digest"}
    assert not later & {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    generic = {"list", "dict", "tuple", "set", "frozenset", "type", "deque", "Future", "Queue", "Callable", "Mapping", "Sequence"}
    named = [node.value for node in nodes if isinstance(node, ast.Subscript)]
    assert not [node.lineno for node in named if isinstance(node, ast.Name) and node.id in generic]
