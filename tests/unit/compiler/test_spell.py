"""quantize, dequantize, pack and unpack as stock ONNX Runtime runs them, at every optimisation level."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from autosplitc.codegen import emit_onnx
from autosplitc.engine import Engine, Level
from autosplitc.ir import Attrs, Dim, DType, Graph, Op, TensorType, Value, code_dtype, pack_bits, packed_bytes
from autosplitc.passes import Affine, dequantize_array, quantize_array

LEVELS: tuple[Level, ...] = get_args(Level)
Array = NDArray[Any]


def quantized(source: str, codes: str, affine: Affine, shape: tuple[Dim, ...]) -> Op:
    attrs = Attrs.of(scale=affine.scale, zero_point=affine.zero_point, bits=affine.bits)
    return Op((codes,), "quantize", (source,), attrs, (TensorType(code_dtype(affine.bits, signed=False), shape),))


def dequantized(codes: str, result: str, affine: Affine, shape: tuple[Dim, ...]) -> Op:
    attrs = Attrs.of(scale=affine.scale, zero_point=affine.zero_point)
    return Op((result,), "dequantize", (codes,), attrs, (TensorType(DType.F32, shape),))


def packed(sources: tuple[str, ...], rows: Dim, nbytes: int) -> Op:
    return Op(("payload",), "pack", sources, Attrs(), (TensorType(DType.U8, (rows, nbytes)),))


def graph(inputs: dict[str, TensorType], ops: list[Op], outputs: tuple[str, ...]) -> Graph:
    return Graph("g", (("", 21),), tuple(Value(n, t) for n, t in inputs.items()), (), tuple(ops), outputs)


def run(built: Graph, feed: dict[str, Array], level: Level = "extended") -> dict[str, Array]:
    return Engine.load(emit_onnx(built).SerializeToString(), "test", level).run(feed)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("bits", range(1, 9))
def test_quantize_rounds_as_numpy_does(bits: int, level: Level) -> None:
    affine = Affine(float(np.float32(0.37)), 2 ** (bits - 1), bits)
    halves = (np.arange(-300, 300) + 0.5) * np.float32(0.37)
    x = np.concatenate([np.random.default_rng(bits).normal(0, 40, 400), halves, [np.inf, -np.inf, 0.0]]).astype(np.float32).reshape(1, -1)
    shape = (1, x.size)
    ops = [
        quantized("x", "q", affine, shape),
        dequantized("q", "y", affine, shape),
        packed(("q",), 1, packed_bytes(x.size, bits)),
    ]
    found = run(graph({"x": TensorType(DType.F32, shape)}, ops, ("payload", "y")), {"x": x}, level)
    codes = quantize_array(x, affine)
    assert np.array_equal(found["payload"][0], pack_bits(codes, bits))
    assert np.array_equal(found["y"], dequantize_array(codes, affine))


@pytest.mark.parametrize("level", LEVELS)
def test_two_quantisers_in_a_row_are_not_merged(level: Level) -> None:
    """Without the Clip between them ONNX Runtime makes one of Q-DQ-Q-DQ, and other codes."""
    first, second = Affine(float(np.float32(0.01)), 3, 8), Affine(float(np.float32(0.17)), 1, 4)
    x = np.random.default_rng(0).normal(0.9, 1, (1, 4000)).astype(np.float32)
    shape = (1, 4000)
    ops = [
        quantized("x", "a", first, shape),
        dequantized("a", "b", first, shape),
        quantized("b", "c", second, shape),
        dequantized("c", "y", second, shape),
    ]
    found = run(graph({"x": TensorType(DType.F32, shape)}, ops, ("y",)), {"x": x}, level)["y"]
    between = dequantize_array(quantize_array(x, first), first)
    assert np.array_equal(found, dequantize_array(quantize_array(between, second), second))
    assert not np.array_equal(found, dequantize_array(quantize_array(x, second), second))


def through(count: int, bits: int, rows: Dim) -> tuple[Graph, Graph]:
    """Graphs that pack float codes [rows, count], and unpack them."""
    affine, shape = Affine(1.0, 0, bits), (rows, count)
    nbytes = packed_bytes(count, bits)
    edge = graph({"x": TensorType(DType.F32, shape)}, [quantized("x", "q", affine, shape), packed(("q",), rows, nbytes)], ("payload",))
    code_type = TensorType(code_dtype(bits, signed=False), shape)
    ops = [Op(("q",), "unpack", ("payload",), Attrs.of(offset=0), (code_type,)), dequantized("q", "y", affine, shape)]
    return edge, graph({"payload": TensorType(DType.U8, (rows, nbytes))}, ops, ("y",))


@pytest.mark.parametrize("bits", range(1, 9))
def test_every_length_packs_as_the_layout_says(bits: int) -> None:
    for count in (*range(1, 18), 63, 64, 65, 1000):
        codes = np.random.default_rng(count).integers(0, 2**bits, (1, count))
        edge, cloud = through(count, bits, 1)
        payload = run(edge, {"x": codes.astype(np.float32)})["payload"]
        assert payload.shape == (1, packed_bytes(count, bits))
        assert np.array_equal(payload[0], pack_bits(codes.astype(np.uint8), bits))
        assert np.array_equal(run(cloud, {"payload": payload})["y"], codes)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("bits", range(1, 9))
def test_each_sample_of_a_batch_has_its_row(bits: int, level: Level) -> None:
    edge, cloud = through(13, bits, "N")
    pack, unpack = (Engine.load(emit_onnx(g).SerializeToString(), "test", level) for g in (edge, cloud))
    for rows in (1, 2, 5):
        codes = np.random.default_rng(rows).integers(0, 2**bits, (rows, 13))
        payload = pack.run({"x": codes.astype(np.float32)})["payload"]
        assert np.array_equal(payload, np.stack([pack_bits(row.astype(np.uint8), bits) for row in codes]))
        assert np.array_equal(unpack.run({"payload": payload})["y"], codes)


@pytest.mark.parametrize("level", LEVELS)
def test_tensors_lie_one_after_the_other(level: Level) -> None:
    """Codes of 3 and 8 bits, integers and booleans of several shapes in one payload."""
    low, high = Affine(0.5, 3, 3), Affine(0.25, 128, 8)
    inputs = {
        "a": TensorType(DType.F32, ("N", 3, 3)),
        "ids": TensorType(DType.I64, ("N", 2)),
        "b": TensorType(DType.F32, ("N", 5)),
        "flag": TensorType(DType.BOOL, ("N",)),
    }
    sent = {
        "a.q": TensorType(DType.U3, ("N", 3, 3)),
        "ids": inputs["ids"],
        "b.q": TensorType(DType.U8, ("N", 5)),
        "flag": inputs["flag"],
    }
    sizes = [4, 16, 5, 1]
    ops = [quantized("a", "a.q", low, ("N", 3, 3)), quantized("b", "b.q", high, ("N", 5)), packed(tuple(sent), "N", sum(sizes))]
    unpacked = [
        Op((name,), "unpack", ("payload",), Attrs.of(offset=sum(sizes[:i])), (type_,)) for i, (name, type_) in enumerate(sent.items())
    ]
    back = [dequantized("a.q", "a", low, ("N", 3, 3)), dequantized("b.q", "b", high, ("N", 5))]
    cloud = graph({"payload": TensorType(DType.U8, ("N", sum(sizes)))}, [*unpacked, *back], ("a", "ids", "b", "flag"))
    random = np.random.default_rng(1)
    feed: dict[str, Array] = {
        "a": random.normal(0, 2, (3, 3, 3)).astype(np.float32),
        "ids": np.array([[-1, 2**62], [-(2**63), 2**63 - 1], [0, 255]]),
        "b": random.normal(0, 9, (3, 5)).astype(np.float32),
        "flag": np.array([True, False, True]),
    }
    payload = run(graph(inputs, ops, ("payload",)), feed, level)["payload"]
    for row in range(3):
        codes = [pack_bits(quantize_array(feed[n][row], affine), affine.bits) for n, affine in (("a", low), ("b", high))]
        expected = [codes[0], feed["ids"][row].view(np.uint8), codes[1], feed["flag"][row : row + 1].view(np.uint8)]
        assert np.array_equal(payload[row], np.concatenate(expected))
    found = run(cloud, {"payload": payload}, level)
    assert np.array_equal(found["ids"], feed["ids"])
    assert np.array_equal(found["flag"], feed["flag"])
    assert np.array_equal(found["a"], dequantize_array(quantize_array(feed["a"], low), low))
    assert np.array_equal(found["b"], dequantize_array(quantize_array(feed["b"], high), high))


def crossed(type_: TensorType, values: Array, level: Level) -> tuple[Array, Array]:
    """The payload and the values after it."""
    nbytes = values.size * values.itemsize
    payload_type = TensorType(DType.U8, (1, nbytes))
    payload = run(graph({"x": type_}, [packed(("x",), 1, nbytes)], ("payload",)), {"x": values}, level)["payload"]
    cloud = graph({"payload": payload_type}, [Op(("x",), "unpack", ("payload",), Attrs.of(offset=0), (type_,))], ("x",))
    return payload, run(cloud, {"payload": payload}, level)["x"]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"])
def test_integers_cross_at_full_width(dtype: str, level: Level) -> None:
    limits = np.iinfo(dtype)
    ends = [limits.min, limits.max, 0, 1, limits.max // 3]
    values = np.array([*ends, *np.random.default_rng(0).integers(limits.min, limits.max, 7, dtype, endpoint=True)], dtype).reshape(1, 3, 4)
    ours = DType(f"{dtype[0]}{8 * int(dtype[1])}")
    payload, found = crossed(TensorType(ours, (1, 3, 4)), values, level)
    assert np.array_equal(payload[0], values.reshape(-1).view(np.uint8))
    assert found.dtype == values.dtype
    assert np.array_equal(found, values)


def float_patterns(bits: int, mantissa: int) -> NDArray[np.uint64]:
    """Bits of zeros, subnormals, powers of two and their neighbours, the largest numbers, infinities, and random ones; both signs."""
    exponents = np.arange(2 ** (bits - 1 - mantissa) - 1, dtype=np.uint64) << np.uint64(mantissa)
    near = np.concatenate([exponents, exponents + np.uint64(1), exponents[1:] - np.uint64(1)])
    infinity = np.array([(2 ** (bits - 1 - mantissa) - 1) << mantissa], np.uint64)
    random = np.random.default_rng(bits).integers(0, int(infinity[0]), 3000, np.uint64)
    magnitudes = np.concatenate([near, infinity, infinity - np.uint64(1), random])
    return np.concatenate([magnitudes, magnitudes | np.uint64(1 << (bits - 1))])


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("dtype", "mantissa"), [("f2", 10), ("f4", 23), ("f8", 52)])
def test_floats_cross_bit_for_bit(dtype: str, mantissa: int, level: Level) -> None:
    size = int(dtype[1])
    values = float_patterns(8 * size, mantissa).astype(f"u{size}").view(dtype).reshape(1, -1)
    payload, found = crossed(TensorType(DType(f"f{8 * size}"), (1, values.size)), values, level)
    assert np.array_equal(payload[0], values.reshape(-1).view(np.uint8))
    assert np.array_equal(found.view(np.uint8), values.view(np.uint8))


def test_not_a_number_crosses() -> None:
    _, found = crossed(TensorType(DType.F32, (1, 3)), np.array([[1.0, np.nan, -np.inf]], np.float32), "all")
    assert np.array_equal(found, np.array([[1.0, np.nan, -np.inf]], np.float32), equal_nan=True)


@pytest.mark.parametrize("level", LEVELS)
def test_bfloat16_crosses_bit_for_bit(level: Level) -> None:
    """In numpy there is no bfloat16: the graph makes it from floats that it holds exactly."""
    values = (float_patterns(16, 7).astype(np.uint32) << 16).view(np.float32).reshape(1, -1)
    shape = (1, values.size)
    half = TensorType(DType.BF16, shape)
    to_half = Op(("h",), "cast", ("x",), Attrs.of(to=16), (half,))
    edge = graph({"x": TensorType(DType.F32, shape)}, [to_half, packed(("h",), 1, 2 * values.size)], ("payload",))
    ops = [
        Op(("h",), "unpack", ("payload",), Attrs.of(offset=0), (half,)),
        Op(("y",), "cast", ("h",), Attrs.of(to=1), (TensorType(DType.F32, shape),)),
    ]
    payload = run(edge, {"x": values}, level)["payload"]
    assert np.array_equal(payload.view(np.uint16), values.view(np.uint32) >> 16)
    cloud = graph({"payload": TensorType(DType.U8, (1, 2 * values.size))}, ops, ("y",))
    assert np.array_equal(run(cloud, {"payload": payload}, level)["y"].view(np.uint32), values.view(np.uint32))


def test_a_type_that_cannot_cross_is_refused() -> None:
    complex_ = TensorType(DType.C64, (1, 2))
    with pytest.raises(ValueError, match="type c64 cannot cross"):
        emit_onnx(graph({"x": complex_}, [packed(("x",), 1, 16)], ("payload",)))
