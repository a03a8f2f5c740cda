"""The front in a bundle: front.csv, what the manifest says of it, and a line of the summary."""

from __future__ import annotations

from autosplitc.ir import Module
from autosplitc.passes import Front, FrontCell, Plan, Solutions

from .tables import csv_text, milliseconds

FRONT_CSV = "front.csv"

FRONT_COLUMNS = (
    "max_error",
    "max_ram_bytes",
    "proof",
    "gap",
    "point",
    "solution",
    "kind",
    "after",
    "position",
    "latency_ms",
    "edge_ms",
    "link_ms",
    "cloud_ms",
    "payload_bytes",
    "ram_bytes",
    "storage_bytes",
    "error",
)


def front_csv(module: Module) -> str:
    """Return a row for each cell with its plan, then one for each point that is the answer of no cell; its limits are left empty.

    point: number among the plans that no other betters, from 1, the fastest first. solution: its number in solutions.csv, empty where other
    plans better it in payload or storage too.
    """
    front = module.fact(Front)
    numbers = {_bare(plan): i for i, plan in enumerate(module.fact(Solutions).plans, 1)}
    rows = [_row(cell, cell.point, front, numbers) for cell in front.cells]
    answers = {cell.point for cell in front.cells}
    rows += [_row(None, i, front, numbers) for i in range(len(front.points)) if i not in answers]
    return csv_text(FRONT_COLUMNS, rows)


def front_record(module: Module) -> dict[str, object] | None:
    """Return what the manifest says of the front, None without one."""
    front = module.get(Front)
    if front is None:
        return None
    proven = sum(cell.proof == "optimal" for cell in front.cells)
    return {"points": len(front.points), "cells": len(front.cells), "proven": proven, "partial": front.partial}


def front_lines(module: Module, seconds: float | None) -> list[str]:
    """Return the summary's line on the front, none without one. seconds: what the search took, None where it was no part of this run."""
    record = front_record(module)
    if record is None:
        return []
    took = "" if seconds is None else f", {seconds:.1f} s"
    partial = "   partial: interrupted" if record["partial"] else ""
    return [f" front     {record['points']} points; {record['proven']} of {record['cells']} cells proven{took}; {FRONT_CSV}{partial}"]


def _bare(plan: Plan) -> tuple[object, ...]:
    """Return what tells a plan from others: its cut and bits."""
    return plan.position, plan.edge_ops, plan.codec, plan.weight_bits, plan.act_bits, plan.wire_bits


def _row(cell: FrontCell | None, point: int, front: Front, numbers: dict[tuple[object, ...], int]) -> tuple[object, ...]:
    limits = (None,) * 4 if cell is None else (repr(cell.max_error), cell.max_ram_bytes, cell.proof, repr(cell.gap))
    if point < 0:
        return (*limits, *(None,) * (len(FRONT_COLUMNS) - len(limits)))
    plan = front.points[point]
    return (
        *limits,
        point + 1,
        numbers.get(_bare(plan)),
        plan.kind,
        plan.after,
        plan.position,
        *(milliseconds(s) for s in (plan.latency_s, plan.edge_s, plan.link_s, plan.cloud_s)),
        plan.payload_bytes,
        plan.ram_bytes,
        plan.storage_bytes,
        repr(plan.error),
    )
