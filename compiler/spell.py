"""Spelling of quantize, dequantize, pack and unpack in standard ONNX ops.

Sub-byte types stay away from every op but Cast, and codes of b < 8 bits live in UINT8 behind a Clip: so stock ONNX Runtime keeps its
integer kernels, loads every form, and does not merge neighbouring quantisers. Each of our ops is written as a small graph of
onnx-graphsurgeon's. The rest of the model never goes through it: its round trip drops attributes that it does not know and fails on others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import Attrs, DType, Op, Speller, Spelling, TensorType, at_batch_one, numpy_dtype, packed_bytes

if TYPE_CHECKING:
    import onnx_graphsurgeon as gs
    from onnx import NodeProto

_ONNX_TYPE = {
    DType.U8: 2,
    DType.I8: 3,
    DType.U16: 4,
    DType.I16: 5,
    DType.I32: 6,
    DType.I64: 7,
    DType.BOOL: 9,
    DType.U32: 12,
    DType.U64: 13,
    DType.U4: 21,
    DType.I4: 22,
    DType.U2: 25,
    DType.I2: 26,
}
"""TensorProto.DataType of the types that Cast goes to (ONNX specification, onnx.proto)."""

RAW_DTYPES = frozenset({*_ONNX_TYPE})
"""Types whose values can cross as they are: integers and booleans. Standard ops cannot turn floats into bytes."""


class OurSpellers:
    """Spellers of our four kinds for one model; equal small constants are shared."""

    def __init__(self) -> None:
        """Start without constants."""
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def table(self) -> dict[str, Speller]:
        """Return the speller of every kind, as `export_onnx` takes them."""
        return {kind: self._speller(spell) for kind, spell in _SPELLINGS.items()}

    def _speller(self, spell: _Spelling) -> Speller:
        def write(op: Op, spelling: Spelling) -> list[NodeProto]:
            piece = Piece(op, spelling, self._constants)
            spell(piece, op)
            return piece.written()

        return write


class Piece:
    """Standard nodes that stand for one of our ops."""

    def __init__(self, op: Op, spelling: Spelling, constants: dict[tuple[str, tuple[int, ...], bytes], str]) -> None:
        """Start without nodes; `constants` are those that other pieces have added, by type, shape and bytes."""
        import onnx_graphsurgeon as gs

        self.spelling = spelling
        self.graph = gs.Graph()
        self._stem = op.name
        self._constants = constants
        self._tensors: dict[str, gs.Tensor] = {}
        self._new: set[str] = set()

    def value(self, name: str) -> gs.Tensor:
        """Return the value of a name; graphsurgeon wants one object for each."""
        import onnx_graphsurgeon as gs

        if name not in self._tensors:
            self._tensors[name] = gs.Variable(name)
        return self._tensors[name]

    def constant(self, values: NDArray[Any]) -> gs.Tensor:
        """Return a small constant, shared with other pieces."""
        key = (values.dtype.str, values.shape, values.tobytes())
        if key not in self._constants:
            made = self.own_constant(f"autosplitc/{values.dtype.name}.{len(self._constants)}", values)
            self._constants[key] = made.name
            return made
        return self._tensor(self._constants[key], values)

    def own_constant(self, hint: str, values: NDArray[Any]) -> gs.Tensor:
        """Return a constant that nothing else reads."""
        name = self.spelling.fresh(hint)
        self._new.add(name)
        return self._tensor(name, values)

    def _tensor(self, name: str, values: NDArray[Any]) -> gs.Tensor:
        import onnx_graphsurgeon as gs

        if name not in self._tensors:
            self._tensors[name] = gs.Constant(name, values)
        return self._tensors[name]

    def ints(self, *values: int) -> gs.Tensor:
        """Return an int64 vector constant."""
        return self.constant(np.array(values, np.int64))

    def add(self, op_type: str, inputs: Sequence[gs.Tensor], result: str | None = None, **attrs: Any) -> gs.Tensor:
        """Append a node and return its only result, named `result` or afresh."""
        import onnx_graphsurgeon as gs

        name = result if result is not None else self.spelling.fresh(f"{self._stem}/{op_type}")
        made = self.value(name)
        self.graph.nodes.append(gs.Node(op_type, name, attrs, list(inputs), [made]))
        return made

    def cast(self, source: gs.Tensor, dtype: DType, result: str | None = None) -> gs.Tensor:
        """Append a Cast. Integers that do not fit keep their low bits, as ONNX defines it."""
        return self.add("Cast", [source], result, to=_ONNX_TYPE[dtype])

    def reshape(self, source: gs.Tensor, *shape: int, result: str | None = None) -> gs.Tensor:
        """Append a Reshape; 0 keeps a size."""
        return self.add("Reshape", [source, self.ints(*shape)], result)

    def columns(self, source: gs.Tensor, start: int, stop: int) -> gs.Tensor:
        """Append a Slice of the second axis."""
        return self.add("Slice", [source, self.ints(start), self.ints(stop), self.ints(1)])

    def padded(self, source: gs.Tensor, count: int) -> gs.Tensor:
        """Append a Pad that adds `count` zeros to every row of a matrix; nothing for 0."""
        return self.add("Pad", [source, self.ints(0, 0, 0, count)]) if count else source

    def written(self) -> list[NodeProto]:
        """Return the nodes; new constants are handed to the export."""
        import onnx_graphsurgeon as gs

        proto = gs.export_onnx(self.graph, do_type_check=False).graph
        self.spelling.initializers.extend(t for t in proto.initializer if t.name in self._new)
        return list(proto.node)


def _quantize(piece: Piece, op: Op) -> None:
    """QuantizeLinear to UINT8; below 8 bits a Clip keeps codes in range, and the quantisers on both sides apart."""
    parameters = _scale_and_zero_point(piece, op.attrs)
    bits = op.type.dtype.bits
    source = piece.value(op.inputs[0])
    if bits == 8:
        piece.add("QuantizeLinear", [source, *parameters], op.result)
        return
    codes = piece.add("QuantizeLinear", [source, *parameters])
    bounds = [piece.constant(np.array(bound, np.uint8)) for bound in (0, 2**bits - 1)]
    piece.add("Clip", [codes, *bounds], op.result)


def _dequantize(piece: Piece, op: Op) -> None:
    """DequantizeLinear: of codes with a scale a tensor, or of an integer constant with a scale a channel.

    INT8 constants get zero points, each its own, although they are 0: with `session.x64quantprecision` ONNX Runtime 1.32 otherwise makes
    scalar ones where a channel needs one each, and cannot do with shared ones.
    """
    codes = piece.value(op.inputs[0])
    if len(op.inputs) == 1:
        piece.add("DequantizeLinear", [codes, *_scale_and_zero_point(piece, op.attrs)], op.result)
        return
    constant, axis = piece.spelling.graph.const[op.inputs[0]], op.attrs.int_("axis", 1)
    operands = [codes, piece.value(op.inputs[1])]
    if constant.type.dtype is not DType.I32:
        operands.append(piece.own_constant(f"{constant.name}.zero", np.zeros(constant.type.dims[axis], np.int8)))
    piece.add("DequantizeLinear", operands, op.result, axis=axis)


def _scale_and_zero_point(piece: Piece, attrs: Attrs) -> list[gs.Tensor]:
    scale = np.array(attrs.float_("scale", 1.0), np.float32)
    return [piece.constant(scale), piece.constant(np.array(attrs.int_("zero_point", 0), np.uint8))]


@dataclass(frozen=True, slots=True)
class _Rows:
    """How a tensor lies in the payload: a row a sample.

    batch: 0 where the number of rows is not fixed, else 1. count: elements a sample. shape: the tensor's own, 0 for what is not fixed.
    """

    dtype: DType
    batch: int
    count: int
    shape: tuple[int, ...]

    @staticmethod
    def of(type_: TensorType) -> _Rows:
        dims = type_.shape or ()
        return _Rows(
            type_.dtype,
            0 if dims and isinstance(dims[0], str) else 1,
            at_batch_one(type_).elements or 0,
            tuple(d if isinstance(d, int) else 0 for d in dims),
        )

    @property
    def nbytes(self) -> int:
        return packed_bytes(self.count, self.dtype.bits)


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


def _pack(piece: Piece, op: Op) -> None:
    """Every tensor becomes rows of bytes; the rows are joined."""
    graph = piece.spelling.graph
    rows = [_bytes_of(piece, name, _Rows.of(graph.type_of(name)), native=_is_native(graph.producer.get(name))) for name in op.inputs]
    piece.add("Concat", rows, op.result, axis=1)


def _is_native(maker: Op | None) -> bool:
    """Whether codes below 8 bits are held in ONNX's own type for them: what our ops make lives in UINT8."""
    return maker is None or maker.kind in ("cast", "quantize_linear") or maker.kind.startswith("onnx.")


def _bytes_of(piece: Piece, name: str, rows: _Rows, *, native: bool) -> gs.Tensor:
    """Return [batch, nbytes] UINT8."""
    source = piece.value(name)
    if not rows.dtype.is_code:
        return _raw_to_bytes(piece, piece.reshape(source, rows.batch, rows.count), rows)
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


def _unpack(piece: Piece, op: Op) -> None:
    """One tensor out of the payload's bytes."""
    rows = _Rows.of(op.type)
    offset = op.attrs.int_("offset", 0)
    row = piece.columns(piece.value(op.inputs[0]), offset, offset + rows.nbytes)
    if not rows.dtype.is_code:
        piece.reshape(_bytes_to_raw(piece, row, rows), *rows.shape, result=op.result)
        return
    codes = _codes_of(piece, row, rows) if rows.dtype.bits < 8 else row
    readers = piece.spelling.graph.users.get(op.result, ())
    ours = rows.dtype is DType.U8 or any(reader.kind == "dequantize" for reader in readers)
    if ours:
        piece.reshape(codes, *rows.shape, result=op.result)
    else:
        piece.cast(piece.reshape(codes, *rows.shape), rows.dtype, op.result)


def _codes_of(piece: Piece, row: gs.Tensor, rows: _Rows) -> gs.Tensor:
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


def _raw_to_bytes(piece: Piece, flat: gs.Tensor, rows: _Rows) -> gs.Tensor:
    """[batch, count] integers or booleans -> [batch, nbytes] UINT8, little-endian."""
    if rows.dtype is DType.BOOL:
        return piece.cast(flat, DType.U8)
    size = rows.dtype.bits // 8
    wide = piece.add("Unsqueeze", [piece.cast(flat, DType.U64), piece.ints(2)])
    shifted = piece.add("BitShift", [wide, piece.constant(8 * np.arange(size, dtype=np.uint64))], direction="RIGHT")
    return piece.reshape(piece.cast(shifted, DType.U8), rows.batch, rows.nbytes)


def _bytes_to_raw(piece: Piece, row: gs.Tensor, rows: _Rows) -> gs.Tensor:
    """[batch, nbytes] UINT8 -> integers or booleans, as many."""
    if rows.dtype is DType.BOOL:
        return piece.cast(row, DType.BOOL)
    size = rows.dtype.bits // 8
    split = piece.reshape(piece.cast(row, DType.U64), rows.batch, rows.count, size)
    weights = np.left_shift(np.uint64(1), 8 * np.arange(size, dtype=np.uint64)).reshape(-1, 1)
    return piece.cast(piece.add("MatMul", [split, piece.constant(weights)]), rows.dtype)


_Spelling = Callable[[Piece, Op], None]
_SPELLINGS: dict[str, _Spelling] = {
    "quantize": _quantize,
    "dequantize": _dequantize,
    "pack": _pack,
    "unpack": _unpack,
}
