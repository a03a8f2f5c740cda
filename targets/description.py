"""A target's figures as text, each with its unit and where it comes from: what `autosplitc targets show` prints."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

from .bit_serial import BitSerialTarget
from .measured import MeasuredTarget
from .options import option_fields, quantity_of
from .profile_file import FLOAT, Profile
from .systolic import SystolicTarget
from .target import Target
from .target_schema import KEYS, MODELS, Key
from .units import OPS, TIME, format_quantity

_MEMBERS = ("weight_bits", "act_bits", "float_bits", "ram_bytes", "storage_bytes", "resident", "max_opset")


@dataclass(frozen=True, slots=True)
class Line:
    """One figure: the key of a target file, an option or a member; its value as text; its source ("" where that is the target's own)."""

    field: str
    value: str
    source: str = ""


def description(target: Target) -> tuple[Line, ...]:
    """Return all figures of a target: by the keys of target files for a model of ours, else by its options, else its members.

    Those of a profiled device are followed by what was measured.
    """
    if isinstance(target, MeasuredTarget):
        return (*_profile_lines(target), *_measured_lines(target.profile))
    model = next((name for name, cls in MODELS.items() if type(target) is cls), "")
    if model:
        return tuple(_file_lines(target, model))
    fields = option_fields(target) or {name: name for name in _MEMBERS}
    return tuple(Line(name, value_text(field, getattr(target, field))) for name, field in fields.items())


def value_text(field: str, value: object) -> str:
    """Return a field's value as text that options take: with its unit, lists with `/`, `none` for None."""
    quantity = quantity_of(field)
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if quantity is not None and isinstance(value, (int, float)):
        return format_quantity(value, quantity)
    if isinstance(value, tuple):
        return "/".join(map(str, cast("tuple[object, ...]", value))) or "none"
    return str(value)


def _file_lines(target: Target, model: str) -> Iterable[Line]:
    held: Any = target
    sources: dict[str, str] = dict(held.sources)
    yield Line("model", model)
    for key in KEYS:
        if model not in key.models or not key.fields or key.path in ("name", "source"):
            continue
        if key.path == "compute.ops":
            yield from (Line(key.path, f"{'/'.join(curve.kinds)}: {len(curve.work)} points") for curve in held.curves)
            continue
        yield Line(key.path, _key_text(key, held), _source(sources, key.path))
    if isinstance(target, (SystolicTarget, BitSerialTarget)):
        peak = format_quantity(float(f"{target.peak_ops_per_s:.4g}"), OPS)
        yield Line("(peak)", peak, "array x clock x operations a multiply-accumulate, at 8 bits")


def _profile_lines(target: MeasuredTarget) -> Iterable[Line]:
    """Yield the options of a profiled device; those that the profile holds too come from there, or from the command line."""
    for name, field in option_fields(target).items():
        value = getattr(target, field)
        source = ("the profile" if value == getattr(target.profile, field) else "an option") if hasattr(target.profile, field) else ""
        yield Line(name, value_text(field, value), source)


def _measured_lines(profile: Profile) -> Iterable[Line]:
    yield Line("(model)", profile.model, f"sha256 {profile.model_sha256}")
    for run in profile.runs:
        how = "in float" if run.context == FLOAT else f"at {run.context} bits"
        took = f"median of {run.repeats}, interquartile range {_rounded(run.spread_s)}"
        yield Line(f"(run {how})", _rounded(run.median_s), took)
    fused = sum(op.segment != "" for op in profile.ops)
    yield Line("(ops)", f"{len(profile.ops)} timed, {fused} of them fused with another")
    yield Line("(wire)", f"{len({(wire.elements, wire.bits) for wire in profile.wires})} sizes and widths timed")


def _rounded(seconds: float) -> str:
    return format_quantity(float(f"{seconds:.4g}"), TIME)


def _key_text(key: Key, target: object) -> str:
    values = [value_text(field, getattr(target, field)) for field in key.fields]
    return " x ".join(values)


def _source(sources: dict[str, str], path: str) -> str:
    """Return the source of a key, or of the nearest table around it."""
    parts = path.split(".")
    near = (".".join(parts[:n]) for n in range(len(parts), 0, -1))
    return next((sources[name] for name in near if name in sources), "")
