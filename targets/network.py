"""Network: the link between edge and cloud, and how it is written."""

from __future__ import annotations

from dataclasses import dataclass, replace

from autosplitc.ir import EXIT_USAGE, CompileError, Diagnostic, did_you_mean

from .units import RATE, SIZE, TIME, format_quantity, parse_rate_bps, parse_size_bytes, parse_time_s


@dataclass(frozen=True, slots=True)
class Network:
    """An uplink: `rate_bps` bits per second (1 Mbps = 10^6), round trip, bytes added to every message, and packets.

    packet_bytes: the most that one packet holds, its header of `header_bytes` included; 0: messages are not cut into packets.
    `text` is the canonical spelling that gives the same network again. `source` says where a preset's figures come from.
    """

    text: str
    rate_bps: float
    rtt_s: float = 0.0
    overhead_bytes: int = 0
    source: str = ""
    packet_bytes: int = 0
    header_bytes: int = 0

    @property
    def message_s(self) -> float:
        """Seconds that a message takes besides its payload: overhead x 8 / rate + round trip."""
        return self.overhead_bytes * 8 / self.rate_bps + self.rtt_s

    def transfer_s(self, payload_bytes: int) -> float:
        """Seconds to send one message: payload x 8 / rate, and what every message takes; 0 for nothing to send."""
        if payload_bytes <= 0:
            return 0.0
        return payload_bytes * 8 / self.rate_bps + self.message_s


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
            source="Report ITU-R M.2410-0, 2017: user-experienced uplink rate (4.3); twice the one-way user-plane latency of eMBB (4.7.1)",
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
"""Links by name; the rate is the uplink's."""


def parse_network(text: str) -> Network:
    """Return the network of `3mbps`, `3mbps,rtt=20ms,overhead=40B`, a preset (`ble`, `3g`, `4g`, `5g`, `wifi`) or `ble,rtt=30ms`.

    Raises CompileError (AS401 for the form, AS402 for a quantity; exit 2).
    """
    head, *settings = (part.strip() for part in text.split(","))
    try:
        preset = PRESETS.get(head.lower())
        base = preset if preset is not None else Network("", _rate(head))
        rtt_s, overhead_bytes = base.rtt_s, base.overhead_bytes
        seen: set[str] = set()
        for setting in settings:
            key, equals, value = (part.strip() for part in setting.partition("="))
            if not equals or key not in ("rtt", "overhead"):
                raise _error(f"{setting!r} is no setting of a network", _setting_hint(key, equals))
            if key in seen:
                raise _error(f"{key!r} is given twice", "give it once")
            seen.add(key)
            if key == "rtt":
                rtt_s = parse_time_s(value, "rtt")
            else:
                overhead_bytes = parse_size_bytes(value, "overhead", zero=True)
    except CompileError as error:
        raise error.at(f'network "{text}"') from None
    return _canonical(base, rtt_s, overhead_bytes)


def _rate(head: str) -> float:
    if head and head[0].isalpha():
        near = did_you_mean(head.lower(), PRESETS)
        also = " A rate such as 3mbps will do too" if near.endswith("?") else "; or a rate such as 3mbps"
        raise _error(f"unknown network {head!r}", near + also)
    return parse_rate_bps(head)


def _setting_hint(key: str, equals: str) -> str:
    if equals:
        return did_you_mean(key, ("rtt", "overhead"))
    return "write 3mbps,rtt=20ms,overhead=40B"


def _canonical(base: Network, rtt_s: float, overhead_bytes: int) -> Network:
    """Name what differs from the preset, or from a link without round trip and overhead."""
    words = [base.text or format_quantity(base.rate_bps, RATE)]
    if rtt_s != base.rtt_s:
        words.append(f"rtt={format_quantity(rtt_s, TIME)}")
    if overhead_bytes != base.overhead_bytes:
        words.append(f"overhead={format_quantity(overhead_bytes, SIZE)}")
    return replace(base, text=",".join(words), rtt_s=rtt_s, overhead_bytes=overhead_bytes)


def _error(message: str, hint: str) -> CompileError:
    return CompileError(Diagnostic("AS401", message, hint=hint), exit_code=EXIT_USAGE)
