"""Packing of codes into bit streams.

Element i takes bits [i*b, (i+1)*b), least significant bit first: ONNX's layout of UINT4 and UINT2.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def packed_bytes(count: int, bits: int) -> int:
    """Bytes that `count` codes of `bits` bits take."""
    return (count * bits + 7) // 8


def pack_bits(codes: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    """Pack codes (any shape, taken in C order; int8 or uint8, `bits` 1..8) into bytes; the last byte is padded with zeros.

    Signed codes are stored in two's complement. Bits above `bits` are dropped.
    """
    flat = np.ascontiguousarray(codes).reshape(-1).view(np.uint8)
    if bits == 8:
        return flat.copy()
    as_bits = np.unpackbits(flat.reshape(-1, 1), axis=1, count=bits, bitorder="little")
    return np.packbits(as_bits.reshape(-1), bitorder="little")


def unpack_bits(data: NDArray[np.uint8], bits: int, count: int, *, signed: bool) -> NDArray[Any]:
    """Return `count` codes (int8 where `signed`, else uint8) of a packed stream. Raises ValueError where `data` is too short."""
    if data.size < packed_bytes(count, bits):
        raise ValueError(f"{count} codes of {bits} bits need {packed_bytes(count, bits)} bytes, not {data.size}")
    if bits == 8:
        codes = data[:count].copy()
    else:
        stream = np.unpackbits(data, count=count * bits, bitorder="little").reshape(count, bits)
        codes = np.packbits(stream, axis=1, bitorder="little").reshape(-1)
    if not signed:
        return codes
    shift = np.uint8(8 - bits)
    return (codes << shift).view(np.int8) >> np.int8(8 - bits)
