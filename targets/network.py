"""Network: the link between edge and cloud, and how it is written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from autosplitc.ir import EXIT_USAGE, CompileError, Diagnostic, did_you_mean

from .trace import Trace
from .trace_file import read_trace
from .units import RATE, SIZE, TIME, format_quantity, parse_rate_bps, parse_size_bytes, parse_time_s

HEADER_BYTES = 40
"""What a packet carries besides its part of the message: IPv4 (20 bytes, RFC 791) and TCP without options (20 bytes, RFC 9293)."""

_SETTINGS = ("rtt", "overhead", "packet", "header")


@dataclass(frozen=True, slots=True)
class Network:
    """An uplink: `rate_bps` bits per second (1 Mbps = 10^6), round trip, bytes added to every message, and packets.

    packet_bytes: the most that one packet holds, its header of `header_bytes` included; 0: messages are not cut into packets.
    trace: the rate over time, where it is known; `rate_bps` is then its median while the link carries anything.
    `text` is the canonical spelling that gives the same network again. `source` says where a preset's figures come from.
    Raises ValueError for packets that hold nothing besides their header.
    """

    text: str
    rate_bps: float
    rtt_s: float = 0.0
    overhead_bytes: int = 0
    source: str = ""
    packet_bytes: int = 0
    header_bytes: int = 0
    trace: Trace | None = None

    def __post_init__(self) -> None:
        """Check that packets have room."""
        if self.header_bytes < 0 or (self.packet_bytes and self.packet_bytes <= self.header_bytes):
            raise ValueError(f"packet_bytes = {self.packet_bytes} leaves no room beside header_bytes = {self.header_bytes}")

    @property
    def message_s(self) -> float:
        """Seconds that a message takes besides its payload and its packets' headers: overhead x 8 / rate + round trip."""
        return self.overhead_bytes * 8 / self.rate_bps + self.rtt_s

    @property
    def packet_s(self) -> float:
        """Seconds that a packet's header takes; 0 where messages are not cut into packets."""
        return self.header_bytes * 8 / self.rate_bps if self.packet_bytes else 0.0

    def packets(self, payload_bytes: int) -> int:
        """Return into how many packets a message is cut; 0 for nothing to send, and where messages are not cut."""
        if payload_bytes <= 0 or not self.packet_bytes:
            return 0
        return -(-(payload_bytes + self.overhead_bytes) // (self.packet_bytes - self.header_bytes))

    def sent_bits(self, payload_bytes: int) -> int:
        """Return the bits of a message: payload, overhead and the headers of its packets; 0 for nothing to send."""
        if payload_bytes <= 0:
            return 0
        return 8 * (payload_bytes + self.overhead_bytes + self.packets(payload_bytes) * self.header_bytes)

    def transfer_s(self, payload_bytes: int) -> float:
        """Return the seconds to send one message: its bits / rate + round trip; 0 for nothing to send."""
        return self.sent_bits(payload_bytes) / self.rate_bps + self.rtt_s if payload_bytes > 0 else 0.0

    def quantiles_s(self, payload_bytes: int) -> tuple[float, float]:
        """Return the seconds in which half of all messages and 95 % of them are sent, over all moments of the trace at which they begin.

        Without a trace both are `transfer_s`.
        """
        if self.trace is None or payload_bytes <= 0:
            return self.transfer_s(payload_bytes), self.transfer_s(payload_bytes)
        p50_s, p95_s = self.trace.transfer_quantiles_s(self.sent_bits(payload_bytes), (0.50, 0.95))
        return p50_s + self.rtt_s, p95_s + self.rtt_s


_OFCOM = "Ofcom, Measuring mobile broadband performance in the UK, 2 April 2015 (tests of October to December 2014)"

PRESETS: dict[str, Network] = {
    preset.text: preset
    for preset in (
        Network(
            "ble",
            rate_bps=236.7e3,
            rtt_s=7.5e-3,
            source="rate: maximum application throughput of BLE 4.x, Gomez, Demirkol and Paradells, IEEE Communications Letters 15(11), "
            "2011; rtt: the shortest connection interval, Bluetooth Core Specification 4.0, Vol. 6 Part B, 4.5.1",
        ),
        Network("3g", rate_bps=1.6e6, rtt_s=63.5e-3, source=f"average upload and latency on 3G: {_OFCOM}"),
        Network("4g", rate_bps=13.6e6, rtt_s=53.1e-3, source=f"average upload and latency on 4G: {_OFCOM}"),
        Network(
            "5g",
            rate_bps=50e6,
            rtt_s=8e-3,
            source="Report ITU-R M.2410-0, 2017: user-experienced uplink rate, of what layer 3 gets (4.3); twice the one-way user-plane "
            "latency of eMBB (4.7.1). Packets: the link MTU of 3GPP TS 23.501, Annex J",
            packet_bytes=1358,
            header_bytes=HEADER_BYTES,
        ),
        Network(
            "wifi",
            rate_bps=18.88e6,
            rtt_s=3e-3,
            source="rate: average upload over US fixed lines, Ookla Speedtest Market Report, first half of 2016; "
            "rtt: median WiFi latency, Sui et al., MobiSys 2016",
        ),
    )
}
"""Links by name; the rate is the uplink's. Rates that were measured above TCP, or of an application's own bytes, have the headers in them:
such links are not cut into packets, which would count the headers twice."""

_TRACE = re.compile(r"(?P<file>.+?\.csv)\s*(?:,(?P<settings>.*))?", re.IGNORECASE | re.DOTALL)
_BARE = re.compile(r"[0-9.]+")


def parse_network(text: str) -> Network:
    """Return the network of `3mbps`, `3mbps,rtt=20ms,overhead=40B,packet=1500B`, a preset such as `ble,rtt=30ms`, or a trace: `walk.csv`.

    `packet=0B` takes a preset's packets away. Raises CompileError: AS401 for the form and AS402 for a quantity (exit 2), AS403 to AS406 for
    a trace (exit 1).
    """
    try:
        traced = _TRACE.fullmatch(text.strip())
        if traced is not None:
            settings = traced["settings"]
            return _with_settings(_traced(read_trace(traced["file"])), [] if settings is None else settings.split(","))
        head, *settings = (part.strip() for part in text.split(","))
        preset = PRESETS.get(head.lower())
        return _with_settings(preset if preset is not None else Network("", _rate(head)), settings)
    except CompileError as error:
        raise error.at(f'network "{text}"') from None


@dataclass(frozen=True, slots=True)
class RateRange:
    """A link at all rates from that of `low` to that of `high`; nothing else differs. `text` is the canonical spelling."""

    text: str
    low: Network
    high: Network

    def at(self, rate_bps: float) -> Network:
        """Return the link at a rate."""
        return replace(self.low, text=_text_at(self.low, rate_bps), rate_bps=rate_bps)


def parse_rate_range(text: str) -> RateRange:
    """Return the range of `1..20mbps` or `500kbps..20mbps,rtt=20ms`; a lower end without unit has that of the upper one.

    Raises CompileError: AS401 for the form, ends that do not ascend, and for a single rate; AS402 for a quantity (exit 2).
    """
    head, *settings = (part.strip() for part in text.split(","))
    try:
        first, dots, last = (part.strip() for part in head.partition(".."))
        if not dots:
            what = "a trace" if _TRACE.fullmatch(text.strip()) else "one link"
            raise _error(f"{head!r} is {what}, not a range of rates", "1..20mbps")
        high_bps = parse_rate_bps(last)
        low_bps = parse_rate_bps(first + last.lstrip("0123456789. ") if _BARE.fullmatch(first) else first)
        if min(low_bps, high_bps) < 1:
            raise _error(f"the range {head!r} goes below 1 bit/s", "1..20mbps")
        if low_bps == high_bps:
            raise _error(f"the two ends of the range {head!r} are one rate", "1..20mbps")
        if low_bps > high_bps:
            raise _error(f"the range {head!r} does not ascend", "..".join(format_quantity(bps, RATE) for bps in (high_bps, low_bps)))
        low, high = (_with_settings(Network("", rate), settings) for rate in (low_bps, high_bps))
    except CompileError as error:
        raise error.at(f'range of rates "{text}"') from None
    return RateRange(f"{format_quantity(low_bps, RATE)}..{high.text}", low, high)


def _text_at(network: Network, rate_bps: float) -> str:
    return ",".join((format_quantity(rate_bps, RATE), *network.text.split(",")[1:]))


def _traced(trace: Trace) -> Network:
    return Network(trace.name, trace.rate_quantile_bps(0.5), trace=trace)


def _rate(head: str) -> float:
    if ".." in head:
        raise _error(f"{head!r} is a range of rates", "one rate; `autosplitc sweep MODEL --net 1..20mbps` takes a range")
    if head and head[0].isalpha():
        near = did_you_mean(head.lower(), PRESETS)
        also = " A rate such as 3mbps will do too" if near.endswith("?") else "; or a rate such as 3mbps"
        raise _error(f"unknown network {head!r}", near + also)
    return parse_rate_bps(head)


def _with_settings(base: Network, settings: Iterable[str]) -> Network:
    """Return a network with settings such as `rtt=20ms`, named by what differs from `base`."""
    values: dict[str, str] = {}
    for setting in settings:
        key, equals, value = (part.strip() for part in setting.partition("="))
        if not equals or key not in _SETTINGS:
            raise _error(f"{setting!r} is no setting of a network", _setting_hint(key, equals))
        if key in values:
            raise _error(f"{key!r} is given twice", "give it once")
        values[key] = value
    rtt_s = parse_time_s(values["rtt"], "rtt") if "rtt" in values else base.rtt_s
    overhead_bytes = _bytes(values, "overhead", base.overhead_bytes)
    packet_bytes = _bytes(values, "packet", base.packet_bytes)
    if not packet_bytes and "header" in values:
        raise _error("'header' without 'packet': there is nothing that it could head", f"packet=1500B,header={values['header']}")
    header_bytes = _bytes(values, "header", _usual_header(base)) if packet_bytes else 0
    if packet_bytes and packet_bytes <= header_bytes:
        message = f"a packet of {packet_bytes} B leaves no room beside its header of {header_bytes} B"
        raise _error(message, f"packet={header_bytes + 1460}B")
    return _named(replace(base, rtt_s=rtt_s, overhead_bytes=overhead_bytes, packet_bytes=packet_bytes, header_bytes=header_bytes), base)


def _bytes(values: Mapping[str, str], key: str, otherwise: int) -> int:
    return parse_size_bytes(values[key], key, zero=True) if key in values else otherwise


def _usual_header(base: Network) -> int:
    return base.header_bytes if base.packet_bytes else HEADER_BYTES


def _setting_hint(key: str, equals: str) -> str:
    if equals:
        return did_you_mean(key, _SETTINGS)
    return "write 3mbps,rtt=20ms,overhead=40B"


def _named(network: Network, base: Network) -> Network:
    """Return a network with its canonical text: what differs from the preset, or from a link of this rate alone."""
    words = [base.text or format_quantity(base.rate_bps, RATE)]
    if network.rtt_s != base.rtt_s:
        words.append(f"rtt={format_quantity(network.rtt_s, TIME)}")
    if network.overhead_bytes != base.overhead_bytes:
        words.append(f"overhead={format_quantity(network.overhead_bytes, SIZE)}")
    if network.packet_bytes != base.packet_bytes:
        words.append(f"packet={format_quantity(network.packet_bytes, SIZE)}")
    if network.packet_bytes and network.header_bytes != _usual_header(base):
        words.append(f"header={format_quantity(network.header_bytes, SIZE)}")
    return replace(network, text=",".join(words))


def _error(message: str, hint: str) -> CompileError:
    return CompileError(Diagnostic("AS401", message, hint=hint), exit_code=EXIT_USAGE)
