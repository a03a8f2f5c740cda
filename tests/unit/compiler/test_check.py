"""The comparison of halves and whole: what it accepts, what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from autosplitc.check import check_bundle, check_halves
from autosplitc.codegen import emit_onnx, write_side
from autosplitc.engine import Engine, in_one_batch, sample_feeds
from autosplitc.ir import (
    Attrs,
    CompileError,
    Const,
    Diagnostic,
    DType,
    Graph,
    Module,
    Op,
    TensorType,
    Value,
    blob_from_array,
)
from autosplitc.measure import measure_bundle
from autosplitc.passes import Env, OutputPlace, Ranges, Request, ValueRange, WireLayout
from autosplitc.sizes import edge_rss_bytes
from autosplitc.targets import load_target, parse_network

Array = NDArray[Any]
F32, U8 = TensorType(DType.F32, ("N", 6)), TensorType(DType.U8, ("N", 6))
PAYLOAD = TensorType(DType.U8, ("N", 6))
SCALE = float(np.float32(0.03))
OPSET = (("", 21),)
X = Value("x", F32)


def quantize(scale: float = SCALE) -> Op:
    return Op(("q",), "quantize", ("x",), Attrs.of(scale=scale, zero_point=128, bits=8), (U8,))


def dequantize(scale: float = SCALE) -> Op:
    return Op(("r",), "dequantize", ("q",), Attrs.of(scale=scale, zero_point=128), (F32,))


TANH = Op(("y",), "tanh", ("r",), types=(F32,))
LAYOUT = WireLayout("edge", "payload", 6, (), (OutputPlace("y", "cloud", "y"),))
EDGE = Graph("edge", OPSET, (X,), (), (quantize(), Op(("payload",), "pack", ("q",), types=(PAYLOAD,))), ("payload",))
UNPACK = Op(("q",), "unpack", ("payload",), Attrs.of(offset=0), (U8,))
CLOUD = Graph("cloud", OPSET, (Value("payload", PAYLOAD),), (), (UNPACK, dequantize(), TANH), ("y",))
WHOLE = Graph("whole", OPSET, (X,), (), (quantize(), dequantize(), TANH), ("y",))
MAIN = Graph("main", OPSET, (X,), (), (replace(TANH, inputs=("x",)),), ("y",))
REQUEST = Request("", "m.onnx", "0", "eyeriss", "tpu", "3mbps", seed=5)


def model(graph: Graph) -> bytes:
    return emit_onnx(graph).SerializeToString()


def feeds(*rows: int) -> list[dict[str, Array]]:
    random = np.random.default_rng(0)
    return [{"x": random.normal(0, 1, (n, 6)).astype(np.float32)} for n in rows]


@dataclass(frozen=True)
class Samples:
    """Ten samples with labels."""

    samples: int = 10
    sha256: str = "0"

    def batches(self) -> Iterator[Mapping[str, Array]]:
        for part in np.split(np.random.default_rng(1).normal(0, 1, (10, 6)).astype(np.float32), 2):
            yield {"x": part}

    def labels(self) -> Array:
        return np.arange(10) % 6


def make_env(calib: Samples | None = None, warned: list[Diagnostic] | None = None) -> Env:
    sink = warned if warned is not None else []
    return Env(load_target("eyeriss"), load_target("tpu"), parse_network("3mbps"), calib=calib, warn=sink.append)


def lowered(**graphs: Graph) -> Module:
    found = {"main": MAIN, "edge": EDGE, "cloud": CLOUD, "whole": WHOLE, **graphs}
    return Module(tuple(found.values()), (REQUEST, LAYOUT))


def written(module: Module, folder: Path) -> Path:
    for side in ("edge", "cloud"):
        if module.has_graph(side):
            write_side(module.graph(side), folder / f"{side}.onnx")
    return folder


def code_of(error: pytest.ExceptionInfo[CompileError]) -> str:
    return error.value.diagnostics[0].code


def test_halves_that_agree() -> None:
    report = check_halves(model(EDGE), model(CLOUD), model(WHOLE), LAYOUT, feeds(1, 3))
    assert report.equal
    assert report.max_rel_all == 0.0
    assert (report.runs, report.payload_bytes) == (2, 6)


def test_a_bundle_is_checked_alone_and_as_a_batch(tmp_path: Path) -> None:
    module = lowered()
    report = check_bundle(module, written(module, tmp_path), make_env())
    assert report["halves_equal_whole"]
    assert (report["runs"], report["batch"]) == (4, 3)


def test_a_difference_is_located() -> None:
    """A scale that is one unit in the last place off in the cloud."""
    wrong = replace(CLOUD, ops=(UNPACK, dequantize(float(np.nextafter(np.float32(SCALE), np.float32(1)))), TANH))
    report = check_halves(model(EDGE), model(wrong), model(WHOLE), LAYOUT, feeds(1, 2))
    first = report.first
    assert first is not None
    assert (first.output, first.run, first.elements) == ("y", 0, 6)
    assert 0 < first.differing <= 6
    assert first.max_abs is not None
    assert 0 < first.max_abs < 1e-6
    assert report.deterministic


def test_a_bundle_that_differs_is_refused_with_exit_code_4(tmp_path: Path) -> None:
    module = lowered()
    wrong = lowered(cloud=replace(CLOUD, ops=(UNPACK, dequantize(0.04), TANH)))
    with pytest.raises(CompileError) as error:
        check_bundle(module, written(wrong, tmp_path), make_env())
    assert code_of(error) == "AS701"
    assert error.value.exit_code == 4
    assert 'output "y", run 0 of 4' in str(error.value)


def test_minus_zero_is_not_zero() -> None:
    negated = Op(("y",), "onnx.Neg", ("x",), types=(F32,))
    layout = WireLayout("edge", "", 0, (), (OutputPlace("y", "edge", "y"),))
    zero = {"x": np.zeros((1, 6), np.float32)}
    edge = replace(MAIN, ops=(negated,))
    subtracted = Op(("y",), "sub", ("zero", "x"), types=(F32,))
    const = Const("zero", TensorType(DType.F32, (1,)), blob_from_array(np.zeros(1, np.float32)))
    whole = replace(MAIN, consts=(const,), ops=(subtracted,))
    report = check_halves(model(edge), None, model(whole), layout, [zero])
    assert report.first is not None
    assert report.first.max_abs == 0.0


def test_equal_nan_agrees() -> None:
    logarithm = replace(MAIN, ops=(Op(("y",), "onnx.Log", ("x",), types=(F32,)),))
    layout = WireLayout("edge", "", 0, (), (OutputPlace("y", "edge", "y"),))
    feed = {"x": np.full((1, 6), -1, np.float32)}
    assert check_halves(model(logarithm), None, model(logarithm), layout, [feed]).equal


def test_random_outputs_cannot_be_checked(tmp_path: Path) -> None:
    random = Op(("noise",), "onnx.RandomNormalLike", ("r",), types=(F32,))
    ops = (random, replace(TANH, inputs=("noise",)))
    module = lowered(cloud=replace(CLOUD, ops=(UNPACK, dequantize(), *ops)), whole=replace(WHOLE, ops=(quantize(), dequantize(), *ops)))
    warned: list[Diagnostic] = []
    report = check_bundle(module, written(module, tmp_path), make_env(warned=warned))
    assert not report["halves_equal_whole"]
    assert not report["deterministic"]
    assert [d.code for d in warned] == ["AS705"]


def test_a_payload_of_another_size_is_found() -> None:
    with pytest.raises(CompileError) as error:
        check_halves(model(EDGE), model(CLOUD), model(WHOLE), replace(LAYOUT, nbytes=5), feeds(1))
    assert code_of(error) == "AS704"
    assert "uint8[1, 6], where 5 bytes" in str(error.value)


def test_a_graph_that_does_not_load_is_named() -> None:
    with pytest.raises(CompileError) as error:
        check_halves(b"nonsense", model(CLOUD), model(WHOLE), LAYOUT, feeds(1))
    assert code_of(error) == "AS702"
    assert "edge.onnx" in str(error.value)


def test_a_graph_that_does_not_run_is_named() -> None:
    with pytest.raises(CompileError) as error:
        Engine.load(model(MAIN), "cloud.onnx").run({"x": np.zeros((1, 7), np.float32)})
    assert code_of(error) == "AS703"
    assert "cloud.onnx" in str(error.value)


def test_noise_stays_within_calibrated_ranges() -> None:
    ranges = Ranges("main", calibrated=True, samples=4, values=(ValueRange("x", 2.0, 5.0),))
    found = list(sample_feeds(lowered().with_fact(ranges), None, 0, 4))
    assert len(found) == 4
    values = np.concatenate([feed["x"] for feed in found])
    assert values.min() >= 2.0
    assert values.max() <= 5.0
    assert values.std() > 0.3
    again = list(sample_feeds(lowered().with_fact(ranges), None, 0, 4))
    assert all(np.array_equal(a["x"], b["x"]) for a, b in zip(found, again, strict=True))


def test_samples_come_before_noise() -> None:
    found = list(sample_feeds(lowered(), Samples(), 0, 3))
    expected = next(iter(Samples().batches()))["x"]
    assert np.array_equal(np.concatenate([feed["x"] for feed in found]), expected[:3])


def test_a_fixed_batch_is_not_enlarged() -> None:
    fixed = Graph("g", OPSET, (Value("x", TensorType(DType.F32, (1, 6))),), (), (), ())
    assert in_one_batch(fixed, feeds(1, 1)) is None
    batch = in_one_batch(MAIN, feeds(1, 2))
    assert batch is not None
    assert batch["x"].shape == (3, 6)


def test_quality_is_measured_against_the_float_model(tmp_path: Path) -> None:
    module = lowered()
    found = measure_bundle(module, written(module, tmp_path), make_env(), Samples())
    x = np.concatenate([batch["x"] for batch in Samples().batches()]).astype(np.float64)
    codes = np.clip(np.rint(x.astype(np.float32) / np.float32(SCALE)) + 128, 0, 255)
    exact, mine = np.tanh(x), np.tanh((codes - 128) * SCALE)
    sqnr = 10 * np.log10(np.sum(exact**2) / np.sum((exact - mine) ** 2))
    assert found["data"] == {"source": "evaluation", "samples": 10}
    assert found["quality"]["sqnr_db"] == pytest.approx(sqnr, abs=1e-3)
    hits = int(np.count_nonzero(np.argmax(mine, axis=1) == Samples().labels()))
    assert found["quality"]["top1"]["value"] == hits / 10
    assert found["quality"]["top1"]["n"] == 10
    low, high = found["quality"]["top1"]["interval95"]
    assert low < hits / 10 < high
    assert found["payload_bytes"] == 6
    assert found["file_bytes"]["edge.onnx"] == (tmp_path / "edge.onnx").stat().st_size
    assert all(found["times_s"][side] > 0 for side in ("edge", "cloud", "float_model"))


def test_an_exact_output_has_no_finite_ratio(tmp_path: Path) -> None:
    """Edge-Only without quantisation."""
    layout = WireLayout("edge", "", 0, (), (OutputPlace("y", "edge", "y"),))
    module = Module((MAIN, replace(MAIN, name="edge"), replace(MAIN, name="whole")), (REQUEST, layout))
    quality = measure_bundle(module, written(module, tmp_path), make_env(), None)["quality"]
    assert quality["sqnr_db"] is None
    assert quality["outputs"] == [{"output": "y", "sqnr_db": None, "exact": True, "other_shape_in_runs": 0}]
    assert quality["agreement"]["value"] == 1.0


def test_memory_of_the_edge_half_grows_with_its_weights(tmp_path: Path) -> None:
    sizes: list[int] = []
    for elements in (1000, 8_000_000):
        values = blob_from_array(np.random.default_rng(0).normal(0, 1, elements).astype(np.float32))
        const = Const("w", TensorType(DType.F32, (elements,)), values)
        ops = (Op(("s",), "onnx.ReduceSum", ("w",), types=(TensorType(DType.F32, (1,)),)), Op(("y",), "add", ("x", "s"), types=(F32,)))
        path = tmp_path / f"{elements}.onnx"
        write_side(Graph("g", OPSET, (X,), (const,), ops, ("y",)), path)
        found = edge_rss_bytes(path)
        if found is None:
            pytest.skip("this system does not tell the memory of a process")
        sizes.append(found)
    assert sizes[1] - sizes[0] > 25_000_000


def test_a_missing_graph_has_no_memory_figure(tmp_path: Path) -> None:
    assert edge_rss_bytes(tmp_path / "missing.onnx") is None
