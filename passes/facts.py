"""Facts: what the passes learn. Each is frozen, printable, and names the graph it speaks of.

Those about costs: `facts_costs.py`; about cuts and plans: `facts_plan.py`.

Bit-indexed tuples and arrays have 8 entries for 1..8 bits; cost tables have a ninth row for float (`autosplitc.targets.ROWS`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from autosplitc.ir import ArrayRef, Fact

from .facts_costs import Costs, OpCosts, WireCosts, WireSize, WireSizes
from .facts_plan import Choice, Front, FrontCell, NamedBits, OutputPlace, Plan, Solutions, Split, Splits, WireLayout, WireTensor

__all__ = [
    "FACT_TYPES",
    "Choice",
    "Costs",
    "Front",
    "FrontCell",
    "LiveRange",
    "Liveness",
    "NamedBits",
    "OpCosts",
    "OutputPlace",
    "Plan",
    "Ranges",
    "Refinement",
    "Request",
    "RoundedBias",
    "RoundedWeight",
    "Rounding",
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
    "WireSize",
    "WireSizes",
    "WireTensor",
]


@dataclass(frozen=True)
class Request(Fact):
    """What the user asked for; the first fact of every module. It speaks of no graph (`graph` is "").

    edge_sha256, cloud_sha256, net_sha256: digests of the files that targets and link were read from, "" where they have names.
    preprocess: what turns a picture's bytes into the model's input. metric: figure that `max_drop` bounds, "" for what the data allows.
    max_drop: accuracy that may be lost, shares of 1, ascending, one plan each; none: no constraint. max_evals: plans that may be tried.
    sensitivity: `mse`, `sqnr`, `output`, or "" for `output` with data and `sqnr` without. effort: `fast`, `normal` or `best`.
    format: of the edge graph, `qdq` or `qonnx`. space: of cuts, `linear` (prefixes of the order) or `dag` (any closed set). codec: what may
    be sent compressed, see `Plan.codec`. strategy: how the plan is found, `auto-split` or a baseline's name.
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
    preprocess: str = "none"
    metric: str = ""
    max_drop: tuple[float, ...] = ()
    max_evals: int = 20
    sensitivity: str = ""
    effort: str = "normal"
    format: str = "qdq"
    space: str = "linear"
    codec: str = "auto"
    strategy: str = "auto-split"


@dataclass(frozen=True, slots=True)
class ValueRange:
    """Range of a float value over all samples; `inner_*` is the range before the op's fused activation (None without one), as far as the
    activation is not flat there.

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

    histograms: f64[n, bins + 3] counts, see `passes/quantize/histogram.py`. clips: f64[values, 8, 2], the bounds (low, high) that a
    quantiser of 1..8 bits has for `values[i]`; None: `low` and `high` at every width. Read them with `Quantisers`.
    """

    name: ClassVar[str] = "ranges"
    calibrated: bool
    samples: int
    values: tuple[ValueRange, ...]
    sizes: tuple[SeenSize, ...] = ()
    histograms: ArrayRef | None = None
    clips: ArrayRef | None = None

    def speaks_of(self) -> Iterable[str]:
        """Names of the values."""
        return (v.value for v in self.values)


@dataclass(frozen=True, slots=True)
class TensorError:
    """Quantisation error of a weight constant or activation at 1..8 bits.

    nsr: noise-to-signal power ratio, dimensionless: of a weight rounded with calibration data that of the layer's result, else of the
    tensor itself. mse: mean squared error in the tensor's own units squared. output: change of the network's output when this tensor alone
    is quantised (`Sensitivity.measure`), empty where it was not measured; widths between measured ones are interpolated.
    """

    tensor: str
    nsr: tuple[float, ...]
    mse: tuple[float, ...]
    output: tuple[float, ...] = ()


@dataclass(frozen=True)
class Sensitivity(Fact):
    """Errors of weights and activations at every bit-width.

    wire_nsr: f64[activations, 9, 8]: error that a wire of 1..8 bits (last axis) adds to activation `activations[i]` held at 1..8 bits
    or float (row 8); at equal bits the wire adds nothing. measure: which error the planner sums, `mse`, `sqnr` or `output`; unit: what
    `TensorError.output` is, `kl` (nats a sample, mean) or `nsr` (noise-to-signal power ratio of the outputs), "" without.
    """

    name: ClassVar[str] = "sensitivity"
    weights: tuple[TensorError, ...]
    activations: tuple[TensorError, ...]
    wire_nsr: ArrayRef
    measure: str = "sqnr"
    unit: str = ""
    samples: int = 0

    def speaks_of(self) -> Iterable[str]:
        """Names of constants and values."""
        return (e.tensor for e in (*self.weights, *self.activations))


@dataclass(frozen=True, slots=True)
class RoundedWeight:
    """A weight constant rounded to `bits`: codes i8 in the constant's shape, scale f32[channels] along its output-channel axis.

    nsr: noise-to-signal power ratio that the rounding adds to the layer's result, measured on calibration rows.
    """

    const: str
    bits: int
    codes: ArrayRef
    scale: ArrayRef
    nsr: float


@dataclass(frozen=True, slots=True)
class RoundedBias:
    """Bias f32[channels] of op `op` that goes with its weights at `bits`: the model's, corrected for what rounding moved."""

    op: str
    bits: int
    values: ArrayRef


@dataclass(frozen=True)
class Rounding(Fact):
    """Weights rounded on calibration data, each at every width that it may get, on the model's own activations held as codes."""

    name: ClassVar[str] = "rounding"
    effort: str
    weights: tuple[RoundedWeight, ...]
    biases: tuple[RoundedBias, ...] = ()

    def speaks_of(self) -> Iterable[str]:
        """Names of constants and ops."""
        return (*(w.const for w in self.weights), *(b.op for b in self.biases))


@dataclass(frozen=True)
class Refinement(Fact):
    """Weights and biases of the chosen plan, rounded layer after layer, each on what the quantised layers before it give."""

    name: ClassVar[str] = "refinement"
    effort: str
    weights: tuple[RoundedWeight, ...]
    biases: tuple[RoundedBias, ...] = ()

    def speaks_of(self) -> Iterable[str]:
        """Names of constants and ops."""
        return (*(w.const for w in self.weights), *(b.op for b in self.biases))


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


FACT_TYPES: tuple[type[Fact], ...] = (
    Request,
    Ranges,
    Rounding,
    Sensitivity,
    Liveness,
    Costs,
    WireSizes,
    Splits,
    Solutions,
    Front,
    Choice,
    Refinement,
    WireLayout,
)
