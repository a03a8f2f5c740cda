"""Options of passes: the fields of their dataclasses, read from text and printed back.

A field `time_limit_s: float = 60.0` is the option `time-limit-s`; its annotation says what may be written: a number, `true` or `false`, a
word or a quoted text, several of them with commas between (`bits=2,4,8`), and `none` where the annotation allows it.
"""

from __future__ import annotations

import dataclasses
import json
import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

from autosplitc.passes import Pass

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+.:/%*^$|()[]\\?@")
"""Characters of a text that needs no quotes in a pipeline text."""


@dataclass(frozen=True, slots=True)
class OptionField:
    """An option of a pass: the dataclass field behind it, its resolved annotation and its default."""

    field: str
    annotation: Any
    default: object


def option_fields(cls: type[Pass]) -> Mapping[str, OptionField]:
    """Return the options of a pass by their kebab-case names, in the order of its fields."""
    hints = get_type_hints(cls)
    return {f.name.replace("_", "-"): OptionField(f.name, hints[f.name], _default(f)) for f in dataclasses.fields(cls)}


def parse_value(text: str, annotation: Any) -> object:
    """Return the value that `text` writes. Raises ValueError, saying what was expected, where it writes none."""
    if _is_union(annotation):
        return _parse_union(text, annotation)
    if get_origin(annotation) is tuple:
        element = get_args(annotation)[0]
        return tuple(parse_value(part.strip(), element) for part in text.split(",")) if text else ()
    if annotation is bool:
        if text not in ("true", "false"):
            raise ValueError("expected true or false")
        return text == "true"
    if annotation is int or annotation is float:
        try:
            return annotation(text)
        except ValueError:
            raise ValueError(f"expected {describe(annotation)}") from None
    if annotation is str:
        return text
    if annotation is type(None) and text == "none":
        return None
    raise ValueError(f"expected {describe(annotation)}")


def describe(annotation: Any) -> str:
    """Return what an annotation allows, in words."""
    if _is_union(annotation):
        return " or ".join(describe(part) for part in get_args(annotation))
    if get_origin(annotation) is tuple:
        return f"a list such as {'1,2' if get_args(annotation)[0] is int else 'a,b'}"
    return {int: "an integer", float: "a number", bool: "true or false", str: "a text"}.get(annotation, "none")


def print_value(value: object) -> str:
    """Return the text of a value, such that `parse_value` gives it back."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "none"
    if isinstance(value, tuple):
        return ",".join(str(part) for part in cast("tuple[object, ...]", value))
    return str(value)


def quoted(text: str) -> str:
    """Return a value's text as it stands in a pipeline text: with quotes where it needs them."""
    return text if text and all(c in _PLAIN or c == "," for c in text) else json.dumps(text)


def print_pass(pass_: Pass) -> str:
    """Return a pass as pipeline text: its name and every option that differs from its default."""
    changed = [
        f"{name}={quoted(print_value(value))}"
        for name, option in option_fields(type(pass_)).items()
        if (value := getattr(pass_, option.field)) != option.default
    ]
    return pass_.name + (f"{{{' '.join(changed)}}}" if changed else "")


def _parse_union(text: str, annotation: Any) -> object:
    for part in get_args(annotation):
        if part is type(None) and text == "none":
            return None
    for part in get_args(annotation):
        if part is not type(None):
            try:
                return parse_value(text, part)
            except ValueError:
                continue
    raise ValueError(f"expected {describe(annotation)}")


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, types.UnionType)


def _default(field: dataclasses.Field[Any]) -> object:
    if field.default is not dataclasses.MISSING:
        return field.default
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return dataclasses.MISSING
