"""DADS (Hu et al. 2019, INFOCOM) and QDMP (Zhang et al. 2020): placing a float network is a minimum cut of its graph.

An op on the cloud's side of the cut pays its cloud time, one on the edge's its edge time; a value pays for being sent once, however many
ops read it behind the cut. An op on the edge needs all ops before it there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..cut import cut_of, prefix
from ..evaluate import op_ns
from ..problem import NONE, Problem, wire_bytes
from .floats import sent_raw
from .placed import Placed, placed


def min_cut(problem: Problem) -> Placed | None:
    """Return the fastest placement of a float problem over all closed sets of ops, None where every one is refused.

    What a message costs beyond its bytes is in no edge of the graph: nothing sent, and the raw input sent, are compared with the cut at
    the end, where all costs are counted. Memory is not looked at.
    """
    count = len(problem.ops)
    sets = dict.fromkeys((tuple(_edge_ops(problem)), (), tuple(range(count))))
    cuts = (cut_of(problem, ops) for ops in sets)
    found = (placed(problem, cut, sent_raw(problem, cut)) for cut in cuts if not cut.refusal)
    return min(found, key=lambda p: p.figures.latency_ns, default=None)


@dataclass
class _Network:
    """Arcs of a flow network; capacities in ns."""

    tails: list[int] = field(default_factory=list[int])
    heads: list[int] = field(default_factory=list[int])
    capacities: list[int] = field(default_factory=list[int])

    def arc(self, tail: int, head: int, capacity: int) -> None:
        self.tails.append(tail)
        self.heads.append(head)
        self.capacities.append(capacity)

    def source_side(self, source: int, sink: int) -> Sequence[int]:
        """Return the nodes on the source's side of a minimum cut."""
        from ortools.graph.python.max_flow import SimpleMaxFlow

        flow = SimpleMaxFlow()
        ends = np.array(self.tails, np.int32), np.array(self.heads, np.int32)
        flow.add_arcs_with_capacity(*ends, np.array(self.capacities, np.int64))
        status = flow.solve(source, sink)
        if status != flow.OPTIMAL:
            raise RuntimeError(f"maximum flow ended with status {status}")
        return [int(node) for node in flow.get_source_side_min_cut()]


def _edge_ops(problem: Problem) -> list[int]:
    """Return the ops on the edge's side of a minimum cut. Nodes: the ops, the values, the edge (source), the cloud (sink)."""
    count = len(problem.ops)
    source, sink = count + len(problem.values), count + len(problem.values) + 1
    whole = prefix(problem, count)
    network = _Network()
    edge_ns = [op_ns(problem, whole, sent_raw(problem, whole), op) for op in problem.ops]
    sending_ns = sum(_sending_ns(problem, v, 0) for v in range(len(problem.values)))
    endless = 1 + sum(edge_ns) + sum(op.cloud_ns for op in problem.ops) + sending_ns
    for i, op in enumerate(problem.ops):
        lost = bool(op.refusal) or any(problem.values[v].elements is None for v in op.makes)
        network.arc(i, sink, endless if lost else edge_ns[i])
        network.arc(source, i, op.cloud_ns)
    for v, value in enumerate(problem.values):
        maker = problem.producer.get(v, NONE)
        if maker != NONE:
            for reader in problem.readers[v]:
                network.arc(reader, maker, endless)
        if not value.constant and problem.readers[v]:
            network.arc(source if maker == NONE else maker, count + v, _sending_ns(problem, v, endless))
            for reader in problem.readers[v]:
                network.arc(count + v, reader, endless)
    return sorted(node for node in network.source_side(source, sink) if node < count)


def _sending_ns(problem: Problem, index: int, unknown: int) -> int:
    """Return what sending a value takes, packing included, without what a message costs; `unknown` where its size is."""
    value = problem.values[index]
    if value.elements is None:
        return unknown
    if not value.wire_bits:
        return problem.link.bytes_ns(wire_bytes(value, value.width_bits))
    bits = max(value.wire_bits)
    return problem.link.bytes_ns(wire_bytes(value, bits)) + value.packing_ns(bits) + value.unpacking_ns(bits)
