"""`runtime` of the manifest: with its options 8-bit weights do not saturate; memory is measured with them; sizes beside predictions."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from autosplitc.codegen import write_side
from autosplitc.engine import Engine
from autosplitc.ir import Attrs, Const, DType, Graph, Module, Op, TensorType, Value, blob_from_array
from autosplitc.passes import Choice, NamedBits, Plan, Solutions
from autosplitc.runtime_options import runtime_of
from autosplitc.sizes import edge_rss_bytes, sizes_of
from autosplitc.targets import load_target

OPSET = (("", 21),)
CHANNELS = 64
SCALE = 2.0**-6
IN = TensorType(DType.F32, ("N", CHANNELS, 6, 6))
CODES = TensorType(DType.U8, ("N", CHANNELS, 6, 6))


def const(name: str, array: NDArray[Any], dtype: DType) -> Const:
    return Const(name, TensorType(dtype, array.shape), blob_from_array(array))


def product(weights: NDArray[np.int8]) -> Graph:
    """A convolution on codes, all scales powers of two; the result's scale is wide enough for every sum."""
    scale = const("s", np.full(len(weights), SCALE, np.float32), DType.F32)
    unit, wide = Attrs.of(scale=1.0, zero_point=0), Attrs.of(scale=2.0**11, zero_point=128)
    ops = (
        Op(("q",), "quantize", ("x",), unit.with_(bits=8), (CODES,)),
        Op(("d",), "dequantize", ("q",), unit, (IN,)),
        Op(("w",), "dequantize", ("wq", "s"), Attrs.of(axis=0), (TensorType(DType.F32, weights.shape),)),
        Op(("c",), "conv", ("d", "w"), Attrs.of(kernel_shape=(1, 1)), (IN,)),
        Op(("cq",), "quantize", ("c",), wide.with_(bits=8), (CODES,)),
        Op(("y",), "dequantize", ("cq",), wide, (IN,)),
    )
    return Graph("edge", OPSET, (Value("x", IN),), (const("wq", weights, DType.I8), scale), ops, ("y",))


def saturates() -> bool:
    """Whether this processor adds two products of bytes in 16 bits: x86 with AVX2 and without VNNI."""
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split() if Path("/proc/cpuinfo").exists() else []
    return "avx2" in flags and not {"avx512_vnni", "avx_vnni"} & set(flags)


def largest_error(folder: Path, *, precise: bool) -> int:
    """Run weights and inputs near their ends; return the largest difference to sums in 64 bits, in codes."""
    rng = np.random.default_rng(0)
    weights = (rng.integers(100, 128, (CHANNELS, CHANNELS, 1, 1)) * rng.choice([-1, 1], (CHANNELS, 1, 1, 1))).astype(np.int8)
    graph = product(weights)
    write_side(graph, folder / "edge.onnx")
    x = rng.integers(200, 256, (2, CHANNELS, 6, 6))
    made = Engine.load(folder / "edge.onnx", "edge.onnx", precise=precise).run({"x": x.astype(np.float32)})["y"]
    sums = np.einsum("nihw,oi->nohw", x, weights[:, :, 0, 0].astype(np.int64))
    wanted = np.clip(np.rint(sums * SCALE / 2.0**11) + 128, 0, 255)
    return int(np.abs(made / 2.0**11 + 128 - wanted).max())


def test_8_bit_weights_are_right_with_the_options_of_the_manifest(tmp_path: Path) -> None:
    runtime = runtime_of(Module((product(np.ones((CHANNELS, CHANNELS, 1, 1), np.int8)),)))
    assert runtime["session"] == {"session.x64quantprecision": "1"}
    assert (runtime["level"], runtime["optional"]) == ("extended", [])
    assert largest_error(tmp_path, precise=True) == 0


def test_8_bit_weights_saturate_without_on_processors_without_vnni(tmp_path: Path) -> None:
    if platform.machine() not in ("x86_64", "AMD64") or not saturates():
        pytest.skip("this processor has VNNI, or is no x86 with AVX2: nothing saturates")
    assert largest_error(tmp_path, precise=False) > 0


def test_with_quantisers_of_the_model_the_option_is_one_to_try() -> None:
    op = Op(("y",), "quantize_linear", ("x", "s"), Attrs(), (CODES,))
    graph = Graph("edge", OPSET, (Value("x", IN),), (const("s", np.ones((), np.float32), DType.F32),), (op,), ("y",))
    assert runtime_of(Module((graph,)))["optional"] == ["session.x64quantprecision"]


def test_memory_is_measured_with_the_options_that_it_is_given(tmp_path: Path) -> None:
    path = tmp_path / "edge.onnx"
    graph = product(np.ones((CHANNELS, CHANNELS, 1, 1), np.int8))
    write_side(graph, path)
    runtime = runtime_of(Module((graph,)))
    if edge_rss_bytes(path, runtime) is None:
        pytest.skip("this system does not tell the memory of a process")
    bad = {**runtime, "session": {"": "1"}}
    assert edge_rss_bytes(path, bad) is None
    assert edge_rss_bytes(path, {**bad, "optional": [""]}) is not None
    assert edge_rss_bytes(path, {**runtime, "level": "everything"}) is None


def test_sizes_stand_beside_what_was_predicted() -> None:
    graph = Graph("main", OPSET, (Value("x", IN),), (const("w", np.zeros((10, 10), np.float32), DType.F32),), (), ("x", "w"))
    plan = Plan(
        *("edge-only", 0, "", 0.0, 0.0, 0.0, 0, 400, 200, 0.0, "optimal", 0.0),
        feasible=True,
        violations=(),
        weight_bits=(NamedBits("w", 3),),
        act_bits=(),
        wire_bits=(),
    )
    module = Module((graph,), (Solutions("main", (plan,)), Choice("main", 0, "")))
    edge = load_target("eyeriss")
    assert sizes_of(module, edge, 300, 1000) == {
        "edge_weights": {"measured_bytes": 300, "predicted_bytes": 38, "ratio": 300 / 38},
        "edge_storage": {"measured_bytes": 300, "predicted_bytes": 200, "ratio": 1.5},
        "edge_ram": {"measured_bytes": 1000, "predicted_bytes": 400, "ratio": 2.5, "resident": "packed"},
    }
    assert sizes_of(module, edge, 300, None)["edge_ram"]["ratio"] is None
    assert sizes_of(Module((graph,)), edge, 300, 1000) == {}
