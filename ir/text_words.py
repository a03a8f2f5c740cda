"""Words of the text form: how names, strings, numbers and types are spelled, and read back."""

from __future__ import annotations

import functools
import json
import math
import re

from .types import DType, TensorType

RESERVED = frozenset({"blob", "false", "graph", "inf", "nan", "null", "true"})
"""Strings that stand in quotes although they look like words."""

_ELEMENTS = frozenset(dtype.value for dtype in DType)
_NAME = re.compile(r"[A-Za-z0-9_.]+")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_SYMBOL = re.compile(r"(?:[0-9]+\*)?[A-Za-z_][A-Za-z0-9_.]*")
_TYPE = re.compile(r"((?:[a-z0-9_.]+<)*)([a-z0-9]+)\[(.*)\](>*)")
_DIM = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[^",\s]+)\s*(,|$)')


def quote(text: str) -> str:
    """Return a JSON string; characters that do not show (control, format, separators, surrogates) are written as escapes."""
    return escape(json.dumps(text, ensure_ascii=False))


def escape(quoted: str) -> str:
    """Return JSON text with the characters that do not show as escapes."""
    if quoted.isprintable():
        return quoted
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in quoted)


def unquote(text: str) -> str:
    """Return what a quoted string spells. Raises ValueError where an escape is none of JSON's."""
    if "\\" not in text:
        return text[1:-1]
    return str(json.loads(text, strict=False))


def name_text(name: str) -> str:
    """Return a name of letters, digits, `_` and `.` as it is, any other in quotes."""
    return name if _NAME.fullmatch(name) else quote(name)


def name_of(text: str) -> str:
    """Return the name that `%x`, `@x`, `%"any text"` or `_` (absent) spells."""
    if text == "_":
        return ""
    return unquote(text[1:]) if text[1] == '"' else text[1:]


def word_text(text: str) -> str:
    """Return a string as a bare word where it looks like one and is not reserved, else in quotes."""
    return text if _WORD.fullmatch(text) and text not in RESERVED else quote(text)


def word_of(text: str) -> str:
    """Return the string that a bare word or a quoted string spells."""
    return unquote(text) if text.startswith('"') else text


def number_of(text: str) -> int | float:
    """Return an int or a float. nan is always `math.nan`, so that equal texts give equal values. Raises ValueError for neither."""
    try:
        return int(text)
    except ValueError:
        value = float(text)
        return math.nan if math.isnan(value) else value


@functools.lru_cache(maxsize=4096)
def type_text(type_: TensorType) -> str:
    """Return a type such as `f32[N, 3, ?]`, `f32[*]` (rank unknown), `f32["N + 1"]` or `seq<f32[*]>`."""
    dims = "*" if type_.shape is None else ", ".join(_dim_text(d) for d in type_.shape)
    opened = "".join(f"{word}<" for word in type_.wraps)
    return f"{opened}{type_.dtype.value}[{dims}]{'>' * len(type_.wraps)}"


def _dim_text(dim: int | str | None) -> str:
    if dim is None:
        return "?"
    if isinstance(dim, int):
        return str(int(dim))
    return dim if _SYMBOL.fullmatch(dim) else quote(dim)


@functools.lru_cache(maxsize=4096)
def type_of(text: str) -> TensorType:
    """Return the type that a text spells. Raises ValueError for an unknown element type or a size that is none."""
    found = _TYPE.fullmatch(text)
    if found is None:
        raise ValueError(f"not a type: {text}")
    opened, element, inside, closed = found.groups()
    wraps = tuple(opened.split("<")[:-1])
    if len(wraps) != len(closed):
        raise ValueError(f"'<' and '>' do not pair: {text}")
    if element not in _ELEMENTS:
        raise ValueError(f"unknown element type {element!r}")
    return TensorType(DType(element), None if inside.strip() == "*" else _dims_of(inside), wraps)


def _dims_of(inside: str) -> tuple[int | str | None, ...]:
    dims: list[int | str | None] = []
    position = 0
    while position < len(inside.rstrip()):
        found = _DIM.match(inside, position)
        if found is None:
            raise ValueError(f"not a shape: [{inside}]")
        dims.append(_dim_of(found.group(1)))
        position = found.end()
    return tuple(dims)


def _dim_of(text: str) -> int | str | None:
    if text == "?":
        return None
    if text.startswith('"'):
        return unquote(text)
    if _SYMBOL.fullmatch(text):
        return text
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"not a size: {text}") from None
