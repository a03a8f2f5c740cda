"""What an assignment of bits costs: the definition of latency, memory and error that every solver must agree with."""

from __future__ import annotations

from dataclasses import dataclass

from .cut import Cut, given_bits, held_bits, live_values, wire_error
from .problem import NONE, Assignment, Limits, Operand, OpItem, Problem, payload_bytes, wire_bytes


@dataclass(frozen=True, slots=True)
class Figures:
    """Cost of one assignment: times in ns, memory in bits, error in units."""

    edge_ns: int
    link_ns: int
    cloud_ns: int
    payload_bytes: int
    ram_bits: int
    storage_bits: int
    error: int

    @property
    def latency_ns(self) -> int:
        """End-to-end latency."""
        return self.edge_ns + self.link_ns + self.cloud_ns


def evaluate(problem: Problem, cut: Cut, bits: Assignment) -> Figures:
    """Return what an assignment costs. Every weight, group and wire of the cut must have bits."""
    on_edge = frozenset(cut.ops)
    sent = sent_bytes(problem, cut, bits)
    return Figures(
        edge_ns=sum(op_ns(problem, cut, bits, problem.ops[i]) for i in cut.ops)
        + sum(problem.values[w.value].packing_ns(bits.wires[w.value]) for w in cut.wires),
        link_ns=problem.link.message_ns(sent),
        cloud_ns=sum(op.cloud_ns for i, op in enumerate(problem.ops) if i not in on_edge)
        + sum(problem.values[w.value].unpacking_ns(bits.wires[w.value]) for w in cut.wires),
        payload_bytes=sum(sent),
        ram_bits=ram_bits(problem, cut, bits),
        storage_bits=storage_bits(problem, cut, bits),
        error=error_units(problem, cut, bits),
    )


def op_ns(problem: Problem, cut: Cut, bits: Assignment, op: OpItem) -> int:
    """Return the latency of an op on the edge: max of compute and traffic with overlap, else their sum."""
    compute, traffic = compute_and_traffic_ns(problem, cut, bits, op)
    return max(compute, traffic) if problem.overlap else compute + traffic


def compute_and_traffic_ns(problem: Problem, cut: Cut, bits: Assignment, op: OpItem) -> tuple[int, int]:
    """Return how long an op on the edge computes and how long it moves data."""
    first, second = mac_rows(problem, cut, bits, op)
    operands = (*op.inputs, *op.results)
    traffic = sum(table[_row(problem, cut, bits, operand)] for table, operand in zip(op.traffic_ns, operands, strict=True))
    return op.compute_ns[first][second], traffic


def mac_rows(problem: Problem, cut: Cut, bits: Assignment, op: OpItem) -> tuple[int, int]:
    """Return the rows of an op's two MAC operands in its table of compute times; -1 is the last row, float."""
    first, second = (_row(problem, cut, bits, op.inputs[i]) if i != NONE else -1 for i in op.mac)
    return first, second


def _row(problem: Problem, cut: Cut, bits: Assignment, operand: Operand) -> int:
    """Row of an operand in a cost table; -1 is the last row, float."""
    if operand.weight != NONE:
        return bits.weights[operand.weight] - 1
    return (held_bits(cut, bits, operand.value) or given_bits(problem, operand.value)) - 1


def sent_bytes(problem: Problem, cut: Cut, bits: Assignment) -> list[int]:
    """Return the bytes of everything that is sent: crossing values, then the edge's model outputs where they are to be returned."""
    found: list[int] = []
    for v in cut.crossing:
        value = problem.values[v]
        found.append(wire_bytes(value, bits.wires[v] if value.wire_bits else value.width_bits))
    if problem.return_result:
        found.extend(payload_bytes(problem.values[v].elements or 0, problem.values[v].width_bits) for v in cut.results)
    return found


def packed_bytes(problem: Problem, cut: Cut, bits: Assignment) -> int:
    """Return the bytes of the payload as the edge graph makes it, before any codec."""
    values = ((problem.values[v], v) for v in cut.crossing)
    return sum(payload_bytes(value.elements or 0, bits.wires[v] if value.wire_bits else value.width_bits) for value, v in values)


def ram_bits(problem: Problem, cut: Cut, bits: Assignment) -> int:
    """Return resident constants plus the largest working set over time; the packed payload counts after the last op.

    Cloud-Only takes none of the model's memory, so it is always possible (Auto-Split, n = 0): the raw input stays in the device's buffer.
    """
    if not cut.ops:
        return 0
    steps = [sum(value_bits(problem, cut, bits, v) for v in live) for live in live_values(problem, cut)]
    steps[-1] += 8 * packed_bytes(problem, cut, bits)
    return constant_bits(problem, cut, bits) + max(steps)


def value_bits(problem: Problem, cut: Cut, bits: Assignment, value: int) -> int:
    """Return the memory of a value on the edge."""
    held = held_bits(cut, bits, value)
    width = problem.resident_bits(held) if held else problem.values[value].own_bits
    return (problem.values[value].elements or 0) * width


def constant_bits(problem: Problem, cut: Cut, bits: Assignment) -> int:
    """Return the memory of weights, their scales, biases and other constants."""
    if problem.constants_in_storage:
        return 0
    weights = sum(
        problem.weights[w].elements * problem.resident_bits(bits.weights[w]) + problem.weights[w].scale_bits for w in cut.weights
    )
    return weights + sum(problem.constants[c].memory_bits for c in cut.constants)


def storage_bits(problem: Problem, cut: Cut, bits: Assignment) -> int:
    """Return the size of the edge's model file: constants in the containers they are written in, and the nodes."""
    weights = sum(
        problem.weights[w].elements * problem.weights[w].container_bits[bits.weights[w] - 1] + problem.weights[w].file_bits
        for w in cut.weights
    )
    return weights + sum(problem.constants[c].memory_bits for c in cut.constants) + sum(problem.ops[i].file_bits for i in cut.ops)


def error_units(problem: Problem, cut: Cut, bits: Assignment) -> int:
    """Return the sum of the errors of weights, activations and wires."""
    weights = sum(problem.weights[w].error[bits.weights[w] - 1] for w in cut.weights)
    acts = sum(problem.groups[g].error[bits.acts[g] - 1] for g in cut.acts)
    wires = sum(wire_error(problem.values[w.value], bits.acts[w.act] if w.act != NONE else 0, bits.wires[w.value]) for w in cut.wires)
    return weights + acts + wires


def excess(limits: Limits, figures: Figures) -> dict[str, int]:
    """Return by how much limits are broken: `ram` and `storage` in bits, `error` in units, `latency` in ns."""
    pairs = {
        "ram": (figures.ram_bits, limits.ram_bits),
        "storage": (figures.storage_bits, limits.storage_bits),
        "error": (figures.error, limits.error),
        "latency": (figures.latency_ns, limits.latency_ns),
    }
    return {name: value - limit for name, (value, limit) in pairs.items() if limit is not None and value > limit}
