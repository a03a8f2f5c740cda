"""Wires through a lossless codec: where its measured sizes and times make a value cross faster, they take the place of the packed codes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

from ..facts import WireSize
from .cut import Cut
from .problem import Assignment, Link, Problem, Value, payload_bytes, wire_bytes
from .tensors import nanoseconds

ZSTD = "zstd"


def with_sizes(values: Iterable[Value], sizes: Iterable[WireSize], link: Link) -> tuple[Value, ...]:
    """Return values with what they take on the link through zstd, at the bits at which that is faster, codec's time included.

    Of a message alone on the link as it is; at another rate the choice stays. The raw input is left out: Cloud-Only has forms of its own.
    """
    found: dict[str, dict[int, WireSize]] = {}
    for size in sizes:
        if size.codec == ZSTD:
            found.setdefault(size.value, {})[size.bits] = size
    return tuple(_coded(value, found[value.name], link) if value.name in found else value for value in values)


def _coded(value: Value, sizes: Mapping[int, WireSize], link: Link) -> Value:
    if value.raw or not value.wire_bits or not value.elements:
        return value
    sent = [payload_bytes(value.elements, bits) for bits in range(1, 9)]
    packed = tuple(sent)
    pack, unpack = list(value.pack_ns or (0,) * 8), list(value.unpack_ns or (0,) * 8)
    for bits, size in sizes.items():
        mean = math.ceil(size.mean_bytes)
        encode, decode = nanoseconds(size.encode_s), nanoseconds(size.decode_s)
        if link.message_ns([mean]) + encode + decode < link.message_ns([packed[bits - 1]]):
            sent[bits - 1] = mean
            pack[bits - 1] += encode
            unpack[bits - 1] += decode
    if tuple(sent) == packed:
        return value
    return replace(value, sent_bytes=tuple(sent), pack_ns=tuple(pack), unpack_ns=tuple(unpack))


def is_coded(problem: Problem, cut: Cut, bits: Assignment) -> bool:
    """Whether anything that crosses goes through the codec."""
    wires = ((problem.values[w.value], bits.wires[w.value]) for w in cut.wires)
    return any(wire_bytes(value, b) != payload_bytes(value.elements or 0, b) for value, b in wires)
