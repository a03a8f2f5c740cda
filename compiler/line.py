"""A plan's latency by the rate of the link."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Line:
    """A plan's latency by rate: `fixed_ns` + `bits` x 10^9 / rate. The planner's whole nanoseconds are at most `doubt_ns` off it."""

    fixed_ns: int
    bits: int
    doubt_ns: int = 0

    def at_ns(self, rate_bps: Fraction | int) -> Fraction:
        """Return the latency at a rate."""
        return self.fixed_ns + Fraction(self.bits * 10**9) / rate_bps

    def beats(self, other: Line, rate_bps: Fraction | int) -> bool:
        """Whether it is below the other at a rate, whatever was rounded."""
        return self.at_ns(rate_bps) + self.doubt_ns < other.at_ns(rate_bps) - other.doubt_ns
