"""A residual network cut everywhere: halves against whole, the payload against its description, and what integer kernels get."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from autosplitc.codegen import emit_onnx
from autosplitc.engine import Engine, sample_feeds
from autosplitc.ir import Graph, Module, unpack_bits
from autosplitc.passes import Affine, WireLayout, dequantize_array

MIXED = (4, 6, 2, 3, 5, 7)


@pytest.mark.parametrize(
    ("weights", "acts", "wire"),
    [((8,), 8, 8), ((8,), 8, 4), (MIXED, 8, 2), (MIXED, 8, 1), (MIXED, 4, 4), ((6, 2), 6, 3), ((3, 5), 5, 5), ((7,), 7, 6)],
)
def test_halves_equal_the_whole_at_every_cut(bench: Any, residual: Module, weights: tuple[int, ...], acts: int, wire: int) -> None:
    for position in range(len(residual.main.ops) + 1):
        module = bench.lowered(residual, position, weights, acts, wire)
        report = bench.checked(module)
        assert report["batch"] == 3, "the batch stays free"
        assert module.main == residual.main


def test_quality_at_8_bits_is_good_at_every_cut(bench: Any, residual: Module) -> None:
    for position in range(len(residual.main.ops) + 1):
        module = bench.lowered(residual, position)
        bench.bundle(module)
        assert bench.quality(module)["sqnr_db"] > 30


def test_fewer_wire_bits_cost_quality_and_bytes(bench: Any, residual: Module) -> None:
    position = 3
    found: list[tuple[int, float]] = []
    for wire in (8, 6, 4, 2, 1):
        module = bench.lowered(residual, position, wire=wire)
        bench.bundle(module)
        found.append((module.fact(WireLayout).nbytes, bench.quality(module)["sqnr_db"]))
    assert [nbytes * 8 // found[-1][0] for nbytes, _ in found] == [64, 48, 32, 16, 8]
    assert all(better > worse for (_, better), (_, worse) in pairwise(found))


@pytest.mark.parametrize("wire", [8, 4, 3, 1])
def test_the_layout_tells_how_to_read_the_payload(bench: Any, residual: Module, wire: int) -> None:
    """What the manifest's wire says, applied by hand, gives the numbers that the cloud's ops read."""
    feed = next(sample_feeds(residual, None, 3, 1))
    for position in range(1, len(residual.main.ops)):
        module: Module = bench.lowered(residual, position, wire=wire)
        layout = module.fact(WireLayout)
        payload = Engine.load(emit_onnx(module.graph("edge")).SerializeToString(), "edge").run(feed)[layout.payload][0]
        assert layout.nbytes == sum(t.nbytes for t in layout.tensors) == payload.size
        cloud: Graph = module.graph("cloud")
        received = {op.inputs[0]: op.result for op in cloud.ops if op.kind == "dequantize"}
        names = [received[op.result] for op in cloud.ops if op.kind == "unpack"]
        watched = emit_onnx(replace(cloud, outputs=(*cloud.outputs, *names)))
        read = Engine.load(watched.SerializeToString(), "cloud").run({layout.payload: payload[None]})
        for tensor, name in zip(layout.tensors, names, strict=True):
            data = payload[tensor.offset_bytes : tensor.offset_bytes + tensor.nbytes]
            codes = unpack_bits(data, tensor.bits, int(np.prod(tensor.shape)), signed=False).reshape(tensor.shape)
            numbers = dequantize_array(codes, Affine(tensor.scale, tensor.zero_point, tensor.bits))
            assert np.array_equal(numbers, read[name])


@pytest.mark.parametrize(("weights", "acts"), [((8,), 8), ((4,), 4), ((2, 6), 5)])
def test_convolutions_keep_integer_kernels(bench: Any, residual: Module, weights: tuple[int, ...], acts: int) -> None:
    """Convs, the residual add and the concat run on codes: clips and relus are absorbed, others follow an inner quantiser."""
    import onnx
    from onnxruntime import InferenceSession

    from autosplitc.engine import session_options

    position = len(residual.main.ops) - 1
    folder = bench.bundle(bench.lowered(residual, position, weights, acts, acts))
    options = session_options("extended")
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    InferenceSession(folder / "edge.onnx", options, ["CPUExecutionProvider"])
    nodes = onnx.load(folder / "optimised.onnx").graph.node
    kinds = [node.op_type for node in nodes]
    assert kinds.count("QLinearConv") == 6
    assert kinds.count("QLinearAdd") == 1
    (joined,) = (node for node in nodes if node.op_type in ("Concat", "QLinearConcat"))
    makers = {node.op_type for node in nodes if set(node.output) & set(joined.input)}
    assert joined.op_type == "QLinearConcat" or makers <= {"QuantizeLinear", "QLinearLeakyRelu", "Clip"}
    assert not {"Conv", "FusedConv", "Relu", "Add"} & set(kinds)


def test_two_emissions_are_byte_identical(bench: Any, residual: Module) -> None:
    first, second = (bench.lowered(residual, 6, MIXED, 4, 2) for _ in range(2))
    assert first == second
    for side in ("edge", "cloud", "whole"):
        one, other = (emit_onnx(module.graph(side)).SerializeToString(deterministic=True) for module in (first, second))
        assert one == other
