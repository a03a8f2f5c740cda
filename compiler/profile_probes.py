"""Small models of a kit: quantising and packing, unpacking and dequantising, chains of idle kernels, and one of every opset."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import pairwise

import numpy as np

from autosplitc.ir import Attrs, Const, DType, Graph, Op, TensorType, Value, at_batch_one, blob_from_array, code_dtype, packed_bytes
from autosplitc.passes import crossing_sets

from .codegen import NEWEST_OPSET

WIRE_SIZES = 12
"""At most so many sizes of values are packed."""
CHAINS = (8, 64)
"""Kernels of the two chains."""

_OPSET = 21


def wire_sizes(graph: Graph) -> tuple[int, ...]:
    """Return the numbers of elements to pack: of the f32 values that can cross, or evenly spaced ones (in ratio) where those are many."""
    types = (at_batch_one(graph.type_of(name)) for names in crossing_sets(graph)[:-1] for name in names)
    sizes = sorted({t.elements for t in types if t.dtype is DType.F32 and t.elements})
    if len(sizes) <= WIRE_SIZES:
        return tuple(sizes)
    wanted = np.geomspace(sizes[0], sizes[-1], WIRE_SIZES)
    return tuple(sorted({min(sizes, key=lambda size: abs(math.log(size / want))) for want in wanted.tolist()}))


def pack_probe(elements: int, bits: int) -> Graph:
    """Return `x`, f32[1, elements], quantised and packed, as the edge does it."""
    numbers, codes = TensorType(DType.F32, (1, elements)), TensorType(code_dtype(bits, signed=False), (1, elements))
    payload = TensorType(DType.U8, (1, packed_bytes(elements, bits)))
    quantize = Op(("q",), "quantize", ("x",), Attrs.of(scale=2.0**-bits, zero_point=0, bits=bits), (codes,))
    return _graph(numbers, (quantize, Op(("y",), "pack", ("q",), types=(payload,))))


def pack_codes_probe(elements: int, bits: int) -> Graph:
    """Return `x`, u8[1, elements] that holds codes, packed: all that is left to do for what an op on codes makes."""
    bytes_, codes = TensorType(DType.U8, (1, elements)), TensorType(code_dtype(bits, signed=False), (1, elements))
    payload = TensorType(DType.U8, (1, packed_bytes(elements, bits)))
    return _graph(bytes_, (Op(("q",), "identity", ("x",), types=(codes,)), Op(("y",), "pack", ("q",), types=(payload,))))


def unpack_probe(elements: int, bits: int) -> Graph:
    """Return `x`, a packed value of so many elements, as numbers, as the cloud makes them."""
    numbers, codes = TensorType(DType.F32, (1, elements)), TensorType(code_dtype(bits, signed=False), (1, elements))
    payload = TensorType(DType.U8, (1, packed_bytes(elements, bits)))
    unpack = Op(("q",), "unpack", ("x",), Attrs.of(offset=0), (codes,))
    return _graph(payload, (unpack, Op(("y",), "dequantize", ("q",), Attrs.of(scale=2.0**-bits, zero_point=0), (numbers,))))


PROBES: dict[str, Callable[[int, int], Graph]] = {"pack": pack_probe, "pack_codes": pack_codes_probe, "unpack": unpack_probe}
"""Models by what a profile calls the time that they take, made from a number of elements and bits."""


def chain(kernels: int) -> Graph:
    """Return a chain of sums of single numbers: of each kernel next to nothing but its call is left."""
    one = TensorType(DType.F32, (1,))
    const = Const("one", one, blob_from_array(np.ones(1, np.float32)))
    names = ("x", *(f"v{i}" for i in range(1, kernels)), "y")
    ops = tuple(Op((made,), "onnx.Sum", (read, "one", "one"), types=(one,)) for read, made in pairwise(names))
    return _graph(one, ops, (const,))


def opset_probes(opset: int) -> dict[int, Graph]:
    """Return a model of each opset behind `opset` that is ever emitted."""
    one = TensorType(DType.F32, (1, 1))
    codes = one.with_dtype(DType.U8)
    attrs = Attrs.of(scale=1.0, zero_point=0)
    ops = (Op(("q",), "quantize", ("x",), attrs.with_(bits=8), (codes,)), Op(("y",), "dequantize", ("q",), attrs, (one,)))
    return {version: _graph(one, ops, opset=version) for version in range(opset + 1, NEWEST_OPSET + 1)}


def _graph(source: TensorType, ops: Iterable[Op], consts: tuple[Const, ...] = (), opset: int = _OPSET) -> Graph:
    return Graph("probe", (("", opset),), (Value("x", source),), consts, tuple(ops), ("y",))
