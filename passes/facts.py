"""Facts: what the passes learn. Each is frozen, printable, and names the graph it speaks of.

Bit-indexed tuples and arrays have 8 entries for 1..8 bits; cost tables have a ninth row for float (`autosplitc.targets.ROWS`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from autosplitc.ir import ArrayRef, Fact


@dataclass(frozen=True, slots=True)
class NamedBits:
    """A bit-width of a named constant or value."""

    name: str
    bits: int


@dataclass(frozen=True)
class Request(Fact):
    """What the user asked for; the first fact of every module. It speaks of no graph (`graph` is "").

    edge_sha256, cloud_sha256, net_sha256: digests of the files that targets and link were read from, "" where they have names.
    """

    name: ClassVar[str] = "request"
    source: str
    source_sha256: str
    edge: str
    cloud: str
    net: str
    calib_sha256: str = ""
    calib_samples: int = 0
    eval_sha256: str = ""
    edge_ram_bytes: int | None = None
    edge_storage_bytes: int | None = None
    input_bits: int = 8
    weight_bits: tuple[int, ...] | None = None
    act_bits: tuple[int, ...] | None = None
    wire_bits: tuple[int, ...] | None = None
    min_sqnr_db: float = 30.0
    max_error: float | None = None
    max_latency_s: float | None = None
    edge_sha256: str = ""
    cloud_sha256: str = ""
    net_sha256: str = ""
    cut: tuple[str, ...] = ()
    keep_float: str = ""
    pick: int | None = None
    return_result: bool = False
    max_opset: int | None = None
    time_limit_s: float = 60.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class ValueRange:
    """Range of a float value over all samples; `inner_*` is the range before the op's fused activation (None without one).

    `histogram` is an index into `Ranges.histograms`, -1 without: the value was never seen, or not finite, or is not f32. `exact` says that
    8 bits hold every element exactly (a picture's bytes).
    """

    value: str
    low: float
    high: float
    inner_low: float | None = None
    inner_high: float | None = None
    histogram: int = -1
    exact: bool = False


@dataclass(frozen=True, slots=True)
class SeenSize:
    """Elements of a value of unknown size, the largest seen in calibration."""

    value: str
    elements: int


@dataclass(frozen=True)
class Ranges(Fact):
    """Ranges of every float value of `graph`. `calibrated` is False where the samples were seeded noise.

    histograms: f64[n, bins + 3] counts, see `passes/quantize/histogram.py`.
    """

    name: ClassVar[str] = "ranges"
    calibrated: bool
    samples: int
    values: tuple[ValueRange, ...]
    sizes: tuple[SeenSize, ...] = ()
    histograms: ArrayRef | None = None

    def speaks_of(self) -> Iterable[str]:
        """Names of the values."""
        return (v.value for v in self.values)


@dataclass(frozen=True, slots=True)
class TensorError:
    """Quantisation error of a weight constant or activation at 1..8 bits.

    nsr: noise-to-signal power ratio, dimensionless. mse: mean squared error in the tensor's own units squared.
    """

    tensor: str
    nsr: tuple[float, ...]
    mse: tuple[float, ...]


@dataclass(frozen=True)
class Sensitivity(Fact):
    """Errors of weights and activations at every bit-width.

    wire_nsr: f64[activations, 9, 8]: error that a wire of 1..8 bits (last axis) adds to activation `activations[i]` held at 1..8 bits
    or float (row 8); at equal bits the wire adds nothing.
    """

    name: ClassVar[str] = "sensitivity"
    weights: tuple[TensorError, ...]
    activations: tuple[TensorError, ...]
    wire_nsr: ArrayRef

    def speaks_of(self) -> Iterable[str]:
        """Names of constants and values."""
        return (e.tensor for e in (*self.weights, *self.activations))


@dataclass(frozen=True, slots=True)
class LiveRange:
    """Steps (op indices; -1 is before the first op) at which a value is made and last read; `alias_of` shares its memory ("" if not).

    A graph output lives to the end (`last` = number of ops).
    """

    value: str
    first: int
    last: int
    elements: int | None
    alias_of: str


@dataclass(frozen=True, slots=True)
class Step:
    """Working set while an op runs, with 8-bit codes (other values at their own width)."""

    op: str
    working_set_bytes: int


@dataclass(frozen=True)
class Liveness(Fact):
    """Life of every value that ops read or make (constants aside) on the uncut graph, and the working set at every step."""

    name: ClassVar[str] = "liveness"
    values: tuple[LiveRange, ...]
    steps: tuple[Step, ...]
    peak_bytes: int
    peak_op: str

    def speaks_of(self) -> Iterable[str]:
        """Names of the values."""
        return (v.value for v in self.values)


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
    not repeated); wire_bits: crossing values. Latencies in seconds, predicted. error: sum of noise-to-signal ratios.
    edge_measured_s, cloud_measured_s: the parts of edge_s and cloud_s that rest on measured ops. latency_p50_s, latency_p95_s: over a trace
    of the link, None without one.
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

    @property
    def latency_s(self) -> float:
        """End-to-end latency in seconds, predicted."""
        return self.edge_s + self.link_s + self.cloud_s


@dataclass(frozen=True)
class Solutions(Fact):
    """Plans, the fastest first; Cloud-Only is always among them, Edge-Only where every op runs on the edge."""

    name: ClassVar[str] = "solutions"
    plans: tuple[Plan, ...]


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


FACT_TYPES: tuple[type[Fact], ...] = (
    Request,
    Ranges,
    Sensitivity,
    Liveness,
    Costs,
    Splits,
    Solutions,
    Choice,
    WireLayout,
)
