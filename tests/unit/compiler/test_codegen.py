"""Emitted models: what weights become in the file, and what stock ONNX Runtime makes of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from autosplitc.codegen import emit_onnx, write_side
from autosplitc.engine import Engine, Level, session_options
from autosplitc.ir import (
    Attrs,
    Const,
    DType,
    Graph,
    Op,
    TensorType,
    Value,
    blob_from_array,
    blob_from_bytes,
    code_dtype,
    pack_bits,
    packed_bytes,
)
from autosplitc.passes import quantize_bias, quantize_weight

if TYPE_CHECKING:
    from onnx import ModelProto

LEVELS: tuple[Level, ...] = get_args(Level)
Array = NDArray[Any]
SCALE_X, SCALE_Y = float(np.float32(0.02)), float(np.float32(0.05))


def const(name: str, array: Array, bits: int = 0) -> Const:
    """A constant; `bits`: signed codes, packed."""
    if bits:
        return Const(name, TensorType(code_dtype(bits, signed=True), array.shape), blob_from_bytes(pack_bits(array, bits)))
    dtypes = {"float32": DType.F32, "int32": DType.I32, "int8": DType.I8}
    return Const(name, TensorType(dtypes[array.dtype.name], array.shape), blob_from_array(array))


def dequantized(name: str, axis: int, type_: TensorType) -> Op:
    return Op((f"{name}.dq",), "dequantize", (f"{name}.q", f"{name}.scale"), Attrs.of(axis=axis), (type_,))


def weights(bits: int, shape: tuple[int, ...], axis: int, op: str = "add") -> tuple[Graph, Array]:
    """A graph that returns its input plus the weights, and what they stand for."""
    rounded = quantize_weight(np.random.default_rng(bits).normal(0, 1, shape).astype(np.float32), bits, axis)
    type_ = TensorType(DType.F32, shape)
    ops = (dequantized("w", axis, type_), Op(("y",), op, ("x", "w.dq"), types=(type_,)))
    consts = (const("w.q", rounded.codes, bits), const("w.scale", rounded.scale))
    return Graph("g", (("", 21),), (Value("x", type_),), consts, ops, ("y",)), rounded.dequantized()


def opset(model: ModelProto) -> int:
    return next(entry.version for entry in model.opset_import if entry.domain == "")


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("max_opset", [21, 25])
@pytest.mark.parametrize("bits", range(2, 9))
def test_weights_come_back_exactly(bits: int, max_opset: int, level: Level) -> None:
    for shape, axis in (((25, 11, 3, 3), 0), ((47, 51, 1, 1), 1), ((7, 5), 1)):
        graph, expected = weights(bits, shape, axis)
        model = emit_onnx(graph, max_opset=max_opset)
        assert opset(model) <= max_opset
        found = Engine.load(model.SerializeToString(), "test", level).run({"x": np.zeros(shape, np.float32)})
        assert np.array_equal(found["y"], expected)


STORED = {8: (8, 21), 7: (8, 21), 6: (6, 25), 5: (8, 21), 4: (4, 21), 3: (4, 21), 2: (2, 25)}
"""Bits in the file and opset, by bits of the codes."""


@pytest.mark.parametrize(
    ("bits", "max_opset", "stored_bits", "expected_opset"),
    [*((bits, 25, *found) for bits, found in STORED.items()), (6, 21, 8, 21), (2, 24, 4, 21)],
)
def test_files_hold_packed_codes(bits: int, max_opset: int, stored_bits: int, expected_opset: int, tmp_path: Path) -> None:
    shape = (64, 64, 3, 3)
    graph, _ = weights(bits, shape, 0)
    path = tmp_path / "model.onnx"
    write_side(graph, path, max_opset=max_opset)
    payload = packed_bytes(64 * 64 * 9, stored_bits)
    others = 5 * 64 + 700
    assert payload <= path.stat().st_size <= payload + others
    model = emit_onnx(graph, max_opset=max_opset)
    assert opset(model) == expected_opset
    assert all(t.HasField("raw_data") for t in model.graph.initializer)


@pytest.mark.parametrize("bits", [2, 4, 6])
def test_weights_too_small_to_be_worth_packing_stay_int8(bits: int) -> None:
    """The file is the smaller for it, and its opset no higher than need be."""
    model = emit_onnx(weights(bits, (4, 4, 1, 1), 0)[0])
    assert opset(model) == 21
    assert [node.op_type for node in model.graph.node] == ["DequantizeLinear", "Add"]


@pytest.mark.parametrize("bits", [2, 3, 4, 6])
def test_only_cast_reads_types_below_8_bits(bits: int) -> None:
    """Conv and MaxPool next to INT2, UINT4 or UINT2 make ONNX Runtime build ops that it has no kernel for."""
    model = emit_onnx(weights(bits, (50, 50), 0)[0])
    narrow = {t.name for t in model.graph.initializer if t.data_type in (21, 22, 25, 26)}
    readers = {node.op_type for node in model.graph.node if narrow.intersection(node.input)}
    assert narrow
    assert readers == {"Cast"}


def test_a_model_s_own_int4_weights_stay_as_they_are() -> None:
    codes = np.array([[-8, 7, 3], [0, -1, 1]], np.int8)
    scale = np.array([0.5, 2.0], np.float32)
    type_ = TensorType(DType.F32, (2, 3))
    own = Op(("w",), "dequantize_linear", ("codes", "scale"), Attrs.of(axis=0), (type_,))
    ops = (own, Op(("y",), "add", ("x", "w"), types=(type_,)))
    graph = Graph("g", (("", 21),), (Value("x", type_),), (const("codes", codes, 4), const("scale", scale)), ops, ("y",))
    model = emit_onnx(graph)
    assert [node.op_type for node in model.graph.node] == ["DequantizeLinear", "Add"]
    found = Engine.load(model.SerializeToString(), "test").run({"x": np.zeros((2, 3), np.float32)})
    assert np.array_equal(found["y"], codes * scale[:, None])


def test_the_same_graph_gives_the_same_bytes() -> None:
    graph, _ = weights(6, (50, 50), 0)
    assert emit_onnx(graph).SerializeToString(deterministic=True) == emit_onnx(graph).SerializeToString(deterministic=True)


def test_ops_mean_the_same_at_the_opset_of_int2() -> None:
    """What emission relies on when it raises the opset: up to 25 ops gain types and optional attributes, and nothing else."""
    from onnx import defs

    for schema in defs.get_all_schemas():
        if schema.domain or schema.since_version <= 21:
            continue
        try:
            old, new = defs.get_schema(schema.name, 21, ""), defs.get_schema(schema.name, 25, "")
        except defs.SchemaError:
            continue
        assert [i.name for i in old.inputs] == [i.name for i in new.inputs]
        gained = set(new.attributes) - set(old.attributes)
        assert not set(old.attributes) - set(new.attributes)
        assert not any(new.attributes[name].required for name in gained)
        assert all(old.attributes[n].default_value == new.attributes[n].default_value for n in old.attributes)


def test_swish_computes_the_same_at_every_opset() -> None:
    """A 6-bit weight moves the graph to opset 25, where silu would become another op than in the graph of opset 21."""
    shape = (50, 50)
    narrow, wide = (emit_onnx(weights(bits, shape, 0)[0]) for bits in (4, 6))
    assert (opset(narrow), opset(wide)) == (21, 25)
    x = np.random.default_rng(0).normal(0, 3, shape).astype(np.float32)
    found: list[Array] = []
    for bits in (4, 6):
        graph, _ = weights(bits, shape, 0)
        silu = Op(("z",), "silu", ("x",), types=graph.ops[-1].types)
        model = emit_onnx(Graph("g", graph.opset, graph.inputs, graph.consts, (*graph.ops, silu), ("y", "z")))
        assert "Swish" not in [node.op_type for node in model.graph.node]
        found.append(Engine.load(model.SerializeToString(), "test").run({"x": x})["z"])
    assert np.array_equal(found[0].view(np.uint32), found[1].view(np.uint32))


def convolution(bits: int, act_bits: int, act: Attrs) -> tuple[Graph, Array, Array]:
    """A quantised 3x3 convolution from 8-bit codes to `act_bits`, an input for it, and what integer arithmetic makes of that."""
    random = np.random.default_rng(bits * 10 + act_bits)
    rounded = quantize_weight(random.normal(0, 0.2, (6, 3, 3, 3)).astype(np.float32), bits, 0)
    bias = quantize_bias(random.normal(0, 0.5, 6), SCALE_X, rounded.scale)
    codes = random.integers(0, 256, (1, 3, 5, 5))
    in_type, out_type = TensorType(DType.F32, (1, 3, 5, 5)), TensorType(DType.F32, (1, 6, 5, 5))
    quantize_x = Attrs.of(scale=SCALE_X, zero_point=128, bits=8)
    quantize_y = Attrs.of(scale=SCALE_Y, zero_point=0, bits=act_bits)
    ops = (
        Op(("x.q",), "quantize", ("x",), quantize_x, (in_type.with_dtype(DType.U8),)),
        Op(("x.dq",), "dequantize", ("x.q",), quantize_x.with_(bits=None), (in_type,)),
        dequantized("w", 0, TensorType(DType.F32, (6, 3, 3, 3))),
        dequantized("b", 0, TensorType(DType.F32, (6,))),
        Op(("c",), "conv", ("x.dq", "w.dq", "b.dq"), Attrs.of(dict(act), pads=(1, 1, 1, 1)), (out_type,)),
        Op(("c.q",), "quantize", ("c",), quantize_y, (out_type.with_dtype(code_dtype(act_bits, signed=False)),)),
        Op(("y",), "dequantize", ("c.q",), quantize_y.with_(bits=None), (out_type,)),
    )
    consts = (const("w.q", rounded.codes, bits), const("w.scale", rounded.scale), const("b.q", bias.codes), const("b.scale", bias.scale))
    padded = np.pad(codes - 128, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    sums = np.einsum("nihwkl,oikl->nohw", windows, rounded.codes.astype(np.int64)) + bias.codes[None, :, None, None]
    factor = (np.float32(SCALE_X) * rounded.scale / np.float32(SCALE_Y)).astype(np.float32)[None, :, None, None]
    expected = np.clip(np.rint(sums.astype(np.float32) * factor), 0, 2**act_bits - 1).astype(np.float32) * np.float32(SCALE_Y)
    x = ((codes - 128) * np.float32(SCALE_X)).astype(np.float32)
    return Graph("g", (("", 21),), (Value("x", in_type),), consts, ops, ("y",)), x, expected


@pytest.mark.parametrize("level", ["extended", "all"])
@pytest.mark.parametrize(("bits", "act_bits"), [(8, 8), (8, 4), (7, 6), (6, 8), (5, 5), (4, 4), (3, 2), (2, 8)])
def test_a_layer_runs_in_integers_as_computed_by_hand(bits: int, act_bits: int, level: Level, tmp_path: Path) -> None:
    import onnx
    from onnxruntime import InferenceSession

    graph, x, expected = convolution(bits, act_bits, Attrs.of(act="relu"))
    model = emit_onnx(graph).SerializeToString()
    options = session_options(level)
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    InferenceSession(model, options, ["CPUExecutionProvider"])
    kinds = Counter(node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node)
    assert kinds["QLinearConv"] == 1
    assert kinds["Conv"] + kinds["FusedConv"] + kinds["Relu"] == 0
    found = Engine.load(model, "test", level).run({"x": x})["y"]
    assert np.array_equal(found, expected)
