"""A comparison of two bundles for people, and as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, cast

from autosplitc.passes import size_text

from .diff import Change, Difference, Figure
from .explain_case import milliseconds_text
from .table_text import columns


def diff_json(found: Difference) -> dict[str, Any]:
    """Return what `--json` prints; changes of figures are shares of the first."""
    return {**asdict(found), "figures": [{**asdict(figure), "change": figure.change} for figure in found.figures]}


def diff_text(found: Difference) -> str:
    """Return a comparison for people: what differs, then the figures side by side."""
    head = [("", "A", "B"), (" folder", *found.folders), (" model", *found.sources)]
    parts = [
        columns(head),
        f" source {'the same' if found.same_source else 'differs'}, graphs {'the same' if found.same_graphs else 'differ'}",
    ]
    parts += [
        part
        for title, changes in (
            ("decision", found.decision),
            ("sides", found.sides),
            ("bits", found.bits),
            ("options", found.options),
            ("limits", found.limits),
        )
        for part in _section(title, changes)
    ]
    for title, measured in (("predicted", False), ("measured", True)):
        figures = [figure for figure in found.figures if figure.measured is measured]
        if figures:
            parts.append(f"\n{title}\n{columns([_row(figure) for figure in figures], right=frozenset({1, 2, 3}))}")
    return "\n".join(parts)


def _section(title: str, changes: Iterable[Change]) -> list[str]:
    rows = [(f" {change.name}", _value(change.first), _value(change.second)) for change in changes]
    return [f"\n{title}\n{columns(rows)}"] if rows else [f"\n{title}: the same"]


def _value(value: object) -> str:
    if value is None or value == "" or value == []:
        return "-"
    return ", ".join(map(str, cast("list[object]", value))) if isinstance(value, list) else str(value)


def _row(figure: Figure) -> tuple[str, ...]:
    return f" {figure.name}", _number(figure.first, figure.unit), _number(figure.second, figure.unit), _change(figure)


def _change(figure: Figure) -> str:
    """Return the change in %; of shares and of dB the difference, for they are ratios already."""
    if figure.first is None or figure.second is None:
        return ""
    if figure.first == figure.second:
        return "="
    if figure.unit in ("share", "dB"):
        more = figure.second - figure.first
        return f"{100 * more:+.2f} points" if figure.unit == "share" else f"{more:+.1f} dB"
    return "" if figure.change is None else f"{figure.change:+.1%}"


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    if unit == "s":
        return milliseconds_text(value)
    if unit == "bytes":
        return size_text(value)
    return f"{100 * value:.2f} %" if unit == "share" else f"{value:.1f} dB" if unit == "dB" else f"{value:.4g}"
