"""Values that cross as they are: integers, booleans and floats as little-endian bytes and back, in standard ops, bit for bit.

ONNX has no op that looks at the bits of a float before opset 26, so exponent and mantissa are taken apart arithmetically in double
precision, which is exact; a NaN comes back as the standard one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from autosplitc.ir import DType, TensorType, at_batch_one, packed_bytes

from .piece import Piece

if TYPE_CHECKING:
    import onnx_graphsurgeon as gs


@dataclass(frozen=True, slots=True)
class Rows:
    """How a tensor lies in the payload: a row a sample.

    batch: -1 where the number of rows is not fixed, else 1. count: elements a sample. shape: the tensor's own, -1 for a size not fixed.
    """

    dtype: DType
    batch: int
    count: int
    shape: tuple[int, ...]

    @staticmethod
    def of(type_: TensorType) -> Rows:
        dims = type_.shape or ()
        return Rows(
            type_.dtype,
            -1 if dims and isinstance(dims[0], str) else 1,
            at_batch_one(type_).elements or 0,
            tuple(d if isinstance(d, int) else -1 for d in dims),
        )

    @property
    def nbytes(self) -> int:
        return packed_bytes(self.count, self.dtype.bits)


@dataclass(frozen=True, slots=True)
class _Float:
    """A binary float: `bits` in all, `mantissa` stored bits of the significand (IEEE 754; bfloat16 is its upper half)."""

    bits: int
    mantissa: int

    @property
    def top(self) -> int:
        """The exponent field of infinity and NaN."""
        return 2 ** (self.bits - 1 - self.mantissa) - 1

    @property
    def low(self) -> int:
        """The exponent of the smallest normal number."""
        return 1 - self.top // 2


_FLOATS = {DType.F16: _Float(16, 10), DType.BF16: _Float(16, 7), DType.F32: _Float(32, 23), DType.F64: _Float(64, 52)}


def raw_to_bytes(piece: Piece, flat: gs.Tensor, rows: Rows) -> gs.Tensor:
    """[batch, count] values -> [batch, nbytes] UINT8. Raises ValueError for types without a spelling (complex, 8-bit floats, text)."""
    if rows.dtype is DType.BOOL:
        return piece.cast(flat, DType.U8)
    word = _word_of_float(piece, flat, _FLOATS[rows.dtype]) if rows.dtype in _FLOATS else piece.cast(flat, DType.U64)
    shifts = piece.constant(8 * np.arange(_size(rows.dtype), dtype=np.uint64))
    shifted = piece.add("BitShift", [piece.add("Unsqueeze", [word, piece.ints(2)]), shifts], direction="RIGHT")
    return piece.reshape(piece.cast(shifted, DType.U8), rows.batch, rows.nbytes)


def bytes_to_raw(piece: Piece, row: gs.Tensor, rows: Rows) -> gs.Tensor:
    """[batch, nbytes] UINT8 -> values, as many as the tensor has. Raises ValueError as `raw_to_bytes` does."""
    if rows.dtype is DType.BOOL:
        return piece.cast(row, DType.BOOL)
    size = _size(rows.dtype)
    split = piece.reshape(piece.cast(row, DType.U64), rows.batch, rows.count, size)
    powers = np.left_shift(np.uint64(1), 8 * np.arange(size, dtype=np.uint64)).reshape(-1, 1)
    word = piece.add("MatMul", [split, piece.constant(powers)])
    if rows.dtype in _FLOATS:
        word = _float_of_word(piece, word, _FLOATS[rows.dtype])
    return piece.cast(word, rows.dtype)


def _size(dtype: DType) -> int:
    if dtype not in _FLOATS and dtype[0] not in "ui":
        raise ValueError(f"values of type {dtype} cannot cross")
    return dtype.bits // 8


def _number(piece: Piece, value: float) -> gs.Tensor:
    return piece.constant(np.array(value, np.float64))


def _integer(piece: Piece, value: int) -> gs.Tensor:
    return piece.constant(np.array(value, np.int64))


def _word_of_float(piece: Piece, values: gs.Tensor, form: _Float) -> gs.Tensor:
    """Return the bits of floats as UINT64.

    With i the exponent counted from the smallest normal one and m = |x| / 2^(i + low), the bits without sign are (i + m) * 2^mantissa, for
    subnormal numbers too. i comes from a logarithm and may be one off, which m tells.
    """
    x = piece.cast(values, DType.F64)
    infinite, no_number = piece.add("IsInf", [x]), piece.add("IsNaN", [x])
    size = piece.add("Where", [piece.add("Or", [infinite, no_number]), _number(piece, 0.0), piece.add("Abs", [x])])
    scales = piece.constant(np.ldexp(1.0, -(np.arange(form.top - 1) + form.low)))
    guess = _exponent_guess(piece, size, form)
    m = piece.add("Mul", [size, piece.add("Gather", [scales, guess])])
    up = piece.cast(piece.add("GreaterOrEqual", [m, _number(piece, 2.0)]), DType.I64)
    down = piece.cast(piece.add("Less", [m, _number(piece, 1.0)]), DType.I64)
    moved = piece.add("Sub", [piece.add("Add", [guess, up]), down])
    index = piece.add("Max", [moved, _integer(piece, 0)])
    m = piece.add("Mul", [size, piece.add("Gather", [scales, index])])
    significand = piece.cast(piece.add("Mul", [m, _number(piece, 2.0**form.mantissa)]), DType.I64)
    word = piece.add("Add", [piece.add("Mul", [index, _integer(piece, 2**form.mantissa)]), significand])
    word = piece.add("Where", [infinite, _integer(piece, form.top << form.mantissa), word])
    word = piece.add("Where", [no_number, _integer(piece, (2 * form.top + 1) << (form.mantissa - 1)), word])
    below = piece.add("Less", [piece.add("Div", [_number(piece, 1.0), x]), _number(piece, 0.0)])
    negative = piece.cast(piece.add("Or", [below, piece.add("Less", [x, _number(piece, 0.0)])]), DType.U64)
    sign = piece.add("BitShift", [negative, piece.constant(np.array(form.bits - 1, np.uint64))], direction="LEFT")
    return piece.add("BitwiseOr", [piece.cast(word, DType.U64), sign])


def _exponent_guess(piece: Piece, size: gs.Tensor, form: _Float) -> gs.Tensor:
    """Return floor(log2 |x|) counted from the smallest normal exponent, within the format's range, as INT64."""
    log2 = piece.add("Div", [piece.add("Log", [size]), _number(piece, float(np.log(2.0)))])
    counted = piece.add("Sub", [piece.add("Floor", [log2]), _number(piece, form.low)])
    bounded = piece.add("Min", [piece.add("Max", [counted, _number(piece, 0.0)]), _number(piece, form.top - 2)])
    return piece.cast(bounded, DType.I64)


def _float_of_word(piece: Piece, word: gs.Tensor, form: _Float) -> gs.Tensor:
    """Return the floats (as double) whose bits UINT64 words hold.

    The sign comes last and by multiplication: Where of ONNX Runtime 1.32 makes 0.0 of -0.0.
    """

    def part(shift: int, bits: int) -> gs.Tensor:
        shifted = piece.add("BitShift", [word, piece.constant(np.array(shift, np.uint64))], direction="RIGHT") if shift else word
        return piece.add("BitwiseAnd", [shifted, piece.constant(np.array(2**bits - 1, np.uint64))])

    mantissa = piece.cast(part(0, form.mantissa), DType.F64)
    exponent = piece.cast(part(form.mantissa, form.bits - 1 - form.mantissa), DType.I64)
    negative = piece.cast(part(form.bits - 1, 1), DType.F64)
    sign = piece.add("Sub", [_number(piece, 1.0), piece.add("Mul", [negative, _number(piece, 2.0)])])
    one = _integer(piece, 1)
    normal = piece.add("Greater", [exponent, _integer(piece, 0)])
    hidden = piece.add("Where", [normal, _number(piece, 2.0**form.mantissa), _number(piece, 0.0)])
    scales = piece.constant(np.ldexp(1.0, np.arange(form.top) + (form.low - form.mantissa)))
    scale = piece.add("Gather", [scales, piece.add("Sub", [piece.add("Max", [exponent, one]), one])])
    value = piece.add("Mul", [piece.add("Add", [hidden, mantissa]), scale])
    whole = piece.add("Equal", [mantissa, _number(piece, 0.0)])
    special = piece.add("Where", [whole, _number(piece, np.inf), _number(piece, np.nan)])
    value = piece.add("Where", [piece.add("Equal", [exponent, _integer(piece, form.top)]), special, value])
    return piece.add("Mul", [value, sign])
