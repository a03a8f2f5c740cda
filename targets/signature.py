"""Signature of an op: what tells, across runs and machines, that two ops take the same time."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any, cast

from autosplitc.ir import ACT_GAIN, ACT_LIFT, TensorType

from .target import OpView

DIGITS = 32
"""Hex digits of a signature."""


def signature(op: OpView) -> str:
    """Return the signature of an op: 32 hex digits, the same for equal views in every process and on every machine.

    It is the beginning of the sha256 of kind, attributes (sub-graphs and arrays included), types of inputs and results, and which inputs
    are constants. Factors of channels around an activation are left out: calibration data decides on them, and a profile holds for any.
    Raises TypeError for an attribute of a type that the IR does not have.
    """
    attrs = op.attrs.with_(**{ACT_GAIN: None, ACT_LIFT: None})
    parts = (op.kind, attrs, tuple(map(_type_text, op.inputs)), tuple(map(_type_text, op.results)), op.constant)
    return sha256(_text(parts).encode()).hexdigest()[:DIGITS]


def _text(value: Any) -> str:
    """Return a text that is the same for equal values: numbers that compare equal (1 and 1.0) are spelled alike."""
    if value is None:
        return "null"
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, bytes):
        return f"hex{value.hex()}"
    if isinstance(value, float) and not value.is_integer():
        return float.__repr__(value)
    if isinstance(value, int | float):
        return str(int(value))
    if isinstance(value, tuple):
        return f"[{','.join(map(_text, cast('tuple[Any, ...]', value)))}]"
    if is_dataclass(value):
        parts: tuple[Any, ...] = tuple(getattr(value, f.name) for f in fields(value) if f.compare)
        return f"{type(value).__name__}{_text(parts)}"
    raise TypeError(f"no signature for {value!r}")


@lru_cache(maxsize=4096)
def _type_text(type_: TensorType) -> str:
    return _text(type_)
