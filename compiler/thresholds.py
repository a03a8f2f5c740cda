"""Several limits on the drop in one run: a bundle for each in a folder of its own, and a table of them, as in the paper's Fig. 5."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autosplitc.passes import Plan, Solutions

from .drop import points
from .result import Result
from .table_text import columns
from .tables import csv_text, milliseconds

_COLUMNS = (
    "max_drop",
    "folder",
    "kind",
    "after",
    "solution",
    "latency_ms",
    "x_cloud_only",
    "metric",
    "drop",
    "drop_low",
    "drop_high",
    "n",
    "holds",
    "ending",
)


def folder_name(limit: float) -> str:
    """Return the name of the folder for a limit: `drop-0%`, `drop-0.5%`."""
    return f"drop-{100 * limit:.10g}%"


def thresholds_csv(results: Sequence[Result]) -> str:
    """Return a row for every limit; drops are shares of 1, measured, latencies predicted. What is not known is left empty."""
    return csv_text(_COLUMNS, (_cells(result) for result in results))


def thresholds_table(results: Sequence[Result]) -> str:
    """Return the rows for people."""
    rows = [(" max drop", "plan", "ms", "x cloud only", "drop", "95 % interval", "n", "")]
    for result in results:
        plan, found = result.best, result.measurements["accuracy"]
        low, high = found["interval95"] or (None, None)
        interval = "" if low is None or high is None else f"{100 * low:.2f}..{100 * high:.2f} %"
        share = _share(result)
        rows.append(
            (
                f" {points(found['threshold'])} %",
                plan.title,
                f"{plan.typical_s * 1e3:,.4g}",
                "" if share is None else f"{share:.2f}",
                "-" if found["drop"] is None else f"{100 * found['drop']:.2f} %",
                interval,
                f"{found['n']:,}",
                _note(found),
            )
        )
    return columns(rows, right=frozenset({0, 2, 3, 4, 6}))


def _note(found: dict[str, Any]) -> str:
    parts = [] if found["holds"] else ["over the limit"]
    if found["too_few_samples"]:
        parts.append("too few samples to tell")
    if found["ending"] == "evaluations":
        parts.append("not all faster plans measured")
    return "; ".join(parts)


def _cells(result: Result) -> tuple[object, ...]:
    plan, found = result.best, result.measurements["accuracy"]
    share = _share(result)
    low, high = found["interval95"] or (None, None)
    return (
        repr(found["threshold"]),
        folder_name(found["threshold"]),
        plan.kind,
        plan.after,
        result.manifest["decision"]["solution"],
        milliseconds(plan.typical_s),
        None if share is None else f"{share:.6f}",
        found["metric"],
        found["drop"],
        low,
        high,
        found["n"],
        int(found["holds"]),
        found["ending"],
    )


def _share(result: Result) -> float | None:
    """Return the latency as a part of Cloud-Only's."""
    plans: tuple[Plan, ...] = result.module.fact(Solutions).plans
    cloud_s = min((p.typical_s for p in plans if p.kind == "cloud-only" and not p.codec), default=0.0)
    return result.best.typical_s / cloud_s if cloud_s else None
