"""Packing of the payload outside the graph, for engines that lack the ops: byte for byte what the graphs do (layout: docs/manifest.md)."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import LinkError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias

    from numpy.typing import NDArray

    Codes: TypeAlias = NDArray[np.uint8]

_NUMPY = {"f32": "<f4", "f16": "<f2", "f64": "<f8", "bool": "?", "u8": "u1", "i8": "i1"}
"""Element types of tensors that cross as they are, where numpy's name is not made of the same letters and bytes."""

_FIELDS = (8, 16, 32)
"""Bits of neighbours that close up in one step: eight codes are packed in a word of 64 bits, by twos, fours and eights."""

_WHOLE = {2: "<u2", 4: "<u4"}
"""Type of eight packed codes, where there is one."""


def pack(codes: Codes, bits: int) -> Codes:
    """Return codes u8[samples, elements] of 1..8 bits as bytes u8[samples, nbytes]: element i begins at bit i x bits, LSB first.

    Codes must be below 2^bits. Raises ValueError for other bits.
    """
    samples, elements = codes.shape
    nbytes = packed_bytes(elements, bits)
    if bits == 8:
        return codes
    if bits == 1:
        return np.packbits(codes, axis=1, bitorder="little")
    groups = -(-elements // 8)
    if groups * 8 != elements:
        codes = np.concatenate([codes, np.zeros((samples, groups * 8 - elements), np.uint8)], axis=1)
    words = np.array(np.ascontiguousarray(codes).view("<u8"))
    for field in _FIELDS:
        upper = words & np.uint64(_mask(2 * field, field) << field)
        words ^= upper
        upper >>= np.uint64(field - field * bits // 8)
        words |= upper
    if bits in _WHOLE:
        return words.astype(_WHOLE[bits]).view(np.uint8)[:, :nbytes]
    pieces = words.view(np.uint8).reshape(samples, groups, 8)[:, :, :bits]
    return np.ascontiguousarray(pieces).reshape(samples, -1)[:, :nbytes]


def unpack(data: Codes, bits: int, elements: int) -> Codes:
    """Return the codes u8[samples, elements] of bytes u8[samples, nbytes]. Raises ValueError for other bits, and for another size."""
    samples, nbytes = data.shape
    if nbytes != packed_bytes(elements, bits):
        raise ValueError(f"{elements:,} codes of {bits} bits take {packed_bytes(elements, bits):,} bytes, not {nbytes:,}")
    if bits == 8:
        return data
    if bits == 1:
        return np.unpackbits(data, axis=1, count=elements, bitorder="little")
    groups = -(-elements // 8)
    if nbytes != groups * bits:
        data = np.concatenate([data, np.zeros((samples, groups * bits - nbytes), np.uint8)], axis=1)
    if bits in _WHOLE:
        words = np.ascontiguousarray(data).view(_WHOLE[bits]).astype("<u8")
    else:
        pieces = np.zeros((samples, groups, 8), np.uint8)
        pieces[:, :, :bits] = data.reshape(samples, groups, bits)
        words = pieces.reshape(samples, -1).view("<u8")
    for field in reversed(_FIELDS):
        packed = field * bits // 8
        upper = words & np.uint64(_mask(2 * field, packed) << packed)
        words ^= upper
        upper <<= np.uint64(field - packed)
        words |= upper
    return words.view(np.uint8)[:, :elements]


def _mask(step: int, width: int) -> int:
    """Return the word with the lowest `width` bits of every `step` set."""
    return sum(((1 << width) - 1) << at for at in range(0, 64, step))


def packed_bytes(elements: int, bits: int) -> int:
    """Return the bytes that codes take. Raises ValueError for bits other than 1..8."""
    if not 1 <= bits <= 8:
        raise ValueError(f"codes have 1 to 8 bits, not {bits}")
    return (elements * bits + 7) // 8


def payload_of(wire: Mapping[str, Any], values: Mapping[str, NDArray[Any]]) -> Codes:
    """Return the payload u8[samples, bytes] of the tensors that cross; `wire` is the manifest's.

    values: by the tensors' names, samples first. Those of 1..8 bits are numbers and are quantised here, the others cross as they are.
    Raises LinkError: AS844 for a missing tensor or one of another size.
    """
    parts: list[Codes] = []
    for tensor in wire["tensors"]:
        if tensor["name"] not in values:
            raise LinkError("AS844", f"tensor {tensor['name']!r} is missing: the payload cannot be packed")
        value = values[tensor["name"]]
        elements = prod(tensor["shape"])
        flat = value.reshape(len(value), -1) if value.size == len(value) * elements else None
        if flat is None:
            raise LinkError("AS844", f"tensor {tensor['name']!r} has shape {list(value.shape)}, a sample has {tensor['shape']}")
        parts.append(_packed(flat, tensor))
    return np.concatenate(parts, axis=1)


def tensors_of(wire: Mapping[str, Any], payload: Codes) -> dict[str, NDArray[Any]]:
    """Return the tensors of a payload u8[samples, bytes], samples first, numbers where they crossed as codes.

    Raises LinkError: AS844 for a payload of another size.
    """
    if payload.ndim != 2 or payload.shape[1] != wire["bytes_per_sample"]:
        raise LinkError("AS844", f"the payload is u8{list(payload.shape)}, a sample has {wire['bytes_per_sample']:,} bytes")
    found: dict[str, NDArray[Any]] = {}
    for tensor in wire["tensors"]:
        start = tensor["offset_bytes"]
        data = np.ascontiguousarray(payload[:, start : start + tensor["nbytes"]])
        shape = (len(payload), *tensor["shape"][1:]) if tensor["shape"] and tensor["shape"][0] == 1 else (len(payload), *tensor["shape"])
        if tensor["bits"]:
            codes = unpack(data, tensor["bits"], prod(tensor["shape"]))
            numbers = (codes.astype(np.float32) - np.float32(tensor["zero_point"])) * np.float32(tensor["scale"])
            found[tensor["name"]] = numbers.reshape(shape)
        else:
            found[tensor["name"]] = data.view(_dtype(tensor["dtype"])).reshape(shape)
    return found


def _packed(flat: NDArray[Any], tensor: Mapping[str, Any]) -> Codes:
    if not tensor["bits"]:
        raw = np.ascontiguousarray(flat, _dtype(tensor["dtype"]))
        return raw.view(np.uint8).reshape(len(flat), -1)
    scaled = np.rint(flat.astype(np.float32, copy=False) / np.float32(tensor["scale"])) + np.float32(tensor["zero_point"])
    return pack(np.clip(scaled, 0, (1 << tensor["bits"]) - 1).astype(np.uint8), tensor["bits"])


def _dtype(name: str) -> np.dtype[Any]:
    """Return numpy's type of a manifest's: `f32`, `i64`, `bool` ..."""
    return np.dtype(_NUMPY.get(name) or f"<{name[0]}{int(name[1:]) // 8}")
