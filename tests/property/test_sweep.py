"""Where the best plan changes: against the least of many lines, and against plans sought one by one."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autosplitc.driver import passes_of, run_pipeline, start
from autosplitc.hooks import Hooks, Watch
from autosplitc.line import Line
from autosplitc.options import Options
from autosplitc.passes import Choice, Env, Plan, Solutions
from autosplitc.request import find_devices
from autosplitc.sweep import Answer, Piece, find_pieces, sweep_model
from autosplitc.targets import parse_rate_range

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "fashion" / "fashion.onnx"
LOW, HIGH = 1_000, 50_000_000


def answer(line: Line) -> Answer:
    plan = Plan("split", 1, "c", 0.0, 0.0, 0.0, line.bits // 8, 0, 0, 0.0, "optimal", 0.0, True, (), (), (), ())
    return Answer(plan, line)


def named(pieces: tuple[Piece, ...], rate_bps: Fraction | int) -> Line:
    return next(piece.answer.line for piece in pieces if piece.low_bps <= rate_bps <= piece.high_bps)


def rates(pieces: tuple[Piece, ...]) -> list[Fraction]:
    """Rates all over the range, the ends of the pieces and whole rates beside them."""
    ends = [piece.high_bps for piece in pieces[:-1]]
    beside = [Fraction(max(LOW, min(HIGH, round(end) + more))) for end in ends for more in (-1, 0, 1)]
    even = [LOW + Fraction((HIGH - LOW) * i, 40) for i in range(41)]
    return [*ends, *beside, *even, *(Fraction(LOW * 2**i) for i in range(15))]


LINES = st.lists(st.builds(Line, st.integers(0, 10**8), st.integers(0, 10**7)), min_size=1, max_size=12)


@given(LINES)
def test_pieces_are_the_least_of_all_lines(lines: list[Line]) -> None:
    def solve(rate_bps: int) -> Answer:
        return answer(min(lines, key=lambda line: (line.at_ns(rate_bps), line.bits)))

    pieces = find_pieces(solve, LOW, HIGH)
    assert (pieces[0].low_bps, pieces[-1].high_bps) == (LOW, HIGH)
    for left, right in pairwise(pieces):
        assert left.high_bps == right.low_bps
        assert left.answer.line != right.answer.line
        assert left.answer.line.at_ns(left.high_bps) == right.answer.line.at_ns(left.high_bps)
    for rate in rates(pieces):
        if rate.denominator == 1:
            assert named(pieces, rate).at_ns(rate) == min(line.at_ns(rate) for line in lines)


@given(LINES, st.integers(1, 50))
def test_with_rounding_no_plan_is_faster_by_more_than_is_said(lines: list[Line], doubt_ns: int) -> None:
    doubted = [Line(line.fixed_ns, line.bits, doubt_ns) for line in lines]
    seen: dict[int, Answer] = {}

    def solve(rate_bps: int) -> Answer:
        """Return what a planner answers that sees every latency with an error of its own."""
        if rate_bps not in seen:
            off = {i: hash((rate_bps, i)) % (2 * doubt_ns + 1) - doubt_ns for i in range(len(doubted))}
            seen[rate_bps] = answer(doubted[min(off, key=lambda i: doubted[i].at_ns(rate_bps) + off[i])])
        return seen[rate_bps]

    pieces = find_pieces(solve, LOW, HIGH)
    for rate in rates(pieces):
        if rate.denominator == 1:
            assert named(pieces, rate).at_ns(rate) <= min(line.at_ns(rate) for line in doubted) + 4 * doubt_ns


@pytest.mark.parametrize(
    ("net", "extra"),
    [
        ("10kbps..400mbps", Options("eyeriss:clock=2MHz", "", edge_ram_bytes=96 * 1024)),
        ("100kbps..50mbps,rtt=3ms,overhead=40B,packet=200B", Options("eyeriss:clock=20MHz", "", weight_bits=(8,))),
        ("50kbps..50mbps,rtt=30ms", Options("eyeriss:clock=5MHz", "", wire_bits=(8,), return_result=True)),
    ],
)
def test_a_sweep_agrees_with_plans_sought_rate_by_rate(net: str, extra: Options) -> None:
    links = parse_rate_range(net)
    found = sweep_model(EXAMPLE, extra, links, Watch())
    assert found.proven
    assert len(found.pieces) > 1
    options = Options(
        extra.edge, links.low.text, **{n: getattr(extra, n) for n in ("edge_ram_bytes", "weight_bits", "wire_bits", "return_result")}
    )
    passes = passes_of(options)
    hooks = Hooks.of(options, None, Watch())
    job = start(EXAMPLE, options, find_devices(options.edge, options.cloud, options.net), passes, hooks)
    planning = [p for p in passes if p.name in ("assign-bits", "choose-plan")]
    module = run_pipeline(job.module, passes[: passes.index(planning[0])], job.env, hooks)
    low, high = round(links.low.rate_bps), round(links.high.rate_bps)
    ends = [round(piece.high_bps) + more for piece in found.pieces[:-1] for more in (-2, 2)]
    for rate_bps in (*(round(low * (high / low) ** (i / 40)) for i in range(41)), *ends):
        env = Env(job.env.edge, job.env.cloud, links.at(rate_bps))
        planned = run_pipeline(module, planning, env, hooks)
        best = planned.fact(Solutions).plans[planned.fact(Choice).index]
        ours = float(named(found.pieces, rate_bps).at_ns(rate_bps)) * 1e-9
        assert abs(ours - best.latency_s) <= found.doubt_ns * 1e-9
