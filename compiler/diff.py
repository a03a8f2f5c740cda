"""Two bundles compared: decision, bits, options, limits, figures. A pure function of their folders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from .bundle import MEASUREMENTS
from .bundle_tables import bundle_manifest, json_of, layer_rows

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """Something that differs; None where one side does not have it."""

    name: str
    first: Any
    second: Any


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of both bundles. unit: `s`, `bytes`, `dB`, `share` or "". measured: else it is predicted."""

    name: str
    unit: str
    measured: bool
    first: float | None
    second: float | None

    @property
    def change(self) -> float | None:
        """Change from the first to the second as a share of the first; None where there is none to tell."""
        if self.first is None or self.second is None or not self.first:
            return None
        return self.second / self.first - 1


@dataclass(frozen=True, slots=True)
class Difference:
    """What two bundles differ in. bits: of tensors, `weight NAME`, `activation NAME`, `wire NAME`; sides: ops that run elsewhere."""

    folders: tuple[str, str]
    same_source: bool
    same_graphs: bool
    sources: tuple[str, str]
    decision: tuple[Change, ...]
    sides: tuple[Change, ...]
    bits: tuple[Change, ...]
    options: tuple[Change, ...]
    limits: tuple[Change, ...]
    figures: tuple[Figure, ...]


_PREDICTED = (
    ("latency", "latency_s", "s"),
    ("latency p50", "latency_p50_s", "s"),
    ("latency p95", "latency_p95_s", "s"),
    ("edge", "edge_s", "s"),
    ("link", "link_s", "s"),
    ("cloud", "cloud_s", "s"),
    ("sent", "payload_bytes", "bytes"),
    ("RAM", "edge_ram_bytes", "bytes"),
    ("storage", "edge_storage_bytes", "bytes"),
    ("error", "error", ""),
    ("Cloud-Only", "cloud_only_latency_s", "s"),
    ("Edge-Only", "edge_only_latency_s", "s"),
)

_MEASURED = (
    ("accuracy", ("accuracy", "value"), "share"),
    ("accuracy drop", ("accuracy", "drop"), "share"),
    ("top-1", ("quality", "top1", "value"), "share"),
    ("agreement", ("quality", "agreement", "value"), "share"),
    ("SQNR", ("quality", "sqnr_db"), "dB"),
    ("edge file", ("sizes", "edge_storage", "measured_bytes"), "bytes"),
    ("edge memory of the process", ("edge_rss_bytes",), "bytes"),
    ("edge on this machine", ("times_s", "edge"), "s"),
    ("cloud on this machine", ("times_s", "cloud"), "s"),
)

_DECISION = ("kind", "after", "position", "proof", "feasible", "violations")


def diff_bundles(first: Path, second: Path) -> Difference:
    """Return what two bundles differ in.

    Raises CompileError: AS630 a folder holds no bundle, AS631 a manifest does not fit its schema, AS633 a file is damaged, AS634 a folder
    holds several bundles.
    """
    one, two = bundle_manifest(first), bundle_manifest(second)
    measured = json_of(first / MEASUREMENTS), json_of(second / MEASUREMENTS)
    sides = tuple({row["node"]: row["side"] for row in layer_rows(f) if row["kind"] not in ("pack", "unpack")} for f in (first, second))
    predicted = [Figure(name, unit, False, one["predicted"].get(key), two["predicted"].get(key)) for name, key, unit in _PREDICTED]
    found = [Figure(name, unit, True, _at(measured[0], path), _at(measured[1], path)) for name, path, unit in _MEASURED]
    return Difference(
        folders=(str(first), str(second)),
        same_source=one["source"]["sha256"] == two["source"]["sha256"],
        same_graphs=_digests(one) == _digests(two),
        sources=(one["source"]["name"], two["source"]["name"]),
        decision=_changes(one["decision"], two["decision"], _DECISION),
        sides=_changes(*sides),
        bits=tuple(change for kind in ("weights", "activations", "wire") for change in _bits(kind, one["bits"], two["bits"])),
        options=_changes(one["options"], two["options"]),
        limits=_changes(one["limits"], two["limits"]),
        figures=tuple(f for f in (*predicted, *found) if f.first is not None or f.second is not None),
    )


def _changes(first: Mapping[str, Any], second: Mapping[str, Any], names: Iterable[str] | None = None) -> tuple[Change, ...]:
    known = dict.fromkeys((*first, *second)) if names is None else names
    return tuple(Change(name, first.get(name), second.get(name)) for name in known if first.get(name) != second.get(name))


def _bits(kind: str, first: Json, second: Json) -> tuple[Change, ...]:
    """Return the tensors whose bits differ; in a bundle that does not quantise one it has none."""
    label = {"weights": "weight", "activations": "activation", "wire": "wire"}[kind]
    return tuple(Change(f"{label} {c.name}", c.first, c.second) for c in _changes(first[kind], second[kind]))


def _digests(manifest: Json) -> list[str]:
    return [file["sha256"] for side in manifest["graphs"].values() for file in side["files"]]


def _at(found: object, path: tuple[str, ...]) -> float | None:
    """Return a number deep in a JSON value, None where it is not there."""
    for name in path:
        found = cast("Json", found).get(name) if isinstance(found, dict) else None
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None
