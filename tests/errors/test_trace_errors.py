"""What a user reads whose trace or range of rates cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from autosplitc.ir import EXIT_BAD_INPUT, EXIT_USAGE, CompileError
from autosplitc.targets import parse_network, parse_rate_range

TRACES = {
    "": """\
error[AS404]: the trace is empty
  --> walk.csv
  hint: begin it with time_s,rate_mbps""",
    "0,3.5\n1,2\n": """\
error[AS404]: '0' is no heading of a trace's column
  --> walk.csv:1:1
  hint: let it begin with time_s,rate_mbps""",
    "time_s, rate\n0,3\n": """\
error[AS404]: column 'rate' has no unit
  --> walk.csv:1:9
  hint: rate_mbps""",
    "time_s,rate_MBps\n0,3\n": """\
error[AS404]: column 'rate_MBps' has an unknown unit 'MBps'
  --> walk.csv:1:8
  hint: known: rate_bps, rate_kbps, rate_mbps, rate_gbps""",
    "time_h,rate_mbps\n0,3\n": """\
error[AS404]: column 'time_h' has an unknown unit 'h'
  --> walk.csv:1:1
  hint: known: time_s, time_ms, time_us, time_ns""",
    "time_s,time_ms\n0,3\n": """\
error[AS404]: a trace has one column of times and one of rates, not 'time_s', 'time_ms'
  --> walk.csv:1
  hint: time_s,rate_mbps""",
    "time_s,rate_mbps\n0,3,4\n1\n": """\
error[AS405]: 3 columns, the heading has 2
  --> walk.csv:2
error[AS405]: 1 column, the heading has 2
  --> walk.csv:3""",
    "time_s,rate_mbps\n0,fast\n1, nan\nx,1e99\n": """\
error[AS405]: rate 'fast' is not a number
  --> walk.csv:2:3
error[AS405]: rate 'nan' is not a number
  --> walk.csv:3:4
error[AS405]: time 'x' is not a number
  --> walk.csv:4:1
error[AS405]: rate '1e99' is out of all range
  --> walk.csv:4:3""",
    "time_s,rate_mbps\n0,3\n2,3\n1,-3\n1.5,3\n": """\
error[AS405]: rate '-3' must not be negative
  --> walk.csv:4:3
error[AS405]: times must ascend: 1.5 s comes after 2 s
  --> walk.csv:5:1
  hint: sort the rows by time""",
    "time_s,rate_mbps\n": """\
error[AS406]: the trace has no rows
  --> walk.csv
  hint: a row such as 0,3.5 after the heading""",
    "time_s,rate_mbps\n0,0\n1,0\n": """\
error[AS406]: the rate is zero in all rows: nothing is ever sent
  --> walk.csv
  hint: rows with a rate above zero""",
    "time_s,rate_bps\n0,0\n1000,5\n1001,0\n5000,0\n": """\
error[AS406]: the rate is less than 1 bit/s on average: nothing is ever sent
  --> walk.csv
  hint: rows with a rate above zero""",
}

RANGES = {
    "3mbps": """\
error[AS401]: '3mbps' is one link, not a range of rates
  --> range of rates "3mbps"
  hint: 1..20mbps""",
    "ble": """\
error[AS401]: 'ble' is one link, not a range of rates
  --> range of rates "ble"
  hint: 1..20mbps""",
    "walk.csv,rtt=2ms": """\
error[AS401]: 'walk.csv' is a trace, not a range of rates
  --> range of rates "walk.csv,rtt=2ms"
  hint: 1..20mbps""",
    "20..1mbps": """\
error[AS401]: the range '20..1mbps' does not ascend
  --> range of rates "20..1mbps"
  hint: 1mbps..20mbps""",
    "1mbps..500kbps": """\
error[AS401]: the range '1mbps..500kbps' does not ascend
  --> range of rates "1mbps..500kbps"
  hint: 500kbps..1mbps""",
    "3mbps..3000kbps": """\
error[AS401]: the two ends of the range '3mbps..3000kbps' are one rate
  --> range of rates "3mbps..3000kbps"
  hint: 1..20mbps""",
    "0.5bps..1mbps": """\
error[AS401]: the range '0.5bps..1mbps' goes below 1 bit/s
  --> range of rates "0.5bps..1mbps"
  hint: 1..20mbps""",
    "1..20": """\
error[AS402]: rate '20' has no unit
  --> range of rates "1..20"
  hint: did you mean 20mbps?""",
    "0..20mbps": """\
error[AS402]: rate '0mbps' must be above zero
  --> range of rates "0..20mbps"
  hint: for example 3mbps""",
    "1..20mbps,rrt=2ms": """\
error[AS401]: 'rrt=2ms' is no setting of a network
  --> range of rates "1..20mbps,rrt=2ms"
  hint: did you mean "rtt"?""",
}


@pytest.mark.parametrize("text", TRACES)
def test_trace_errors(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("walk.csv").write_text(text, encoding="utf-8")
    with pytest.raises(CompileError) as caught:
        parse_network("walk.csv,rtt=20ms")
    assert str(caught.value) == TRACES[text]
    assert caught.value.exit_code == EXIT_BAD_INPUT


def test_a_trace_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("binary.csv").write_bytes(b"\xff\xfe\x00")
    messages: list[str] = []
    for name in ("none.csv", "binary.csv"):
        with pytest.raises(CompileError) as caught:
            parse_network(name)
        messages.append(str(caught.value))
        assert caught.value.exit_code == EXIT_BAD_INPUT
    assert messages == [
        """\
error[AS403]: cannot read the trace: No such file or directory
  --> none.csv
  hint: --net FILE.csv, or a rate such as 3mbps""",
        """\
error[AS403]: the trace is no text in UTF-8
  --> binary.csv
  hint: a CSV file that begins with time_s,rate_mbps""",
    ]


def test_a_wrong_setting_of_a_trace_is_one_of_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("walk.csv").write_text("time_s,rate_mbps\n0,3\n", encoding="utf-8")
    with pytest.raises(CompileError) as caught:
        parse_network("walk.csv,rtt=20")
    assert caught.value.exit_code == EXIT_USAGE


@pytest.mark.parametrize("text", RANGES)
def test_range_errors(text: str) -> None:
    with pytest.raises(CompileError) as caught:
        parse_rate_range(text)
    assert str(caught.value) == RANGES[text]
    assert caught.value.exit_code == EXIT_USAGE


def test_a_range_is_no_link() -> None:
    with pytest.raises(CompileError) as caught:
        parse_network("1..20mbps")
    assert str(caught.value) == (
        "error[AS401]: '1..20mbps' is a range of rates\n"
        '  --> network "1..20mbps"\n'
        "  hint: one rate; `autosplitc sweep MODEL --net 1..20mbps` takes a range"
    )
