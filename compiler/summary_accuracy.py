"""What the console summary says of a limit on the drop in accuracy, and of several."""

from __future__ import annotations

import math

from autosplitc.passes import Request

from .decide import few_text, nearest_text
from .drop import Drop, points
from .manifest import Json
from .result import Result
from .thresholds import thresholds_table

_NAMES = {"top1": "top-1", "top5": "top-5", "agreement": "top-1 agreement"}


def drop_text(accuracy: Json) -> str:
    """Return a measured drop: `top-1 92.70% (-0.15 points, limit 1), 95 % interval -0.6..+0.3`; changes are against the float model."""
    limit = points(accuracy["threshold"])
    ends: list[float | None] = accuracy["interval95"] or [None, None]
    low, high = ends
    if accuracy["metric"] == "sqnr":
        noise = "no numbers" if accuracy["drop"] is None else f"noise {points(accuracy['drop'])} % of the signal"
        ratio = "" if accuracy["value"] is None else f"SQNR {accuracy['value']:.1f} dB, "
        interval = "" if low is None or high is None else f", 95 % interval {100 * low:.2f}..{100 * high:.2f} %"
        return f"{ratio}{noise} (limit {limit} %){interval}"
    interval = "" if low is None or high is None else f", 95 % interval {-100 * high:+.1f}..{-100 * low:+.1f}"
    name = _NAMES.get(accuracy["metric"], accuracy["metric"])
    return f"{name} {accuracy['value']:.2%} ({-100 * accuracy['drop'] + 0.0:+.2f} points, limit {limit}){interval}"


def accuracy_lines(result: Result) -> list[str]:
    """Return the lines that say what a limit could not be held or told with: the nearest miss, samples that are too few."""
    accuracy = result.measurements.get("accuracy")
    if accuracy is None:
        return []
    lines: list[str] = []
    missed = accuracy["nearest_miss"]
    chosen = result.manifest["decision"]["solution"]
    if missed is not None and missed["solution"] != chosen and (accuracy["ending"] == "cloud-only" or not accuracy["holds"]):
        lines.append(f" missed    {_missed(result, missed, accuracy['metric'])}")
    if accuracy["too_few_samples"]:
        drop = Drop(accuracy["metric"], None, None, 0.0, None, accuracy["n"])
        lines.append(f" samples   too few: {few_text(drop, accuracy['threshold'])}")
    return lines


def measured_drops(accuracy: Json | None) -> dict[int, str]:
    """Return the drops of the plans that were measured, in points (`sqnr`: %), by their number; `*`: on a part of the samples."""
    if accuracy is None:
        return {}
    return {t["solution"]: _points(t["drop"]) + ("" if t["complete"] else " *") for t in accuracy["evaluations"]}


def summary_of_several(result: Result) -> str:
    """Return the table of several limits, with what each bundle could not hold or tell."""
    request = result.module.fact(Request)
    lines = [
        f"{request.source}   edge {request.edge}   cloud {request.cloud}   {request.net}",
        f" {result.measurements['accuracy']['metric']}, measured on the emitted files; latencies predicted",
        thresholds_table(result.by_drop),
    ]
    for part in result.by_drop:
        lines += [f" at {points(part.measurements['accuracy']['threshold'])} %:{line}" for line in accuracy_lines(part)]
    return "\n".join([*lines, f" wrote     {result.folder}"])


def _points(drop: float | None) -> str:
    return "no numbers" if drop is None else f"{100 * drop + 0.0:.2f}"


def _missed(result: Result, missed: Json, metric: str) -> str:
    number: int = missed["solution"]
    lost = math.inf if missed["drop"] is None else missed["drop"]
    return nearest_text(result.solutions[number - 1], Drop(metric, None, None, lost, None, missed["n"], missed["complete"]))
