"""Turns one cut of a problem into an instance."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from .cut import Cut, Wire, given_bits, live_values, wire_choices, wire_error
from .instance import FORBIDDEN, Instance, Linear, Overlapped, Packets, Pair, Pick, Var
from .problem import NONE, Assignment, Operand, OpItem, Problem, payload_bytes, wire_bytes
from .working_set import undominated

Table: TypeAlias = tuple[tuple[int, ...], ...]


@dataclass
class _Sum:
    """A `Linear` in the making."""

    const: int = 0
    terms: dict[int, list[int]] = field(default_factory=dict[int, list[int]])

    def add(self, var: int, table: Sequence[int]) -> None:
        known = self.terms.setdefault(var, [0] * len(table))
        self.terms[var] = [a + b for a, b in zip(known, table, strict=True)]

    def add_all(self, other: Linear) -> None:
        self.const += other.const
        for var, table in other.terms:
            self.add(var, table)

    def linear(self) -> Linear:
        """Return the sum; what all values of a variable share goes into the constant."""
        floor = {v: min(table) for v, table in self.terms.items()}
        terms = ((v, tuple(x - floor[v] for x in table)) for v, table in sorted(self.terms.items()))
        return Linear(self.const + sum(floor.values()), tuple((v, table) for v, table in terms if any(table)))


@dataclass(frozen=True)
class _Frame:
    """A problem, one of its cuts, and the variables of that cut."""

    problem: Problem
    cut: Cut
    vars: tuple[Var, ...]
    index: Mapping[tuple[str, int], int]

    def var_of(self, operand: Operand) -> int:
        """Return the variable that holds an operand's bits, NONE where its width is fixed."""
        if operand.weight != NONE:
            return self.index["weight", operand.weight]
        if operand.value in self.cut.source:
            return self.index[self.cut.source[operand.value]]
        return NONE

    def fixed_row(self, operand: Operand) -> int:
        """Return the row in a cost table of an operand without a variable; -1 is the last row, float."""
        return given_bits(self.problem, operand.value) - 1

    def over(self, var: int, value_at: Callable[[int], int]) -> list[int]:
        """Return a number for each of a variable's bits."""
        return [value_at(bits) for bits in self.vars[var].bits]


def formulate(problem: Problem, cut: Cut) -> Instance:
    """Return the instance of a cut, whose refusal must be empty."""
    frame = _frame(problem, cut)
    on_edge = frozenset(cut.ops)
    latency = _Sum(sum(op.cloud_ns for i, op in enumerate(problem.ops) if i not in on_edge))
    error = _Sum()
    pairs: list[Pair] = []
    overlapped: list[Overlapped] = []
    for i in cut.ops:
        _add_op(frame, problem.ops[i], latency, pairs, overlapped)
    payload, sent = _add_wires(frame, latency, error, pairs)
    packets = _add_message(frame, sent, latency)
    resident, storage = _add_constants(frame, error)
    for group in cut.acts:
        var = frame.index["act", group]
        error.add(var, frame.over(var, lambda b, table=problem.groups[group].error: table[b - 1]))
    steps = _steps(frame, payload)
    return Instance(
        vars=frame.vars,
        latency=latency.linear(),
        pairs=tuple(pairs),
        overlapped=tuple(overlapped),
        error=error.linear(),
        resident=resident,
        steps=steps,
        storage=storage,
        limits=problem.limits,
        packets=packets,
    )


def assignment(instance: Instance, pick: Pick) -> Assignment:
    """Return the bits that a pick stands for."""
    bits: dict[str, dict[int, int]] = {"weight": {}, "act": {}, "wire": {}}
    for var, k in zip(instance.vars, pick, strict=True):
        bits[var.kind][var.index] = var.bits[k]
    return Assignment(bits["weight"], bits["act"], bits["wire"])


def _frame(problem: Problem, cut: Cut) -> _Frame:
    found = [Var("weight", w, problem.weights[w].bits) for w in cut.weights]
    found += [Var("act", g, problem.groups[g].bits) for g in cut.acts]
    found += [Var("wire", wire.value, tuple(sorted({w for _, w in wire_choices(problem, wire)}))) for wire in cut.wires]
    return _Frame(problem, cut, tuple(found), {(v.kind, v.index): i for i, v in enumerate(found)})


def _add_op(frame: _Frame, op: OpItem, latency: _Sum, pairs: list[Pair], overlapped: list[Overlapped]) -> None:
    moved = _Sum()
    for operand, table in zip((*op.inputs, *op.results), op.traffic_ns, strict=True):
        var = frame.var_of(operand)
        if var == NONE:
            moved.const += table[frame.fixed_row(operand)]
        else:
            moved.add(var, frame.over(var, lambda b, table=table: table[b - 1]))
    traffic = moved.linear()
    first, second, compute = _compute(frame, op)
    compute_bound = frame.problem.overlap and min(map(min, compute)) >= traffic.high()
    traffic_bound = frame.problem.overlap and traffic.low() >= max(map(max, compute))
    if frame.problem.overlap and not compute_bound and not traffic_bound:
        _add_overlapped(frame, Overlapped(first, second, compute, traffic), latency, pairs, overlapped)
        return
    if not compute_bound:
        latency.add_all(traffic)
    if not traffic_bound:
        _add_compute(latency, pairs, first, second, compute)


def _add_overlapped(frame: _Frame, op: Overlapped, latency: _Sum, pairs: list[Pair], overlapped: list[Overlapped]) -> None:
    """Add the greater of two times; where it depends on one or two variables alone, as a plain table over those."""
    indices = [range(len(frame.vars[v].bits)) for v in op.vars]
    if len(indices) > 2:
        overlapped.append(op)
    elif len(indices) == 2:
        first, second = op.vars
        table = tuple(tuple(op.at({first: i, second: j}) for j in indices[1]) for i in indices[0])
        _add_compute(latency, pairs, first, second, table)
    else:
        latency.add(op.vars[0], [op.at({op.vars[0]: k}) for k in indices[0]])


def _compute(frame: _Frame, op: OpItem) -> tuple[int, int, Table]:
    """Return the variables that an op's compute time depends on and the times over their values; NONE has a single row or column."""
    first, second = (frame.var_of(op.inputs[i]) if i != NONE else NONE for i in op.mac)
    fixed = [frame.fixed_row(op.inputs[i]) if i != NONE else -1 for i in op.mac]
    rows = [b - 1 for b in frame.vars[first].bits] if first != NONE else fixed[:1]
    columns = [b - 1 for b in frame.vars[second].bits] if second != NONE else fixed[1:]
    if first == second and first != NONE:
        return first, NONE, tuple((op.compute_ns[r][r],) for r in rows)
    table = tuple(tuple(op.compute_ns[r][c] for c in columns) for r in rows)
    if first != NONE and len(set(table)) == 1:
        first, table = NONE, table[:1]
    if second != NONE and all(len(set(row)) == 1 for row in table):
        second, table = NONE, tuple(row[:1] for row in table)
    return first, second, table


def _add_compute(latency: _Sum, pairs: list[Pair], first: int, second: int, table: Table) -> None:
    if first != NONE and second != NONE:
        pairs.append(Pair(first, second, table, tuple((0,) * len(row) for row in table)))
    elif first != NONE:
        latency.add(first, [row[0] for row in table])
    elif second != NONE:
        latency.add(second, table[0])
    else:
        latency.const += table[0][0]


def _add_wires(frame: _Frame, latency: _Sum, error: _Sum, pairs: list[Pair]) -> tuple[Linear, Linear]:
    """Add what wires take to pack, send and unpack, and their errors.

    Return the payload as the edge makes it and as it is sent, in bits, each tensor in whole bytes.
    """
    problem, cut = frame.problem, frame.cut
    payload, message = _Sum(), _Sum()
    wires = {wire.value: wire for wire in cut.wires}
    for v in cut.crossing:
        value = problem.values[v]
        elements = value.elements or 0
        if v not in wires:
            sent = payload_bytes(elements, value.width_bits)
            payload.const += 8 * sent
            message.const += 8 * sent
            latency.const += problem.link.bytes_ns(sent)
            continue
        var = frame.index["wire", v]
        payload.add(var, frame.over(var, lambda b, n=elements: 8 * payload_bytes(n, b)))
        message.add(var, frame.over(var, lambda b, value=value: 8 * wire_bytes(value, b)))
        latency.add(var, frame.over(var, lambda b, value=value: problem.link.bytes_ns(wire_bytes(value, b))))
        latency.add(var, frame.over(var, lambda b, value=value: value.packing_ns(b) + value.unpacking_ns(b)))
        _add_wire_error(frame, wires[v], error, pairs)
    return payload.linear(), message.linear()


def _add_message(frame: _Frame, payload: Linear, latency: _Sum) -> Packets | None:
    """Add results that go back and what a message takes besides its bytes; return its packets where their number is not fixed."""
    problem, link = frame.problem, frame.problem.link
    results = [problem.values[v] for v in frame.cut.results] if problem.return_result else []
    returned = [payload_bytes(v.elements or 0, v.width_bits) for v in results]
    latency.const += sum(map(link.bytes_ns, returned))
    if not payload.low() and not any(returned):
        return None
    latency.const += link.fixed_ns
    fewest, most = (link.packets(bits // 8 + sum(returned)) for bits in (payload.low(), payload.high()))
    if fewest == most or not link.packet_ns:
        latency.const += fewest * link.packet_ns
        return None
    held = payload.const // 8 + sum(returned) + link.overhead_bytes
    terms = tuple((v, tuple(bits // 8 for bits in table)) for v, table in payload.terms)
    return Packets(Linear(held, terms), link.capacity_bytes, link.packet_ns)


def _add_wire_error(frame: _Frame, wire: Wire, error: _Sum, pairs: list[Pair]) -> None:
    value = frame.problem.values[wire.value]
    var = frame.index["wire", wire.value]
    act = frame.index["act", wire.act] if wire.act != NONE else NONE
    act_bits = frame.vars[act].bits if act != NONE else (0,)
    if len(act_bits) == 1:
        error.add(var, frame.over(var, lambda b: wire_error(value, act_bits[0], b)))
        return
    allowed = frozenset(wire_choices(frame.problem, wire))
    wire_bits = frame.vars[var].bits
    table = tuple(tuple(wire_error(value, a, w) if (a, w) in allowed else FORBIDDEN for w in wire_bits) for a in act_bits)
    pairs.append(Pair(act, var, tuple((0,) * len(wire_bits) for _ in act_bits), table))


def _add_constants(frame: _Frame, error: _Sum) -> tuple[Linear, Linear]:
    """Add the errors of weights; return what constants take in RAM and what the model file takes."""
    problem, cut = frame.problem, frame.cut
    fixed = sum(problem.constants[c].memory_bits for c in cut.constants)
    resident = _Sum(fixed + sum(problem.weights[w].scale_bits for w in cut.weights))
    storage = _Sum(fixed + sum(problem.weights[w].file_bits for w in cut.weights) + sum(problem.ops[i].file_bits for i in cut.ops))
    for w in cut.weights:
        weight = problem.weights[w]
        var = frame.index["weight", w]
        error.add(var, frame.over(var, lambda b, weight=weight: weight.error[b - 1]))
        resident.add(var, frame.over(var, lambda b, weight=weight: weight.elements * problem.resident_bits(b)))
        storage.add(var, frame.over(var, lambda b, weight=weight: weight.elements * weight.container_bits[b - 1]))
    return _Sum().linear() if problem.constants_in_storage else resident.linear(), storage.linear()


def _steps(frame: _Frame, payload: Linear) -> tuple[Linear, ...]:
    """Return the working set at each step that can be the largest; nothing for Cloud-Only, as `evaluate.ram_bits` has it."""
    if not frame.cut.ops:
        return (_Sum().linear(),)
    problem = frame.problem
    live = live_values(problem, frame.cut)
    found: list[Linear] = []
    for step in undominated(live, always=(len(live) - 1,)):
        total = _Sum()
        for v in live[step]:
            value = problem.values[v]
            elements = value.elements or 0
            var = frame.var_of(Operand(v))
            if var == NONE:
                total.const += elements * value.own_bits
            else:
                total.add(var, frame.over(var, lambda b, n=elements: n * problem.resident_bits(b)))
        if step == len(live) - 1:
            total.add_all(payload)
        found.append(total.linear())
    return tuple(found)
