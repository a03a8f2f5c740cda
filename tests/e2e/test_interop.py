"""The edge graph in QONNX form, and quantisers for onnxruntime.quantization, against the graphs that the compiler runs itself."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

import autosplitc
from autosplitc.codegen import emit_onnx
from autosplitc.engine import Engine, sample_feeds
from autosplitc.ir import Graph, Module, blob_from_array, unpack_bits
from autosplitc.ort_overrides import quant_overrides
from autosplitc.passes import WireLayout
from autosplitc.qonnx import DOMAIN, emit_qonnx, with_quant_nodes

if TYPE_CHECKING:
    from onnx import ModelProto

MIXED = (4, 6, 2, 3, 5, 7)
TIES = 0.01
"""Part of codes that may differ by one: those about halfway, which `Quant` rounds after adding the zero point."""


def reference(model: ModelProto, feed: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Run a QONNX model with ONNX's reference implementation and `Quant` as its specification has it."""
    from onnx.reference import ReferenceEvaluator
    from onnx.reference.op_run import OpRun

    class Quant(OpRun):
        op_domain = DOMAIN

        def _run(
            self, x: NDArray[Any], scale: Any, zero_point: Any, bits: Any, signed: int, narrow: int, rounding_mode: str
        ) -> tuple[NDArray[Any], ...]:
            assert (narrow, rounding_mode) == (0, "ROUND")
            low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
            codes = (x / scale + zero_point).clip(low, high).round()
            return (((codes - zero_point) * scale).astype(np.float32),)

    found: Any = ReferenceEvaluator(model, new_ops=[Quant])
    return dict(zip((output.name for output in model.graph.output), found.run(None, feed), strict=True))


def wire_codes(module: Module, payload: NDArray[Any]) -> NDArray[Any]:
    """Return the codes of all tensors in a payload [1, nbytes]."""
    found = [
        unpack_bits(payload[0, t.offset_bytes : t.offset_bytes + t.nbytes], t.bits, int(np.prod(t.shape)), signed=False)
        for t in module.fact(WireLayout).tensors
        if t.bits
    ]
    return np.concatenate(found).astype(np.int64) if found else np.zeros(0, np.int64)


@pytest.mark.parametrize(("weights", "acts", "wire"), [((8,), 8, 8), (MIXED, 8, 3), (MIXED, 4, 1), ((3, 5), 5, 5)])
def test_the_qonnx_form_sends_the_same_codes_at_every_cut(
    bench: Any, residual: Module, weights: tuple[int, ...], acts: int, wire: int
) -> None:
    feed = next(sample_feeds(residual, None, 3, 1))
    for position in range(len(residual.main.ops)):
        module: Module = bench.lowered(residual, position, weights, acts, wire)
        payload = module.fact(WireLayout).payload
        edge = module.graph("edge")
        exact = Engine.load(emit_onnx(edge).SerializeToString(), "edge").run(feed)[payload]
        found = reference(emit_qonnx(edge), dict(feed))[payload]
        assert found.shape == exact.shape
        ours, theirs = wire_codes(module, exact), wire_codes(module, found)
        assert np.abs(ours - theirs).max(initial=0) <= 1
        assert (ours != theirs).mean() <= TIES


def test_an_edge_only_graph_gives_the_same_outputs(bench: Any, residual: Module) -> None:
    feed = next(sample_feeds(residual, None, 3, 1))
    edge = bench.lowered(residual, len(residual.main.ops), MIXED, 8).graph("edge")
    exact = Engine.load(emit_onnx(edge).SerializeToString(), "edge").run(feed)
    found = reference(emit_qonnx(edge), dict(feed))
    for name, values in exact.items():
        noise = float(((values - found[name]) ** 2).sum() / (values**2).sum())
        assert noise < 1e-3, name


def test_what_the_form_is_made_of(bench: Any, residual: Module) -> None:
    module: Module = bench.lowered(residual, 3, (4,), 6, 2)
    graph: Graph = with_quant_nodes(module.graph("edge"))
    quants = [op for op in graph.ops if op.kind == f"onnx.{DOMAIN}.Quant"]
    bits = {op.result: int(graph.const[op.inputs[3]].array()) for op in quants}
    signed = {op.result: op.attrs.int_("signed", -1) for op in quants}
    assert set(bits.values()) == {2, 4, 6, 8}
    assert all(signed[name] == (bits[name] == 4) for name in bits), "weights of 4 bits alone are signed"
    assert not any(op.kind == "dequantize" for op in graph.ops)
    sent = [t for t in module.fact(WireLayout).tensors if t.bits]
    assert sum(op.kind == "quantize" for op in graph.ops) == len(sent), "packing alone takes codes"
    assert all(v.type.dims[0] == 1 for v in graph.inputs)
    assert dict(graph.opset)[DOMAIN] == 1
    assert emit_qonnx(module.graph("edge")).SerializeToString() == emit_qonnx(module.graph("edge")).SerializeToString()


def test_a_bundle_in_qonnx_form_says_what_it_needs(tmp_path: Path, residual_model: ModelProto) -> None:
    import onnx

    made = autosplitc.compile(residual_model, output=tmp_path / "out", network="1mbps", format="qonnx", weight_bits=(8,), cut=("p1",))
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text("utf-8"))
    assert made.manifest == manifest
    assert manifest["graphs"]["edge"]["needs"] == ["qonnx"]
    assert "needs" not in manifest["graphs"].get("cloud", {})
    assert made.measurements["measured_form"] == "qdq"
    assert made.measurements["check"]["halves_equal_whole"]
    assert [w.code for w in made.warnings if w.code == "AS707"] == ["AS707"]
    domains = {node.domain for node in onnx.load(str(tmp_path / "out" / "edge.onnx")).graph.node}
    assert domains == {"", DOMAIN}


def overrides_of(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the overrides of a bundle as they lie in it, and as onnxruntime.quantization takes them (see docs/interop.md)."""
    from onnxruntime.quantization import QuantType

    raw = json.loads((folder / "tensor_quant_overrides.json").read_text("utf-8"))
    ready: dict[str, Any] = {name: [dict(row) for row in rows] for name, rows in raw.items()}
    for rows in ready.values():
        for row in rows:
            row["quant_type"] = QuantType.from_string(row["quant_type"])
            if "scale" in row:
                row["scale"], row["zero_point"] = np.array(row["scale"], np.float32), np.array(row["zero_point"], np.uint8)
    return raw, ready


def test_onnxruntime_quantization_takes_the_overrides(tmp_path: Path, residual_model: ModelProto) -> None:
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.tensor_quant_overrides import TensorQuantOverridesHelper

    source = residual_model.graph.input[0].name
    dims = [d.dim_value for d in residual_model.graph.input[0].type.tensor_type.shape.dim]
    samples = np.random.default_rng(0).standard_normal((8, *dims[1:])).astype(np.float32)
    np.save(tmp_path / "calib.npy", samples)
    autosplitc.compile(residual_model, output=tmp_path / "out", network="1kbps", calib=tmp_path / "calib.npy", effort="fast")
    raw, ready = overrides_of(tmp_path / "out")
    initializers = {t.name: t for t in residual_model.graph.initializer}
    names = {name for node in residual_model.graph.node for name in (*node.input, *node.output)}
    assert set(raw) <= names
    assert sum("scale" in rows[0] for rows in raw.values()) >= 2
    valid, reason = TensorQuantOverridesHelper(ready).is_valid(initializers, names - set(initializers), QuantType.QUInt8)
    assert valid, reason

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.left = iter([{source: samples[:1]}])

        def get_next(self) -> Any:
            return next(self.left, None)

    onnx.save(residual_model, str(tmp_path / "model.onnx"))
    quantize_static(
        str(tmp_path / "model.onnx"),
        str(tmp_path / "theirs.onnx"),
        Reader(),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
        extra_options={"TensorQuantOverrides": ready},
    )
    theirs = onnx.load(str(tmp_path / "theirs.onnx"))
    found = {t.name: onnx.numpy_helper.to_array(t) for t in theirs.graph.initializer}
    applied = [n for n, rows in raw.items() if "scale" in rows[0] and f"{n}_scale" in found]
    assert len(applied) >= 2
    assert all(found[f"{n}_scale"] == np.float32(raw[n][0]["scale"]) for n in applied)


def test_tensors_whose_values_differ_from_the_models_are_left_out(bench: Any, residual: Module) -> None:
    module: Module = bench.lowered(residual, 3)
    every = quant_overrides(module, module.main, bench.env)
    weight = next(name for name in every if name in module.main.const)
    op = next(op for op in module.main.ops if weight in op.inputs)
    const = module.main.const[weight]
    moved = replace(const, blob=blob_from_array(2 * const.array()))
    original = replace(module.main, consts=tuple(moved if c is const else c for c in module.main.consts))
    found = quant_overrides(module, original, bench.env)
    assert op.result in every
    assert op.result not in found
    assert {v.name for v in module.main.inputs} <= set(found)
