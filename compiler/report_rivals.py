"""Baselines of a report: what compare.json tells of other ways to split, under the same cost model."""

from __future__ import annotations

from dataclasses import dataclass

from .report_data import Bundle, Json


@dataclass(frozen=True, slots=True)
class Rival:
    """The answer of another strategy. parts_ms: edge, link, cloud. error: None where it is not known."""

    name: str
    parts_ms: tuple[float, float, float]
    error: float | None
    feasible: bool


def rivals_of(bundle: Bundle) -> tuple[Rival, ...]:
    """Return the baselines that were compared; none without compare.json."""
    rows: list[Json] = (bundle.compare or {}).get("rows", [])
    return tuple(found for row in rows if (found := _rival(row)) is not None)


def _rival(row: Json) -> Rival | None:
    parts = [row.get(name) for name in ("edge_s", "link_s", "cloud_s")]
    if None in parts:
        return None
    edge_s, link_s, cloud_s = (float(part or 0.0) for part in parts)
    return Rival(
        str(row.get("strategy", "")), (1e3 * edge_s, 1e3 * link_s, 1e3 * cloud_s), row.get("error"), bool(row.get("feasible", True))
    )
