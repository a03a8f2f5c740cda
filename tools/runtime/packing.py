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
    if bits in (2, 4):
        step = 8 // bits
        folded = codes[:, 0::step].copy()
        for place in range(1, step):
            folded |= codes[:, place::step] << (place * bits)
        return folded[:, :nbytes]
    words = codes.reshape(samples, groups, 8).astype("<u8")
    word = words[:, :, 0].copy()
    for place in range(1, 8):
        word |= words[:, :, place] << np.uint64(place * bits)
    return np.ascontiguousarray(word.view(np.uint8).reshape(samples, groups, 8)[:, :, :bits]).reshape(samples, -1)[:, :nbytes]


def unpack(data: Codes, bits: int, elements: int) -> Codes:
    """Return the codes u8[samples, elements] of bytes u8[samples, nbytes]. Raises ValueError for other bits, and for another size."""
    samples, nbytes = data.shape
    if nbytes != packed_bytes(elements, bits):
        raise ValueError(f"{elements:,} codes of {bits} bits take {packed_bytes(elements, bits):,} bytes, not {nbytes:,}")
    if bits == 8:
        return data
    if bits == 1:
        return np.unpackbits(data, axis=1, count=elements, bitorder="little")
    if bits in (2, 4):
        step, mask = 8 // bits, (1 << bits) - 1
        spread = np.empty((samples, nbytes, step), np.uint8)
        for place in range(step):
            spread[:, :, place] = (data >> (place * bits)) & mask
        return spread.reshape(samples, -1)[:, :elements]
    groups = -(-elements // 8)
    wide = np.zeros((samples, groups, 8), np.uint8)
    full = np.zeros((samples, groups * bits), np.uint8)
    full[:, :nbytes] = data
    wide[:, :, :bits] = full.reshape(samples, groups, bits)
    words = wide.view("<u8")
    shifts = np.arange(8, dtype=np.uint64) * np.uint64(bits)
    return ((words >> shifts) & np.uint64((1 << bits) - 1)).astype(np.uint8).reshape(samples, -1)[:, :elements]


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
