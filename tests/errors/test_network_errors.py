"""What a user reads who mistypes a network."""

from __future__ import annotations

import pytest

from autosplitc.ir import EXIT_USAGE, CompileError
from autosplitc.targets import parse_network

CASES = {
    "3": """\
error[AS402]: rate '3' has no unit
  --> network "3"
  hint: did you mean 3mbps?""",
    "3MBps": """\
error[AS402]: rate '3MBps' is in bytes, a rate is in bits
  --> network "3MBps"
  hint: megabytes? 24mbps is 3 megabytes a second; for bits write 3mbps""",
    "0mbps": """\
error[AS402]: rate '0mbps' must be above zero
  --> network "0mbps"
  hint: for example 3mbps""",
    "-1mbps": """\
error[AS402]: rate '-1mbps' must be above zero
  --> network "-1mbps"
  hint: for example 3mbps""",
    "": """\
error[AS402]: rate '' is not a number with a unit
  --> network ""
  hint: write it as 3mbps""",
    "3mbit/s": """\
error[AS402]: rate '3mbit/s' has an unknown unit 'mbit/s'
  --> network "3mbit/s"
  hint: did you mean 3mbps?""",
    "3 knots": """\
error[AS402]: rate '3 knots' has an unknown unit 'knots'
  --> network "3 knots"
  hint: units: bps, kbps, mbps, gbps""",
    "bel": """\
error[AS401]: unknown network 'bel'
  --> network "bel"
  hint: did you mean "ble"? A rate such as 3mbps will do too""",
    "fast": """\
error[AS401]: unknown network 'fast'
  --> network "fast"
  hint: known: 3g, 4g, 5g, ble, wifi; or a rate such as 3mbps""",
    "3mbps,rtt": """\
error[AS401]: 'rtt' is no setting of a network
  --> network "3mbps,rtt"
  hint: write 3mbps,rtt=20ms,overhead=40B""",
    "3mbps,rrt=20ms": """\
error[AS401]: 'rrt=20ms' is no setting of a network
  --> network "3mbps,rrt=20ms"
  hint: did you mean "rtt"?""",
    "3mbps,rtt=20": """\
error[AS402]: rtt '20' has no unit
  --> network "3mbps,rtt=20"
  hint: did you mean 20ms?""",
    "3mbps,overhead=-40B": """\
error[AS402]: overhead '-40B' must not be negative
  --> network "3mbps,overhead=-40B"
  hint: for example 3B""",
    "ble,rtt=1ms,rtt=2ms": """\
error[AS401]: 'rtt' is given twice
  --> network "ble,rtt=1ms,rtt=2ms"
  hint: give it once""",
    "3mbps,packet=1500": """\
error[AS402]: packet '1500' has no unit
  --> network "3mbps,packet=1500"
  hint: did you mean 1500B?""",
    "3mbps,header=20B": """\
error[AS401]: 'header' without 'packet': there is nothing that it could head
  --> network "3mbps,header=20B"
  hint: packet=1500B,header=20B""",
    "3mbps,packet=40B": """\
error[AS401]: a packet of 40 B leaves no room beside its header of 40 B
  --> network "3mbps,packet=40B"
  hint: packet=1500B""",
    "3mbps,paket=1500B": """\
error[AS401]: 'paket=1500B' is no setting of a network
  --> network "3mbps,paket=1500B"
  hint: did you mean "packet"?""",
}


@pytest.mark.parametrize("text", CASES)
def test_network_errors(text: str) -> None:
    with pytest.raises(CompileError) as caught:
        parse_network(text)
    assert str(caught.value) == CASES[text]
    assert caught.value.exit_code == EXIT_USAGE
