"""Options of a target: `eyeriss:rows=16,clock=250MHz`.

Every field of a target that is a dataclass is an option, except its name and source and what has a structure (curves, sources). The option
is called like the field, with `-` for `_` and without the unit at the end, which stands in the value instead:

| field ends in | value |
| --- | --- |
| `_bytes` | size: `8MB`, `64KiB` |
| `_bytes_per_s` | bandwidth: `2GB/s` |
| `_ops_per_s` | rate of operations: `96GOPS`; the option keeps `-ops` |
| `_hz` | frequency: `250MHz` |
| `_bps` | rate: `3mbps` |
| `_s` | time: `5us` |

Others take a whole number (`rows=16`), a number, a word out of those allowed (`dataflow=os`), `true` or `false` (`overlap=true`), or
several whole numbers or words with `/` between them (`weight-bits=4/8`). A field that may be None takes `none` too.
"""

from __future__ import annotations

import dataclasses
import re
import types
from collections.abc import Callable, Container, Mapping
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from autosplitc.ir import EXIT_USAGE, CompileError, Diagnostic, did_you_mean

from .checks import check_target, target_problems
from .target import Target
from .units import BANDWIDTH, FREQUENCY, OPS, RATE, SIZE, TIME, Quantity, parse_quantity

_SUFFIXES: dict[str, Quantity] = {
    "_bytes_per_s": BANDWIDTH,
    "_ops_per_s": OPS,
    "_bytes": SIZE,
    "_hz": FREQUENCY,
    "_bps": RATE,
    "_s": TIME,
}
FROM_OPTION = "given as an option"
"""The source of a figure that an option sets."""

_NOT_OPTIONS = ("name", "source")
_NUMBER = re.compile(r"[+-]?[0-9]{1,20}(\.[0-9]{1,20})?")


def option_fields(target: Target) -> Mapping[str, str]:
    """Return the field behind each option; none where the target is not a dataclass."""
    return _options_of(type(target)) if dataclasses.is_dataclass(target) else {}


def with_options(target: Target, text: str, spelled: str, name: str = "") -> Target:
    """Return the target with the options of `text`, as `spelled` on the command line; it is then called `name`, or what is spelled.

    Raises CompileError (AS414 or AS402, exit 2) for an unknown option, a value of the wrong form, or values that the target refuses.
    """
    if not dataclasses.is_dataclass(target):
        raise option_error(f"target {target.name!r} takes no options", spelled, target.name)
    changes = read_options(type(target), text, spelled, target.name)
    if any(f.name == "name" for f in dataclasses.fields(target)):
        changes["name"] = name or spelled
    sourced = _sources_after(target, changes)
    return build(lambda: dataclasses.replace(target, **changes, **sourced), spelled, target.name)


def _sources_after(target: Target, changed: Container[str]) -> dict[str, Any]:
    """Return the field `sources` where options change figures that it may speak of, {} for a target that is none of our models."""
    from .target_schema import keys_behind

    given = keys_behind(type(target), changed)
    if not given:
        return {}
    kept = (pair for pair in cast("Any", target).sources if pair[0] not in given)
    return {"sources": (*kept, *((key, FROM_OPTION) for key, is_set in given.items() if is_set))}


def read_options(kind: type, text: str, spelled: str, name: str) -> dict[str, Any]:
    """Return the fields of a target's class that options set, with their values. `name` is what messages call the target.

    Raises CompileError (AS414 or AS402, exit 2).
    """
    known, hints = _options_of(kind), _hints(kind)
    changes: dict[str, Any] = {}
    for setting in text.split(","):
        option, equals, value = (part.strip() for part in setting.partition("="))
        field = known.get(option.replace("_", "-"))
        if field is None:
            raise option_error(f"target {name!r} has no option {option!r}", spelled, did_you_mean(option, known))
        if not equals or not value:
            raise option_error(f"option {option!r} needs a value", spelled, f"{option}=VALUE")
        if field in changes:
            raise option_error(f"option {option!r} is given twice", spelled, "give it once")
        changes[field] = _value(value, field, option, hints.get(field), spelled)
    return changes


def build(make: Callable[[], object], spelled: str, name: str) -> Target:
    """Return the target that `make` returns. Raises CompileError (AS414, exit 2) where its class refuses the values, or it is no target."""
    try:
        made = make()
        problems = target_problems(made)
    except (ValueError, TypeError, ArithmeticError) as error:
        problems = (str(error),)
        made = None
    if problems:
        raise option_error(f"target {name!r} refuses these options: {'; '.join(problems)}", spelled, "")
    return check_target(made, f"target {spelled!r}")


def _options_of(kind: type) -> Mapping[str, str]:
    """Return the field behind each option of a class."""
    hints = _hints(kind)
    fields = (f.name for f in dataclasses.fields(kind) if f.init and f.name not in _NOT_OPTIONS)
    return {_option_name(field): field for field in fields if _is_plain(hints.get(field))}


def _is_plain(hint: Any) -> bool:
    """Whether values of a type can be written as an option: a word, a number, a switch, or several of them; an unknown type can."""
    kinds = [k for k in _members(hint) if k is not type(None)]
    kind = get_args(kinds[0])[0] if kinds and get_origin(kinds[0]) is tuple else kinds[0] if kinds else None
    return kind in (None, Any, int, float, str, bool) or get_origin(kind) is Literal


def _members(hint: Any) -> tuple[Any, ...]:
    """Return the members of a union, or the type alone."""
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def quantity_of(field: str) -> Quantity | None:
    """Return the quantity that a field holds, by the unit at the end of its name; None for a plain number or word."""
    return _SUFFIXES.get(_suffix(field))


def _option_name(field: str) -> str:
    suffix = _suffix(field)
    return field.removesuffix("_per_s" if suffix == "_ops_per_s" else suffix).replace("_", "-")


def _suffix(field: str) -> str:
    """Return the unit at the end of a field's name, "" if there is none. `macs_per_s` is no time."""
    found = next((suffix for suffix in _SUFFIXES if field.endswith(suffix)), "")
    return "" if found == "_s" and field.endswith("_per_s") else found


def _hints(kind: type) -> Mapping[str, Any]:
    """Return the fields' types; none where they name what only a type checker sees."""
    try:
        return get_type_hints(kind)
    except NameError:
        return {}


def _value(text: str, field: str, option: str, hint: Any, spelled: str) -> Any:
    """Return the value of an option as its field's unit and type want it."""
    kinds = _members(hint)
    if type(None) in kinds and text == "none":
        return None
    kind = next((k for k in kinds if k is not type(None)), None)
    quantity = _SUFFIXES.get(_suffix(field))
    if quantity is not None:
        try:
            exact = parse_quantity(text, quantity, what=option)
        except CompileError as error:
            raise error.at(f"target {spelled!r}") from None
        return int(exact) if quantity is SIZE else float(exact)
    if get_origin(kind) is tuple:
        return tuple(_scalar(part.strip(), get_args(kind)[0], option, spelled) for part in text.split("/"))
    return _scalar(text, kind, option, spelled)


def _scalar(text: str, kind: Any, option: str, spelled: str) -> Any:
    if get_origin(kind) is Literal:
        words = [str(word) for word in get_args(kind)]
        if text not in words:
            raise option_error(f"option {option!r} cannot be {text!r}", spelled, did_you_mean(text, words))
        return text
    if kind is bool:
        if text not in ("true", "false"):
            raise option_error(f"option {option!r} cannot be {text!r}", spelled, f"{option}=true or {option}=false")
        return text == "true"
    if kind is str:
        return text
    number = _NUMBER.fullmatch(text)
    if number is None or (kind is int and number.group(1)):
        raise option_error(f"option {option!r} cannot be {text!r}", spelled, f"{option}=16")
    return float(text) if kind is float or number.group(1) else int(text)


def option_error(message: str, spelled: str, hint: str) -> CompileError:
    """Return the error for options that a target does not take (AS414, exit 2)."""
    return CompileError(Diagnostic("AS414", message, f"target {spelled!r}", hint=hint), exit_code=EXIT_USAGE)
