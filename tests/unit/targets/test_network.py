"""Networks: how they are written, and what sending costs."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autosplitc.targets import PRESETS, Network, parse_network, parse_rate_range


def test_a_rate_alone() -> None:
    assert parse_network("3mbps") == Network("3mbps", 3e6)


def test_a_rate_with_round_trip_and_overhead() -> None:
    assert parse_network(" 3Mbps , rtt=0.02s,overhead = 40B") == Network("3mbps,rtt=20ms,overhead=40B", 3e6, 0.02, 40)


def test_a_preset_keeps_its_source_and_takes_other_settings() -> None:
    network = parse_network("BLE,rtt=30ms")
    assert network == Network("ble,rtt=30ms", 236.7e3, 0.03, 0, PRESETS["ble"].source)
    assert parse_network("ble,rtt=7.5ms") == PRESETS["ble"]


@pytest.mark.parametrize("name", ["ble", "3g", "4g", "5g", "wifi"])
def test_presets_have_sources_and_read_back(name: str) -> None:
    network = parse_network(name)
    assert network.text == name
    assert network.rate_bps > 0
    assert network.rtt_s > 0
    assert len(network.source) > 20


def test_sending_takes_bits_over_rate_plus_a_round_trip() -> None:
    network = parse_network("3mbps,rtt=20ms,overhead=40B")
    assert network.transfer_s(0) == 0
    assert math.isclose(network.transfer_s(335), 375 * 8 / 3e6 + 0.02)


def test_a_message_is_cut_into_packets_of_which_each_has_a_header() -> None:
    network = parse_network("3mbps,rtt=20ms,overhead=40B,packet=1500B,header=28B")
    assert (network.packet_bytes, network.header_bytes) == (1500, 28)
    assert network.packets(1472 - 40) == 1
    assert network.packets(1472 - 40 + 1) == 2
    assert network.sent_bits(3000) == 8 * (3040 + 3 * 28)
    assert math.isclose(network.transfer_s(3000), (3040 + 3 * 28) * 8 / 3e6 + 0.02)
    assert math.isclose(network.transfer_s(3000), 3000 * 8 / 3e6 + network.message_s + 3 * network.packet_s)
    assert network.packets(0) == network.sent_bits(0) == network.transfer_s(0) == 0


def test_a_header_is_that_of_ip_and_tcp_unless_it_is_given() -> None:
    network = parse_network("3mbps,packet=1.5kB")
    assert (network.packet_bytes, network.header_bytes, network.text) == (1500, 40, "3mbps,packet=1.5kB")
    assert parse_network("3mbps,packet=1.5kB,header=40B") == network
    assert parse_network("3mbps").packets(10**6) == 0
    assert parse_network("3mbps,packet=0B") == parse_network("3mbps")


def test_packets_without_room_are_refused() -> None:
    with pytest.raises(ValueError, match="packet_bytes = 40"):
        Network("odd", 1e6, packet_bytes=40, header_bytes=40)


def test_a_range_of_rates() -> None:
    links = parse_rate_range(" 1 .. 20mbps , rtt=20ms,overhead=40B")
    assert links.text == "1mbps..20mbps,rtt=20ms,overhead=40B"
    assert (links.low, links.high) == (parse_network("1mbps,rtt=20ms,overhead=40B"), parse_network("20mbps,rtt=20ms,overhead=40B"))
    assert links.at(2.5e6) == parse_network("2.5mbps,rtt=20ms,overhead=40B")
    assert parse_rate_range("500kbps..2mbps").low.rate_bps == 5e5
    assert parse_rate_range(links.text) == links


RATES = st.builds("{}.{}{}".format, st.integers(1, 999), st.integers(0, 999), st.sampled_from(["kbps", "mbps"]))


@given(
    head=st.sampled_from(list(PRESETS)) | RATES,
    rtt_us=st.none() | st.integers(0, 10**6),
    overhead=st.none() | st.integers(0, 5000),
    packet=st.none() | st.integers(101, 9000),
    header=st.none() | st.integers(0, 100),
)
def test_the_canonical_text_reads_back_as_the_same_network(
    head: str, rtt_us: int | None, overhead: int | None, packet: int | None, header: int | None
) -> None:
    text = head + (f",rtt={rtt_us}us" if rtt_us is not None else "") + (f",overhead={overhead}B" if overhead is not None else "")
    if packet is not None:
        text += f",packet={packet}B" + (f",header={header}B" if header is not None else "")
    network = parse_network(text)
    assert parse_network(network.text) == network
    assert network.rtt_s == (rtt_us / 10**6 if rtt_us is not None else PRESETS[head].rtt_s if head in PRESETS else 0)
    assert network.overhead_bytes == (overhead or 0)
    if packet is not None:
        assert network.packet_bytes == packet
        assert network.header_bytes == (40 if header is None else header)
