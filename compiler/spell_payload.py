"""Spelling of pack and unpack: tensors to the payload's bytes and back, in standard ops.

Codes of b bits lie least significant bit first, as `autosplitc.ir.pack_bits` puts them; everything else crosses bit for bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import DType, Op, numpy_dtype

from .piece import Piece
from .spell_raw import Rows, bytes_to_raw, raw_to_bytes

if TYPE_CHECKING:
    import onnx_graphsurgeon as gs


@dataclass(frozen=True, slots=True)
class _Group:
    """The least number of codes that fills whole bytes, and the unsigned type that holds those bytes."""

    bits: int
    codes: int
    nbytes: int
    word: DType

    @staticmethod
    def of(bits: int) -> _Group:
        codes = 8 // math.gcd(bits, 8)
        nbytes = codes * bits // 8
        return _Group(bits, codes, nbytes, DType.U32 if nbytes <= 3 else DType.U64)

    def powers(self, base_bits: int, count: int) -> NDArray[Any]:
        """Return a column of 2 to the power of 0, base_bits, 2 base_bits ..."""
        exponents = base_bits * np.arange(count, dtype=np.uint64)
        return np.left_shift(np.uint64(1), exponents).astype(numpy_dtype(self.word)).reshape(-1, 1)

    def shifts(self, base_bits: int, count: int) -> NDArray[Any]:
        """Return 0, base_bits, 2 base_bits ... in the type of the word, or of bytes where a group is one byte."""
        return (base_bits * np.arange(count)).astype(np.uint8 if self.nbytes == 1 else numpy_dtype(self.word))


def pack(piece: Piece, op: Op) -> None:
    """Every tensor becomes rows of bytes; the rows are joined."""
    graph = piece.spelling.graph
    rows = [_bytes_of(piece, name, Rows.of(graph.type_of(name)), native=_is_native(graph.producer.get(name))) for name in op.inputs]
    if len(rows) == 1:
        rows[0].name = op.result
    else:
        piece.add("Concat", rows, op.result, axis=1)


def _is_native(maker: Op | None) -> bool:
    """Whether codes below 8 bits are held in ONNX's own type for them: what our ops make lives in UINT8."""
    return maker is None or maker.kind in ("cast", "quantize_linear") or maker.kind.startswith("onnx.")


def _bytes_of(piece: Piece, name: str, rows: Rows, *, native: bool) -> gs.Tensor:
    """Return [batch, nbytes] UINT8."""
    source = piece.value(name)
    if not rows.dtype.is_code:
        return raw_to_bytes(piece, piece.reshape(source, rows.batch, rows.count), rows)
    if rows.dtype is DType.I8 or (native and rows.dtype.bits < 8):
        source = piece.cast(source, DType.U8)
    flat = piece.reshape(source, rows.batch, rows.count)
    if rows.dtype.bits == 8:
        return flat
    group = _Group.of(rows.dtype.bits)
    groups = -(-rows.count // group.codes)
    split = piece.reshape(piece.padded(flat, groups * group.codes - rows.count), rows.batch, groups, group.codes)
    if native:
        split = piece.add("BitwiseAnd", [split, piece.constant(np.array(2**group.bits - 1, np.uint8))])
    joined = piece.add("MatMul", [piece.cast(split, group.word), piece.constant(group.powers(group.bits, group.codes))])
    if group.nbytes > 1:
        joined = piece.add("BitShift", [joined, piece.constant(group.shifts(8, group.nbytes))], direction="RIGHT")
    row = piece.reshape(piece.cast(joined, DType.U8), rows.batch, groups * group.nbytes)
    return row if groups * group.nbytes == rows.nbytes else piece.columns(row, 0, rows.nbytes)


def unpack(piece: Piece, op: Op) -> None:
    """One tensor out of the payload's bytes."""
    rows = Rows.of(op.type)
    offset = op.attrs.int_("offset", 0)
    row = piece.columns(piece.value(op.inputs[0]), offset, offset + rows.nbytes)
    if not rows.dtype.is_code:
        piece.reshape(bytes_to_raw(piece, row, rows), *rows.shape, result=op.result)
        return
    codes = _codes_of(piece, row, rows) if rows.dtype.bits < 8 else row
    readers = piece.spelling.graph.users.get(op.result, ())
    ours = rows.dtype is DType.U8 or any(reader.kind == "dequantize" for reader in readers)
    if ours:
        piece.reshape(codes, *rows.shape, result=op.result)
    else:
        piece.cast(piece.reshape(codes, *rows.shape), rows.dtype, op.result)


def _codes_of(piece: Piece, row: gs.Tensor, rows: Rows) -> gs.Tensor:
    """[batch, nbytes] UINT8 -> [batch, count] codes in UINT8. Work goes along rows and is transposed last, which is fastest."""
    group = _Group.of(rows.dtype.bits)
    groups = -(-rows.count // group.codes)
    words = piece.padded(row, groups * group.nbytes - rows.nbytes)
    if group.nbytes > 1:
        split = piece.reshape(piece.cast(words, group.word), rows.batch, groups, group.nbytes)
        words = piece.add("MatMul", [split, piece.constant(group.powers(8, group.nbytes))])
    shifts = group.shifts(group.bits, group.codes).reshape(-1, 1)
    planes = piece.add("BitShift", [piece.reshape(words, rows.batch, 1, groups), piece.constant(shifts)], direction="RIGHT")
    planes = piece.add("BitwiseAnd", [planes, piece.constant(np.array(2**group.bits - 1, shifts.dtype))])
    if group.nbytes > 1:
        planes = piece.cast(planes, DType.U8)
    flat = piece.reshape(piece.add("Transpose", [planes], perm=[0, 2, 1]), rows.batch, groups * group.codes)
    return flat if groups * group.codes == rows.count else piece.columns(flat, 0, rows.count)
