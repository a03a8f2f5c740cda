"""Parts of reports: the drawing of graphs, rates at which plans win, the command that repeats a compile, HTML."""

from __future__ import annotations

import json
import shlex
from dataclasses import fields
from itertools import pairwise
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autosplitc.cli_compile import compile_command
from autosplitc.options import Options
from autosplitc.report_data import PlanRow
from autosplitc.report_figures import log_axis
from autosplitc.report_graph import draw
from autosplitc.report_html import ms_text, rate_text, script_json, short, table, tag
from autosplitc.report_layout import place
from autosplitc.report_options import command_line
from autosplitc.report_rates import Line, Rates


def plan(number: int, *, chosen: bool = False) -> PlanRow:
    zeros = dict.fromkeys(("latency_ms", "edge_ms", "link_ms", "cloud_ms", "measured_ms", "error", "gap"), 0.0)
    whole = dict.fromkeys(("payload_bytes", "ram_bytes", "storage_bytes"), 0)
    texts = {"kind": "split", "after": "x", "proof": "optimal", "violations": "", "codec": ""}
    rest: dict[str, Any] = {"p95_ms": None, "sent_bytes": 0.0, "bits": ("", "", ""), "feasible": True, "drop": None}
    return PlanRow(number=number, chosen=chosen, **zeros, **whole, **texts, **rest)


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[tuple[int, int]], list[bool]]:
    count = draw(st.integers(1, 14))
    every = [(i, j) for j in range(count) for i in range(j)]
    arcs = draw(st.lists(st.sampled_from(every), unique=True)) if every else []
    below = [draw(st.booleans()) for _ in range(count)]
    for first, second in sorted(arcs, key=lambda arc: arc[1]):
        below[second] |= below[first]
    return arcs, below


@given(graphs())
def test_a_drawing_goes_down_and_nothing_overlaps(graph: tuple[list[tuple[int, int]], list[bool]]) -> None:
    arcs, below = graph
    placed = place(arcs, below)
    assert all(placed.layer[a] < placed.layer[b] for a, b in arcs)
    assert all((layer >= placed.cut) == cloud for layer, cloud in zip(placed.layer, below, strict=True))
    assert all(len(placed.bends[a, b]) == placed.layer[b] - placed.layer[a] - 1 for a, b in arcs)
    for layer in set(placed.layer):
        across = sorted(x for x, own in zip(placed.x, placed.layer, strict=True) if own == layer)
        assert all(b - a > 0.99 for a, b in pairwise(across))
    assert all(-0.01 <= x <= placed.width - 0.99 for x in placed.x)


def test_a_chain_is_drawn_straight() -> None:
    placed = place([(0, 1), (1, 2), (2, 3), (0, 3)], [False, False, True, True])
    assert placed.layer == (0, 1, 2, 3)
    assert placed.cut == 2
    assert placed.x[1] == placed.x[2]


@pytest.mark.parametrize(("count", "boxes"), [(10, 10), (200, 3)])
def test_long_chains_of_a_side_become_one_box(count: int, boxes: int) -> None:
    problem = {"values": [{"name": f"v{i}"} for i in range(count)]}
    ops = [{"name": f"op{i}", "inputs": [{"value": i - 1}] if i else [], "results": [{"value": i}]} for i in range(count)]
    drawing = draw(problem, ops, [i >= count // 2 for i in range(count)])
    assert len(drawing.boxes) == boxes
    assert sorted(op for box in drawing.boxes for op in box.ops) == list(range(count))
    assert list(drawing.crossing.values()) == [(f"v{count // 2 - 1}",)]


def test_the_winner_at_every_rate() -> None:
    slow, chosen, fast = Line(plan(1), 90.0, 100), Line(plan(2, chosen=True), 50.0, 10_000), Line(plan(3), 10.0, 100_000)
    rates = Rates(1e6, (slow, chosen, fast))
    ends = rates.range_of_chosen()
    assert ends is not None
    below, above = ends
    assert below is not None
    assert above is not None
    assert (below[1].plan.number, below[0]) == (1, pytest.approx(1e3 * 9_900 / 40))
    assert (above[1].plan.number, above[0]) == (3, pytest.approx(1e3 * 90_000 / 40))
    assert [line.plan.number for _, line in rates.switches()] == [1, 2, 3]
    assert Rates(1e8, (slow, chosen, fast)).range_of_chosen() is None
    assert Rates(1e6, (chosen,)).range_of_chosen() == (None, None)


ASKED: dict[str, Any] = {
    "edge": "eyeriss",
    "net": "3mbps,rtt=20ms",
    "edge_ram_bytes": 2_000_000,
    "weight_bits": (4, 8),
    "min_sqnr_db": 22.5,
    "max_latency_s": 0.25,
    "cut": ("a b", "c"),
    "keep_float": "head|tail",
    "return_result": True,
    "space": "dag",
    "seed": 3,
    "max_drop": (0.0, 0.015),
    "effort": "best",
}


def test_the_command_gives_the_options_again() -> None:
    options = Options(**ASKED)
    stored = {f.name: getattr(options, f.name) for f in fields(Options)} | {"calib_sha256": "0" * 64, "eval_sha256": "0" * 64}
    line = command_line({"options": json.loads(json.dumps(stored, default=str)), "source": {"name": "my model.onnx"}})
    assert line.startswith("autosplitc 'my model.onnx' --edge eyeriss ")
    assert line.endswith(" -o OUT")
    parsed: dict[str, Any] = compile_command.make_context("compile", shlex.split(line)[1:]).params
    assert {name: parsed[name] for name in ASKED} == ASKED
    assert (parsed["calib"], parsed["evaluation"]) == ("DATA", "DATA")
    assert isinstance(compile_command, click.Command)


def test_text_is_escaped_where_it_enters() -> None:
    assert tag("p", "<b>", tag("i", "&"), title='"') == '<p title="&quot;">&lt;b&gt;<i>&amp;</i></p>'
    assert "</" not in script_json({"</script>": "<!--"})
    assert json.loads(script_json({"</script>": "<!--"})) == {"</script>": "<!--"}
    assert 'class="chosen"' in table(("a",), [("1",), ("2",)], marked=1)
    assert "tall" in table(("a",), [("1",)] * 17)


def test_figures_for_people() -> None:
    assert [ms_text(ms) for ms in (0.1319, 9.316, 10.98, 411.1, 1389.2)] == ["0.132 ms", "9.32 ms", "11.0 ms", "411 ms", "1.39 s"]
    assert [rate_text(rate) for rate in (236_700, 3e6, 1e9, 1e12)] == ["237 kbps", "3 Mbps", "1 Gbps", "1,000 Gbps"]
    assert short("a" * 50, 10) == "aaa…aaaaaa"


def test_a_logarithmic_axis_has_some_ticks_within_its_range() -> None:
    for values in ([0.6, 34.0], [1e-5, 0.3], [5.0], [1e-9, 1e9]):
        found = log_axis("x", values)
        low, high = found["range"]
        assert 1 <= len(found["tickvals"]) <= 12
        assert all(10**low <= tick <= 10**high for tick in found["tickvals"])
