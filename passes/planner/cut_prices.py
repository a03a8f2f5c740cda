"""Costs of a problem's tensors at given prices of error and memory, each at the bits that are the cheapest for it alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from .cut import Wire, wire_choices, wire_error
from .cut_terms import Terms, terms_of
from .holders import COLUMNS, FLOAT, Holder, fixed_parts, weight_parts
from .problem import NONE, Problem, payload_bytes, wire_bytes

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.intp]

ERROR, RAM, STORAGE = range(3)


@dataclass(frozen=True, slots=True)
class Prices:
    """ns for each unit of error, bit of RAM and bit of storage."""

    error: float = 0.0
    ram: float = 0.0
    storage: float = 0.0


@dataclass(frozen=True)
class Priced:
    """Costs at some prices, in ns: of each op on the edge, of each value that crosses, of each holder that is joined by an op not its root.

    amounts: error, RAM and storage of each op's weights and constants. ways: for each holder its error by way of parting.
    """

    ops: Floats
    crossing: Floats
    joined: Floats
    always: float
    amounts: Floats
    ways: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Pricing:
    """Prices a problem. holders: all of it."""

    problem: Problem
    holders: tuple[Holder, ...]

    def at(self, prices: Prices) -> Priced:
        """Return the costs at some prices."""
        ops, amounts = self._weights(prices)
        ops = ops + self._fixed + prices.ram * self._constants[RAM] + prices.storage * self._constants[STORAGE]
        crossing, joined, always = np.zeros(len(self.problem.values)), np.zeros(len(self.holders)), 0.0
        costs, columns, way_errors = self._way_costs(prices.error)
        ways: list[tuple[float, ...]] = []
        for h, holder in enumerate(self.holders):
            first, last = self._first_way[h], self._first_way[h + 1]
            if holder.ways:
                column = int(columns[last - 1])
                terms = terms_of(holder, costs[first:last].tolist(), {i: float(row[column]) for i, row in holder.rows.items()})
            else:
                terms = self._apart(holder, prices.error)
            for i, cost in terms.ops.items():
                ops[i] += cost
            for v, cost in terms.crossing.items():
                crossing[v] += cost
            joined[h] = terms.joined
            always += terms.always
            ways.append(tuple(way_errors[first:last].tolist()))
        return Priced(ops, crossing, joined, always, amounts + self._constants, tuple(ways))

    def _apart(self, holder: Holder, price: float) -> Terms:
        """Return terms of a holder of too many ways: each op and each wire at its least."""
        wires, _ = self._wires(price)
        raw = {v: self._raw[v] for v in holder.members if not self.problem.values[v].wire_bits}
        least = {v: float(wires[v].min()) for v in holder.members if self.problem.values[v].wire_bits and np.isfinite(wires[v]).any()}
        return Terms({i: float(min(row)) for i, row in holder.rows.items()}, {**raw, **least})

    @cached_property
    def _fixed(self) -> Floats:
        returned = np.zeros(len(self.problem.ops))
        if self.problem.return_result:
            for v, i in self.problem.producer.items():
                if self.problem.values[v].is_output:
                    returned[i] += self._number_ns(v)
        return np.array(fixed_parts(self.problem), np.float64) + returned

    def _number_ns(self, value: int) -> float:
        """Time that a value takes on the link as a number."""
        item = self.problem.values[value]
        return self._bytes_ns(payload_bytes(item.elements or 0, item.width_bits))

    def _bytes_ns(self, nbytes: int) -> float:
        """Time that bytes take on the link, as if packets could be parted."""
        link = self.problem.link
        return link.bytes_ns(nbytes) + (link.packet_ns * nbytes / link.capacity_bytes if link.capacity_bytes else 0.0)

    @cached_property
    def _constants(self) -> Floats:
        """Memory and storage of each op that no bits decide; what several ops read is parted between them."""
        problem = self.problem
        found = np.zeros((3, len(problem.ops)))
        readers = np.zeros(len(problem.constants))
        for op in problem.ops:
            for c in op.constants:
                readers[c] += 1
        for i, op in enumerate(problem.ops):
            held = sum(problem.constants[c].memory_bits / readers[c] for c in op.constants)
            found[RAM, i] = 0.0 if problem.constants_in_storage else held
            found[STORAGE, i] = held + op.file_bits
        return found

    @cached_property
    def _weight_tables(self) -> tuple[Ints, Floats, Floats]:
        """Return for each (op, weight) the op, its times, infinite at no width of its own, and [error, RAM, storage], by width."""
        problem = self.problem
        parts = weight_parts(problem)
        readers = np.zeros(len(problem.weights))
        for _, w, _ in parts:
            readers[w] += 1
        times = np.full((len(parts), COLUMNS), np.inf)
        amounts = np.zeros((3, len(parts), COLUMNS))
        for e, (_, w, row) in enumerate(parts):
            weight = problem.weights[w]
            for b in weight.bits:
                times[e, b - 1] = row[b - 1]
                amounts[ERROR, e, b - 1] = weight.error[b - 1] / readers[w]
                resident = weight.elements * problem.resident_bits(b) + weight.scale_bits
                amounts[RAM, e, b - 1] = 0.0 if problem.constants_in_storage else resident / readers[w]
                amounts[STORAGE, e, b - 1] = (weight.elements * weight.container_bits[b - 1] + weight.file_bits) / readers[w]
            if not weight.bits:
                times[e, FLOAT] = 0.0
        return np.array([i for i, _, _ in parts], np.intp), times, amounts

    def _weights(self, prices: Prices) -> tuple[Floats, Floats]:
        """Return cost and [error, RAM, storage] of each op's weights at the cheapest widths."""
        ops, times, amounts = self._weight_tables
        cost = times + prices.error * amounts[ERROR] + prices.ram * amounts[RAM] + prices.storage * amounts[STORAGE]
        best = cost.argmin(axis=1) if len(cost) else np.zeros(0, np.intp)
        each = np.arange(len(best))
        total, held = np.zeros(len(self.problem.ops)), np.zeros((3, len(self.problem.ops)))
        np.add.at(total, ops, cost[each, best])
        for k in range(3):
            np.add.at(held[k], ops, amounts[k, each, best])
        return total, held

    @cached_property
    def _raw(self) -> list[float]:
        return [self._number_ns(v) for v in range(len(self.problem.values))]

    @cached_property
    def _wire_tables(self) -> tuple[Floats, Floats]:
        """Return [value, held, wire] time, infinite where they do not go together, and error; both widths by column."""
        problem = self.problem
        times = np.full((len(problem.values), COLUMNS, 8), np.inf)
        errors = np.zeros((len(problem.values), COLUMNS, 8))
        for v, value in enumerate(problem.values):
            if not value.wire_bits:
                continue
            for group in {value.group, NONE}:
                for a, w in wire_choices(problem, Wire(v, group)):
                    took = self._bytes_ns(wire_bytes(value, w)) + value.packing_ns(w) + value.unpacking_ns(w)
                    times[v, a - 1, w - 1] = took
                    errors[v, a - 1, w - 1] = wire_error(value, a, w)
        return times, errors

    def _wires(self, price: float) -> tuple[Floats, Floats]:
        """Return the least cost of sending each value by what it is held at, and its error."""
        times, errors = self._wire_tables
        cost = times + price * errors
        best = cost.argmin(axis=2)[:, :, np.newaxis]
        return np.take_along_axis(cost, best, 2)[:, :, 0], np.take_along_axis(errors, best, 2)[:, :, 0]

    def _sent(self, price: float) -> tuple[Floats, Floats]:
        """Return cost and error of each value whose one quantiser is the wire."""
        times, errors = self._wire_tables
        cost = times[:, FLOAT] + price * errors[:, FLOAT] + self._making
        best = cost.argmin(axis=1)
        each = np.arange(len(best))
        return cost[each, best], errors[each, FLOAT, best]

    @cached_property
    def _making(self) -> Floats:
        """Time that the maker of a value takes for writing it, by its width."""
        found = np.zeros((len(self.problem.values), 8))
        for holder in self.holders:
            for v, row in holder.making.items():
                found[v] = row[:8]
        return found

    @cached_property
    def _first_way(self) -> list[int]:
        return np.cumsum([0, *(len(h.ways) for h in self.holders)]).tolist()

    @cached_property
    def _way_tables(self) -> _Ways:
        """Return all ways of all holders."""
        problem = self.problem
        ways = [(holder, way) for holder in self.holders for way in holder.ways]
        times = np.full((len(ways), COLUMNS), np.inf)
        errors = np.zeros((len(ways), COLUMNS))
        for k, (holder, way) in enumerate(ways):
            raw = sum(self._raw[v] for v in way.raw)
            for column in way.columns:
                times[k, column] = way.rows[column] + raw
                errors[k, column] = problem.groups[holder.index].error[column] if way.active else 0.0
        wired = [(k, v) for k, (_, way) in enumerate(ways) for v in way.wired]
        sent = [(k, v) for k, (_, way) in enumerate(ways) for v in way.sent]
        return _Ways(times, errors, np.array(wired, np.intp).reshape(-1, 2).T, np.array(sent, np.intp).reshape(-1, 2).T)

    def _way_costs(self, price: float) -> tuple[Floats, Ints, Floats]:
        """Return for each way its least cost, the width that it is had at, and the error then."""
        ways = self._way_tables
        wires, wire_errors = self._wires(price)
        sent, sent_errors = self._sent(price)
        cost = ways.times + price * ways.errors
        errors = ways.errors.copy()
        np.add.at(cost, ways.wired[0], wires[ways.wired[1]])
        np.add.at(errors, ways.wired[0], wire_errors[ways.wired[1]])
        best = cost.argmin(axis=1)
        each = np.arange(len(best))
        total, error = cost[each, best], errors[each, best]
        np.add.at(total, ways.sent[0], sent[ways.sent[1]])
        np.add.at(error, ways.sent[0], sent_errors[ways.sent[1]])
        return total, best, error


@dataclass(frozen=True, slots=True)
class _Ways:
    """times, errors: of each way by width. wired, sent: [way, value] of what crosses as codes of the quantiser, and of the wire alone."""

    times: Floats
    errors: Floats
    wired: Ints
    sent: Ints
