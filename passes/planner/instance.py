"""An instance: the choice of bits for one cut as a small optimisation problem over variables with few values each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .problem import NONE, Limits, VarKind

FORBIDDEN = -1
"""Error of a pair of values that may not stand together."""

Pick = Sequence[int]
"""An index into the bits of every variable."""


@dataclass(frozen=True, slots=True)
class Var:
    """A decision: the bits of a weight, an activation group, or a crossing value (`index` says which in the problem)."""

    kind: VarKind
    index: int
    bits: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Linear:
    """A constant and, for some variables, a number for each of their values."""

    const: int
    terms: tuple[tuple[int, tuple[int, ...]], ...] = ()

    def at(self, pick: Pick | Mapping[int, int]) -> int:
        """Return the sum at an assignment of all its variables."""
        return self.const + sum(table[pick[v]] for v, table in self.terms)

    def low(self) -> int:
        """Return the least sum that any assignment has."""
        return self.const + sum(min(table) for _, table in self.terms)

    def high(self) -> int:
        """Return the greatest sum that any assignment has."""
        return self.const + sum(max(table) for _, table in self.terms)


@dataclass(frozen=True, slots=True)
class Pair:
    """Latency and error that depend on two variables, [values of first][values of second]; error FORBIDDEN excludes a combination."""

    first: int
    second: int
    ns: tuple[tuple[int, ...], ...]
    error: tuple[tuple[int, ...], ...]

    def cells(self) -> list[tuple[int, int]]:
        """Combinations that are not forbidden."""
        return [(i, j) for i, row in enumerate(self.error) for j, units in enumerate(row) if units != FORBIDDEN]


@dataclass(frozen=True, slots=True)
class Overlapped:
    """Latency of an op whose transfers hide behind its compute: the greater of the two.

    compute: [values of first][values of second]; a variable NONE has one row or column.
    """

    first: int
    second: int
    compute: tuple[tuple[int, ...], ...]
    traffic: Linear

    @property
    def vars(self) -> tuple[int, ...]:
        """Variables that its latency depends on, each once, those of its compute time first."""
        return tuple(dict.fromkeys(v for v in (self.first, self.second, *(v for v, _ in self.traffic.terms)) if v != NONE))

    def at(self, pick: Pick | Mapping[int, int]) -> int:
        """Return its latency at an assignment of all its variables."""
        i = pick[self.first] if self.first != NONE else 0
        j = pick[self.second] if self.second != NONE else 0
        return max(self.compute[i][j], self.traffic.at(pick))

    def low(self) -> int:
        """Return a bound on its latency."""
        return max(min(map(min, self.compute)), self.traffic.low())


@dataclass(frozen=True, slots=True)
class Packets:
    """Latency that grows with every packet begun: `ns` for each. nbytes: what all of them hold, `capacity_bytes` each."""

    nbytes: Linear
    capacity_bytes: int
    ns: int

    def count(self, nbytes: int) -> int:
        """Return how many packets so many bytes take."""
        return -(-nbytes // self.capacity_bytes)

    def low(self) -> int:
        """Return a bound on its latency."""
        return self.count(self.nbytes.low()) * self.ns


@dataclass(frozen=True, slots=True)
class Instance:
    """Minimise latency (its linear part, pairs, overlapped ops, packets), then error, within limits.

    resident: memory of constants. steps: working set at each step that can be the largest. RAM is resident plus the largest step.
    """

    vars: tuple[Var, ...]
    latency: Linear
    pairs: tuple[Pair, ...]
    overlapped: tuple[Overlapped, ...]
    error: Linear
    resident: Linear
    steps: tuple[Linear, ...]
    storage: Linear
    limits: Limits
    packets: Packets | None = None

    def latency_at(self, pick: Pick) -> int:
        """Return the end-to-end latency of an assignment in ns."""
        pairs = sum(p.ns[pick[p.first]][pick[p.second]] for p in self.pairs)
        overlapped = sum(o.at(pick) for o in self.overlapped)
        packets = 0 if self.packets is None else self.packets.count(self.packets.nbytes.at(pick)) * self.packets.ns
        return self.latency.at(pick) + pairs + overlapped + packets

    def error_at(self, pick: Pick) -> int | None:
        """Return the error of an assignment in units, or None where it holds a forbidden pair."""
        units = [p.error[pick[p.first]][pick[p.second]] for p in self.pairs]
        return None if FORBIDDEN in units else self.error.at(pick) + sum(units)

    def ram_at(self, pick: Pick) -> int:
        """Return the memory of an assignment in bits."""
        return self.resident.at(pick) + max(step.at(pick) for step in self.steps)

    def ram_low(self) -> int:
        """Return the least memory of any assignment: each size grows with the bits of one variable alone, so the bound is met."""
        return self.resident.low() + max(step.low() for step in self.steps)

    def latency_low(self) -> int:
        """Return a bound on latency: every term at its least."""
        pairs = sum(min(p.ns[i][j] for i, j in p.cells()) for p in self.pairs)
        packets = 0 if self.packets is None else self.packets.low()
        return self.latency.low() + pairs + sum(o.low() for o in self.overlapped) + packets

    def keeps_limits(self, pick: Pick) -> bool:
        """Whether an assignment keeps the limits on RAM, storage and error and holds no forbidden pair."""
        error = self.error_at(pick)
        return (
            error is not None
            and (self.limits.error is None or error <= self.limits.error)
            and self.ram_at(pick) <= self.limits.ram_bits
            and (self.limits.storage_bits is None or self.storage.at(pick) <= self.limits.storage_bits)
        )
