"""Every bad input gives one clear diagnostic and the documented exit code, no traceback, and leaves nothing behind."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from autosplitc import bundle, driver
from autosplitc.cli import main
from autosplitc.passes import pass_class

COMPILE = ("m.onnx", "-t", "eyeriss", "--net", "3mbps", "-o", "out")


def small_model(weight: float = 0.5, opset: int = 17, shape: Sequence[int | str] = ("N", 3, 8, 8)) -> ModelProto:
    """Return a convolution `conv1` and a ReLU `relu1` on `x`."""
    weights = np.linspace(-1, 1, 4 * 3 * 3 * 3, dtype=np.float32).reshape(4, 3, 3, 3)
    weights[0, 0, 0, 0] = weight
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], name="conv1", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["y"], name="relu1"),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, list(shape))
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "small", [x], [y], [numpy_helper.from_array(weights, "w")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


@dataclass(frozen=True)
class Tool:
    """Runs the command line in a folder of its own."""

    folder: Path
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *args: str) -> str:
        """Return stderr and the exit code. A command that fails must leave the folder as it was."""
        before = self.tree()
        self.capsys.readouterr()
        code = main(args)
        text = self.capsys.readouterr().err
        assert "Traceback" not in text
        if code not in (0, 3, 70):
            assert self.tree() == before
        return f"{text.replace(str(self.folder), 'FOLDER')}exit {code}\n"

    def tree(self) -> dict[str, bytes]:
        """Return every path below the folder with its content."""
        return {str(p): p.read_bytes() if p.is_file() else b"" for p in sorted(self.folder.rglob("*"))}


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tool:
    """Return the command line in a folder that holds `m.onnx`."""
    monkeypatch.chdir(tmp_path)
    write(small_model())
    return Tool(tmp_path, capsys)


def write(model: ModelProto) -> None:
    Path("m.onnx").write_bytes(model.SerializeToString())


def cut_short() -> None:
    data = Path("m.onnx").read_bytes()
    Path("m.onnx").write_bytes(data[: len(data) // 2])


def undefined_input() -> None:
    model = small_model()
    model.graph.node[0].input[0] = "nobody"
    write(model)


def cycle() -> None:
    model = small_model()
    model.graph.node[0].input[0] = "y"
    write(model)


def external(location: str) -> Callable[[], None]:
    def make() -> None:
        model = small_model()
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)
        write(model)

    return make


def model_of(**changes: Any) -> Callable[[], None]:
    return lambda: write(small_model(**changes))


def text_file() -> None:
    Path("m.onnx").write_text("this is no model\n")


def empty() -> None:
    Path("m.onnx").write_bytes(b"")


MODELS: dict[str, Callable[[], None]] = {
    "not-onnx": text_file,
    "empty": empty,
    "cut-short": cut_short,
    "missing": lambda: Path("m.onnx").unlink(),
    "undefined-input": undefined_input,
    "cycle": cycle,
    "external-missing": external("weights.bin"),
    "external-outside": external("../weights.bin"),
    "opset-too-old": model_of(opset=6),
    "opset-too-new": model_of(opset=99),
    "unknown-dimension": model_of(shape=("N", 3, "H", "W")),
    "nan-weights": model_of(weight=float("nan")),
    "infinite-weights": model_of(weight=float("inf")),
}


@pytest.mark.parametrize("case", MODELS)
def test_bad_models(case: str, tool: Tool, golden: Any) -> None:
    MODELS[case]()
    golden(tool(*COMPILE), f"model-{case}", ".txt")


ARGUMENTS: dict[str, tuple[str, ...]] = {
    "net-without-unit": ("m.onnx", "-t", "eyeriss", "--net", "3", "-o", "out"),
    "net-in-bytes": ("m.onnx", "-t", "eyeriss", "--net", "3MBps", "-o", "out"),
    "net-zero": ("m.onnx", "-t", "eyeriss", "--net", "0mbps", "-o", "out"),
    "net-negative": ("m.onnx", "-t", "eyeriss", "--net", "-1mbps", "-o", "out"),
    "net-unknown": ("m.onnx", "-t", "eyeriss", "--net", "bluetooth", "-o", "out"),
    "target-unknown": ("m.onnx", "-t", "eyeris", "--net", "3mbps", "-o", "out"),
    "cloud-unknown": (*COMPILE, "--cloud", "tpux"),
    "pass-unknown": (*COMPILE, "-p", "simplify,calibrat"),
    "pass-option-unknown": (*COMPILE, "-p", "all", "--set", "assign-bits.time-limit=3"),
    "pass-option-bad": (*COMPILE, "--set", "assign-bits.time-limit-s=soon"),
    "pass-needs": (*COMPILE, "-d", "liveness"),
    "pipeline-unreadable": (*COMPILE, "-p", "assign-bits{time-limit-s"),
    "option-unknown": (*COMPILE, "--edge-memry", "8MB"),
    "option-without-value": ("m.onnx", "-t", "eyeriss", "-o", "out", "--net"),
    "edge-missing": ("m.onnx", "--net", "3mbps", "-o", "out"),
    "net-missing": ("m.onnx", "-t", "eyeriss", "-o", "out"),
    "output-missing": ("m.onnx", "-t", "eyeriss", "--net", "3mbps"),
    "model-missing": ("-t", "eyeriss", "--net", "3mbps", "-o", "out"),
    "extra-argument": (*COMPILE, "n.onnx"),
    "command-unknown": ("inspekt", "m.onnx"),
    "memory-without-unit": (*COMPILE, "--edge-memory", "96"),
    "bits-bad": (*COMPILE, "--weight-bits", "4,9"),
    "bits-not-taken": (*COMPILE, "--weight-bits", "3"),
    "decibels-bad": (*COMPILE, "--min-sqnr", "loud"),
    "input-shape-bad": (*COMPILE, "--input-shape", "1x3x8x8"),
    "input-shape-unknown": (*COMPILE, "--input-shape", "y:1x3x8x8"),
    "keep-float-bad": (*COMPILE, "--keep-float", "["),
    "cut-unknown": (*COMPILE, "--cut", "nobody"),
    "pick-beyond": (*COMPILE, "--pick", "99"),
    "zoo-unknown": ("zoo:fashon", "-t", "eyeriss", "--net", "3mbps", "-o", "out"),
    "dump-missing": ("opt", "gone.air", "-o", "out"),
    "verify-no-bundle": ("verify", "gone"),
}


@pytest.mark.parametrize("case", ARGUMENTS)
def test_bad_arguments(case: str, tool: Tool, golden: Any) -> None:
    golden(tool(*ARGUMENTS[case]), f"arguments-{case}", ".txt")


def arrays(**named: Any) -> Callable[[], None]:
    return lambda: np.savez("calib.npz", **named)


def pickled() -> None:
    np.save("calib.npy", np.array([{"x": 1}], object), allow_pickle=True)
    Path("calib.npy").rename("calib.npz")


def no_npz() -> None:
    Path("calib.npz").write_text("numbers\n")


DATA: dict[str, Callable[[], None]] = {
    "missing": lambda: None,
    "not-npz": no_npz,
    "shape": arrays(x=np.zeros((4, 3, 9, 8), np.float32)),
    "dtype": arrays(x=np.zeros((4, 3, 8, 8), np.complex64)),
    "name": arrays(image=np.zeros((4, 3, 8, 8), np.float32)),
    "empty": arrays(x=np.zeros((0, 3, 8, 8), np.float32)),
    "nan": arrays(x=np.full((4, 3, 8, 8), np.nan, np.float32)),
    "pickled": pickled,
}


@pytest.mark.parametrize("case", DATA)
def test_bad_calibration_data(case: str, tool: Tool, golden: Any) -> None:
    DATA[case]()
    golden(tool(*COMPILE, "--calib", "calib.npz"), f"data-{case}", ".txt")


def test_memory_for_no_edge_part_is_cloud_only_with_a_warning(tool: Tool, golden: Any) -> None:
    golden(tool(*COMPILE, "--edge-memory", "10B", "-q"), "memory-small", ".txt")
    assert '"kind": "cloud-only"' in (tool.folder / "out" / "manifest.json").read_text()


def test_a_model_that_can_be_cut_nowhere(tool: Tool, golden: Any) -> None:
    words = helper.make_tensor_value_info("x", TensorProto.STRING, [3])
    upper = helper.make_node("StringNormalizer", ["x"], ["y"], case_change_action="UPPER")
    made = helper.make_graph([upper], "g", [words], [helper.make_tensor_value_info("y", TensorProto.STRING, [None])])
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    (tool.folder / "m.onnx").write_bytes(model.SerializeToString())
    golden(tool(*COMPILE, "-q"), "cut-nowhere", ".txt")


def test_an_impossible_limit_writes_the_best_effort(tool: Tool, golden: Any) -> None:
    golden(tool(*COMPILE, "--max-latency", "1us", "-q"), "latency-impossible", ".txt")
    assert (tool.folder / "out" / "manifest.json").is_file()


def test_an_output_that_holds_the_model(tool: Tool, golden: Any) -> None:
    (tool.folder / "box").mkdir()
    shutil.copy(tool.folder / "m.onnx", tool.folder / "box" / "edge.onnx")
    golden(tool("box/edge.onnx", *COMPILE[1:-1], "box"), "output-holds-input", ".txt")
    assert (tool.folder / "box" / "edge.onnx").is_file()


def test_an_output_below_a_file(tool: Tool, golden: Any) -> None:
    golden(tool(*COMPILE[:-1], "m.onnx/out"), "output-unwritable", ".txt")


def test_an_output_that_is_a_file(tool: Tool, golden: Any) -> None:
    golden(tool(*COMPILE[:-1], "m.onnx"), "output-file", ".txt")


def test_a_foreign_folder(tool: Tool, golden: Any) -> None:
    (tool.folder / "out").mkdir()
    (tool.folder / "out" / "notes.txt").write_text("mine")
    golden(tool(*COMPILE), "output-foreign", ".txt")


def test_a_disk_that_fills_while_a_graph_is_written(tool: Tool, golden: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(graph: object, path: Path, *, max_opset: int) -> None:
        del graph, max_opset
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(bundle, "write_side", half)
    golden(tool(*COMPILE), "output-disk-full", ".txt")


def test_ctrl_c(tool: Tool, golden: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*args: object) -> None:
        del args
        raise KeyboardInterrupt

    monkeypatch.setattr(driver, "run_pass", stop)
    golden(tool(*COMPILE), "interrupted", ".txt")


def test_a_fault_of_ours_names_the_pass_and_the_dump_that_stays(tool: Tool, golden: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object) -> None:
        raise ZeroDivisionError(f"by {len(args[2:])}")

    monkeypatch.setattr(pass_class("liveness"), "apply", broken)
    text = tool(*COMPILE, "--dump-ir", "out/ir", "-q")
    (stage,) = (p.name for p in tool.folder.iterdir() if p.name.startswith(".out."))
    assert not (tool.folder / "out").exists()
    lines = [line for line in text.replace(stage, "STAGE").splitlines() if "test_bad_input.py" not in line]
    golden("\n".join(lines), "fault", ".txt")


def test_a_changed_bundle(tool: Tool, golden: Any) -> None:
    assert tool(*COMPILE, "-q").endswith("exit 0\n")
    with (tool.folder / "out" / "edge.onnx").open("ab") as file:
        file.write(b"\n")
    lines = [line for line in tool("verify", "out").splitlines() if "sha256 is" not in line and "manifest says" not in line]
    golden("\n".join(lines), "verify-changed", ".txt")
