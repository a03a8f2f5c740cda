"""Spelling of quantize, dequantize, pack and unpack in standard ONNX ops.

Sub-byte types stay away from every op but Cast, and codes of b < 8 bits live in UINT8 behind a Clip: so stock ONNX Runtime keeps its
integer kernels, loads every form, and does not merge neighbouring quantisers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from autosplitc.ir import Attrs, DType, Op, Speller, Spelling

from .piece import Constants, Piece
from .spell_payload import pack, unpack

if TYPE_CHECKING:
    import onnx_graphsurgeon as gs
    from onnx import NodeProto


class OurSpellers:
    """Spellers of our four kinds for one model; equal small constants are shared."""

    def __init__(self) -> None:
        """Start without constants."""
        self._constants: Constants = {}

    def table(self) -> dict[str, Speller]:
        """Return the speller of every kind, as `export_onnx` takes them."""
        return {kind: self._speller(spell) for kind, spell in _SPELLINGS.items()}

    def _speller(self, spell: _Spelling) -> Speller:
        def write(op: Op, spelling: Spelling) -> list[NodeProto]:
            piece = Piece(op, spelling, self._constants)
            spell(piece, op)
            return piece.written()

        return write


def _quantize(piece: Piece, op: Op) -> None:
    """QuantizeLinear to UINT8; below 8 bits a Clip keeps codes in range, and the quantisers on both sides apart.

    Beside the model's own quantisers 8 bits need it too: ONNX Runtime 1.32 makes one of two pairs that follow each other.
    """
    parameters = _scale_and_zero_point(piece, op.attrs)
    bits = op.type.dtype.bits
    source = piece.value(op.inputs[0])
    if bits == 8 and not any(near.kind in _OF_THE_MODEL for near in piece.spelling.graph.ops):
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


_OF_THE_MODEL = ("quantize_linear", "dequantize_linear")

_Spelling = Callable[[Piece, Op], None]
_SPELLINGS: dict[str, _Spelling] = {
    "quantize": _quantize,
    "dequantize": _dequantize,
    "pack": pack,
    "unpack": unpack,
}
