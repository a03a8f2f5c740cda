"""The planning problem: ops, values, weights, errors and limits as integers.

Solver, exhaustive search, evaluation and report read this and nothing else. Units: time in ns, memory in bits, error in units of
`error_unit` (see `error_scale`), rounded up. Tables over bit-widths have a row for each of 1..8 bits and a last one for float.

A cut is a set of ops closed under predecessors; nothing here or in `cut.py` needs it to be a prefix of the order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

NONE = -1
"""Index that stands for "none"."""

ROWS = 9
"""Rows of a table over bit-widths: 1..8 bits, and float."""

VarKind: TypeAlias = Literal["weight", "act", "wire"]


@dataclass(frozen=True, slots=True)
class Weight:
    """A constant held as codes on the edge.

    bits: widths to choose from, ascending; empty where it cannot be quantised. error: units at 1..8 bits. scale_bits: memory of its scales.
    container_bits: bits that one element takes in the model file at 1..8 bits. file_bits: what else it adds to the file (scales, nodes).
    """

    name: str
    elements: int
    bits: tuple[int, ...]
    error: tuple[int, ...]
    scale_bits: int
    container_bits: tuple[int, ...]
    file_bits: int = 0


@dataclass(frozen=True, slots=True)
class FixedConst:
    """A constant whose width is no choice (biases, shapes, float tables)."""

    name: str
    memory_bits: int


@dataclass(frozen=True, slots=True)
class Group:
    """Values that share one activation quantiser (a root, and what ops that pass codes through make of it).

    bits: widths to choose from, ascending; one where the root is a graph input, none where it cannot be quantised.
    error: units at 1..8 bits.
    """

    name: str
    bits: tuple[int, ...]
    error: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Value:
    """A value that ops read or make.

    elements: None where the size is not known at compile time. width_bits: bits an element takes as a number.
    group: its activation quantiser, NONE where it is never a code of ours on the edge. alias_of: the value whose memory it shares.
    given_bits: width of the codes that the model itself holds it as, 0 for none; it fixes the value's row, and `memory_bits` what an
    element takes in memory. constant: made of constants alone; it never crosses, since the cloud makes it again.
    raw: a graph input, or one reshaped, or what a picture's bytes are scaled to: it has one width, and a wire adds no error to it.
    wire_bits: widths at which it may cross; empty: it crosses at its own width.
    wire_error: units that a wire of 1..8 bits (inner) adds to the value held at 1..8 bits or float (outer); empty: none at all.
    wire_noise: the same in units of `Limits.tensor_error`; empty: as `wire_error`.
    pack_ns, unpack_ns: time that the edge takes to put it on a wire of 1..8 bits, and the cloud to take it off; empty: none.
    pack_measured, unpack_measured: wire bits at which those were measured.
    sent_bytes: bytes on the link at wire bits of 1..8, through a codec; empty: those of the packed codes. A codec's time is part of pack_ns
    and unpack_ns. In memory the payload is as it is without one.
    """

    name: str
    elements: int | None
    width_bits: int
    group: int = NONE
    alias_of: int = NONE
    is_input: bool = False
    is_output: bool = False
    raw: bool = False
    wire_bits: tuple[int, ...] = ()
    wire_error: tuple[tuple[int, ...], ...] = ()
    wire_noise: tuple[tuple[int, ...], ...] = ()
    given_bits: int = 0
    memory_bits: int = NONE
    constant: bool = False
    pack_ns: tuple[int, ...] = ()
    unpack_ns: tuple[int, ...] = ()
    pack_measured: tuple[int, ...] = ()
    unpack_measured: tuple[int, ...] = ()
    sent_bytes: tuple[int, ...] = ()

    @property
    def own_bits(self) -> int:
        """Bits that an element takes in memory where it is no code of ours."""
        return self.width_bits if self.memory_bits == NONE else self.memory_bits

    def packing_ns(self, wire_bits: int) -> int:
        """Time that the edge takes to put it on a wire of `wire_bits`."""
        return self.pack_ns[wire_bits - 1] if self.pack_ns else 0

    def unpacking_ns(self, wire_bits: int) -> int:
        """Time that the cloud takes to take it off a wire of `wire_bits`."""
        return self.unpack_ns[wire_bits - 1] if self.unpack_ns else 0


@dataclass(frozen=True, slots=True)
class Operand:
    """An input or result of an op: a value, a weight, or (both NONE) something of fixed width or absent."""

    value: int = NONE
    weight: int = NONE


@dataclass(frozen=True, slots=True)
class OpItem:
    """An op.

    inputs, results: one operand for each row of `traffic_ns`. on_codes: it computes on codes. mac: the inputs whose rows index
    `compute_ns` (NONE: the float row). constants: the fixed constants it reads. refusal: why it cannot run on the edge ("" if it can).
    traffic_ns: time to move each operand at each row. file_bits: what its nodes add to the model file.
    measured_rows: rows of the first MAC operand (0..8) at which the edge's times were measured; cloud_measured: whether the cloud's was.
    """

    name: str
    inputs: tuple[Operand, ...]
    results: tuple[Operand, ...]
    on_codes: bool
    mac: tuple[int, int]
    compute_ns: tuple[tuple[int, ...], ...]
    traffic_ns: tuple[tuple[int, ...], ...]
    cloud_ns: int
    constants: tuple[int, ...] = ()
    refusal: str = ""
    file_bits: int = 0
    measured_rows: tuple[int, ...] = ()
    cloud_measured: bool = False

    @property
    def reads(self) -> tuple[int, ...]:
        """Indices of the values it reads, each once."""
        return tuple(dict.fromkeys(o.value for o in self.inputs if o.value != NONE))

    @property
    def makes(self) -> tuple[int, ...]:
        """Indices of the values it makes."""
        return tuple(o.value for o in self.results if o.value != NONE)

    @property
    def weights(self) -> tuple[int, ...]:
        """Indices of the weights it reads, each once."""
        return tuple(dict.fromkeys(o.weight for o in self.inputs if o.weight != NONE))


@dataclass(frozen=True, slots=True)
class Link:
    """Time to send: `fixed_ns` for every message that is not empty, its bytes at `rate_bps`, and `packet_ns` for every packet.

    capacity_bytes: what a packet holds besides its header; 0: there are no packets. overhead_bytes: what a message holds besides its
    payload; `fixed_ns` has the time of that, packets have to hold it.
    """

    rate_bps: int
    fixed_ns: int
    capacity_bytes: int = 0
    overhead_bytes: int = 0
    packet_ns: int = 0

    def bytes_ns(self, nbytes: int) -> int:
        """Time that `nbytes` bytes add to a message, rounded to the nearest ns."""
        return (nbytes * 8_000_000_000 + self.rate_bps // 2) // self.rate_bps

    def packets(self, payload_bytes: int) -> int:
        """Return how many packets a message takes, 0 where there are none."""
        return -(-(payload_bytes + self.overhead_bytes) // self.capacity_bytes) if self.capacity_bytes else 0

    def message_ns(self, parts_bytes: Sequence[int]) -> int:
        """Time of a message whose payload consists of such parts; 0 where that is empty."""
        if not any(parts_bytes):
            return 0
        return self.fixed_ns + sum(map(self.bytes_ns, parts_bytes)) + self.packets(sum(parts_bytes)) * self.packet_ns


@dataclass(frozen=True, slots=True)
class Limits:
    """What a plan must keep to; None is no limit. error: units, summed over all tensors.

    tensor_error: bound on the noise of each tensor, in units of its own: `build` leaves no widths that break it, `wire_choices` no wires.
    """

    ram_bits: int
    storage_bits: int | None = None
    error: int | None = None
    tensor_error: int | None = None
    latency_ns: int | None = None


@dataclass(frozen=True)
class Problem:
    """A whole planning problem. Ops are in topological order.

    overlap: op latency is max(compute, traffic), else their sum. packed: codes below 8 bits stay packed in RAM, else each takes 8 bits.
    constants_in_storage: weights and other constants take no RAM, they are read where the model file lies.
    error_unit: the error of one unit, in the measure that `sensitivity` was taken in. wire_exempt: the user fixed the wire's bits, so
    `Limits.tensor_error` spares them.
    """

    values: tuple[Value, ...]
    groups: tuple[Group, ...]
    weights: tuple[Weight, ...]
    constants: tuple[FixedConst, ...]
    ops: tuple[OpItem, ...]
    link: Link
    limits: Limits
    overlap: bool
    packed: bool
    return_result: bool = False
    wire_exempt: bool = False
    constants_in_storage: bool = False
    error_unit: float = 1e-6

    @cached_property
    def producer(self) -> Mapping[int, int]:
        """Index of the op that makes a value; graph inputs are missing."""
        return {v: i for i, op in enumerate(self.ops) for v in op.makes}

    @cached_property
    def readers(self) -> tuple[tuple[int, ...], ...]:
        """For every value the ops that read it, in order, each once."""
        found: list[list[int]] = [[] for _ in self.values]
        for i, op in enumerate(self.ops):
            for v in op.reads:
                found[v].append(i)
        return tuple(map(tuple, found))

    def resident_bits(self, bits: int) -> int:
        """Memory that one code of `bits` takes."""
        return bits if self.packed else 8


@dataclass(frozen=True, slots=True)
class Assignment:
    """Chosen bits of one cut: by weight, by activation group, and by crossing value."""

    weights: Mapping[int, int]
    acts: Mapping[int, int]
    wires: Mapping[int, int]


def payload_bytes(elements: int, bits: int) -> int:
    """Bytes of `elements` packed codes or numbers of `bits` each."""
    return (elements * bits + 7) // 8


def wire_bytes(value: Value, bits: int) -> int:
    """Bytes that a crossing value takes on the link at `bits`: its wire's, or its own where it has no wire."""
    if value.sent_bytes and value.wire_bits:
        return value.sent_bytes[bits - 1]
    return payload_bytes(value.elements or 0, bits)
