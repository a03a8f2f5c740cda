"""Trace: a link's rate over time, and how long messages take that are sent at any moment of it."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .units import RATE, format_quantity

STARTS = 1_000
"""Moments at which messages are thought to be sent, spread evenly over the trace, to find how long they take."""

_LEAST_BITS = 1e-300
"""What is left to send in the last round is more than nothing, whatever rounding says: it ends in a row with a rate."""


@dataclass(frozen=True)
class Trace:
    """A rate that stays `rates_bps[i]` from `times_s[i]` to the next time, and starts again after the last, which lasts as long as the
    median of the others (1 s where there is no other).

    name: the file as the user wrote it; sha256: digest of its bytes. Rates of 0 are outages.
    Raises ValueError for times that do not ascend, rates below 0, and a trace of less than 1 bit/s on average.
    """

    name: str
    sha256: str
    times_s: tuple[float, ...]
    rates_bps: tuple[float, ...]

    def __post_init__(self) -> None:
        """Check times and rates."""
        if not self.times_s or len(self.times_s) != len(self.rates_bps):
            raise ValueError(f"{len(self.times_s)} times_s and {len(self.rates_bps)} rates_bps")
        if not all(map(math.isfinite, (*self.times_s, *self.rates_bps))) or any(np.diff(self.times_s) <= 0):
            raise ValueError("times_s must ascend, and all figures be finite")
        if min(self.rates_bps) < 0 or self.bits_a_round < self.duration_s:
            raise ValueError("rates_bps must not be negative, and 1 bit/s at least on average")

    def __str__(self) -> str:
        """Return name, length and range of the rate: `walk.csv (600 s, 0.4..5.1 mbps)`."""
        least, most = (format_quantity(float(f"{rate:.3g}"), RATE) for rate in (min(self.rates_bps), max(self.rates_bps)))
        return f"{Path(self.name).name} ({self.duration_s:.6g} s, {least}..{most})"

    @property
    def duration_s(self) -> float:
        """Seconds until the trace starts again."""
        return float(self._edges_s[-1])

    @property
    def bits_a_round(self) -> float:
        """Bits that the link carries in `duration_s`."""
        return float(self._sent[-1])

    def rate_quantile_bps(self, share: float) -> float:
        """Return the least rate such that the link is at it or below for a `share` of the time in which it is not at 0."""
        lasts_s = np.diff(self._edges_s)
        rates = np.asarray(self.rates_bps)
        order = np.argsort(rates, kind="stable")
        order = order[rates[order] > 0]
        passed_s = np.cumsum(lasts_s[order])
        at = bisect_left(passed_s.tolist(), float(share * passed_s[-1] * (1 - 1e-12)))
        return float(rates[order][min(at, len(order) - 1)])

    def transfer_s(self, bits: int, start_s: float) -> float:
        """Return the seconds until `bits` bits are sent that begin at `start_s` seconds after the trace's first row."""
        return float(self._transfers_s(bits, np.asarray([start_s]))[0])

    def transfer_quantiles_s(self, bits: int, shares: Sequence[float]) -> tuple[float, ...]:
        """Return for each share the least time in which at least that share of `STARTS` messages of `bits` bits is sent."""
        starts_s = (np.arange(STARTS) + 0.5) * (self.duration_s / STARTS)
        taken_s = np.sort(self._transfers_s(bits, starts_s))
        return tuple(float(taken_s[max(math.ceil(share * STARTS - 1e-9), 1) - 1]) for share in shares)

    @cached_property
    def _edges_s(self) -> NDArray[np.float64]:
        """Times since the first row at which the rate changes, f64[rows + 1]; the last is the end."""
        times = np.asarray(self.times_s, np.float64)
        last_s = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
        return np.append(times - times[0], times[-1] - times[0] + last_s)

    @cached_property
    def _sent(self) -> NDArray[np.float64]:
        """Bits that the link carries up to every edge."""
        return np.append(0.0, np.cumsum(np.diff(self._edges_s) * np.asarray(self.rates_bps)))

    def _transfers_s(self, bits: int, starts_s: NDArray[Any]) -> NDArray[np.float64]:
        """Integrate the rate: the end is the first moment at which as much was carried since the start as there is to send."""
        if bits <= 0:
            return np.zeros(len(starts_s))
        edges, sent, rates = self._edges_s, self._sent, np.asarray(self.rates_bps)
        begin = starts_s % self.duration_s
        row = np.minimum(edges.searchsorted(begin, side="right") - 1, len(rates) - 1)
        goal = sent[row] + (begin - edges[row]) * rates[row] + bits
        rounds = np.ceil(goal / sent[-1]) - 1
        rest: NDArray[np.float64] = np.minimum(np.maximum(goal - rounds * sent[-1], _LEAST_BITS), sent[-1])
        row = np.maximum(sent.searchsorted(rest, side="left") - 1, 0)
        into_row_s = np.minimum((rest - sent[row]) / rates[row], np.diff(edges)[row])
        return np.maximum(rounds * self.duration_s + edges[row] + into_row_s - begin, 0.0)
