"""Facts about cuts and plans: the splits of a graph, the solutions found, the one chosen, and what crosses it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from autosplitc.ir import Fact


@dataclass(frozen=True, slots=True)
class NamedBits:
    """A bit-width of a named constant or value."""

    name: str
    bits: int


@dataclass(frozen=True, slots=True)
class Split:
    """The cut after the first `position` ops. Position 0 is Cloud-Only, the number of ops is Edge-Only.

    transfer_bytes is T_n with crossing activations at the fewest bits that the edge takes; memory_bytes is the left side of (6) there;
    `potential` is formula (6); `reason` says why a cut cannot be taken at all ("" if it can).
    """

    position: int
    after: str
    crossing: tuple[str, ...]
    transfer_bytes: int
    memory_bytes: int
    potential: bool
    reason: str = ""


@dataclass(frozen=True)
class Splits(Fact):
    """All linear cuts with what crosses them."""

    name: ClassVar[str] = "splits"
    splits: tuple[Split, ...]

    def speaks_of(self) -> Iterable[str]:
        """Names of crossing values."""
        return {name for s in self.splits for name in s.crossing}


@dataclass(frozen=True, slots=True)
class Plan:
    """One solution. `kind` is `cloud-only`, `split` or `edge-only`; `position` is the cut (ops on the edge), `after` the last edge op.

    weight_bits: constants; act_bits: edge values held as codes (one entry for each that has a quantiser; values that share its scale are
    not repeated); wire_bits: crossing values. Latencies in seconds, predicted. error: sum over tensors in `Sensitivity.measure`.
    edge_measured_s, cloud_measured_s: the parts of edge_s and cloud_s that rest on measured ops. latency_p50_s, latency_p95_s: over a trace
    of the link, None without one.
    edge_ops: names of the ops on the edge where they are no prefix of the order (`position` of them, `after` the last); () for a prefix.
    codec: what the payload goes through outside the graphs, "" nothing, `zstd`, `png` or `jpeg:QUALITY`; sent_bytes, sent_p95_bytes: bytes
    on the wire then, mean and 95 % over the calibration samples, measured; None without a codec. The latency is that of the mean, with the
    codec's time on both sides. error of a lossy codec: noise-to-signal power ratio of what it sends.
    `proof` is `optimal` or `feasible`; gap is relative (0 where optimal). `feasible` says that every constraint holds; `violations` name
    those that do not.
    """

    kind: str
    position: int
    after: str
    edge_s: float
    link_s: float
    cloud_s: float
    payload_bytes: int
    ram_bytes: int
    storage_bytes: int
    error: float
    proof: str
    gap: float
    feasible: bool
    violations: tuple[str, ...]
    weight_bits: tuple[NamedBits, ...]
    act_bits: tuple[NamedBits, ...]
    wire_bits: tuple[NamedBits, ...]
    edge_measured_s: float = 0.0
    cloud_measured_s: float = 0.0
    latency_p50_s: float | None = None
    latency_p95_s: float | None = None
    edge_ops: tuple[str, ...] = ()
    codec: str = ""
    sent_bytes: float | None = None
    sent_p95_bytes: float | None = None

    @property
    def latency_s(self) -> float:
        """End-to-end latency in seconds, predicted."""
        return self.edge_s + self.link_s + self.cloud_s

    @property
    def wire_bytes(self) -> int:
        """Bytes on the wire: the payload's, or what a codec makes of it in the mean."""
        return self.payload_bytes if self.sent_bytes is None else math.ceil(self.sent_bytes)

    @property
    def title(self) -> str:
        """The plan for people: `split conv3`, `split conv3 + zstd`, `cloud only`, `cloud JPEG q85`, `edge only`."""
        name, _, quality = self.codec.partition(":")
        codec = f"JPEG q{quality}" if quality else name.upper() if name == "png" else name
        if self.kind == "cloud-only":
            return f"cloud {codec}" if codec else "cloud only"
        name = f"split {self.after}{self.extent}" if self.kind == "split" else "edge only"
        return f"{name} + {codec}" if codec else name

    @property
    def is_lossy(self) -> bool:
        """Whether the codec changes what is sent, so that the plan's error says nothing of the answer's."""
        return self.codec.startswith("jpeg")

    @property
    def extent(self) -> str:
        """How many ops are on the edge, ` (45 ops)`, where the last one does not tell; "" for a prefix of the order."""
        return f" ({len(self.edge_ops)} ops)" if self.edge_ops else ""

    @property
    def typical_s(self) -> float:
        """The latency that plans are compared by: the median over the link's trace; without a trace `latency_s`."""
        return self.latency_s if self.latency_p50_s is None else self.latency_p50_s


@dataclass(frozen=True)
class Solutions(Fact):
    """Plans, the fastest first; Cloud-Only is always among them, Edge-Only where every op runs on the edge.

    trace: the trace of the link over which `latency_p50_s` and `latency_p95_s` are taken, for people; "" without one.
    """

    name: ClassVar[str] = "solutions"
    plans: tuple[Plan, ...]
    trace: str = ""


@dataclass(frozen=True, slots=True)
class FrontCell:
    """Limits on the error (in `Sensitivity.measure`) and on the edge's memory, and the fastest plan within them.

    point: index into `Front.points`, -1 where there is none. proof: `optimal` (no plan over all cuts within the limits is faster, or there
    is none), `feasible` (one at most `gap` faster may be), `unsought` (an interruption came first).
    """

    max_error: float
    max_ram_bytes: int
    point: int
    proof: str
    gap: float = 0.0


@dataclass(frozen=True)
class Front(Fact):
    """The fastest plans at several limits on error and memory.

    cells: the loosest error first, then the loosest memory. points: plans that no other equals or betters in latency, error and memory, the
    fastest first; Cloud-Only and Edge-Only are among them in any case. partial: the search was interrupted.
    """

    name: ClassVar[str] = "front"
    cells: tuple[FrontCell, ...]
    points: tuple[Plan, ...]
    partial: bool = False


@dataclass(frozen=True)
class Choice(Fact):
    """The chosen plan: `index` into `Solutions.plans`, and why."""

    name: ClassVar[str] = "choice"
    index: int
    why: str


@dataclass(frozen=True, slots=True)
class WireTensor:
    """One tensor of the payload: its place in every sample's bytes and how to read it.

    Quantised: `bits` 1..8 with scale and zero_point. Others (`bits` 0) travel as raw little-endian elements of `dtype`.
    shape is at batch size 1.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    bits: int
    scale: float
    zero_point: int
    offset_bytes: int
    nbytes: int


@dataclass(frozen=True, slots=True)
class OutputPlace:
    """Where a model output appears: `side` is `edge` or `cloud`, `name` its name there."""

    output: str
    side: str
    name: str


@dataclass(frozen=True)
class WireLayout(Fact):
    """Layout of the payload, u8[N, nbytes], and of the model's outputs. It speaks of `edge`."""

    name: ClassVar[str] = "wire-layout"
    payload: str
    nbytes: int
    tensors: tuple[WireTensor, ...]
    outputs: tuple[OutputPlace, ...]
