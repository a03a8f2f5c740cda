"""docs/network.md says of the presets what they are."""

from __future__ import annotations

import re
from pathlib import Path

from autosplitc.targets import PRESETS, Network, parse_network

PAGE = Path(__file__).parents[3] / "docs" / "network.md"
ROW = re.compile(r"^\| `(\w+)` \| ([\d.]+) (\w+) \| ([\d.]+) ms \| (no|(\d+) B, header (\d+) B) \| (.+) \|$", re.MULTILINE)


def test_the_table_of_presets_is_that_of_the_code() -> None:
    found = {
        m[1]: Network(m[1], parse_network(m[2] + m[3]).rate_bps, float(m[4]) / 1e3, 0, m[8], int(m[6] or 0), int(m[7] or 0))
        for m in ROW.finditer(PAGE.read_text("utf-8"))
    }
    assert found == PRESETS
