"""Off-chip traffic of an op on a systolic array with three buffers, as bytes per operand at every bit-width.

An operand of E elements at b bits takes E x b / 8 bytes (float tensors: b is 1..8, or the target's float bits; others keep their own
width) and crosses once, times what its product's dataflow asks for when a buffer is too small. With folds of R and C (SCALE-Sim's), H
= ceil(M/R), V = ceil(N/C), and W(x) "x does not fit its buffer":

    os, ws  filters are walked in groups of whole column folds, as many as the weight buffer holds at 8 bits (at least one), and all
            pixels pass for each group, in tiles that the input and output buffers hold:
            groups     = ceil(V / max(1, floor(weight buffer / (K x min(N, C)))))
            input      x groups   if W(input)
            weights    x 1 (ws);  x H if W(one column fold of weights) (os)
            output     x 1 (os: sums stay in the array)
            ws: a column fold that the weight buffer cannot hold at 8 bits is done in Q = ceil(K x min(N, C) / weight buffer) parts, and
            its sums, M x min(N, C) at accumulator width, go out and come back Q - 1 times unless the output buffer holds them
    is      the same with pixels and filters, input and weights exchanged: groups of pixels, weights x groups if W(weights)

What an operand moves depends on its own bits alone: groups and parts are sized at 8 bits, the width of the array's units, for codes of
any width, and at the device's float for floats. An operand that several runs share (LSTM state weights) crosses again for each run if
W(it). A strided 1x1 convolution reads no more than M x K. Ops without products move every input and result once; slice and gather read
no more than they give; reshape-like ops move nothing. Elements of unknown number count 0.

All that is for a device that keeps codes packed. Where they lie in memory as bytes (`resident`), codes below 8 bits move as 8
(`resident_traffic`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import DType, TensorType, op_row

from .gemm import Dataflow, Operand, Product
from .target import BIT_ROWS, FLOAT_ROW, ROWS, OpView, Residency, row_of

Row = NDArray[np.float64]
"""Bytes at every bit-width, shape [ROWS]."""

_FLOAT_LIKE = frozenset({DType.F64, DType.F32, DType.F16, DType.BF16})


@dataclass(frozen=True, slots=True)
class Buffers:
    """Bytes of the three on-chip buffers, and bits of a partial sum."""

    input_bytes: int
    weight_bytes: int
    output_bytes: int
    accumulator_bits: int


@dataclass(frozen=True, slots=True)
class _Reuse:
    """How one run uses an operand: it reads `read` elements, `passes` times (by its row) unless `held` of them fit the buffer."""

    read: int
    held: int
    passes: Row | int


def moves_nothing(kind: str) -> bool:
    """Whether an op of this kind only renames or reads a shape, so that no element moves."""
    return kind == "shape" or op_row(kind).reshape_like


def row_bytes(type_: TensorType, float_bits: int) -> Row:
    """Return bytes of one element at every bit-width, fractions included; shape [ROWS], read-only. Strings and unknown types take none."""
    return _element_bytes(type_.dtype, float_bits)


@cache
def _element_bytes(dtype: DType, float_bits: int) -> Row:
    found = np.array((*BIT_ROWS, float_bits), np.float64) / 8 if dtype in _FLOAT_LIKE else np.full(ROWS, dtype.bits / 8)
    found.flags.writeable = False
    return found


def plain_traffic(op: OpView, float_bits: int) -> tuple[Row, ...]:
    """Return bytes for every input and then every result, each moved once."""
    types = (*op.inputs, *op.results)
    if moves_nothing(op.kind):
        return tuple(np.zeros(ROWS) for _ in types)
    most = sum(t.elements or 0 for t in op.results) if op.kind in ("slice", "gather") else None
    return tuple(row_bytes(t, float_bits) * _at_most(t.elements or 0, most) for t in types)


def resident_traffic(op: OpView, traffic: tuple[Row, ...], resident: Residency) -> tuple[Row, ...]:
    """Return traffic as a device has it that keeps codes so: codes that lie in memory as bytes move as bytes.

    packed: all at their own bits. int8: none. storage: constants alone, which are read from the model file.
    """
    if resident == "packed":
        return traffic
    constant = (*op.constant, *(False for _ in op.results))
    as_bytes = np.maximum(np.arange(ROWS), row_of(8))
    packed = resident == "storage"
    return tuple(row if packed and fixed else row[as_bytes] for row, fixed in zip(traffic, constant, strict=True))


def product_traffic(
    op: OpView, parts: tuple[Product, ...], dataflow: Dataflow, rows: int, cols: int, buffers: Buffers, float_bits: int
) -> tuple[Row, ...]:
    """Return bytes for every input and then every result of an op that consists of `parts`; each once where there are none."""
    if not parts:
        return plain_traffic(op, float_bits)
    of_products = {o.position for p in parts for o in (p.first, p.second) if o is not None}
    types = enumerate((*op.inputs, *op.results))
    moved = [np.zeros(ROWS) if i in of_products else row_bytes(t, float_bits) * (t.elements or 0) for i, t in types]
    for part in parts:
        first, second, spilled_bytes = _plan(part, dataflow, rows, cols, buffers, float_bits)
        for operand, reuse, buffer_bytes in ((part.first, first, buffers.input_bytes), (part.second, second, buffers.weight_bytes)):
            if operand is not None:
                element = row_bytes(op.inputs[operand.position], float_bits)
                moved[operand.position] += _operand(operand, part.runs, reuse, element, buffer_bytes)
        moved[len(op.inputs)] += part.runs * spilled_bytes
    return tuple(moved)


def _plan(part: Product, dataflow: Dataflow, rows: int, cols: int, buffers: Buffers, float_bits: int) -> tuple[_Reuse, _Reuse, Row | float]:
    """Return how the first and the second operand are used again, and the bytes of sums that go out and come back in one run."""
    first_read = 0 if part.first is None else min(part.first.elements, part.m * part.k)
    second_read = part.second.elements
    if dataflow == "is":
        groups, _, parts = _groups(part.m, part.k, cols, buffers.input_bytes, float_bits)
        first, second = _Reuse(first_read, 0, 1), _Reuse(second_read, second_read, groups)
        kept_sums = part.n * min(part.m, cols)
    else:
        groups, fold, parts = _groups(part.n, part.k, cols, buffers.weight_bytes, float_bits)
        first = _Reuse(first_read, first_read, groups)
        second = _Reuse(second_read, fold, -(-part.m // rows)) if dataflow == "os" else _Reuse(second_read, 0, 1)
        kept_sums = part.m * min(part.n, cols)
    sum_bytes = buffers.accumulator_bits / 8
    fits = dataflow == "os" or kept_sums * sum_bytes <= buffers.output_bytes
    return first, second, 0.0 if fits else 2 * (parts - 1) * (part.m * part.n * sum_bytes)


def _groups(held: int, k: int, cols: int, buffer_bytes: int, float_bits: int) -> tuple[Row | int, int, Row | int]:
    """Return by row the groups of column folds and the parts into which a fold has to be cut, and between them the elements of a fold."""
    fold, folds = k * min(held, cols), -(-held // cols)
    groups: list[int] = []
    parts: list[int] = []
    for bits in (BIT_ROWS[-1], float_bits):
        fold_bits = max(1, fold * bits)
        groups.append(-(-folds // max(1, 8 * buffer_bytes // fold_bits)))
        parts.append(-(-fold_bits // (8 * buffer_bytes)))
    return _by_row(*groups), fold, _by_row(*parts)


def _by_row(codes: int, floats: int) -> Row | int:
    """Return a number for all widths of codes and another for floats, as an array [ROWS] where they differ."""
    return codes if codes == floats else np.where(_IS_FLOAT, floats, codes)


_IS_FLOAT = np.arange(ROWS) == FLOAT_ROW


def _operand(operand: Operand, runs: int, reuse: _Reuse, element_bytes: Row, buffer_bytes: int) -> Row:
    """Bytes of one operand over all runs."""
    moved = operand.slices * reuse.read * element_bytes
    if runs > operand.slices:
        moved *= np.where(reuse.read * element_bytes <= buffer_bytes, 1, runs // operand.slices)
    if reuse.held:
        moved *= np.where(reuse.held * element_bytes <= buffer_bytes, 1, reuse.passes)
    return moved


def _at_most(elements: int, most: int | None) -> int:
    return elements if most is None else min(elements, most)
