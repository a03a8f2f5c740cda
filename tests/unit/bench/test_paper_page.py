"""The page of the paper's tables: made from records alone, complete with and without them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from autosplitc.bench.paper import TEMPLATE
from autosplitc.bench.paper_page import NOT_RUN, page
from autosplitc.bench.paper_theirs import DECISIONS

ROOT = Path(__file__).parents[3]


def plan(kind: str, ratio: float, error: float) -> dict[str, Any]:
    return {
        "kind": kind,
        "after": "relu3",
        "position": 7,
        "ratio": ratio,
        "payload_bytes": 1234,
        "storage_bytes": 2_500_000,
        "ram_bytes": 3_000_000,
        "error": error,
    }


def row(strategy: str, ratio: float, ours: float | None, why: str = "") -> dict[str, Any]:
    return {"strategy": strategy, "ratio": ratio, "ours_ratio": ours, "why": why, "storage_bytes": 9_000_000}


def record(name: str) -> dict[str, Any]:
    edge = plan("edge-only", 0.5, 0.02)
    return {
        "network": name,
        "ops": 73,
        "plan_s": 1.5,
        "seconds": 20.0,
        "peak_rss_bytes": 800_000_000,
        "chosen": edge,
        "half_ram_bytes": 1_500_000,
        "half": plan("cloud-only", 1.0, 0.0),
        "front": [plan("split", 0.25, 0.3), edge, plan("cloud-only", 1.0, 0.0)],
        "rates": [{"mbps": 3, "chosen": edge, "loose": plan("split", 0.25, 0.3)}],
        "rows": [row("u8", 0.625, 0.5), row("qdmp", 2.0, None), row("qdmp-e", 2.0, None, "too slow")],
    }


def lines_of(records: dict[str, Any]) -> list[str]:
    return page(TEMPLATE.read_text(encoding="utf-8"), records).splitlines()


def test_nothing_was_run() -> None:
    lines = lines_of({})
    assert not any("<!--" in line for line in lines)
    assert sum(NOT_RUN in line for line in lines) >= len(DECISIONS)


def test_what_was_run_stands_in_every_table() -> None:
    lines = lines_of({"networks": {"resnet50": record("resnet50")}})
    at_limits = "1.00 cloud-only | 0.50 edge-only | 0.25 split after relu3"
    assert f"| resnet50 | split | 0.43 | 0.50 edge-only | {at_limits} | 1.00 cloud-only (1.5 MB) |" in lines
    assert "| u8 | 1 | 25% | 20% | 20% | 1 | 0 |" in lines
    assert "| qdmp | 1 | 40% | 75% | no error to compare |  |  |" in lines
    assert "| resnet50 | 12 | 0.9 | 50 | 12.5 | 7: split after relu3 | 2.50 | 9.00 |  |" in lines
    assert "| 0.3 | split after relu3 | 0.25 | 1,234 | 2.50 |" in lines
    assert "| resnet50 | 73 | 1.5 | 20 | 0.80 |" in lines


def test_the_page_in_the_docs_is_of_this_template() -> None:
    written = (ROOT / "docs" / "paper.md").read_text(encoding="utf-8")
    pieces = re.split(r"<!-- \w+ -->", TEMPLATE.read_text(encoding="utf-8"))
    assert all(piece.strip() in written for piece in pieces)
    assert NOT_RUN not in written
