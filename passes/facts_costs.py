"""Facts about what ops cost, and what values take on the wire. Cost tables have rows for 1..8 bits and a ninth for float."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from autosplitc.ir import ArrayRef, Fact


@dataclass(frozen=True, slots=True)
class OpCosts:
    """Costs of one op. `edge_ok`: the edge target takes it.

    `first_traffic` is its first row in `Costs.traffic_bytes` (inputs, then results). edge_measured: rows of the first operand at which the
    edge's times were measured; cloud_measured: whether the cloud's was.
    """

    op: str
    macs: int
    edge_ok: bool
    cloud_s: float
    cloud_bound_by: str
    first_traffic: int
    operands: int
    edge_measured: tuple[int, ...] = ()
    cloud_measured: bool = False


@dataclass(frozen=True, slots=True)
class WireCosts:
    """What it takes to put a value on the wire at 1..8 bits, and off it again, in seconds; `measured` are the bits that were measured."""

    value: str
    pack_s: tuple[float, ...]
    unpack_s: tuple[float, ...]
    pack_measured: tuple[int, ...] = ()
    unpack_measured: tuple[int, ...] = ()


@dataclass(frozen=True)
class Costs(Fact):
    """Costs of every op in graph order.

    compute_s: f64[ops, ROWS, ROWS]; traffic_bytes: f64[sum of operands, ROWS], both the edge's; cloud_s is at the cloud's float.
    wires: values that may cross as codes and whose packing or unpacking takes time on these targets; all others take none.
    """

    name: ClassVar[str] = "costs"
    edge_bandwidth_bytes_per_s: float
    edge_overlap: bool
    ops: tuple[OpCosts, ...]
    compute_s: ArrayRef
    traffic_bytes: ArrayRef
    wires: tuple[WireCosts, ...] = ()

    def speaks_of(self) -> Iterable[str]:
        """Names of the ops' first results."""
        return (o.op for o in self.ops)


@dataclass(frozen=True, slots=True)
class WireSize:
    """What a value takes on the wire at `bits` through a codec (`png`, `jpeg:85`, `zstd`), measured on calibration samples.

    mean_bytes, p95_bytes: over the samples, 95 % take no more. encode_s, decode_s: medians, counted to the edge and to the cloud.
    nsr: noise-to-signal power ratio of what comes out, 0 where nothing is lost.
    """

    value: str
    codec: str
    bits: int
    mean_bytes: float
    p95_bytes: float
    encode_s: float
    decode_s: float
    nsr: float = 0.0


@dataclass(frozen=True)
class WireSizes(Fact):
    """Sizes of payloads through codecs: of the picture that Cloud-Only sends, and with zstd of every value that may cross as codes.

    samples: how many they were measured on, 0 where nothing was.
    """

    name: ClassVar[str] = "wire-sizes"
    samples: int
    sizes: tuple[WireSize, ...]

    def speaks_of(self) -> Iterable[str]:
        """Names of the values."""
        return {size.value for size in self.sizes}
