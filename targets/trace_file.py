"""A trace from a file: CSV with a heading that names the units, such as `time_s,rate_mbps`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from hashlib import sha256
from pathlib import Path

from autosplitc.ir import CompileError, Diagnostic

from .trace import Trace
from .units import RATE, TIME

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_MOST = 1e15
"""Largest time in seconds and rate in bits per second that makes sense."""

_SHOWN = 10
"""Findings after which the rest of a file is not looked at."""

_KINDS: dict[str, Mapping[str, Fraction]] = {
    "time": {unit: factor for unit, factor in TIME.units.items() if unit.isascii()},
    "rate": RATE.units,
}


@dataclass(frozen=True, slots=True)
class _Cell:
    """A field of a line: its text, and the column at which it begins, from 1."""

    text: str
    column: int


def read_trace(name: str) -> Trace:
    """Return the trace in a file.

    Raises CompileError (exit 1): AS403 where the file cannot be read, AS404 for its heading, AS405 for rows, AS406 where nothing is ever
    sent.
    """
    try:
        data = Path(name).read_bytes()
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise _error(
            "AS403", f"cannot read the trace: {error.strerror or error}", name, "--net FILE.csv, or a rate such as 3mbps"
        ) from error
    except UnicodeDecodeError as error:
        raise _error("AS403", "the trace is no text in UTF-8", name, "a CSV file that begins with time_s,rate_mbps") from error
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines:
        raise _error("AS404", "the trace is empty", name, "begin it with time_s,rate_mbps")
    columns = _heading(name, *lines[0])
    found: list[Diagnostic] = []
    rows = list(_rows(name, lines[1:], columns, found))
    if found:
        raise CompileError(found)
    if not rows:
        raise _error("AS406", "the trace has no rows", name, "a row such as 0,3.5 after the heading")
    times, rates = zip(*rows, strict=True)
    try:
        return Trace(name, sha256(data).hexdigest(), times, rates)
    except ValueError as error:
        message = "the rate is zero in all rows" if not any(rates) else "the rate is less than 1 bit/s on average"
        raise _error("AS406", f"{message}: nothing is ever sent", name, "rows with a rate above zero") from error


def _heading(name: str, number: int, line: str) -> tuple[tuple[str, Fraction], ...]:
    """Return kind and factor of the columns, one of time and one of rate."""
    cells = _cells(line)
    found: list[tuple[str, Fraction]] = []
    for cell in cells:
        where = f"{name}:{number}:{cell.column}"
        kind, bar, unit = cell.text.partition("_")
        units = _KINDS.get(kind)
        if units is None:
            raise _error("AS404", f"{cell.text!r} is no heading of a trace's column", where, "let it begin with time_s,rate_mbps")
        if not bar:
            raise _error("AS404", f"column {cell.text!r} has no unit", where, "time_s" if kind == "time" else "rate_mbps")
        if unit not in units:
            known = ", ".join(f"{kind}_{u}" for u in units if u == u.lower())
            raise _error("AS404", f"column {cell.text!r} has an unknown unit {unit!r}", where, f"known: {known}")
        found.append((kind, units[unit]))
    if sorted(kind for kind, _ in found) != ["rate", "time"]:
        names = ", ".join(repr(cell.text) for cell in cells)
        raise _error("AS404", f"a trace has one column of times and one of rates, not {names}", f"{name}:{number}", "time_s,rate_mbps")
    return tuple(found)


def _rows(
    name: str, lines: list[tuple[int, str]], columns: tuple[tuple[str, Fraction], ...], found: list[Diagnostic]
) -> Iterator[tuple[float, float]]:
    """Yield time in seconds and rate in bits per second of every row; what is wrong goes to `found`."""
    before_s = -math.inf
    for number, line in lines:
        if len(found) >= _SHOWN:
            return
        cells = _cells(line)
        if len(cells) != len(columns):
            message = f"{len(cells)} column{'s' if len(cells) != 1 else ''}, the heading has {len(columns)}"
            found.append(Diagnostic("AS405", message, f"{name}:{number}"))
            continue
        values: dict[str, float] = {}
        for cell, (kind, factor) in zip(cells, columns, strict=True):
            value = _value(cell.text, kind, factor)
            if isinstance(value, str):
                found.append(Diagnostic("AS405", value, f"{name}:{number}:{cell.column}"))
            else:
                values[kind] = value
        if len(values) < len(columns):
            continue
        if values["time"] <= before_s:
            place = next(cell.column for cell, (kind, _) in zip(cells, columns, strict=True) if kind == "time")
            message = f"times must ascend: {values['time']:g} s comes after {before_s:g} s"
            found.append(Diagnostic("AS405", message, f"{name}:{number}:{place}", hint="sort the rows by time"))
        before_s = max(before_s, values["time"])
        yield values["time"], values["rate"]


def _value(text: str, kind: str, factor: Fraction) -> float | str:
    """Return a number in the base unit, or what is wrong with it. Less than 1 bit/s is an outage."""
    if not _NUMBER.fullmatch(text):
        return f"{kind} {text!r} is not a number"
    value = float(text) * factor.numerator / factor.denominator
    if abs(value) > _MOST:
        return f"{kind} {text!r} is out of all range"
    if kind == "time":
        return value
    return f"rate {text!r} must not be negative" if value < 0 else value if value >= 1 else 0.0


def _cells(line: str) -> list[_Cell]:
    cells: list[_Cell] = []
    column = 1
    for part in line.split(","):
        blanks = len(part) - len(part.lstrip())
        cells.append(_Cell(part.strip().strip('"').strip(), column + blanks))
        column += len(part) + 1
    return cells


def _error(code: str, message: str, location: str, hint: str) -> CompileError:
    return CompileError(Diagnostic(code, message, location, hint=hint))
