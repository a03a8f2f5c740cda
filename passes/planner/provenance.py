"""What of a plan's time was measured on the devices, and what is predicted."""

from __future__ import annotations

from typing import Literal, TypeAlias

from .cut import Cut
from .evaluate import mac_rows, op_ns
from .problem import ROWS, Assignment, OpItem, Problem

Basis: TypeAlias = Literal["measured", "predicted"]


def basis(measured: bool) -> Basis:
    """Return what a time rests on, in a word."""
    return "measured" if measured else "predicted"


def edge_measured(problem: Problem, cut: Cut, bits: Assignment, op: OpItem) -> bool:
    """Whether the time of an op on the edge was measured at the bits of its first MAC operand."""
    row, _ = mac_rows(problem, cut, bits, op)
    return row % ROWS in op.measured_rows


def measured_ns(problem: Problem, cut: Cut, bits: Assignment) -> tuple[int, int]:
    """Return how much of the edge's and of the cloud's time was measured, in ns."""
    on_edge = frozenset(cut.ops)
    wires = [(problem.values[w.value], bits.wires[w.value]) for w in cut.wires]
    edge = sum(op_ns(problem, cut, bits, problem.ops[i]) for i in cut.ops if edge_measured(problem, cut, bits, problem.ops[i]))
    edge += sum(value.packing_ns(width) for value, width in wires if width in value.pack_measured)
    cloud = sum(op.cloud_ns for i, op in enumerate(problem.ops) if i not in on_edge and op.cloud_measured)
    cloud += sum(value.unpacking_ns(width) for value, width in wires if width in value.unpack_measured)
    return edge, cloud
