"""insert: a gain behind a fused clip goes into the weights' scales and the bias where the quantiser cuts off what the clip does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from autosplitc.codegen import emit_onnx
from autosplitc.ir import ACT_GAIN, ArrayRef, Attrs, Const, DType, Graph, Loc, Op, TensorType, Value, blob_from_array
from autosplitc.passes import Affine, affine_of_range, dequantize_array, quantize_array, quantize_weight
from autosplitc.passes.quantize.insert import EdgePart, EdgeRecipe, build_edge
from autosplitc.passes.roles import roles
from autosplitc.passes.rounded import Rounded

GAIN = np.array([1, 2.5, 40, 7], np.float32)
HIGH = 6.0


def net(groups: int) -> tuple[Graph, dict[str, NDArray[np.float32]]]:
    """Return x -> conv with clip to [0, 6] and gain -> conv."""
    rng = np.random.default_rng(groups)
    rows = (0.6 / GAIN).reshape(-1, 1, 1, 1)
    arrays = {
        "w": (rng.standard_normal((4, 4 // groups, 3, 3)) * rows).astype(np.float32),
        "b": (rng.standard_normal(4) / GAIN).astype(np.float32),
        "v": rng.standard_normal((4, 4, 1, 1)).astype(np.float32),
    }
    consts = tuple(Const(n, TensorType(DType.F32, a.shape), blob_from_array(a)) for n, a in arrays.items())
    gain = ArrayRef(TensorType(DType.F32, (4,)), blob_from_array(GAIN))
    type_ = TensorType(DType.F32, (1, 4, 8, 8))
    attrs = Attrs.of({"act": "clip", "act_low": 0.0, "act_high": HIGH, ACT_GAIN: gain, "group": groups, "pads": (1, 1, 1, 1)})
    first = Op(("a",), "conv", ("x", "w", "b"), attrs, (type_,), Loc(("a",)))
    second = Op(("y",), "conv", ("a", "v"), Attrs(), (type_,), Loc(("y",)))
    return Graph("main", (("", 21),), (Value("x", type_),), consts, (first, second), ("y",)), arrays


def edge(graph: Graph, high: float) -> tuple[Graph, EdgePart, dict[str, Affine]]:
    """Return the edge graph where the quantiser of `a` ends at `high`."""
    affine = {"x": affine_of_range(-3, 3, 8), "a": affine_of_range(0, high, 8), "y": affine_of_range(-60, 60, 8)}
    part = build_edge(EdgeRecipe(graph, roles(graph), 2, affine, {}, Rounded({"w": 8, "v": 8}, {}, {})))
    read = {name for op in part.ops for name in op.inputs}
    consts = tuple(c for c in (*graph.consts, *part.consts.values()) if c.name in read)
    return Graph("edge", graph.opset, graph.inputs, consts, tuple(part.ops), graph.outputs), part, affine


@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("high", [HIGH, 3.0, 7.0])
def test_the_edge_computes_what_clip_and_gain_do(groups: int, high: float, tmp_path: Path) -> None:
    import onnx
    from onnxruntime import GraphOptimizationLevel, InferenceSession, SessionOptions

    graph, arrays = net(groups)
    made, part, affine = edge(graph, high)
    absorbed = high <= HIGH
    assert any("act" in op.attrs for op in part.ops) is not absorbed
    options = SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    x = np.random.default_rng(1).standard_normal((1, 4, 8, 8)).astype(np.float32)
    InferenceSession(emit_onnx(made).SerializeToString(), options, providers=["CPUExecutionProvider"])
    kinds = [node.op_type for node in onnx.load(str(tmp_path / "optimised.onnx")).graph.node]
    assert kinds.count("QLinearConv") == (2 if absorbed else 1)
    assert ("Mul" in kinds) is not absorbed
    middle = replace(made, outputs=("a.dq",))
    session = InferenceSession(emit_onnx(middle).SerializeToString(), providers=["CPUExecutionProvider"])
    found = np.asarray(session.run(["a.dq"], {"x": x})[0])
    expected = reference(arrays, x, affine, groups)
    step = affine["a"].scale
    assert np.abs(found - expected).max() <= 1.01 * step
    assert (np.abs(found - expected) > 0.5 * step).mean() < 0.01
    assert len(np.unique(found)) > 50


def quantised(values: NDArray[np.float32], affine: Affine) -> NDArray[np.float32]:
    return dequantize_array(quantize_array(values, affine), affine)


def reference(
    arrays: dict[str, NDArray[np.float32]], x: NDArray[np.float32], affine: dict[str, Affine], groups: int
) -> NDArray[np.float32]:
    """Return `a` computed on quantised input and weights, with clip and gain as they stand in the model."""
    codes = quantize_weight(arrays["w"], 8, 0)
    weights = codes.codes.reshape(4, 4 // groups, 3, 3) * codes.scale.reshape(-1, 1, 1, 1).astype(np.float64)
    padded = np.pad(quantised(x, affine["x"]), ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))[0]
    per = 4 // groups
    taken = [np.einsum("chwij,cij->hw", windows[o // per * per if groups > 1 else 0 :][:per], weights[o]) for o in range(4)]
    plain = np.stack(taken)[None] + arrays["b"].reshape(1, -1, 1, 1)
    return quantised((np.clip(plain, 0, HIGH) * GAIN.reshape(1, -1, 1, 1)).astype(np.float32), affine["a"])
