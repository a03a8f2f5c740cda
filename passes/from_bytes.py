"""Values made of a picture's bytes: u8 graph inputs that are cast to f32 and scaled, as `--preprocess` writes it or as the model does.

Such arithmetic stands for the input: it is not quantised step by step. Where it is one function for all channels, the 8-bit codes of what
it makes can be the bytes themselves; then edge ops read the bytes and the arithmetic is gone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import DType, Graph, Op, op_row

from .quantize.affine import Affine, affine_of_range, quantize_array

LEVELS = 256

_ARITHMETIC = ("add", "sub", "mul", "div")
_LAYOUT = ("concat",)
"""Ops that move bytes about, besides those of class `same`."""


@dataclass(frozen=True, eq=False)
class ByteValue:
    """A f32 value made of bytes.

    name: the value. codes: the u8 value that it is made of. ops: those of the arithmetic, cast first. table: f32[256], the value of every
    byte; None where that differs from place to place (from channel to channel, say).
    """

    name: str
    codes: str
    ops: tuple[Op, ...]
    table: NDArray[np.float32] | None

    @property
    def inside(self) -> tuple[str, ...]:
        """What the arithmetic makes on the way."""
        return tuple(op.result for op in self.ops[:-1])

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Values of bytes 0 and 255, where the 8-bit codes of that range are the bytes; else None."""
        if self.table is None or not -math.inf < self.table[0] < self.table[-1] < math.inf:
            return None
        low, high = float(self.table[0]), float(self.table[-1])
        return (low, high) if self.are_codes(affine_of_range(low, high, 8)) else None

    def are_codes(self, affine: Affine) -> bool:
        """Whether a quantiser's codes of the value are the bytes, all of them."""
        if affine.bits != 8 or self.table is None:
            return False
        return bool(np.array_equal(quantize_array(self.table, affine), np.arange(LEVELS)))


def byte_values(graph: Graph) -> Mapping[str, ByteValue]:
    """Return the f32 values made of bytes by name: the last of every chain of Cast, Add, Sub, Mul and Div by finite constants.

    A value that several ops read, or that is an output, ends its chain.
    """
    moved = _bytes(graph)
    found: dict[str, ByteValue] = {}
    for op in graph.ops:
        if op.kind == "cast" and op.inputs[0] in moved and op.type.dtype is DType.F32:
            value = _chain(graph, op)
            found[value.name] = value
    return found


def input_widths(graph: Graph, input_bits: int) -> Mapping[str, int]:
    """Return the bits of what stands for an input: f32 inputs, and what bytes are scaled to; where the codes are the bytes, 8."""
    made = {name: 8 if value.bounds is not None else input_bits for name, value in byte_values(graph).items()}
    return {v.name: input_bits for v in graph.inputs if v.type.dtype is DType.F32} | made


def pictures_of(graph: Graph) -> frozenset[str]:
    """Return the graph inputs whose bytes are scaled."""
    found = {made.codes for made in byte_values(graph).values()}
    for op in reversed(graph.ops if found else ()):
        if found.intersection(op.results):
            found.update(op.inputs)
    return frozenset(v.name for v in graph.inputs if v.name in found and v.type.dtype is DType.U8)


def _bytes(graph: Graph) -> frozenset[str]:
    """The u8 graph inputs, and what only moves their bytes about."""
    found = {v.name for v in graph.inputs if v.type.dtype is DType.U8 and not v.type.wraps}
    for op in graph.ops if found else ():
        data = op.inputs if op.kind in _LAYOUT else op.inputs[:1]
        if (op.kind in _LAYOUT or op_row(op.kind).quant == "same") and data and found.issuperset(data):
            found.update(r for r, t in zip(op.results, op.types, strict=True) if t.dtype is DType.U8)
    return frozenset(found)


def _chain(graph: Graph, cast: Op) -> ByteValue:
    ops = [cast]
    table: NDArray[np.float32] | None = np.arange(LEVELS, dtype=np.float32)
    while True:
        last = ops[-1].result
        users = graph.users.get(last, ())
        constant = _operand(graph, users[0], last) if len(users) == 1 and last not in graph.outputs else None
        if constant is None:
            return ByteValue(last, cast.inputs[0], tuple(ops), table)
        ops.append(users[0])
        table = _applied(users[0], last, constant, table)


def _operand(graph: Graph, op: Op, value: str) -> NDArray[np.float32] | None:
    """Return the constant of an op that computes with a value and one f32 constant alone and keeps the value's shape; else None."""
    if op.kind not in _ARITHMETIC or "act" in op.attrs or op.inputs.count(value) != 1:
        return None
    other = op.inputs[1] if op.inputs[0] == value else op.inputs[0]
    if not graph.is_const(other) or op.type != graph.type_of(value) or (op.kind == "div" and op.inputs[0] != value):
        return None
    array: NDArray[Any] = graph.const[other].array()
    return array if array.size and bool(np.isfinite(array).all()) else None


def _applied(op: Op, value: str, constant: NDArray[np.float32], table: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
    if table is None or bool((constant != constant.flat[0]).any()):
        return None
    number = np.float32(constant.flat[0])
    with np.errstate(all="ignore"):
        match op.kind:
            case "add":
                return table + number
            case "mul":
                return table * number
            case "div":
                return table / number
            case _:
                return table - number if op.inputs[0] == value else number - table
