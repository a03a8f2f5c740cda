"""Payloads of random tensors: what the graphs pack and unpack, against numpy."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from autosplitc.codegen import emit_onnx
from autosplitc.engine import Engine
from autosplitc.ir import Attrs, DType, Graph, Op, TensorType, Value, code_dtype, pack_bits, packed_bytes
from autosplitc.passes import Affine, dequantize_array, quantize_array

Array = NDArray[Any]
OPSET = (("", 21),)
RAW = {DType.I64: np.int64, DType.I16: np.int16, DType.BOOL: np.bool_, DType.F16: np.float16, DType.F64: np.float64}

SHAPES = st.lists(st.integers(1, 7), min_size=0, max_size=3).map(tuple)
KINDS = st.one_of(st.integers(1, 8), st.sampled_from(sorted(RAW)))


def affine_of(bits: int, index: int) -> Affine:
    return Affine(float(np.float32(0.1 * (index + 1))), (index * 37) % 2**bits, bits)


def sample(kind: int | DType, shape: tuple[int, ...], seed: int) -> Array:
    random = np.random.default_rng(seed)
    if not isinstance(kind, DType):
        return random.normal(0, 3, shape).astype(np.float32)
    if kind is DType.BOOL:
        return random.random(shape) < 0.5
    return (random.normal(0, 300, shape)).astype(RAW[kind])


def expected_bytes(kind: int | DType, rows: Array, index: int) -> Array:
    """Bytes of every sample [N, bytes]."""
    if isinstance(kind, DType):
        return np.ascontiguousarray(rows.reshape(len(rows), -1)).view(np.uint8)
    affine = affine_of(kind, index)
    return np.stack([pack_bits(codes, kind) for codes in quantize_array(rows, affine)])


@settings(max_examples=100, deadline=None)
@given(tensors=st.lists(st.tuples(KINDS, SHAPES), min_size=1, max_size=4), batch=st.integers(1, 3), seed=st.integers(0, 2**16))
def test_payloads_are_what_numpy_makes(tensors: list[tuple[int | DType, tuple[int, ...]]], batch: int, seed: int) -> None:
    inputs: list[Value] = []
    edge: list[Op] = []
    unpacked: list[Op] = []
    back: list[Op] = []
    sent: list[str] = []
    outputs: list[str] = []
    feed: dict[str, Array] = {}
    offset = 0
    for i, (kind, shape) in enumerate(tensors):
        own = TensorType(kind if isinstance(kind, DType) else DType.F32, ("N", *shape))
        inputs.append(Value(f"x{i}", own))
        feed[f"x{i}"] = sample(kind, (batch, *shape), seed + i)
        name, type_ = f"x{i}", own
        if not isinstance(kind, DType):
            affine = affine_of(kind, i)
            name, type_ = f"q{i}", own.with_dtype(code_dtype(kind, signed=False))
            attrs = Attrs.of(scale=affine.scale, zero_point=affine.zero_point)
            edge.append(Op((name,), "quantize", (f"x{i}",), attrs.with_(bits=kind), (type_,)))
            back.append(Op((f"x{i}",), "dequantize", (name,), attrs, (own,)))
        unpacked.append(Op((name,), "unpack", ("payload",), Attrs.of(offset=offset), (type_,)))
        sent.append(name)
        outputs.append(f"x{i}")
        offset += packed_bytes(prod(shape), type_.dtype.bits)
    payload_type = TensorType(DType.U8, ("N", offset))
    edge.append(Op(("payload",), "pack", tuple(sent), types=(payload_type,)))
    first = Graph("edge", OPSET, tuple(inputs), (), tuple(edge), ("payload",))
    second = Graph("cloud", OPSET, (Value("payload", payload_type),), (), (*unpacked, *back), tuple(outputs))
    payload = Engine.load(emit_onnx(first).SerializeToString(), "edge").run(feed)["payload"]
    wanted = [expected_bytes(kind, feed[f"x{i}"], i) for i, (kind, _) in enumerate(tensors)]
    assert np.array_equal(payload, np.concatenate(wanted, axis=1))
    found = Engine.load(emit_onnx(second).SerializeToString(), "cloud").run({"payload": payload})
    for i, (kind, _) in enumerate(tensors):
        x = feed[f"x{i}"]
        exact = x if isinstance(kind, DType) else dequantize_array(quantize_array(x, affine_of(kind, i)), affine_of(kind, i))
        assert found[f"x{i}"].dtype == exact.dtype
        assert np.array_equal(found[f"x{i}"], exact)
