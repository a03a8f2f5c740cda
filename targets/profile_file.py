"""The profile of a device, as its JSON file holds it: what the ops of a model took there. docs/profile.md explains every field."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

from autosplitc.ir import CompileError, Diagnostic, did_you_mean

from .target import Residency
from .target_file import read_text

SCHEMA = "autosplitc-profile/1"
FLOAT = "float"
"""Context of a run in float; the others are the bits of the activations."""
SHOWN = 10
"""Problems of one file that are shown."""
HINT = "profile the device again: autosplitc profile MODEL --kit DIR"


@dataclass(frozen=True, slots=True)
class Run:
    """One way in which the whole model ran: in float, or with activations of so many bits (`context`). Times in seconds.

    median_s, spread_s: of the run, and its interquartile range. kernels_s: time in the ops' own code. overhead_per_op_s: what else the
    runtime takes, an op.
    """

    context: str
    median_s: float
    spread_s: float
    repeats: int
    kernels_s: float
    overhead_per_op_s: float


@dataclass(frozen=True, slots=True)
class Timing:
    """What an op took in runs of one context, in seconds: median and interquartile range, the runtime's overhead included."""

    context: str
    median_s: float
    spread_s: float


@dataclass(frozen=True, slots=True)
class ProfiledOp:
    """An op that was timed.

    work: its multiply-accumulates, else the larger of its input and result elements. segment: the op that ends its fused segment, "" for
    none.
    """

    name: str
    kind: str
    signature: str
    work: int
    segment: str
    times: tuple[Timing, ...]


@dataclass(frozen=True, slots=True)
class ProfiledWire:
    """What it takes to quantise and pack so many elements, and to unpack and dequantise them, in seconds.

    pack_codes_s: to pack them where they are codes already; None: that was not timed.
    """

    elements: int
    bits: int
    pack_s: float
    pack_spread_s: float
    unpack_s: float
    unpack_spread_s: float
    pack_codes_s: float | None = None
    pack_codes_spread_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What was measured on a device, and how.

    file: where it was read from. model, model_sha256: what was profiled. onnxruntime, numpy, python: versions on the device. processor,
    architecture, cores, system: the machine. threads, level, x64quantprecision, warmup, repeats: how it was run. ram_bytes,
    peak_rss_bytes: its memory, and the most that the runs took. Other fields as in `Target`.
    """

    name: str
    model: str
    model_sha256: str
    onnxruntime: str
    numpy: str
    python: str
    processor: str
    architecture: str
    cores: int
    system: str
    threads: int
    level: str
    x64quantprecision: bool
    warmup: int
    repeats: int
    ram_bytes: int
    peak_rss_bytes: int
    storage_bytes: int | None
    weight_bits: tuple[int, ...]
    act_bits: tuple[int, ...]
    float_bits: int
    resident: Residency
    max_opset: int
    runs: tuple[Run, ...]
    ops: tuple[ProfiledOp, ...]
    wires: tuple[ProfiledWire, ...]
    file: str = field(default="", compare=False)


def read_profile_file(path: Path) -> Profile:
    """Return what a profile holds.

    Raises CompileError: AS430 where the file cannot be read, AS440 where it is no JSON (with line and column), AS441 with everything in it
    that is no profile (with its JSON path).
    """
    content = _json(path)
    problems = tuple(_problems(content, path))
    if problems:
        more = f"{len(problems) - SHOWN} more in this file"
        rest = (Diagnostic("AS441", more, str(path), hint=HINT),) if len(problems) > SHOWN else ()
        raise CompileError((*problems[:SHOWN], *rest))
    return _profile(content, path)


def _json(path: Path) -> Any:
    text = read_text(path)
    try:
        return json.loads(text, parse_constant=str, parse_float=_number)
    except json.JSONDecodeError as error:
        where = f"{path}:{error.lineno}:{error.colno}"
        raise CompileError(Diagnostic("AS440", f"the profile is no JSON: {error.msg}", where, hint=HINT)) from error
    except (ValueError, RecursionError) as error:
        message = "the profile is no JSON that can be read: it is nested too deeply, or holds a number of too many digits"
        raise CompileError(Diagnostic("AS440", message, str(path), hint=HINT)) from error


def _number(text: str) -> float | str:
    """Return a number, or as it is spelled one that is not finite, which the schema then refuses as NaN and Infinity."""
    value = float(text)
    return value if math.isfinite(value) else text


def _problems(content: Any, path: Path) -> Iterator[Diagnostic]:
    """Yield what keeps JSON from being a profile."""
    given: Any = cast("dict[str, Any]", content).get("schema") if isinstance(content, dict) else None
    if given != SCHEMA:
        message = f"this is no profile: its schema is not {SCHEMA!r}" + (f" but {_short(json.dumps(given))}" if given is not None else "")
        yield Diagnostic("AS441", message, f"{path}: $.schema", hint=HINT)
        return
    errors = sorted(
        _validator().iter_errors(content), key=lambda e: ([str(p).zfill(9) if isinstance(p, int) else p for p in e.path], e.message)
    )
    for error in errors:
        place = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in error.path)
        for message, hint in _messages(error):
            yield Diagnostic("AS441", message, f"{path}: ${place}", hint=hint or HINT)
    if not errors:
        yield from _contexts(content, path)


def _messages(error: Any) -> Iterator[tuple[str, str]]:
    """Yield message and hint for what a JSON Schema error says; a missing or unknown field each has one of its own."""
    value, rule = error.instance, error.validator_value
    if error.validator == "required":
        yield from ((f"field {name!r} is missing", "") for name in rule if name not in value and f"'{name}'" in error.message)
    elif error.validator == "additionalProperties":
        known = error.schema["properties"]
        yield from ((f"unknown field {name!r}", did_you_mean(name, known)) for name in sorted(set(value) - set(known)))
    elif error.validator == "minItems":
        yield "nothing was measured: the list is empty", ""
    elif error.validator == "type":
        wanted = [rule] if isinstance(rule, str) else rule
        yield f"it must be {' or '.join(_TYPES[word] for word in wanted)}, not {_short(json.dumps(value))}", ""
    elif error.validator == "enum":
        yield f"it must be one of {', '.join(map(json.dumps, rule))}, not {_short(json.dumps(value))}", ""
    else:
        yield f"it must {_RULES[error.validator].format(rule)}, not {_short(json.dumps(value))}", ""


_TYPES = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "null": "null",
    "number": "a number",
    "object": "an object",
    "string": "a text",
}
_RULES = {
    "exclusiveMinimum": "be above {}",
    "maximum": "be at most {}",
    "minimum": "be at least {}",
    "minLength": "have {} character or more",
    "pattern": "look like {}",
    "uniqueItems": "hold each member once",
}
"""How the schema's types and rules read in a message."""


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


def _contexts(content: Any, path: Path) -> Iterator[Diagnostic]:
    """Yield what a schema cannot say: a context has one run, float among them, and no op has times of another."""
    counts = Counter(run["context"] for run in content["runs"])
    for context, count in counts.items():
        if count > 1:
            yield Diagnostic("AS441", f"there are {count} runs of context {context!r}", f"{path}: $.runs", hint=HINT)
    if FLOAT not in counts:
        yield Diagnostic("AS441", "there is no run in float", f"{path}: $.runs", hint=HINT)
    for i, op in enumerate(content["ops"]):
        for context in op["times"]:
            if context not in counts:
                yield Diagnostic("AS441", f"there is no run of context {context!r}", f"{path}: $.ops[{i}].times.{context}", hint=HINT)


@cache
def _validator() -> Any:
    import jsonschema

    schema = json.loads(files("autosplitc.targets").joinpath("profile.schema.json").read_text(encoding="utf-8"))
    return jsonschema.Draft202012Validator(schema)


def _profile(content: Mapping[str, Any], path: Path) -> Profile:
    model, runtime, machine, settings = content["model"], content["runtime"], content["machine"], content["settings"]
    memory, limits = content["memory"], content["limits"]
    storage = limits["storage_bytes"]
    return Profile(
        name=content["name"],
        model=model["name"],
        model_sha256=model["sha256"],
        onnxruntime=runtime["onnxruntime"],
        numpy=runtime["numpy"],
        python=runtime["python"],
        processor=machine["processor"],
        architecture=machine["architecture"],
        cores=int(machine["cores"]),
        system=machine["system"],
        threads=int(settings["threads"]),
        level=settings["level"],
        x64quantprecision=settings["x64quantprecision"],
        warmup=int(settings["warmup"]),
        repeats=int(settings["repeats"]),
        ram_bytes=int(memory["ram_bytes"]),
        peak_rss_bytes=int(memory["peak_rss_bytes"]),
        storage_bytes=None if storage is None else int(storage),
        weight_bits=tuple(sorted(map(int, limits["weight_bits"]))),
        act_bits=tuple(sorted(map(int, limits["act_bits"]))),
        float_bits=int(limits["float_bits"]),
        resident=limits["resident"],
        max_opset=int(limits["max_opset"]),
        runs=tuple(map(_run, content["runs"])),
        ops=tuple(map(_op, content["ops"])),
        wires=tuple(map(_wire, content["wires"])),
        file=str(path),
    )


def _run(run: Mapping[str, Any]) -> Run:
    numbers = (float(run[key]) for key in ("kernels_s", "overhead_per_op_s"))
    return Run(run["context"], float(run["median_s"]), float(run["spread_s"]), int(run["repeats"]), *numbers)


def _op(op: Mapping[str, Any]) -> ProfiledOp:
    times = tuple(Timing(context, float(t["median_s"]), float(t["spread_s"])) for context, t in sorted(op["times"].items()))
    return ProfiledOp(op["op"], op["kind"], op["signature"], int(op["work"]), op["segment"], times)


def _wire(wire: Mapping[str, Any]) -> ProfiledWire:
    seconds = (float(wire[key]) for key in ("pack_s", "pack_spread_s", "unpack_s", "unpack_spread_s"))
    codes = (float(wire[key]) if key in wire else None for key in ("pack_codes_s", "pack_codes_spread_s"))
    return ProfiledWire(int(wire["elements"]), int(wire["bits"]), *seconds, *codes)
