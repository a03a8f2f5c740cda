"""Facts: what the passes learn. Each is frozen, printable, and names the graph it speaks of; those about cuts and plans: `facts_plan.py`.

Bit-indexed tuples and arrays have 8 entries for 1..8 bits; cost tables have a ninth row for float (`autosplitc.targets.ROWS`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from autosplitc.ir import ArrayRef, Fact

from .facts_plan import Choice, NamedBits, OutputPlace, Plan, Solutions, Split, Splits, WireLayout, WireTensor

__all__ = [
    "FACT_TYPES",
    "Choice",
    "Costs",
    "LiveRange",
    "Liveness",
    "NamedBits",
    "OpCosts",
    "OutputPlace",
    "Plan",
    "Ranges",
    "Request",
    "SeenSize",
    "Sensitivity",
    "Solutions",
    "Split",
    "Splits",
    "Step",
    "TensorError",
    "ValueRange",
    "WireCosts",
    "WireLayout",
    "WireTensor",
]


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
