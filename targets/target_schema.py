"""The schema of target files, `autosplitc-target/1`: every key, how its value is written, and the fields that it sets.

docs/targets.md shows this table; a key's default is that of its model's field.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Container
from dataclasses import dataclass
from typing import Any, TypeAlias

from .bit_serial import BitSerialTarget
from .roofline import RooflineTarget
from .systolic import SystolicTarget
from .table import TableTarget
from .target_curves import CURVES
from .target_values import ARRAY, BITS, COUNT, FLAG, KINDS, SHARE, TEXT, Form, numbers, quantity_form, words
from .units import BANDWIDTH, FREQUENCY, OPS, SIZE, TIME

SCHEMA = "autosplitc-target/1"

ModelClass: TypeAlias = "type[SystolicTarget] | type[RooflineTarget] | type[BitSerialTarget] | type[TableTarget]"

MODELS: dict[str, ModelClass] = {
    "systolic": SystolicTarget,
    "roofline": RooflineTarget,
    "bit-serial": BitSerialTarget,
    "table": TableTarget,
}

_ALL = tuple(MODELS)
_ARRAYS = ("systolic", "bit-serial")
_WITH_MEMORY = ("systolic", "roofline", "bit-serial")


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a target file.

    path: with the tables around it, `memory.ram`. example: a value of it, as TOML. fields: those of the model's class that it sets.
    models: those that have the key. instead: a key that may stand in its place. needed: always, whatever the fields' defaults.
    """

    path: str
    form: Form
    example: str
    meaning: str
    fields: tuple[str, ...] = ()
    models: tuple[str, ...] = _ALL
    instead: str = ""
    needed: bool = False

    @property
    def parts(self) -> tuple[str, ...]:
        """The path's parts."""
        return tuple(self.path.split("."))

    def defaults(self, model: str) -> tuple[Any, ...] | None:
        """Return the defaults of its fields in a model; None where one has none, so that the key is needed."""
        by_name = {f.name: f.default for f in dataclasses.fields(MODELS[model])}
        found = tuple(by_name[field] for field in self.fields)
        return None if self.needed or dataclasses.MISSING in found else found


_SIZE, _BANDWIDTH, _RATE, _TIME = quantity_form(SIZE, whole=True), quantity_form(BANDWIDTH), quantity_form(OPS), quantity_form(TIME)

KEYS = (
    Key("schema", words(SCHEMA), f'"{SCHEMA}"', "the version of this format", needed=True),
    Key("name", TEXT, '"acme-npu"', "short name of the target", ("name",)),
    Key("model", words(*MODELS), '"systolic"', "how costs are computed; it decides which keys there are", needed=True),
    Key("source", TEXT, '"ACME TRM r1p2 s4.1"', "where the figures come from", ("source",)),
    Key("weight_bits", BITS, "[4, 8]", "bit-widths that weights may have", ("weight_bits",)),
    Key("act_bits", BITS, "[8]", "bit-widths that activations may have", ("act_bits",)),
    Key("float_bits", numbers(16, 32, 64), "32", "bits of the device's float", ("float_bits",)),
    Key(
        "resident",
        words("packed", "int8", "storage"),
        '"int8"',
        "how codes below 8 bits lie in memory: packed or as bytes; `storage`: as bytes, and constants stay in the storage",
        ("resident",),
    ),
    Key("max_opset", COUNT, "21", "highest opset that the device's runtime takes", ("max_opset",)),
    Key(
        "unsupported",
        KINDS,
        '["lstm"]',
        "kinds of ops that cannot run here; `conv` and `onnx.Conv` mean the same",
        ("unsupported",),
    ),
    Key("memory.ram", _SIZE, '"4MiB"', "memory for weights and working set", ("ram_bytes",)),
    Key("memory.storage", _SIZE, '"16MiB"', "flash or disk for the model file; no limit without it", ("storage_bytes",)),
    Key("memory.bandwidth", _BANDWIDTH, '"1GB/s"', "rate of the off-chip memory", ("bandwidth_bytes_per_s",), _WITH_MEMORY),
    Key("memory.overlap", FLAG, "true", "whether transfers hide behind compute", ("overlap",), _WITH_MEMORY),
    Key("memory.buffers.input", _SIZE, '"108KiB"', "on-chip buffer for inputs", ("input_buffer_bytes",), _ARRAYS),
    Key("memory.buffers.weight", _SIZE, '"108KiB"', "on-chip buffer for weights", ("weight_buffer_bytes",), _ARRAYS),
    Key("memory.buffers.output", _SIZE, '"108KiB"', "on-chip buffer for results and partial sums", ("output_buffer_bytes",), _ARRAYS),
    Key("compute.array", ARRAY, "[12, 14]", "rows and columns of the array", ("rows", "cols"), _ARRAYS),
    Key("compute.dataflow", words("os", "ws", "is"), '"ws"', "what stays in the array: sums, weights or inputs", ("dataflow",), _ARRAYS),
    Key("compute.cycles", words("scalesim-v1", "scalesim-v3"), '"scalesim-v1"', "whose cycles are counted", ("cycles",), _ARRAYS),
    Key("compute.clock", quantity_form(FREQUENCY), '"200MHz"', "cycles a second", ("clock_hz",), _ARRAYS, instead="compute.peak"),
    Key(
        "compute.peak",
        _RATE,
        '"34GOPS"',
        "in place of the clock: the rate at 8 x 8 bits of the whole array, from which the clock follows",
        (),
        _ARRAYS,
    ),
    Key("compute.peak.float", _RATE, '"48GOPS"', "peak rate where an operand is float", ("float_ops_per_s",), ("roofline",)),
    Key("compute.peak.int8", _RATE, '"96GOPS"', "peak rate for codes of up to 8 bits", ("int8_ops_per_s",), ("roofline",)),
    Key(
        "compute.peak.int4",
        _RATE,
        '"192GOPS"',
        "peak rate where both operands have at most 4 bits; that of `int8` without it",
        ("int4_ops_per_s",),
        ("roofline",),
    ),
    Key("compute.ops_per_mac", COUNT, "2", "operations that a peak counts a multiply-accumulate as", ("ops_per_mac",), _WITH_MEMORY),
    Key("compute.efficiency", SHARE, "0.6", "share of the peaks that real code reaches", ("efficiency",), ("roofline",)),
    Key(
        "compute.depthwise",
        words("per-channel", "block-diagonal"),
        '"per-channel"',
        "how grouped convolutions are mapped",
        ("depthwise",),
        _ARRAYS,
    ),
    Key("compute.float_passes", COUNT, "2", "passes that a product with a float operand takes", ("float_passes",), _ARRAYS),
    Key("compute.accumulator_bits", COUNT, "32", "bits of a partial sum", ("accumulator_bits",), _ARRAYS),
    Key("compute.mode", words("serial", "fused"), '"serial"', "bits one after the other, or units that split", ("mode",), ("bit-serial",)),
    Key("compute.weight_step", COUNT, "1", "bits of a weight in one step, or of a brick", ("weight_step_bits",), ("bit-serial",)),
    Key("compute.input_step", COUNT, "1", "bits of an input in one step, or of a brick", ("input_step_bits",), ("bit-serial",)),
    Key("compute.lanes", COUNT, "16", "products that a unit sums side by side", ("lanes",), ("bit-serial",)),
    Key("compute.vector", _BANDWIDTH, '"2GB/s"', "rate of the vector unit: pool, add, concat", ("vector_bytes_per_s",), _WITH_MEMORY),
    Key("compute.per_op", _TIME, '"5us"', "fixed cost of starting an op", ("per_op_s",)),
    Key("compute.ops", CURVES, "[[compute.ops]]", "times by kind of op; see below", ("curves",), ("table",)),
)

SOURCES = "sources"
"""The table with the source of single figures: the dotted key, quoted, and a text."""


def keys_of(model: str) -> tuple[Key, ...]:
    """Return the keys of a model."""
    return tuple(key for key in KEYS if model in key.models)


def homes_of(last: str, model: str) -> tuple[str, ...]:
    """Return the tables in which a model has a key of this name."""
    return tuple(key.path.rpartition(".")[0] for key in KEYS if model in key.models and key.parts[-1] == last)


def keys_behind(kind: type, fields: Container[str]) -> dict[str, bool]:
    """Return the keys that set one of the fields of a model's class, and (false) those that could have stood in their place."""
    model = next((name for name, cls in MODELS.items() if cls is kind), "")
    found: dict[str, bool] = {}
    for key in keys_of(model):
        if any(field in fields for field in key.fields if field not in ("name", "source")):
            found[key.path] = True
            if key.instead:
                found[key.instead] = False
    return found
