"""The `[[compute.ops]]` tables of a target file: curves of seconds over work."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any, cast

from autosplitc.ir import did_you_mean

from .curve import ANY_KIND, FLOAT_COLUMN, Curve
from .target import BIT_ROWS
from .target_values import (
    HOLE,
    MISSING_KEY,
    UNKNOWN_KEY,
    WRONG_VALUE,
    BadValueError,
    Form,
    Problem,
    as_list,
    as_table,
    is_number,
    quantity_form,
    read_kinds,
    shown,
)
from .units import TIME

_EXAMPLES = {"kinds": '["conv"]', "work": "[1e6, 1e8]", "latency": '{ float = ["2ms", "90ms"], 8 = ["1ms", "40ms"] }'}
_WIRE = ("pack", "unpack")
"""Kinds of what it takes to put a value on the wire and off it again."""
_COLUMNS = (FLOAT_COLUMN, *map(str, BIT_ROWS))


def _read_curves(value: object, key: str) -> tuple[Curve, ...]:
    """Return the curves. Raises BadValueError with all that is wrong with them."""
    tables = [as_table(member) for member in as_list(value) or [None]]
    if None in tables:
        raise BadValueError(Problem(WRONG_VALUE, f"{key} is {shown(value)}, not {CURVES.wanted}", f"[[{key}]]"))
    curves: list[Curve] = []
    problems: list[Problem] = []
    for index, table in enumerate(tables):
        try:
            curves.append(_read_curve(table or {}, f"{key}[{index}]", index))
        except BadValueError as error:
            problems.extend(error.problems)
    problems.extend(_twice(curves, key) if not problems else ())
    if not problems and not any(ANY_KIND in curve.kinds for curve in curves):
        message = f'{key} has no curve of kinds ["{ANY_KIND}"], for ops that no other curve names'
        problems.append(Problem(HOLE, message, f'[[{key}]] with kinds = ["{ANY_KIND}"]'))
    if problems:
        raise BadValueError(*problems)
    return tuple(curves)


def _twice(curves: Iterable[Curve], key: str) -> Iterator[Problem]:
    """Yield a problem for each kind that an earlier curve names too."""
    first: dict[str, int] = {}
    for index, curve in enumerate(curves):
        for kind in curve.kinds:
            if kind in first and not kind.startswith("onnx."):
                message = f"{key}[{index}].kinds names {kind!r}, which {key}[{first[kind]}] names too"
                yield Problem(WRONG_VALUE, message, "name it in one of the two", (index, "kinds"))
            first.setdefault(kind, index)


def column_holes(curves: Iterable[Curve], key: str, widths: Iterable[int]) -> tuple[Problem, ...]:
    """Return a problem for each curve that lacks the column of a width or of float."""
    wanted = (FLOAT_COLUMN, *map(str, sorted(set(widths))))
    found: list[Problem] = []
    for index, curve in enumerate(curves):
        lacking = [column for column in wanted if column not in curve.seconds]
        if lacking:
            several = "columns" if len(lacking) > 1 else "column"
            message = f"{key}[{index}].latency has no {several} {', '.join(lacking)}, which the target's bit-widths need"
            hint = ", ".join(f"{column} = {_times(len(curve.work))}" for column in lacking)
            found.append(Problem(HOLE, message, hint, (index, "latency")))
    return tuple(found)


def _read_curve(table: Mapping[str, object], name: str, index: int) -> Curve:
    unknown = [key for key in table if key not in _EXAMPLES]
    meant = {near for key in unknown for near in difflib.get_close_matches(key, _EXAMPLES, n=1)}
    missing = [key for key in _EXAMPLES if key not in table and key not in meant]
    problems = [Problem(UNKNOWN_KEY, f"unknown key {key!r} in {name}", did_you_mean(key, _EXAMPLES), (index, key)) for key in unknown]
    problems += [Problem(MISSING_KEY, f"{name} has no {key!r}", f"{key} = {_EXAMPLES[key]}", (index,)) for key in missing]
    parts: dict[str, Any] = {}
    for key, read in (("kinds", _read_kinds), ("work", _read_work), ("latency", _read_latency)):
        try:
            parts[key] = read(table[key], f"{name}.{key}") if key in table else None
        except BadValueError as error:
            problems.extend(replace(problem, within=(index, key, *problem.within)) for problem in error.problems)
    if not problems:
        wrong_lengths = ((column, times) for column, times in parts["latency"].items() if len(times) != len(parts["work"]))
        for column, times in wrong_lengths:
            points, several = len(parts["work"]), "s" if len(times) > 1 else ""
            message = f"{name}.latency.{column} has {len(times)} time{several} for {points} amounts of work"
            hint = f"{column} = {_times(points)}"
            problems.append(Problem(HOLE, message, hint, (index, "latency", column)))
    if problems:
        raise BadValueError(*problems)
    return Curve(kinds=parts["kinds"], work=parts["work"], seconds=parts["latency"])


def _read_kinds(value: object, key: str) -> tuple[str, ...]:
    if as_list(value) == [ANY_KIND]:
        return (ANY_KIND,)
    kinds = read_kinds(value, key, _WIRE)
    if not kinds:
        raise BadValueError(Problem(WRONG_VALUE, f"{key} is [], not one or more kinds of ops", f'kinds = ["{ANY_KIND}"]'))
    return kinds


def _read_work(value: object, key: str) -> tuple[float, ...]:
    members = as_list(value)
    if not members or not all(is_number(v) for v in members):
        raise BadValueError(Problem(WRONG_VALUE, f"{key} is {shown(value)}, not an array of numbers", "work = [1e6, 1e8]"))
    work = tuple(float(cast("float", v)) for v in members)
    if work[0] <= 0 or any(a >= b for a, b in pairwise(work)):
        better = sorted({v for v in work if v > 0})
        hint = f"work = {better}" if better else "work = [1e6, 1e8]"
        raise BadValueError(Problem(WRONG_VALUE, f"{key} is {shown(value)}, not above zero and ascending", hint))
    return work


def _read_latency(value: object, key: str) -> Mapping[str, tuple[float, ...]]:
    table = as_table(value)
    if not table:
        raise BadValueError(Problem(WRONG_VALUE, f"{key} is {shown(value)}, not a table of columns", f"latency = {_EXAMPLES['latency']}"))
    seconds: dict[str, tuple[float, ...]] = {}
    problems: list[Problem] = []
    for column, times in table.items():
        if column not in _COLUMNS:
            problems.append(Problem(UNKNOWN_KEY, f"unknown column {column!r} in {key}", f"columns: {', '.join(_COLUMNS)}", (column,)))
            continue
        try:
            seconds[column] = _read_times(times, f"{key}.{column}")
        except BadValueError as error:
            problems.extend(replace(problem, within=(column, *problem.within)) for problem in error.problems)
    if problems:
        raise BadValueError(*problems)
    return seconds


def _read_times(value: object, key: str) -> tuple[float, ...]:
    members = as_list(value)
    if not members:
        hint = f"{key.rpartition('.')[2]} = {_times(2)}"
        raise BadValueError(Problem(WRONG_VALUE, f"{key} is {shown(value)}, not an array of times", hint))
    times: list[float] = []
    problems: list[Problem] = []
    for index, member in enumerate(members):
        try:
            times.append(_TIME.read(member, f"{key}[{index}]"))
        except BadValueError as error:
            problems.extend(replace(problem, hint=problem.hint or '"1ms"', within=(index,)) for problem in error.problems)
    if problems:
        raise BadValueError(*problems)
    falls = next((i for i, (a, b) in enumerate(pairwise(times), 1) if a > b), None)
    if falls is not None:
        message = f"{key}[{falls}] is below the time before it: more work never takes less time"
        raise BadValueError(Problem(WRONG_VALUE, message, f'"{members[falls - 1]}"', (falls,)))
    return tuple(times)


def _times(count: int) -> str:
    """Return an array of so many times, as an example."""
    return "[" + ", ".join(f'"{n}ms"' for n in range(1, count + 1)) + "]"


_TIME = quantity_form(TIME)
CURVES = Form("one or more tables", _read_curves)
