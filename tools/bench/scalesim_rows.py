"""Rows that SCALE-Sim made, as CSV files, and what we say of the same layers.

Two forms, told apart by their columns: SCALE-Sim v1 has `cycles` and `util_pct`, v3 `compute_cycles` and the counts of `Counts`. Both have
the layer (ih, iw, fh, fw, c, n, s), the array (R, C, dataflow) and M, N, K; v3 also the buffers (if_kb, fl_kb, of_kb). An empty cell claims
nothing: rows of the compute engine alone have no DRAM counts. Other columns are not looked at.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

from autosplitc.targets import Dataflow, cycles_v1
from autosplitc.targets.counts_v3 import ArrayConfig, ConvShape, Counts, counts
from autosplitc.targets.utilisation_v1 import utilisation_pct

LAYER = ("ih", "iw", "fh", "fw", "c", "n", "s")
ARRAY = ("R", "C", "dataflow")
BUFFERS = ("if_kb", "fl_kb", "of_kb")
SIZES = ("M", "N", "K")
V1 = ("cycles", "util_pct")
V3 = tuple(Counts.__dataclass_fields__)
_MORE = "cells beyond the heading"


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure of a file: the line, its column, what stands there, and what we say in as many digits."""

    line: int
    column: str
    theirs: str
    ours: str

    @property
    def equal(self) -> bool:
        """Whether both are the same number."""
        return Decimal(self.theirs) == Decimal(self.ours)


@dataclass(frozen=True, slots=True)
class Compared:
    """A file's form, how many rows it has, and all figures compared."""

    form: str
    rows: int
    cells: tuple[Cell, ...]


def compare_rows(path: Path) -> Compared:
    """Compare every figure of a file. Raises ValueError, with the line, for a file that is not in one of the two forms."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines, restkey=_MORE, restval="")
            columns = tuple(reader.fieldnames or ())
            rows = [(reader.line_num, row) for row in reader]
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror or error}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"is no CSV file: {error}") from error
    form, figures = _form(columns)
    if not rows:
        raise ValueError("has no rows")
    found: list[tuple[int, Mapping[str, str], Mapping[str, float]]] = []
    for line, row in rows:
        if _MORE in row:
            raise ValueError(f"line {line}: more cells than the heading has")
        try:
            found.append((line, row, _ours_v1(row) if form == "v1" else _ours_v3(row)))
        except ValueError as error:
            raise ValueError(f"line {line}: {error}") from error
    cells: list[Cell] = []
    for column in (*SIZES, *figures):
        digits = max(_digits(line, column, row[column]) for line, row, _ in found)
        cells.extend(Cell(line, column, row[column], f"{ours[column]:.{digits}f}") for line, row, ours in found if row[column].strip())
    return Compared(form, len(rows), tuple(cells))


def _form(columns: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Return the form and its figures. Raises ValueError where columns are missing."""
    form, needed, figures = ("v1", (), V1) if set(V1) & set(columns) else ("v3", BUFFERS, V3)
    missing = [column for column in (*LAYER, *ARRAY, *needed, *SIZES, *figures) if column not in columns]
    if missing:
        looked_for = "either of SCALE-Sim's forms" if len(missing) > len(figures) else f"SCALE-Sim {form}'s form"
        raise ValueError(f"line 1: the heading is not of {looked_for}: no {', '.join(missing)}")
    return form, figures


def _ours_v1(row: Mapping[str, str]) -> dict[str, float]:
    """A layer as v1 sees it: sizes that no window fills are left out."""
    layer = ConvShape(*(_count(row, column) for column in LAYER))
    m = ((layer.height - layer.filter_height) // layer.stride + 1) * ((layer.width - layer.filter_width) // layer.stride + 1)
    n, k, rows, cols, dataflow = layer.filters, layer.k, _count(row, "R"), _count(row, "C"), _dataflow(row)
    ours = {"M": m, "N": n, "K": k, "cycles": cycles_v1.cycles(dataflow, m, n, k, rows, cols)}
    return {**ours, "util_pct": utilisation_pct(dataflow, m, n, k, rows, cols)}


def _ours_v3(row: Mapping[str, str]) -> dict[str, float]:
    layer = ConvShape(*(_count(row, column) for column in LAYER))
    array = ArrayConfig(_count(row, "R"), _count(row, "C"), _dataflow(row), *(_count(row, column) for column in BUFFERS))
    return {"M": layer.m, "N": layer.filters, "K": layer.k, **asdict(counts(layer, array))}


def _count(row: Mapping[str, str], column: str) -> int:
    text = row[column].strip()
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 10 and int(text)):
        raise ValueError(f"{column} is {text!r}, not a whole number above zero")
    return int(text)


def _dataflow(row: Mapping[str, str]) -> Dataflow:
    dataflows: dict[str, Dataflow] = {"os": "os", "ws": "ws", "is": "is"}
    text = row["dataflow"].strip()
    if text not in dataflows:
        raise ValueError(f"dataflow is {text!r}, not os, ws or is")
    return dataflows[text]


def _digits(line: int, column: str, text: str) -> int:
    """Digits after the point; 0 for an empty cell."""
    try:
        exponent = Decimal(text.strip() or "0").as_tuple().exponent
    except InvalidOperation:
        exponent = "n"
    if not isinstance(exponent, int):
        raise ValueError(f"line {line}: {column} is {text!r}, not a number")
    return min(max(0, -exponent), 20)
