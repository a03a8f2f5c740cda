"""`autosplitc sweep`: what it prints, and what it refuses."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from .conftest import Tool

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "fashion"
MODEL = (str(EXAMPLE / "fashion.onnx"), "--calib", str(EXAMPLE / "calib.npz"), "--codec", "none")
SWEEP = ("sweep", *MODEL, "-t", "eyeriss:clock=2MHz", "--edge-memory", "96KiB")


def test_the_table(tool: Tool, golden: Any) -> None:
    done = tool(*SWEEP, "--net", "10kbps..100mbps,rtt=5ms", "--max-latency", "20ms")
    assert (done.code, done.err) == (0, "")
    golden(done.out, suffix=".txt")


def test_json_and_csv_say_the_same(tool: Tool) -> None:
    asked = (*SWEEP, "--net", "100kbps..10mbps,packet=1500B", "--max-latency", "20ms")
    made = json.loads(tool(*asked, "--json").out)
    rows = list(csv.DictReader(io.StringIO(tool(*asked, "--csv").out)))
    assert made["net"] == "100kbps..10mbps,packet=1.5kB"
    assert (made["ranges"][0]["from_bps"], made["ranges"][-1]["to_bps"]) == (1e5, 1e7)
    assert [r["kind"] for r in made["ranges"]] == ["split", "cloud-only"] == [r["kind"] for r in rows]
    for range_, row in zip(made["ranges"], rows, strict=True):
        assert float(row["from_bps"]) == pytest.approx(range_["from_bps"])
        assert [float(row[f"latency_{end}_ms"]) for end in ("from", "to")] == pytest.approx(
            [s * 1e3 for s in range_["latency_s"]], abs=1e-5
        )
        assert int(row["payload_bytes"]) == range_["payload_bytes"]
    assert made["ranges"][0]["latency_s"][1] == pytest.approx(made["ranges"][1]["latency_s"][0])
    assert made["ranges"][1]["latency_s"] == made["ranges"][1]["cloud_only_latency_s"]
    assert made["proven"] is True
    assert made["max_latency_kept_from_bps"] == pytest.approx((294 + 40) * 8 / (0.02 - _fixed_s(made["ranges"][0], 294 + 40)))


def _fixed_s(range_: dict[str, Any], sent_bytes: int) -> float:
    return range_["latency_s"][0] - sent_bytes * 8 / range_["from_bps"]


def test_rates_at_which_no_limit_is_kept(tool: Tool) -> None:
    done = tool(*SWEEP, "--net", "10..50kbps", "--max-latency", "1ms")
    assert done.code == 3
    assert "--max-latency 1 ms is kept at no rate" in done.out
    assert done.err.startswith("error[AS501]: no plan meets all constraints at any of these rates\n  --> 10kbps..50kbps\n  note: latency ")


def test_a_limit_that_is_kept_everywhere(tool: Tool) -> None:
    done = tool(*SWEEP, "--net", "1..2mbps", "--max-latency", "1s")
    assert done.code == 0
    assert "--max-latency 1000 ms is kept at all rates" in done.out


def test_a_cut_without_memory_for_it(tool: Tool) -> None:
    done = tool("sweep", *MODEL, "-t", "eyeriss", "--net", "1..2mbps", "--edge-memory", "1KiB", "--cut", "waist/clip")
    assert done.code == 3
    assert "not exact: no plan keeps every limit" in done.out
    assert "note: RAM " in done.err


def test_where_the_time_ends_nothing_is_called_exact(tool: Tool) -> None:
    done = tool(*SWEEP, "--net", "10kbps..1mbps", "--max-error", "0.02", "--time-limit", "1us")
    assert done.code == 0
    assert "not exact: the time limit ended some of them before a proof" in done.out
    assert done.err.count("warning[AS502]") == 1


REFUSED: dict[tuple[str, ...], str] = {
    ("--net", "20..1mbps"): "error[AS401]: the range '20..1mbps' does not ascend",
    ("--net", "3mbps"): "error[AS401]: '3mbps' is one link, not a range of rates",
    ("--net", "walk.csv"): "error[AS401]: 'walk.csv' is a trace, not a range of rates",
    ("--net", "0..1mbps"): "error[AS402]: rate '0mbps' must be above zero",
    ("--net", "1..20"): "error[AS402]: rate '20' has no unit",
    (): "error[AS101]: missing --net",
    ("--net", "1..2mbps", "--pick", "2"): "error[AS100]: no such option: --pick",
    ("--net", "1..2mbps", "--json", "--csv"): "error[AS102]: --json and --csv: one of them",
}


@pytest.mark.parametrize("args", REFUSED, ids=" ".join)
def test_what_is_refused(tool: Tool, args: tuple[str, ...]) -> None:
    done = tool(*SWEEP, *args)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(REFUSED[args])


def test_a_target_is_needed(tool: Tool) -> None:
    done = tool("sweep", *MODEL, "--net", "1..2mbps")
    assert (done.code, done.err) == (2, "error[AS101]: missing --edge\n  --> command line\n  hint: -t eyeriss\n")


def test_help_speaks_of_ranges(tool: Tool) -> None:
    done = tool("sweep", "--help")
    assert done.code == 0
    assert "--net RATES" in done.out
    assert "--pick" not in done.out
    assert "--eval" not in done.out
