"""Traces: what a file means, and how long messages take that begin at any moment."""

from __future__ import annotations

import math
from hashlib import sha256
from pathlib import Path

import pytest

from autosplitc.ir import CompileError
from autosplitc.targets import STARTS, Network, Trace, parse_network

STEPS = Trace("steps.csv", "", (10.0, 11.0, 12.0, 14.0, 15.0), (1e6, 0.0, 3e6, 5e5, 0.0))
"""1 Mbit, an outage, 6 Mbit in two seconds, half a Mbit, an outage; the last row lasts 1 s, as the median of the others does."""


def write(folder: Path, text: str) -> Path:
    path = folder / "walk.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_trace_lasts_as_long_as_its_rows_and_the_median_step() -> None:
    assert STEPS.duration_s == 6.0
    assert STEPS.bits_a_round == 7.5e6
    assert Trace("one.csv", "", (3.0,), (2e6,)).duration_s == 1.0


@pytest.mark.parametrize(
    ("bits", "start_s", "seconds"),
    [
        (0, 0.0, 0.0),
        (500_000, 0.0, 0.5),
        (1_000_000, 0.0, 1.0),
        (1_000_001, 0.0, 2 + 1 / 3e6),
        (1_000_000, 0.5, 0.5 + 1 + 500_000 / 3e6),
        (3_000_000, 1.5, 0.5 + 1.0),
        (250_000, 5.5, 0.5 + 0.25),
        (7_500_000, 0.0, 5.0),
        (3 * 7_500_000, 0.0, 12 + 5.0),
        (1_000_000, 6.0, 1.0),
    ],
)
def test_the_rate_is_integrated_over_outages_and_rounds(bits: int, start_s: float, seconds: float) -> None:
    assert math.isclose(STEPS.transfer_s(bits, start_s), seconds, abs_tol=1e-9)


def test_quantiles_of_the_rate_are_weighted_by_time_without_outages() -> None:
    assert [STEPS.rate_quantile_bps(q) for q in (0.05, 0.25, 0.26, 0.5, 0.51, 0.95)] == [5e5, 5e5, 1e6, 1e6, 3e6, 3e6]


def test_quantiles_of_a_message_are_times_that_were_taken() -> None:
    trace = Trace("half.csv", "", (0.0, 1.0), (1e6, 2e6))
    bits = 100_000
    taken = sorted(trace.transfer_s(bits, (k + 0.5) * 2.0 / STARTS) for k in range(STARTS))
    assert trace.transfer_quantiles_s(bits, (0.5, 0.95, 1.0)) == (taken[STARTS // 2 - 1], taken[STARTS * 95 // 100 - 1], taken[-1])


def test_a_network_plans_with_the_median_rate_and_keeps_its_settings(tmp_path: Path) -> None:
    path = write(tmp_path, "time_ms,rate_kbps\n0,1000\n1000,0\n2000,3000\n4000,500\n5000,0\n")
    network = parse_network(f"{path},rtt=20ms,overhead=40B")
    assert (network.text, network.rate_bps, network.rtt_s) == (f"{path},rtt=20ms,overhead=40B", 1e6, 0.02)
    assert network.trace is not None
    assert network.trace == Trace(str(path), sha256(path.read_bytes()).hexdigest(), (0.0, 1.0, 2.0, 4.0, 5.0), STEPS.rates_bps)
    assert parse_network(network.text) == network
    p50_s, p95_s = network.quantiles_s(1000)
    assert (p50_s, p95_s) == tuple(t + 0.02 for t in network.trace.transfer_quantiles_s(8 * 1040, (0.5, 0.95)))
    assert network.quantiles_s(0) == (0, 0)


def test_without_a_trace_all_messages_take_the_same() -> None:
    network = parse_network("3mbps,rtt=20ms")
    assert network.quantiles_s(1000) == (network.transfer_s(1000), network.transfer_s(1000))


@pytest.mark.parametrize(
    "text",
    [
        "rate_mbps,time_s\n1,0\n2,1\n",
        '\ufeff"time_s" , "rate_Mbps"\r\n\r\n0, 1.0\r\n"1",2e0\r\n',
        "time_us,rate_bps\n0,1000000\n1e6,+2000000.\n",
    ],
)
def test_units_order_and_spelling_of_columns_are_free(tmp_path: Path, text: str) -> None:
    trace = parse_network(str(write(tmp_path, text))).trace
    assert trace is not None
    assert (trace.times_s, trace.rates_bps) == ((0.0, 1.0), (1e6, 2e6))


def test_less_than_a_bit_a_second_is_an_outage(tmp_path: Path) -> None:
    network = parse_network(str(write(tmp_path, "time_s,rate_bps\n0,0.5\n1,8000\n")))
    assert network.trace is not None
    assert network.trace.rates_bps == (0.0, 8e3)
    assert network.rate_bps == 8e3


def test_a_file_name_may_hold_commas(tmp_path: Path) -> None:
    path = tmp_path / "a,b.CSV"
    path.write_text("time_s,rate_mbps\n0,3\n", encoding="utf-8")
    assert parse_network(f"{path} , rtt=1ms").rtt_s == 1e-3


@pytest.mark.parametrize(
    ("times", "rates"),
    [((), ()), ((0.0,), (1e6, 2e6)), ((0.0, 0.0), (1e6, 1e6)), ((0.0, 1.0), (1e6, -1.0)), ((0.0, 1.0), (0.0, 0.0)), ((0.0,), (math.inf,))],
)
def test_a_trace_that_makes_no_sense_is_refused(times: tuple[float, ...], rates: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"_bps|_s"):
        Trace("odd.csv", "", times, rates)


def test_findings_end_after_ten(tmp_path: Path) -> None:
    path = write(tmp_path, "time_s,rate_mbps\n" + "".join(f"{i},x\n" for i in range(100)))
    with pytest.raises(CompileError) as caught:
        parse_network(str(path))
    assert len(caught.value.diagnostics) == 10


def test_a_network_may_be_built_on_a_trace() -> None:
    network = Network("steps", 1e6, rtt_s=0.5, trace=STEPS)
    p50_s, _ = network.quantiles_s(1)
    assert p50_s >= 0.5
