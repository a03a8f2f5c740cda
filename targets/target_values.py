"""Values in a target file: the forms that they have, and what is wrong with one that is of another form."""

from __future__ import annotations

import difflib
import json
import math
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from autosplitc.ir import KIND_BY_OP_TYPE

from .target import BIT_ROWS
from .toml_places import Path
from .units import Quantity, QuantityError, UnitError, read_quantity

UNKNOWN_KEY = "AS432"
MISSING_KEY = "AS433"
WRONG_VALUE = "AS434"
WRONG_QUANTITY = "AS435"
HOLE = "AS437"

_MOST = 10**9
_LOOKS_LIKE_BASE_UNITS = 10_000


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a value. within: the part of it that is meant; hint: "" for the example that the schema has."""

    code: str
    message: str
    hint: str = ""
    within: Path = ()


class BadValueError(ValueError):
    """A value that is not of its form."""

    def __init__(self, *problems: Problem) -> None:
        """Keep what is wrong with it."""
        self.problems = problems
        super().__init__("; ".join(p.message for p in problems))


@dataclass(frozen=True, slots=True)
class Form:
    """How a value is written. wanted: in words. read(value, key): returns what the field holds, or raises BadValueError."""

    wanted: str
    read: Callable[[object, str], Any]


def _form(wanted: str, of: Callable[[object], Any]) -> Form:
    """Return a form whose `of` returns None for a value that is not of it."""

    def read(value: object, key: str) -> Any:
        found = of(value)
        if found is None:
            raise BadValueError(Problem(WRONG_VALUE, f"{key} is {shown(value)}, not {wanted}"))
        return found

    return Form(wanted, read)


def quantity_form(quantity: Quantity, *, whole: bool = False) -> Form:
    """A text of a number and a unit: exact whole units where `whole`, else a float in base units."""
    wanted = f"a {quantity.name} with a unit"

    def read(value: object, key: str) -> Any:
        last = "" if key.endswith("]") else f'{key.rpartition(".")[2]} = '
        if isinstance(value, int | float) and not isinstance(value, bool):
            unit = next(iter(quantity.units)) if value >= _LOOKS_LIKE_BASE_UNITS else quantity.suggested
            raise BadValueError(Problem(WRONG_QUANTITY, f"{key} {value} has no unit", f'{last}"{value}{unit}"'))
        if not isinstance(value, str):
            raise BadValueError(Problem(WRONG_VALUE, f"{key} is {shown(value)}, not {wanted}"))
        try:
            exact = read_quantity(value, quantity, key)
        except QuantityError as error:
            hint = f'{last}"{error.meant}"' if error.meant else error.hint if isinstance(error, UnitError) else ""
            raise BadValueError(Problem(WRONG_QUANTITY, error.message, hint)) from None
        if whole and exact < 1:
            raise BadValueError(Problem(WRONG_QUANTITY, f"{key} {value!r} is less than 1{next(iter(quantity.units))}"))
        return int(exact) if whole else float(exact)

    return Form(wanted, read)


def words(*known: str) -> Form:
    """One word out of those known."""
    wanted = f"{'one of ' if known[1:] else ''}{', '.join(json.dumps(word) for word in known)}"

    def read(value: object, key: str) -> Any:
        if value in known:
            return value
        near = difflib.get_close_matches(str(value), known, n=1)
        hint = f'{key.rpartition(".")[2]} = "{near[0]}"' if near else ""
        raise BadValueError(Problem(WRONG_VALUE, f"{key} is {shown(value)}, not {wanted}", hint))

    return Form(wanted, read)


def numbers(*known: int) -> Form:
    """One whole number out of those known."""
    return _form(f"one of {', '.join(map(str, known))}", lambda v: v if is_int(v) and v in known else None)


def read_bits(value: object, key: str) -> tuple[int, ...]:
    """Bit-widths, ascending."""
    members = as_list(value)
    if members and all(is_int(v) and v in BIT_ROWS for v in members):
        bits = tuple(sorted({cast("int", v) for v in members}))
        if list(bits) == members:
            return bits
        raise BadValueError(Problem(WRONG_VALUE, f"{key} is {shown(value)}, not {BITS.wanted}", f"{key} = {list(bits)}"))
    raise BadValueError(Problem(WRONG_VALUE, f"{key} is {shown(value)}, not {BITS.wanted}"))


def read_kinds(value: object, key: str, more: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Kinds of ops, those of `more`, or ONNX op types with `onnx.` before them.

    An op type that has a kind stands for the kind too, and the other way round: a node of that type with unusual attributes stays verbatim.
    """
    members = as_list(value)
    if members is None:
        raise BadValueError(Problem(WRONG_VALUE, f"{key} is {shown(value)}, not {KINDS.wanted}"))
    found: dict[str, None] = {}
    problems: list[Problem] = []
    for index, member in enumerate(members):
        names = (member,) if isinstance(member, str) and member in more else _both_names(member) if isinstance(member, str) else ()
        found.update(dict.fromkeys(names))
        if not names:
            problems.append(_no_kind(member, f"{key}[{index}]", index, more))
    if problems:
        raise BadValueError(*problems)
    return tuple(found)


def _both_names(name: str) -> tuple[str, ...]:
    """Return the kind and the verbatim name of what a file calls by either; () where it is neither."""
    if name.startswith("onnx.") and name != "onnx.":
        kind = KIND_BY_OP_TYPE.get(name.removeprefix("onnx."))
        return (kind, name) if kind else (name,)
    op_types = [op_type for op_type, kind in KIND_BY_OP_TYPE.items() if kind == name]
    return (name, *(f"onnx.{op_type}" for op_type in op_types)) if op_types else ()


def _no_kind(member: object, name: str, index: int, more: tuple[str, ...]) -> Problem:
    known = sorted({*KIND_BY_OP_TYPE.values(), *more})
    spelled = {kind: kind for kind in known} | KIND_BY_OP_TYPE
    near = difflib.get_close_matches(str(member), spelled, n=1)
    hint = f'"{spelled[near[0]]}"' if near else f"kinds: {', '.join(known)}, or onnx.OPTYPE"
    return Problem(WRONG_VALUE, f"{name} is {shown(member)}, no kind of op", hint, (index,))


def _array(value: object) -> tuple[int, int] | None:
    members = as_list(value)
    return cast("tuple[int, int]", tuple(members)) if members and len(members) == 2 and all(_is_count(v) for v in members) else None


def is_int(value: object) -> bool:
    """Whether a value is a whole number; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    """Whether a value is a finite number."""
    return is_int(value) or (isinstance(value, float) and math.isfinite(value))


def as_list(value: object) -> list[object] | None:
    """Return an array's members, None for a value that is no array."""
    return cast("list[object]", value) if isinstance(value, list) else None


def as_table(value: object) -> Mapping[str, object] | None:
    """Return a table, None for a value that is none."""
    return cast("dict[str, object]", value) if isinstance(value, dict) else None


def shown(value: object, depth: int = 0) -> str:
    """Return a value as a message shows it: TOML where that is short. depth: arrays around it."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        if depth > 2:
            return "[...]"
        members = [shown(v, depth + 1) for v in cast("Sequence[object]", value)]
        return "an array of tables" if "a table" in members else f"[{', '.join(members[:8])}{', ...' if len(members) > 8 else ''}]"
    if isinstance(value, str):
        return json.dumps(value if len(value) <= 60 else f"{value[:60]}...", ensure_ascii=False)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _is_count(value: object) -> bool:
    return is_int(value) and 1 <= cast("int", value) <= _MOST


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip()) and not any(unicodedata.category(c) == "Cc" for c in value)


def spell(path: Iterable[str | int]) -> str:
    """Return a path as messages name it: `compute.ops[0].latency`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


TEXT = _form("a text on one line", lambda v: v if _is_text(v) else None)
FLAG = _form("true or false", lambda v: v if isinstance(v, bool) else None)
COUNT = _form("a whole number from 1 to 10^9", lambda v: v if _is_count(v) else None)
SHARE = _form("a number above 0, at most 1", lambda v: float(cast("float", v)) if is_number(v) and 0 < cast("float", v) <= 1 else None)
ARRAY = _form("[rows, columns], whole numbers above zero", _array)
BITS = Form("an array of bit-widths from 1 to 8, ascending", read_bits)
KINDS = Form("an array of kinds of ops", read_kinds)
