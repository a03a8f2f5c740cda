"""The Lagrangian relaxation of an instance: a lower bound on its latency within its limits, for any multipliers.

A pick within the limits has latency >= latency + sum of multiplier x (amount - limit) for multipliers >= 0, and the greater of two times is
no less than a share of the one and the rest of the other. The least of that over all picks without any limit is found exactly: nearly every
pair joins a variable to one that stands in no other pair (weights, wires), which is settled for each value of the other. A pair of two
variables that both stand in other pairs is replaced by a sum that is nowhere greater, and so are whole packets.

All sums are integers and every product with a multiplier is rounded down, so the bound holds to the last ns, on any machine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from .bounds import Domains
from .instance import FORBIDDEN, Instance, Linear, Overlapped
from .problem import NONE

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]

STEPS, STEP_TABLES = 64, 20_000
"""Steps at which RAM is held below its limit, at most, and steps x variables: those that may take the most."""

IMPOSSIBLE = 1 << 56
"""Cost of a value that is not in its domain; more than all possible ones together."""

MOST = 1 << 48
"""Cost at which a product with a multiplier saturates: 3 days."""

DOWN = 1.0 - 2.0**-50
"""Takes a product of floats below the exact one."""


@dataclass(frozen=True, slots=True)
class _Limit:
    """Something limited: a number for each value of each variable, what is left for those, and the limit. of_pairs: the same for pairs."""

    table: Ints
    room: int
    limit: int
    of_pairs: Ints | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """The relaxation at given multipliers: no pick within the limits is faster than `total`, which `pick` has without any.

    cost: of each value, with that of the leaves it is joined to where they are at their least. joint: the same of each pair's leaf alone,
    [pairs][values of root][values of leaf].
    """

    total: int
    pick: Ints
    cost: Ints
    joint: Ints


@dataclass(frozen=True, slots=True)
class _Term:
    """Times of one variable, or of two, that count with the share of a side: an overlapped op's compute or its transfers."""

    side: int
    vars: tuple[int, ...]
    ns: Ints


class Relaxation:
    """The tables of an instance over given domains. A pair joins a root to a leaf, which stands in no other pair.

    possible: 0 for each value of a variable that is in its domain, else `IMPOSSIBLE`. limits: on the error, on storage, and on RAM at each
    step where it may be broken. Multipliers stand for these in order, as ns for exceeding each by the whole of it, and then for the share
    of each overlapped op that is its compute, as ns of `scale`. most: their upper ends.
    """

    def __init__(self, instance: Instance, domains: Domains) -> None:
        self.instance = instance
        self.domains = domains
        self.shape = len(domains), max((len(var.bits) for var in instance.vars), default=1)
        self.possible = np.full(self.shape, IMPOSSIBLE, np.int64)
        for v, domain in enumerate(domains):
            self.possible[v, domain] = 0
        self.latency, self.const = self._table(instance.latency)
        self._add_packets()
        self.sides_const = np.zeros(2 * len(instance.overlapped), np.int64)
        terms = [_Term(NONE, (p.first, p.second), np.array(p.ns, np.int64)) for p in instance.pairs]
        errors = [np.array(p.error, np.int64) for p in instance.pairs]
        for i, op in enumerate(instance.overlapped):
            terms += self._sides(i, op)
        self.scale = np.array([max(1, *map(max, op.compute), op.traffic.high()) for op in instance.overlapped], np.float64)
        self._place(terms, errors)
        self.most = np.concatenate([np.full(len(self.limits), np.inf), self.scale])

    def start(self) -> Floats:
        """Return multipliers to begin with: nothing for limits, even shares."""
        return np.concatenate([np.zeros(len(self.limits)), self.scale / 2])

    def at(self, multipliers: Floats, possible: Ints) -> Point:
        """Return the relaxation over the values that are `possible`, which are some of the domains'."""
        count = len(self.limits)
        share = multipliers[count:] / self.scale
        weight = np.concatenate([share, 1.0 - share])
        cost = possible + self.latency
        np.add.at(cost, self.row_var, _scaled(self.row_ns, weight[self.row_side, np.newaxis]))
        joint = self.pair_ns.copy()
        joint[self.shared] += _scaled(self.shared_ns, weight[self.shared_side, np.newaxis, np.newaxis])
        total = self.const + int(_scaled(self.sides_const, weight).sum())
        for limit, multiplier in zip(self.limits, multipliers[:count].tolist(), strict=True):
            if not multiplier:
                continue
            each = multiplier / max(limit.limit, 1)
            cost += _scaled(limit.table, each)
            room = limit.room * each
            total -= min(math.ceil(room + abs(room) * (1 - DOWN)), MOST)
            if limit.of_pairs is not None:
                joint += _scaled(limit.of_pairs, each)
        joint += cost[self.leaf, np.newaxis, :]
        np.add.at(cost, self.root, joint.min(axis=2))
        pick = cost.argmin(axis=1)
        pick[self.leaf] = joint.argmin(axis=2)[self.pairs, pick[self.root]]
        return Point(total + int(cost[self.roots].min(axis=1).sum()), pick, cost, joint)

    def bounds(self, point: Point) -> Ints:
        """Return for each value of each variable a latency in ns that no pick within the limits that has it beats."""
        least = point.total - point.cost.min(axis=1)
        bounds = point.cost + least[:, np.newaxis]
        if len(self.leaf):
            others = point.cost[self.root] - point.joint.min(axis=2)
            bounds[self.leaf] = (others[:, :, np.newaxis] + point.joint).min(axis=1) + least[self.root, np.newaxis]
        return bounds

    def excess(self, pick: Ints) -> Floats:
        """Return what the relaxation gains at a pick for each multiplier, in ns for ns: by which part a limit is exceeded, for a start."""
        amounts = self.limit_tables[:, np.arange(self.shape[0]), pick].sum(axis=1)
        for i, limit in enumerate(self.limits):
            if limit.of_pairs is not None:
                amounts[i] += limit.of_pairs[self.pairs, pick[self.root], pick[self.leaf]].sum()
        found = (amounts - self.limit_rooms) / self.limit_sizes
        sides = self.sides_const.copy()
        np.add.at(sides, self.row_side, self.row_ns[np.arange(len(self.row_var)), pick[self.row_var]])
        shared = np.arange(len(self.shared))
        root, leaf = self.root[self.shared], self.leaf[self.shared]
        np.add.at(sides, self.shared_side, self.shared_ns[shared, pick[root], pick[leaf]])
        compute, transfers = np.split(sides, 2)
        return np.concatenate([found, (compute - transfers) / self.scale])

    def _sides(self, index: int, op: Overlapped) -> list[_Term]:
        """Return the terms of an op's two sides: its compute and what it moves at least meanwhile, and its transfers."""
        count = len(self.instance.overlapped)
        moved = {v: np.array(row, np.int64) for v, row in op.traffic.terms}
        found = [_Term(count + index, (v,), row) for v, row in moved.items()]
        self.sides_const[count + index] = op.traffic.const
        own = np.full((len(op.compute), len(op.compute[0])), op.traffic.const, np.int64)
        if op.first in moved:
            own += moved.pop(op.first)[:, np.newaxis]
        if op.second in moved:
            own += moved.pop(op.second)[np.newaxis, :]
        own += sum(int(row[self.domains[v]].min()) for v, row in moved.items())
        compute = np.maximum(np.array(op.compute, np.int64), own)
        on = tuple(v for v in (op.first, op.second) if v != NONE)
        if not on:
            self.sides_const[index] = compute[0, 0]
        return [*found, _Term(index, on, compute if len(on) == 2 else compute.reshape(-1))] if on else found

    def _place(self, terms: list[_Term], errors: list[Ints]) -> None:
        """Lay out terms as rows of a variable, or as pairs of a root and a leaf. errors: of the first terms, which are pairs."""
        uses = np.bincount(np.array([v for term in terms if len(term.vars) == 2 for v in term.vars], np.intp), minlength=self.shape[0])
        rows: list[_Term] = []
        pairs: list[tuple[_Term, Ints | None]] = []
        for i, term in enumerate(terms):
            error = errors[i] if i < len(errors) else None
            if len(term.vars) == 1:
                rows.append(term)
            elif uses[term.vars[1]] == 1:
                pairs.append((term, error))
            elif uses[term.vars[0]] == 1:
                turned = _Term(term.side, term.vars[::-1], term.ns.T)
                pairs.append((turned, None if error is None else error.T))
            else:
                rows += self._parted(term)
        self.row_var, self.row_side, self.row_ns = self._rows(rows)
        self.pairs = np.arange(len(pairs))
        self.root = np.array([term.vars[0] for term, _ in pairs], np.intp)
        self.leaf = np.array([term.vars[1] for term, _ in pairs], np.intp)
        self.roots = np.setdiff1d(np.arange(self.shape[0]), self.leaf)
        times = np.zeros((len(pairs), self.shape[1], self.shape[1]), np.int64)
        pair_error = np.zeros_like(times)
        self.pair_ns = np.full_like(times, IMPOSSIBLE)
        for i, (term, error) in enumerate(pairs):
            place = (i, *map(slice, term.ns.shape))
            times[place] = term.ns
            self.pair_ns[place] = 0 if error is None else np.where(error == FORBIDDEN, IMPOSSIBLE, 0)
            if error is not None:
                pair_error[place] = error.clip(0)
        side = np.array([term.side for term, _ in pairs], np.intp)
        self.shared = np.flatnonzero(side != NONE)
        self.shared_side, self.shared_ns = side[self.shared], times[self.shared]
        self.pair_ns[side == NONE] += times[side == NONE]
        self.limits = self._limits(pair_error)
        self.limit_tables = np.stack([limit.table for limit in self.limits]) if self.limits else np.zeros((0, *self.shape), np.int64)
        self.limit_rooms = np.array([limit.room for limit in self.limits], np.int64)
        self.limit_sizes = np.array([max(limit.limit, 1) for limit in self.limits], np.float64)

    def _parted(self, term: _Term) -> list[_Term]:
        """Return a term of two variables as its least over the second, and what the second adds to that at least."""
        first, second = term.vars
        least = term.ns[:, self.domains[second]].min(axis=1)
        added = (term.ns - least[:, np.newaxis])[self.domains[first]].min(axis=0).clip(0)
        return [_Term(term.side, (first,), least), _Term(term.side, (second,), added)]

    def _rows(self, terms: list[_Term]) -> tuple[NDArray[np.intp], NDArray[np.intp], Ints]:
        """Return variables, sides and times of terms; those of no side are added to the latency."""
        sided = [term for term in terms if term.side != NONE]
        for term in terms:
            if term.side == NONE:
                self.latency[term.vars[0], : len(term.ns)] += term.ns
        ns = np.zeros((len(sided), self.shape[1]), np.int64)
        for i, term in enumerate(sided):
            ns[i, : len(term.ns)] = term.ns
        return np.array([t.vars[0] for t in sided], np.intp), np.array([t.side for t in sided], np.intp), ns

    def _limits(self, pair_error: Ints) -> tuple[_Limit, ...]:
        instance, limits = self.instance, self.instance.limits
        found: list[_Limit] = []
        if limits.error is not None:
            table, const = self._table(instance.error)
            found.append(_Limit(table, limits.error - const, limits.error, pair_error))
        if limits.storage_bits is not None:
            table, const = self._table(instance.storage)
            found.append(_Limit(table, limits.storage_bits - const, limits.storage_bits))
        constants, constants_const = self._table(instance.resident)
        steps = [step for step in instance.steps if instance.resident.high() + step.high() > limits.ram_bits]
        most = min(STEPS, 1 + STEP_TABLES // max(self.shape[0], 1))
        for step in sorted(steps, key=Linear.high, reverse=True)[:most]:
            table, const = self._table(step)
            found.append(_Limit(constants + table, limits.ram_bits - constants_const - const, limits.ram_bits))
        return tuple(found)

    def _table(self, linear: Linear) -> tuple[Ints, int]:
        table = np.zeros(self.shape, np.int64)
        for v, row in linear.terms:
            table[v, : len(row)] = row
        return table, linear.const

    def _add_packets(self) -> None:
        """Add packets as if they could be parted, rounded down for each variable."""
        packets = self.instance.packets
        if packets is not None:
            table, const = self._table(packets.nbytes)
            self.latency += table * packets.ns // packets.capacity_bytes
            self.const += const * packets.ns // packets.capacity_bytes


def _scaled(table: Ints, each: float | Floats) -> Ints:
    """Return a table that is not negative times a number that is not negative, rounded down."""
    return np.minimum(table * (each * DOWN), float(MOST)).astype(np.int64)
