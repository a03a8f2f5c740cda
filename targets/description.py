"""A target's figures as text, each with its unit and where it comes from: what `autosplitc targets show` prints."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

from .options import option_fields, quantity_of
from .target import Target
from .target_schema import KEYS, MODELS, Key
from .units import OPS, format_quantity

_MEMBERS = ("weight_bits", "act_bits", "float_bits", "ram_bytes", "storage_bytes", "resident", "max_opset")


@dataclass(frozen=True, slots=True)
class Line:
    """One figure: the key of a target file, an option or a member; its value as text; its source ("" where that is the target's own)."""

    field: str
    value: str
    source: str = ""


def description(target: Target) -> tuple[Line, ...]:
    """Return all figures of a target: by the keys of target files for a model of ours, else by its options, else its members."""
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
    peak = getattr(held, "peak_ops_per_s", None)
    if peak is not None:
        yield Line("(peak)", format_quantity(float(f"{peak:.4g}"), OPS), "array x clock x operations a multiply-accumulate")


def _key_text(key: Key, target: object) -> str:
    values = [value_text(field, getattr(target, field)) for field in key.fields]
    return " x ".join(values)


def _source(sources: dict[str, str], path: str) -> str:
    """Return the source of a key, or of the nearest table around it."""
    parts = path.split(".")
    near = (".".join(parts[:n]) for n in range(len(parts), 0, -1))
    return next((sources[name] for name in near if name in sources), "")

