"""Lower bounds on the latency of all prefix cuts at once: one sweep over the ops for each multiplier.

For any m >= 0 a plan within the error limit has latency >= latency + m (error - limit), which is no less than its least over all
assignments without any limit (Lagrangian relaxation). That least is a sum over tensors, each on its own: when an op joins the edge, only
the tensors that it touches change. A term of two tensors is replaced by a sum over each that is nowhere greater, and whole packets by
the part of one that every byte takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from .cut import Wire, wire_choices, wire_error
from .problem import NONE, Operand, OpItem, Problem, Value, wire_bytes

SCALE = 1024
"""Costs in a sweep are in ns / SCALE and multipliers whole, so that bounds are exact integers."""

MULTIPLIERS = 8
"""Multipliers to try besides 0: the first buys the whole error limit for the whole latency or less, each next one is a quarter.

They are powers of 4, so that problems that differ in limits alone can share sweeps."""

Row: TypeAlias = Sequence[int]
"""Times in ns at 1..8 bits and float."""

Holder: TypeAlias = tuple[str, int]
"""What has bits of its own: ("weight", index), ("group", index), or ("value", index) for a value in no group."""


def prefix_bounds(problem: Problem) -> list[int]:
    """Return for every position 0..n a latency in ns that no plan with that prefix on the edge beats within the error limit."""
    return Sweeps(problem).bounds(problem.limits.error)


class Sweeps:
    """Sweeps over a problem; problems that differ from it in limits on error, RAM, storage or latency alone have the same."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.kept: dict[int, list[tuple[int, int]]] = {}

    def bounds(self, error: int | None) -> list[int]:
        """Return for every position a latency in ns that no plan with that prefix on the edge beats within the limit on the error."""
        bounds = self._at(0, 0)
        if error is None:
            return bounds
        steepest = max(SCALE * max(bounds) // max(error, 1), 1)
        first = (steepest.bit_length() + 1) // 2
        for k in range(max(first - MULTIPLIERS + 1, 0), first + 1):
            bounds = [max(pair) for pair in zip(bounds, self._at(4**k, error), strict=True)]
        return bounds

    def _at(self, multiplier: int, error: int) -> list[int]:
        """Return the bounds that one multiplier gives."""
        if multiplier not in self.kept:
            self.kept[multiplier] = _Sweep(self.problem, multiplier).costs()
        return [cloud_ns - (multiplier * error - cost) // SCALE for cloud_ns, cost in self.kept[multiplier]]


@dataclass
class _Held:
    """What bits of one holder decide so far: ns of the edge's ops by row; the values made; whether ops on codes touch them."""

    rows: list[int] = field(default_factory=lambda: [0] * 9)
    members: list[int] = field(default_factory=list[int])
    active: bool = False
    least: int = 0


class _Sweep:
    """One pass over the ops with one multiplier."""

    def __init__(self, problem: Problem, multiplier: int) -> None:
        self.problem = problem
        self.multiplier = multiplier
        self.position = 0
        self.crossing = 0
        self.total = 0
        self.held: dict[Holder, _Held] = {}
        self.links: dict[tuple[int, int], dict[int, int]] = {}

    def costs(self) -> list[tuple[int, int]]:
        """Return for every position the cloud's ns, and the least cost of all else."""
        problem = self.problem
        for v, value in enumerate(problem.values):
            if value.is_input and problem.readers[v]:
                self._make(v)
        cloud = sum(op.cloud_ns for op in problem.ops)
        found = [(cloud, self._cost())]
        for op in problem.ops:
            self._add(op)
            cloud -= op.cloud_ns
            found.append((cloud, self._cost()))
        return found

    def _cost(self) -> int:
        link = self.problem.link
        return self.total + (SCALE * link.fixed_ns + self._headers(link.overhead_bytes) if self.crossing else 0)

    def _headers(self, nbytes: int) -> int:
        """Cost of the headers of packets that hold so many bytes, as if packets could be parted."""
        link = self.problem.link
        return SCALE * link.packet_ns * nbytes // link.capacity_bytes if link.capacity_bytes else 0

    def _make(self, value: int) -> None:
        held = self._of(self._holder(Operand(value)))
        held.members.append(value)
        self.crossing += bool(self.problem.readers[value]) and self._sends(value)
        self._settle(self._holder(Operand(value)))

    def _add(self, op: OpItem) -> None:
        """Take an op to the edge."""
        at = self.position
        self.position += 1
        for v in op.reads:
            self.crossing -= self.problem.readers[v][-1] == at and self._sends(v)
        for operand, row in op_parts(self.problem, op):
            if operand == Operand():
                self.total += SCALE * row[-1]
            else:
                held = self._of(self._holder(operand))
                held.rows = [a + b for a, b in zip(held.rows, row, strict=True)]
        for operand in (*op.inputs, *op.results):
            if operand != Operand():
                self._of(self._holder(operand)).active |= op.on_codes
        for v in op.makes:
            self._make(v)
        for operand in dict.fromkeys(op.inputs):
            if operand != Operand():
                self._settle(self._holder(operand))

    def _of(self, holder: Holder) -> _Held:
        return self.held.setdefault(holder, _Held())

    def _holder(self, operand: Operand) -> Holder:
        if operand.weight != NONE:
            return "weight", operand.weight
        group = self.problem.values[operand.value].group
        return ("value", operand.value) if group == NONE else ("group", group)

    def _settle(self, holder: Holder) -> None:
        """Bring the least cost of a holder, and the total, up to date."""
        held = self._of(holder)
        self.total -= held.least
        held.least = self._least(holder, held)
        self.total += held.least

    def _least(self, holder: Holder, held: _Held) -> int:
        kind, index = holder
        if kind == "weight":
            return self._cheapest(held, self.problem.weights[index].bits, self.problem.weights[index].error)
        crossing = [v for v in held.members if self._reads_left(v) and not self.problem.values[v].constant]
        if len(held.members) == 1 and crossing and self._only_sent(crossing[0]):
            (value,) = crossing
            return min(SCALE * held.rows[w - 1] + cost for w, cost in self._wire(value, NONE, 0).items())
        if kind == "group" and held.active:
            group = self.problem.groups[index]
            possible = [a for a in group.bits if all(self._wire(v, index, a) for v in crossing)]
            sent = {a: sum(min(self._wire(v, index, a).values()) for v in crossing) for a in possible}
            return self._cheapest(held, possible, group.error, sent)
        row = self.problem.values[index].given_bits - 1 if kind == "value" else -1
        return SCALE * held.rows[row] + sum(min(self._wire(v, NONE, 0).values()) for v in crossing)

    def _cheapest(self, held: _Held, bits: Sequence[int], error: Row, sent: dict[int, int] | None = None) -> int:
        costs = (SCALE * held.rows[b - 1] + self.multiplier * error[b - 1] + (sent[b] if sent else 0) for b in bits)
        return min(costs, default=0)

    def _sends(self, value: int) -> bool:
        """Whether a value takes bytes where it is read behind the cut."""
        return bool(self.problem.values[value].elements) and not self.problem.values[value].constant

    def _reads_left(self, value: int) -> bool:
        return bool(self.problem.readers[value]) and self.problem.readers[value][-1] >= self.position

    def _only_sent(self, value: int) -> bool:
        """Whether a crossing value is made as codes that nothing on the edge looks at: its one quantiser has wire bits."""
        item, maker = self.problem.values[value], self.problem.producer.get(value)
        born_as_codes = maker is None or self.problem.ops[maker].on_codes
        return bool(item.wire_bits) and born_as_codes and not item.is_output and self.problem.readers[value][0] >= self.position

    def _wire(self, value: int, group: int, held_bits: int) -> dict[int, int]:
        """Return what sending a value held at `held_bits` (0: float) costs, by wire bits; by 0 where it has no choice."""
        key = value, held_bits
        if key not in self.links:
            item = self.problem.values[value]
            if item.wire_bits:
                choices = [w for a, w in wire_choices(self.problem, Wire(value, group)) if a == held_bits]
                costs = {w: self._sent(item, w) + self.multiplier * wire_error(item, held_bits, w) for w in choices}
            else:
                costs = {0: self._sent(item, item.width_bits)}
            self.links[key] = costs
        return self.links[key]

    def _sent(self, item: Value, bits: int) -> int:
        """Cost of sending a value at so many bits; a value of no choice is not packed."""
        nbytes = wire_bytes(item, bits)
        packing_ns = item.packing_ns(bits) + item.unpacking_ns(bits) if item.wire_bits else 0
        return SCALE * (self.problem.link.bytes_ns(nbytes) + packing_ns) + self._headers(nbytes)


def op_parts(problem: Problem, op: OpItem) -> list[tuple[Operand, Row]]:
    """Return rows that belong to one operand each and whose sum at no assignment exceeds the latency of the op."""
    moved: list[tuple[Operand, Row]] = list(zip((*op.inputs, *op.results), op.traffic_ns, strict=True))
    computed = _computed(problem, op)
    if not problem.overlap:
        return moved + computed
    slowest = [sum(min(row[r] for r in _rows(problem, operand)) for operand, row in part) for part in (computed, moved)]
    return computed if slowest[0] >= slowest[1] else moved


def _computed(problem: Problem, op: OpItem) -> list[tuple[Operand, Row]]:
    """Return the compute time as a row of the first operand, the least over the second, and what is left as a row of the second."""
    first, second = (op.inputs[i] if i != NONE else Operand() for i in op.mac)
    if first == second:
        return [(first, [op.compute_ns[r][r] for r in range(9)])]
    columns = _rows(problem, second)
    least = [min(row[c] for c in columns) for row in op.compute_ns]
    rest = [min(op.compute_ns[r][c] - least[r] for r in _rows(problem, first)) for c in range(9)]
    return [(first, least), (second, [max(x, 0) for x in rest])]


def _rows(problem: Problem, operand: Operand) -> list[int]:
    """Return every row that an operand can have on any cut."""
    if operand.weight != NONE:
        return [b - 1 for b in problem.weights[operand.weight].bits] or [-1]
    if operand.value == NONE:
        return [-1]
    value = problem.values[operand.value]
    group = problem.groups[value.group].bits if value.group != NONE else ()
    return sorted({-1, value.given_bits - 1, *(b - 1 for b in {*group, *value.wire_bits})})
