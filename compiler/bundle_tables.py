"""The files of a bundle as values again: solutions.csv, layers.csv, measurements.json, problem.json."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from autosplitc.ir import CompileError, Diagnostic
from autosplitc.passes import Problem, codec_of, read_problem

from .folder import MANIFEST, THRESHOLDS, read_manifest
from .manifest import check_manifest
from .tables import LAYER_COLUMNS

Json = dict[str, Any]

PROBLEM = "problem.json"


@dataclass(frozen=True, slots=True)
class Listed:
    """A row of solutions.csv.

    typical_s: the latency that plans are compared by, see `Plan.typical_s`. over_trace: it is the median over a trace of the link.
    payload_bytes: on the link, as the codec leaves them, in the mean.
    crossing: words of the names of the tensors that cross, sorted; empty where the table does not tell.
    """

    number: int
    chosen: bool
    kind: str
    after: str
    position: int
    edge_s: float
    link_s: float
    cloud_s: float
    typical_s: float
    payload_bytes: int
    ram_bytes: int
    storage_bytes: int
    error: float
    feasible: bool
    violations: str
    over_trace: bool = False
    crossing: tuple[str, ...] = ()
    codec: str = ""

    @property
    def latency_s(self) -> float:
        """End-to-end latency at the planned rate."""
        return self.edge_s + self.link_s + self.cloud_s

    @property
    def name(self) -> str:
        """The plan for people."""
        name = f'split after "{self.after}"' if self.kind == "split" else {"cloud-only": "Cloud-Only", "edge-only": "Edge-Only"}[self.kind]
        return f"{name} as {codec_of(self.codec).title}" if self.codec else name

    @property
    def is_lossy(self) -> bool:
        """Whether its codec loses, so that what it does to the answer has to be measured."""
        return bool(self.codec) and codec_of(self.codec).is_lossy


def listed_plans(folder: Path) -> tuple[Listed, ...]:
    """Return the rows of solutions.csv. Raises CompileError (AS633) where it cannot be read."""
    path = folder / "solutions.csv"
    try:
        return tuple(_listed(row) for row in _rows(path, ("number", "chosen", "kind")))
    except (KeyError, ValueError) as error:
        raise damaged(path, error) from error


def layer_rows(folder: Path) -> list[dict[str, str]]:
    """Return the rows of layers.csv by column. Raises CompileError (AS633) where it cannot be read."""
    return _rows(folder / "layers.csv", LAYER_COLUMNS)


def json_of(path: Path) -> Json:
    """Return the object in a JSON file of a bundle. Raises CompileError (AS633) where it cannot be read."""
    try:
        found: object = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise damaged(path, error) from error
    if not isinstance(found, dict):
        raise damaged(path, ValueError("no JSON object"))
    return cast("Json", found)


def bundle_manifest(folder: Path) -> Json:
    """Return the manifest of a bundle, checked.

    Raises CompileError: AS630 there is none, AS631 it does not fit its schema, AS634 the folder holds several bundles, one for each limit
    on the drop.
    """
    inner = sorted(p.parent.name for p in folder.glob(f"drop-*%/{MANIFEST}")) if (folder / THRESHOLDS).exists() else []
    if inner and not (folder / MANIFEST).exists():
        message = f"the folder holds {len(inner)} bundles, one for each limit on the drop: {', '.join(inner)}"
        raise CompileError(Diagnostic("AS634", message, str(folder), hint=str(folder / inner[0])))
    manifest = read_manifest(folder)
    check_manifest(manifest, str(folder / MANIFEST))
    return manifest


def problem_of(folder: Path) -> tuple[Problem, frozenset[int]]:
    """Return the planning problem of a bundle, and the values that can cross no cut for what they are, which the problem does not tell.

    Raises CompileError: AS632 there is none, AS641 to AS643 it is damaged.
    """
    path = folder / PROBLEM
    if not path.exists():
        message = "the bundle has no problem.json, for an earlier version wrote it"
        raise CompileError(Diagnostic("AS632", message, str(folder), hint="compile again"))
    problem, found = read_problem(path)
    barred = frozenset(found.get("about", {}).get("barred", ()))
    return problem, frozenset(i for i, value in enumerate(problem.values) if value.name in barred)


def damaged(path: Path, error: Exception) -> CompileError:
    """Return the diagnostic for a file of a bundle that is not what was written."""
    reason = error.strerror if isinstance(error, OSError) else f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else error
    return CompileError(Diagnostic("AS633", f"a file of the bundle cannot be read: {reason}", str(path), hint="compile again"))


def _rows(path: Path, wanted: Iterable[str]) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            rows = list(reader)
            missing = sorted(set(wanted) - set(reader.fieldnames or ()))
    except (OSError, ValueError, csv.Error) as error:
        raise damaged(path, error) from error
    if missing:
        raise damaged(path, ValueError(f"no column {missing[0]!r}"))
    if any(None in row.values() for row in rows):
        raise damaged(path, ValueError("a row is cut short"))
    return rows


def _listed(row: dict[str, str]) -> Listed:
    def seconds(column: str) -> float:
        return float(row[column]) * 1e-3

    return Listed(
        number=int(row["number"]),
        chosen=row["chosen"] == "1",
        kind=row["kind"],
        after=row["after"],
        position=int(row["position"]),
        edge_s=seconds("edge_ms"),
        link_s=seconds("link_ms"),
        cloud_s=seconds("cloud_ms"),
        typical_s=seconds("latency_p50_ms" if row["latency_p50_ms"] else "latency_ms"),
        payload_bytes=math.ceil(float(row.get("sent_bytes") or row["payload_bytes"])),
        ram_bytes=int(row["ram_bytes"]),
        storage_bytes=int(row["storage_bytes"]),
        error=float(row["error"]),
        feasible=row["feasible"] == "1",
        violations=row["violations"],
        over_trace=bool(row["latency_p50_ms"]),
        crossing=tuple(sorted(row.get("crossing", "").split())),
        codec=row.get("codec", ""),
    )
