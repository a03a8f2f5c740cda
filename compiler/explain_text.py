"""An explanation for people, and as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from autosplitc.passes import size_text

from .explain import Deep, Explanation, Price, Stays
from .explain_case import milliseconds_text, rate_text
from .explain_cuts import CutRow
from .explain_rules import Rule
from .table_text import columns

_NAMES = {"rate": "link", "RAM": "RAM", "storage": "storage", "error": "error", "noise": "--min-sqnr", "latency": "latency"}

_TINY_S = 0.5e-9


def explanation_json(explanation: Explanation, folder: str) -> dict[str, Any]:
    """Return what `--json` prints: times in seconds, memory in bytes, rates in bits per second."""
    return {"folder": folder, **asdict(explanation)}


def explanation_text(explanation: Explanation) -> str:
    """Return an explanation in five parts: decision, cuts, limits, how far it holds, rules of thumb."""
    deep = explanation.deep
    parts = [
        ["decision", f" {explanation.decision}", *(f" {note}" for note in explanation.notes)],
        ["why this cut", _cuts(explanation.cuts)],
        ["what binds", *_binding(deep)],
        ["what would change it", *_sensitivity(explanation, deep)],
        ["rules of thumb (Auto-Split, users' guide)", _rules(explanation.rules)],
    ]
    return "\n\n".join("\n".join(lines) for lines in parts)


def _cuts(rows: Iterable[CutRow]) -> str:
    table = [(" ", "OPS", "CUT", "MS", "EDGE", "LINK", "CLOUD", "SENT B", "RAM", "")]
    for row in rows:
        name = "cloud only" if row.kind == "cloud-only" else "edge only" if row.kind == "edge-only" else row.after
        name += "" if row.prefix else " (no prefix)"
        total = "-" if row.latency_s is None else f">= {_ms(row.latency_s)}" if row.basis == "bound" else _ms(row.latency_s)
        edge, link, cloud = ("-" if s is None else _ms(s) for s in (row.edge_s, row.link_s, row.cloud_s))
        sent = "-" if row.payload_bytes is None else f"{row.payload_bytes:,}"
        ram = "-" if row.ram_bytes is None else size_text(row.ram_bytes)
        mark = ">" if row.chosen else " "
        table.append((mark, str(row.position), name, total, edge, link, cloud, sent, ram, row.reason))
    return columns(table, right=frozenset({1, 3, 4, 5, 6, 7, 8}))


def _ms(seconds: float) -> str:
    ms = seconds * 1e3
    return f"{ms:,.0f}" if ms >= 1000 else f"{ms:.4g}"


def _binding(deep: Deep | None) -> list[str]:
    if deep is None:
        return [" not looked into (--quick)"]
    lines = [f" {deep.note}"] if deep.note else []
    binding = [_NAMES[p.name] for p in deep.prices if p.binding == "binds" and p.name != "rate"]
    lines.append(f" {', '.join(binding)} bind{'s' if len(binding) == 1 else ''}" if binding else " no limit binds")
    table = [("", "LIMIT", "USED", "ONE MORE STEP BUYS", "WITHOUT IT", "NEXT PLAN FROM")]
    table += [_price_row(price) for price in deep.prices if price.limit is not None]
    lines.append(columns(table) if len(table) > 1 else "")
    lines += [f" {_NAMES[price.name]}: {price.note}" for price in deep.prices if price.note]
    return [*(line for line in lines if line), *_honesty(deep)]


def _price_row(price: Price) -> tuple[str, ...]:
    steps = ", ".join(f"{step.more}: {'a plan' if step.enough else _gain(step.gain_s)}" for step in price.steps) or "-"
    free = "-" if price.name in ("rate", "latency") or price.free_gain_s is None else _gain(price.free_gain_s)
    following = "-" if price.changes_at is None else _amount(price, price.changes_at)
    if price.changes_at is not None and price.changes_from is not None and _amount(price, price.changes_from) != following:
        following = f"{following} (not {_amount(price, price.changes_from)})"
    used = "-" if price.used is None else _amount(price, price.used)
    limit = _amount(price, price.limit or 0.0)
    return f" {_NAMES[price.name]}", limit, used, steps, free, following


def _gain(seconds: float | None) -> str:
    if seconds is None:
        return "not determined"
    return "nothing" if abs(seconds) < _TINY_S else milliseconds_text(seconds)


def _amount(price: Price, value: float) -> str:
    if price.name in ("RAM", "storage"):
        return f"{value:,.0f} B"
    if price.name == "rate":
        return rate_text(value)
    return milliseconds_text(value) if price.name == "latency" else f"{value:g} dB" if price.name == "noise" else f"{value:.6g}"


def _honesty(deep: Deep) -> list[str]:
    solves = f"{deep.solves} solve{'' if deep.solves == 1 else 's'}"
    if not deep.complete:
        return [f" {solves}; time ran out, so some answers are missing or rough: --time-limit 120s"]
    return [f" {solves}, {'all proven' if deep.proven else 'not all proven: --time-limit does not help, the solver gave up on a cut'}"]


def _sensitivity(explanation: Explanation, deep: Deep | None) -> list[str]:
    if deep is not None and deep.stays:
        return [line for stays in deep.stays for line in _stays(stays)]
    if not explanation.rivals:
        return [" no other listed plan wins at any rate of the link"]
    return [
        f" of the listed plans {r.name} (number {r.number}) wins {'above' if r.above else 'below'} {rate_text(r.rate_bps)}"
        for r in explanation.rivals
    ]


def _stays(stays: Stays) -> list[str]:
    def text(value: float) -> str:
        return rate_text(value) if stays.name == "rate" else f"{value:,.0f} B"

    low = text(stays.low) if stays.low is not None else f"{text(stays.sought_low)} at least" if stays.sought_low is not None else "?"
    high = text(stays.high) if stays.high is not None else f"{text(stays.sought_high)} at least" if stays.sought_high is not None else ""
    if stays.name == "rate":
        lines = [f" the plan stays the same from {low} to {high or '?'} (upstream rate)"]
    else:
        lines = [f" the plan stays the same from {low} " + (f"to {high} of RAM" if high else "of RAM on")]
    lines += [f"   below {low}: {stays.below}"] if stays.below else []
    lines += [f"   above {high}: {stays.above}"] if stays.above else []
    return lines


def _rules(rules: Iterable[Rule]) -> str:
    verdicts = {None: "does not apply", True: "applies, agrees", False: "applies, disagrees"}
    return columns([(f" {rule.rule}", verdicts[rule.agrees], rule.measured) for rule in rules])
