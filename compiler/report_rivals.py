"""Baselines of a report: what compare.json, the output of `autosplitc compare --json`, tells of other methods under the same cost model."""

from __future__ import annotations

from dataclasses import dataclass

from .report_data import Bundle, Json

KNOWN = ("auto-split", "cloud-only")
"""Rows of compare.json that are among a bundle's own plans."""


@dataclass(frozen=True, slots=True)
class Rival:
    """The answer of another method. parts_ms: edge, link, cloud. error: None in float. why: the limit it breaks, "" where it keeps all."""

    name: str
    parts_ms: tuple[float, float, float]
    error: float | None
    why: str

    @property
    def latency_ms(self) -> float:
        """End-to-end latency."""
        return sum(self.parts_ms)


def rivals_of(bundle: Bundle) -> tuple[Rival, ...]:
    """Return the baselines that were compared; none without compare.json."""
    rows: list[Json] = (bundle.compare or {}).get("rows", [])
    return tuple(_rival(row) for row in rows if row["strategy"] not in KNOWN)


def _rival(row: Json) -> Rival:
    parts_ms = 1e3 * row["edge_s"], 1e3 * row["link_s"], 1e3 * row["cloud_s"]
    return Rival(row["strategy"], parts_ms, row["error"], row["why"])
