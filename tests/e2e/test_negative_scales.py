"""Negative scales of weights in ONNX Runtime's integer kernels: what rounding to 2 bits rests on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from autosplitc.engine import Engine, Level, session_options

RNG = np.random.default_rng(8)
CHANNELS = 16


def model(kind: str) -> onnx.ModelProto:
    """One op on codes with weights of 2 bits, every other channel at a negative scale."""
    shape = (CHANNELS, 8, 3, 3) if kind == "Conv" else (CHANNELS, 8)
    scale = (0.05 + 0.1 * RNG.random(CHANNELS)).astype(np.float32) * np.resize([-1, 1], CHANNELS).astype(np.float32)
    bias = RNG.standard_normal(CHANNELS).astype(np.float32)
    arrays = {
        "codes": RNG.integers(-2, 2, shape).astype(np.int8),
        "scale": scale,
        "zero": np.zeros(CHANNELS, np.int8),
        "bias": np.rint(bias / (np.float32(0.02) * scale)).astype(np.int32),
        "bias.scale": np.float32(0.02) * scale,
        "sx": np.float32(0.02),
        "zx": np.uint8(100),
        "sy": np.float32(0.05),
        "zy": np.uint8(120),
    }
    inputs = ["xd", "w", "b"]
    conv = helper.make_node("Conv", inputs, ["r"], pads=[1, 1, 1, 1])
    gemm = helper.make_node("Gemm", inputs, ["r"], transB=1)
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "sx", "zx"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "sx", "zx"], ["xd"]),
        helper.make_node("DequantizeLinear", ["codes", "scale", "zero"], ["w"], axis=0),
        helper.make_node("DequantizeLinear", ["bias", "bias.scale"], ["b"], axis=0),
        conv if kind == "Conv" else gemm,
        helper.make_node("QuantizeLinear", ["r", "sy", "zy"], ["rq"]),
        helper.make_node("DequantizeLinear", ["rq", "sy", "zy"], ["y"]),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8, 10, 10] if kind == "Conv" else [1, 8])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "g", [x], [y], [numpy_helper.from_array(np.asarray(a), name) for name, a in arrays.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


@pytest.mark.parametrize("level", ["extended", "all"])
@pytest.mark.parametrize("kind", ["Conv", "Gemm"])
def test_they_give_what_the_definition_gives(kind: str, level: Level, tmp_path: Path) -> None:
    from onnxruntime import InferenceSession

    data = model(kind).SerializeToString()
    feed = {"x": RNG.standard_normal([d.dim_value for d in model(kind).graph.input[0].type.tensor_type.shape.dim]).astype(np.float32)}
    exact = Engine.load(data, "model", "disabled").run(feed)["y"]
    np.testing.assert_array_equal(Engine.load(data, "model", level).run(feed)["y"], exact)
    options = session_options(level)
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    InferenceSession(data, options, ["CPUExecutionProvider"])
    kinds = {node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node}
    assert kinds & {"QLinearConv", "QGemm"}
