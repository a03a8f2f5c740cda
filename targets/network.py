"""Network: the link between edge and cloud."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Network:
    """An uplink: `rate_bps` bits per second (1 Mbps = 10^6), round trip and bytes added to every message.

    `text` is the canonical spelling that gives the same network again.
    """

    text: str
    rate_bps: float
    rtt_s: float = 0.0
    overhead_bytes: int = 0
    source: str = ""

    def transfer_s(self, payload_bytes: int) -> float:
        """Seconds to send one message: (payload + overhead) x 8 / rate + round trip; 0 for nothing to send."""
        if payload_bytes <= 0:
            return 0.0
        return (payload_bytes + self.overhead_bytes) * 8 / self.rate_bps + self.rtt_s
