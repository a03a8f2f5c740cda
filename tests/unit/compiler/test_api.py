"""The Python API."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import autosplitc
from autosplitc import CompileError, Result

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "fashion"


@pytest.fixture(scope="module")
def result() -> Result:
    """Return the example compiled for 96 KiB behind a slow link, into a temporary folder."""
    return autosplitc.compile(EXAMPLE / "fashion.onnx", network="ble", edge_memory="96KiB", calib=EXAMPLE / "calib.npz")


def test_the_best_plan_is_among_the_solutions(result: Result) -> None:
    assert result.best in result.solutions
    assert result.best.kind == "split"
    assert result.best.latency_s == min(p.latency_s for p in result.solutions if p.feasible)
    assert result.manifest["decision"]["after"] == result.best.after
    assert result.measurements["check"]["halves_equal_whole"] is True


def test_save_copies_the_bundle(result: Result, tmp_path: Path) -> None:
    saved = result.save(tmp_path / "out")
    assert result.folder is not None
    assert sorted(p.name for p in saved.iterdir()) == sorted(p.name for p in result.folder.iterdir())
    assert (saved / "edge.onnx").read_bytes() == (result.folder / "edge.onnx").read_bytes()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(CompileError, match="AS602"):
        result.save(tmp_path / "other")
    result.save(str(tmp_path / "other"), force=True)
    assert (tmp_path / "other" / "notes.txt").read_text() == "mine"


def test_a_model_in_memory_compiles_to_the_same_graphs(result: Result) -> None:
    model = onnx.load(EXAMPLE / "fashion.onnx")
    again = autosplitc.compile(model, network="ble", edge_memory=96 * 1024, calib=EXAMPLE / "calib.npz")
    assert again.manifest["graphs"] == result.manifest["graphs"]
    assert again.best == result.best


def test_a_temporary_bundle_goes_with_its_result() -> None:
    made = autosplitc.compile(EXAMPLE / "fashion.onnx", weight_bits=[8], act_bits=[8], wire_bits=[8])
    folder = made.folder
    assert folder is not None
    assert folder.is_dir()
    assert {b.bits for b in made.best.weight_bits} == {8}
    del made
    gc.collect()
    assert not folder.exists()


def test_an_output_folder_is_written_at_once(tmp_path: Path) -> None:
    made = autosplitc.compile(EXAMPLE / "fashion.onnx", output=tmp_path / "out", network="ble", cut=["waist/clip"])
    assert made.folder == tmp_path / "out"
    assert made.best.after == "waist/clip"
    assert [d.code for d in made.warnings] == ["AS320"]
    assert {t.step for t in made.timings} >= {"import", "calibrate", "assign-bits", "write", "check", "measure"}


def test_a_pipeline_without_partition_gives_the_module_alone() -> None:
    made = autosplitc.compile(EXAMPLE / "fashion.onnx", passes="simplify")
    assert made.folder is None
    assert made.solutions == ()
    assert len(made.module.main.ops) == 19
    with pytest.raises(ValueError, match="partition"):
        made.save("out")


def test_a_plan_that_breaks_a_limit_is_a_result(tmp_path: Path) -> None:
    made = autosplitc.compile(EXAMPLE / "fashion.onnx", max_latency_s=1e-6, output=tmp_path / "out")
    assert made.best.feasible is False
    assert made.best.violations
    assert made.manifest["decision"]["violations"] == list(made.best.violations)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"network": "3"}, "AS402"),
        ({"edge": "eyeris"}, "AS410"),
        ({"edge_memory": "96"}, "AS402"),
        ({"passes": "simplfy"}, "AS110"),
        ({"calib": "gone.npz"}, "AS310"),
        ({"input_shapes": {"gone": (1, 2)}}, "AS302"),
        ({"weight_bits": (3,)}, "AS151"),
    ],
)
def test_mistakes_are_compile_errors(options: dict[str, Any], code: str) -> None:
    with pytest.raises(CompileError) as caught:
        autosplitc.compile(EXAMPLE / "fashion.onnx", **options)
    assert [d.code for d in caught.value.diagnostics] == [code]


def test_the_two_halves_run_in_stock_onnxruntime(result: Result) -> None:
    import onnxruntime

    assert result.folder is not None
    image = np.load(EXAMPLE / "eval.npz")["image"][:4].astype(np.float32)
    payload_name = result.manifest["wire"]["payload"]
    (payload,) = onnxruntime.InferenceSession(result.folder / "edge.onnx").run([payload_name], {"image": image})
    assert payload.dtype == np.uint8
    assert payload.shape == (4, result.best.payload_bytes)
    (logits,) = onnxruntime.InferenceSession(result.folder / "cloud.onnx").run(None, {payload_name: payload})
    assert logits.shape == (4, 10)


def test_a_fallback_is_written_where_it_is_asked_for(tmp_path: Path) -> None:
    made = autosplitc.compile("zoo:fashion", cut=["waist/clip"], emit_fallback=True, output=tmp_path / "out")
    assert (tmp_path / "out" / "fallback.onnx").is_file()
    assert (made.save(tmp_path / "copy") / "fallback.onnx").is_file()
