"""Times to send over a trace, against a walk from row to row in exact arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autosplitc.ir import CompileError
from autosplitc.targets import STARTS, Trace, parse_network


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    steps = draw(st.lists(st.integers(1, 50), min_size=1, max_size=8))
    first = draw(st.integers(-5, 5))
    times = tuple((first + sum(steps[:i])) / 10 for i in range(len(steps)))
    rates = draw(st.lists(st.just(0) | st.integers(1, 5000), min_size=len(steps), max_size=len(steps)).filter(any))
    return Trace("drawn.csv", "", times, tuple(float(rate) * 1000 for rate in rates))


def walk(trace: Trace, bits: int, start_s: Fraction) -> Fraction:
    """Go through the rows, as often as it takes, until nothing is left to send."""
    times = [Fraction(t).limit_denominator(10) for t in trace.times_s]
    steps = sorted(b - a for a, b in pairwise(times)) or [Fraction(1)]
    middle = len(steps) // 2
    last = steps[middle] if len(steps) % 2 else (steps[middle - 1] + steps[middle]) / 2
    lengths = [*(b - a for a, b in pairwise(times)), last]
    left, spent, skipped = Fraction(bits), Fraction(0), start_s % sum(lengths)
    while left > 0:
        for length, rate in zip(lengths, map(Fraction, trace.rates_bps), strict=True):
            skip = min(skipped, length)
            skipped -= skip
            carried = (length - skip) * rate
            if carried >= left > 0:
                return spent + left / rate
            left -= carried
            spent += length - skip
    return spent


STARTS_S = st.fractions(0, 100, max_denominator=1000)


@settings(deadline=None)
@given(trace=traces(), bits=st.integers(0, 10**7), start_s=STARTS_S)
def test_the_time_is_that_of_a_walk_through_the_rows(trace: Trace, bits: int, start_s: Fraction) -> None:
    expected = float(walk(trace, bits, start_s))
    found = trace.transfer_s(bits, float(start_s))
    if not math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-9):  # rounding may put the end on either side of an outage
        around = [float(walk(trace, max(bits + more, 0), start_s)) for more in (-1, 1)]
        assert around[0] - 1e-9 <= found <= around[1] + 1e-9


@settings(deadline=None)
@given(trace=traces(), first=st.integers(1, 10**6), second=st.integers(1, 10**6), start_s=STARTS_S)
def test_sending_two_things_takes_as_long_as_one_after_the_other(trace: Trace, first: int, second: int, start_s: Fraction) -> None:
    begin = float(start_s)
    whole = trace.transfer_s(first + second, begin)
    half = trace.transfer_s(first, begin)
    least, most = (trace.transfer_s(max(first + second + more, 1), begin) for more in (-1, 1))
    assert least - 1e-6 <= half + trace.transfer_s(second, begin + half) <= most + 1e-6
    assert half <= whole <= most


@settings(deadline=None, max_examples=30)
@given(trace=traces(), bits=st.integers(1, 10**6))
def test_quantiles_are_those_of_messages_sent_evenly_over_the_trace(trace: Trace, bits: int) -> None:
    taken = sorted(trace.transfer_s(bits, (k + 0.5) * (trace.duration_s / STARTS)) for k in range(STARTS))
    p50_s, p95_s = trace.transfer_quantiles_s(bits, (0.5, 0.95))
    assert math.isclose(p50_s, taken[math.ceil(0.5 * STARTS) - 1])
    assert math.isclose(p95_s, taken[math.ceil(0.95 * STARTS) - 1])
    assert p50_s <= p95_s <= trace.transfer_quantiles_s(bits + 1000, (0.95,))[0]


CELLS = st.sampled_from(
    ["0", "1", "-1", "1e15", "-1e15", "1e-9", "1e400", "nan", "inf", "1_0", '"2"', "", " 3 ", "0x1", "٣", "time_s", "rate_mbps", "rate_bps"]
)
LINES = st.lists(st.lists(CELLS, max_size=3).map(",".join), max_size=6).map("\n".join)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(heading=st.sampled_from(["time_s,rate_mbps", "rate_bps,time_ns", "time_ms,rate_gbps", ""]), rest=LINES | st.text(max_size=40))
def test_whatever_a_file_holds_it_is_a_trace_or_a_diagnostic(tmp_path: Path, heading: str, rest: str) -> None:
    path = tmp_path / "any.csv"
    path.write_text(f"{heading}\n{rest}", encoding="utf-8", errors="replace")
    try:
        network = parse_network(str(path))
    except CompileError as error:
        assert error.exit_code == 1
        assert {d.code for d in error.diagnostics} <= {"AS404", "AS405", "AS406"}
        return
    p50_s, p95_s = network.quantiles_s(10**6)
    assert 0 <= p50_s <= p95_s < math.inf
    assert network.rate_bps >= 1
