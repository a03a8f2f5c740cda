"""What a report is made of: the files of a bundle, read tolerantly; a file that is not there leaves its part empty."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from .folder import read_manifest
from .report_html import short

Json = dict[str, Any]

KINDS = {"split": "split", "cloud-only": "Cloud-Only", "edge-only": "Edge-Only"}


@dataclass(frozen=True, slots=True)
class Drop:
    """Accuracy lost as measured: shares of 1, with a 95 % interval where there is one; `complete` unless the measuring ended early."""

    drop: float
    low: float | None
    high: float | None
    n: int
    complete: bool


@dataclass(frozen=True, slots=True)
class PlanRow:
    """A row of solutions.csv. latency_ms: what plans are compared by, the median over a trace where there is one.

    measured_ms: the part of edge_ms and cloud_ms that rests on measured ops. codec: what the payload goes through, "" nothing; sent_bytes:
    on the link then, the mean over the calibration samples; without one the payload.
    """

    number: int
    chosen: bool
    kind: str
    after: str
    latency_ms: float
    p95_ms: float | None
    edge_ms: float
    link_ms: float
    cloud_ms: float
    measured_ms: float
    payload_bytes: int
    ram_bytes: int
    storage_bytes: int
    error: float
    bits: tuple[str, str, str]
    proof: str
    gap: float
    feasible: bool
    violations: str
    codec: str
    sent_bytes: float
    drop: Drop | None

    def brief(self, most: int) -> str:
        """Return the plan for a figure, the name of the op in at most so many characters."""
        return self._coded(f"after {short(self.after, most)}" if self.kind == "split" else KINDS[self.kind])

    @property
    def name(self) -> str:
        """The plan for people."""
        return self._coded(f"split after {self.after}" if self.kind == "split" else KINDS[self.kind])

    def _coded(self, name: str) -> str:
        codec = self.codec or ("raw" if self.kind == "cloud-only" else "")
        return f"{name}, {codec}" if codec else name


@dataclass(frozen=True, slots=True)
class LayerRow:
    """A row of layers.csv."""

    name: str
    kind: str
    side: str
    weight_bits: int | None
    act_bits: int | None
    sqnr_db: float | None
    output_change: float | None
    latency_ms: float
    basis: str
    bound_by: str
    ram_bytes: int | None


@dataclass(frozen=True, slots=True)
class Bundle:
    """The files of a bundle. problem, compare: None where there is no such file; front: rows of front.csv by column, () without one."""

    manifest: Json
    measurements: Json | None
    plans: tuple[PlanRow, ...]
    layers: tuple[LayerRow, ...]
    problem: Json | None
    front: tuple[Mapping[str, str], ...]
    compare: Json | None

    @property
    def chosen(self) -> PlanRow | None:
        """The chosen plan; None without solutions.csv."""
        return next((plan for plan in self.plans if plan.chosen), None)

    @property
    def accuracy(self) -> Json | None:
        """What was measured against the limit on the drop, if it was."""
        return (self.measurements or {}).get("accuracy")

    def first(self, kind: str) -> PlanRow | None:
        """Return the plan of a kind to compare with: the chosen one, else the fastest without a codec, one that keeps all limits first."""
        own = [plan for plan in self.plans if plan.kind == kind]
        return min(own, key=lambda p: (not p.chosen, bool(p.codec), not p.feasible, p.latency_ms), default=None)


def read_bundle(folder: Path) -> Bundle:
    """Return the files of a bundle. Raises CompileError (AS630) where there is no manifest; damaged ones count as missing."""
    measurements = _json(folder / "measurements.json")
    drops = _drops((measurements or {}).get("accuracy"))
    return Bundle(
        manifest=read_manifest(folder),
        measurements=measurements,
        plans=tuple(_plan(row, drops) for row in read_rows(folder / "solutions.csv")),
        layers=tuple(_layer(row) for row in read_rows(folder / "layers.csv")),
        problem=_json(folder / "problem.json"),
        front=tuple(read_rows(folder / "front.csv")),
        compare=_json(folder / "compare.json"),
    )


def read_rows(path: Path) -> Sequence[Mapping[str, str]]:
    """Return the rows of a CSV file by column; none where there is no such file."""
    if not path.is_file():
        return ()
    with path.open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


def _json(path: Path) -> Json | None:
    try:
        found: object = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return cast("Json", found) if isinstance(found, dict) else None


def _drops(accuracy: Json | None) -> dict[int, Drop]:
    trials: list[Json] = (accuracy or {}).get("evaluations", [])
    return {t["solution"]: found for t in trials if (found := drop_of(t)) is not None}


def drop_of(trial: Json) -> Drop | None:
    """Return a drop as measurements.json has it; None where the outputs were no numbers."""
    low, high = trial["interval95"] or (None, None)
    return None if trial["drop"] is None else Drop(trial["drop"], low, high, trial["n"], trial.get("complete", True))


def _plan(row: Mapping[str, str], drops: Mapping[int, Drop]) -> PlanRow:
    return PlanRow(
        number=int(row["number"]),
        chosen=row["chosen"] == "1",
        kind=row["kind"],
        after=row["after"],
        latency_ms=float(row["latency_p50_ms"] or row["latency_ms"]),
        p95_ms=float(row["latency_p95_ms"]) if row["latency_p95_ms"] else None,
        edge_ms=float(row["edge_ms"]),
        link_ms=float(row["link_ms"]),
        cloud_ms=float(row["cloud_ms"]),
        measured_ms=float(row["edge_measured_ms"]) + float(row["cloud_measured_ms"]),
        payload_bytes=int(row["payload_bytes"]),
        ram_bytes=int(row["ram_bytes"]),
        storage_bytes=int(row["storage_bytes"]),
        error=float(row["error"]),
        bits=(row["weight_bits"], row["act_bits"], row["wire_bits"]),
        proof=row["proof"],
        gap=float(row["gap"]),
        feasible=row["feasible"] == "1",
        violations=row["violations"],
        codec=row.get("codec", ""),
        sent_bytes=float(row.get("sent_bytes") or row["payload_bytes"]),
        drop=drops.get(int(row["number"])),
    )


def _layer(row: Mapping[str, str]) -> LayerRow:
    def whole(text: str) -> int | None:
        return int(text) if text else None

    def real(text: str) -> float | None:
        return float(text) if text else None

    return LayerRow(
        name=row["node"],
        kind=row["kind"],
        side=row["side"],
        weight_bits=whole(row["weight_bits"]),
        act_bits=whole(row["act_bits"]),
        sqnr_db=real(row["sqnr_db"]),
        output_change=real(row["output_change"]),
        latency_ms=float(row["latency_ms"]),
        basis=row["basis"],
        bound_by=row["bound_by"],
        ram_bytes=whole(row["ram_bytes"]),
    )
