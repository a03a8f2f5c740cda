"""Whole compiles of a small model: every solution, as a bundle, is what its plan promises."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autosplitc
from autosplitc import Result
from autosplitc.check import check_bundle
from autosplitc.codegen import write_side
from autosplitc.ir import Module
from autosplitc.passes import Choice, WireLayout, pass_class

STABLE = ("manifest.json", "edge.onnx", "cloud.onnx", "solutions.csv", "layers.csv")


def compiled(model: Any, output: Path, **options: Any) -> Result:
    return autosplitc.compile(model, output=output, seed=3, **options)


@pytest.fixture
def result(residual_model: Any, tmp_path: Path) -> Result:
    """Return the compile at which splits, Edge-Only and Cloud-Only all are solutions."""
    return compiled(residual_model, tmp_path / "out", network="50mbps")


def test_every_solution_is_what_its_plan_promises(result: Result, bench: Any) -> None:
    """The payload has the predicted bytes, the edge file at most the predicted storage, and the halves equal the whole."""
    assert {plan.kind for plan in result.solutions} == {"cloud-only", "edge-only", "split"}
    planned = Module((result.module.main,), tuple(f for f in result.module.facts if not isinstance(f, WireLayout)))
    for i, plan in enumerate(result.solutions):
        chosen = planned.with_fact(replace(planned.fact(Choice), index=i))
        module: Module = pass_class("partition")().apply(chosen, bench.env)
        assert module.fact(WireLayout).nbytes == plan.payload_bytes
        check_bundle(module, bench.bundle(module), bench.env)
        assert (bench.folder / "edge.onnx").stat().st_size <= plan.storage_bytes + 700


def test_cloud_only_is_a_bundle_too(residual_model: Any, tmp_path: Path) -> None:
    made = compiled(residual_model, tmp_path / "out", edge_memory=1600)
    assert made.best.kind == "cloud-only"
    assert made.measurements["check"]["halves_equal_whole"]
    assert made.measurements["payload_bytes"] == 768
    assert made.measurements["quality"]["sqnr_db"] > 40


def test_edge_only_has_no_cloud(residual_model: Any, tmp_path: Path) -> None:
    made = compiled(residual_model, tmp_path / "out", network="ble")
    assert made.best.kind == "edge-only"
    assert not (tmp_path / "out" / "cloud.onnx").exists()
    assert made.measurements["payload_bytes"] == 0
    assert made.manifest["wire"]["payload"] == ""


def test_two_compiles_give_the_same_bytes(residual_model: Any, tmp_path: Path) -> None:
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        compiled(residual_model, folder, network="50mbps", pick=2)
    first, second = ({p.name: p.read_bytes() for p in folder.iterdir() if p.name in STABLE} for folder in folders)
    assert first == second
    assert len(first) >= 4


def test_lower_opsets_are_kept_to(bench: Any, tmp_path: Path) -> None:
    """Without INT2 there is no packed form for 6 bits: they take 8 in the file."""
    import onnx

    weights = np.random.default_rng(0).normal(0, 0.1, (64, 64)).astype(np.float32)
    model = bench.model("g (float[N, 64] x) => (float[N, 64] y) { y = MatMul(x, w) }", {"w": weights})
    sizes: list[int] = []
    for max_opset in (25, 21):
        compiled(model, tmp_path / f"{max_opset}", network="ble", weight_bits=[6], max_opset=max_opset)
        edge = tmp_path / f"{max_opset}" / "edge.onnx"
        assert next(e.version for e in onnx.load(edge).opset_import if e.domain == "") == max_opset
        sizes.append(edge.stat().st_size)
    assert sizes[0] < sizes[1]


def test_writing_a_side_twice_is_writing_it_once(result: Result, tmp_path: Path) -> None:
    assert result.folder is not None
    write_side(result.module.graph("edge"), tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == (result.folder / "edge.onnx").read_bytes()
