"""A lower bound on the latency of all closed sets of ops at once: a minimum cut at given prices of error and memory.

For any prices that are not negative a plan within the limits has latency >= latency + price x (amount - limit), no less than its least
over all cuts and bits without limits (Lagrangian relaxation). With each tensor at its cheapest bits that is a sum over ops, over values
that cross and over holders that are joined, none of the latter negative: a minimum cut finds the closed set with the least (Picard 1976 for
the closure; a value that several ops read is sent once, by a node of its own).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .cut_prices import ERROR, RAM, STORAGE, Priced, Prices, Pricing
from .holders import holders, least_bits
from .problem import NONE, Problem

SCALE = 1024
"""Capacities are in ns / SCALE, rounded down."""

SOURCE, SINK = 0, 1


@dataclass(frozen=True, slots=True)
class Least:
    """No plan of a set of cuts is faster than `bound_ns`. ops: mask of the closed set that the bound is met at. excess: of error, RAM and
    storage at its cheapest bits over the limits, in parts of those.
    """

    bound_ns: int
    ops: int
    excess: tuple[float, float, float]


class CutBounds:
    """Bounds for the closed sets of a problem. barred: values that may not cross. Sets are masks: bit i stands for op i."""

    def __init__(self, problem: Problem, barred: Iterable[int] = ()) -> None:
        self.problem = problem
        self.count = len(problem.ops)
        self.everything = (1 << self.count) - 1
        self.barred = frozenset(barred) | {v for v, value in enumerate(problem.values) if value.elements is None and not value.constant}
        self.before, self.after = _dependencies(problem)
        self.cloud = self._never_on_edge()
        found = holders(problem, self.before, self.cloud)
        self.pricing = Pricing(problem, tuple(found))
        self._arcs = _Arcs(problem, self.pricing)
        self._known: dict[Prices, tuple[Priced, NDArray[np.int64], int]] = {}

    def least(self, prices: Prices, edge: int, cloud: int) -> Least | None:
        """Return a bound for the closed sets with `edge` on the edge and `cloud` off it; None where there are none."""
        priced, capacities, const = self._at(prices)
        flow = self._arcs.minimum(capacities, edge, cloud, self.barred)
        if flow is None:
            return None
        least, chosen = flow
        limits, working = self.problem.limits, self.working_bits(edge)
        rooms = prices.error * (limits.error or 0) + prices.ram * (limits.ram_bits - working) + prices.storage * (limits.storage_bits or 0)
        bound = (const + least) / SCALE - rooms
        return Least(int(np.ceil(bound - 1e-3 - 1e-12 * (abs(bound) + rooms))), chosen, self._excess(priced, chosen, working))

    def _at(self, prices: Prices) -> tuple[Priced, NDArray[np.int64], int]:
        if prices not in self._known:
            priced = self.pricing.at(prices)
            capacities, const = self._arcs.capacities(priced)
            self._known[prices] = priced, capacities, const
        return self._known[prices]

    def _excess(self, priced: Priced, chosen: int, working: int) -> tuple[float, float, float]:
        limits = self.problem.limits
        inside = np.array([chosen >> i & 1 for i in range(self.count)], np.float64)
        amounts = priced.amounts @ inside
        for holder, ways in zip(self.pricing.holders, priced.ways, strict=True):
            if ways:
                here = frozenset(i for i in holder.ops if chosen >> i & 1)
                amounts[ERROR] += ways[self._place[id(holder)][here]]
        over = (
            0.0 if limits.error is None else (amounts[ERROR] - limits.error) / max(limits.error, 1),
            (amounts[RAM] + working - limits.ram_bits) / max(limits.ram_bits, 1),
            0.0 if limits.storage_bits is None else (amounts[STORAGE] - limits.storage_bits) / max(limits.storage_bits, 1),
        )
        return float(over[0]), float(over[1]), float(over[2])

    @cached_property
    def _place(self) -> dict[int, dict[frozenset[int], int]]:
        return {id(h): {way.inside: k for k, way in enumerate(h.ways)} for h in self.pricing.holders}

    def working_bits(self, edge: int) -> int:
        """Return memory that values take at some op on every cut with `edge` on the edge, at the fewest bits.

        A value that is read after an op is in memory at that op, be it read on the edge or sent.
        """
        if not edge:
            return 0
        live, bits, makers = self._live
        inside = np.array([True if m == NONE else bool(edge >> m & 1) for m in makers])
        ops = [i for i in range(self.count) if edge >> i & 1]
        return int((live[ops] @ np.where(inside, bits, 0)).max())

    @cached_property
    def _live(self) -> tuple[NDArray[np.int64], NDArray[np.int64], list[int]]:
        """Return [op, value] whether it is in memory at that op, the bits of each value, and its maker; one stands for all of a memory."""
        problem = self.problem
        makers = [problem.producer.get(v, NONE) for v in range(len(problem.values))]
        last = [max(readers, default=NONE) for readers in problem.readers]
        for v, value in enumerate(problem.values):
            last[v] = self.count if value.is_output else max(last[v], makers[v])
        for v, value in enumerate(problem.values):
            if value.alias_of != NONE:
                last[value.alias_of] = max(last[value.alias_of], last[v])
        live = np.zeros((self.count, len(problem.values)), np.int64)
        for v, value in enumerate(problem.values):
            if value.alias_of == NONE and not value.constant and (value.is_input or makers[v] != NONE):
                live[max(makers[v], 0) : last[v] + 1, v] = 1
        bits = [(value.elements or 0) * least_bits(problem, v) for v, value in enumerate(problem.values)]
        return live, np.array(bits, np.int64), makers

    def _never_on_edge(self) -> int:
        """Return the mask of ops that no cut has on the edge: refused ones, those that break memory, and what depends on them."""
        problem, limits = self.problem, self.problem.limits
        found = 0
        for i, op in enumerate(problem.ops):
            uncoded = op.on_codes and any(not _codes(problem, v) for v in op.reads)
            unknown = any(problem.values[v].elements is None for v in op.makes)
            if op.refusal or unknown or uncoded or any(not problem.weights[w].bits for w in op.weights):
                found |= self.after[i] | 1 << i
        for i in range(self.count):
            needed = self.before[i] | 1 << i
            if not found >> i & 1 and not needed & found and self._least_bits(needed) > limits.ram_bits:
                found |= self.after[i] | 1 << i
        return found

    def _least_bits(self, edge: int) -> int:
        """Return memory that every cut with these ops on the edge takes at least."""
        problem = self.problem
        if problem.constants_in_storage:
            return self.working_bits(edge)
        ops = [op for i, op in enumerate(problem.ops) if edge >> i & 1]
        weights = [problem.weights[w] for w in {w for op in ops for w in op.weights}]
        constants = sum(problem.constants[c].memory_bits for c in {c for op in ops for c in op.constants})
        held = sum(w.elements * min(map(problem.resident_bits, w.bits), default=0) + w.scale_bits for w in weights)
        return self.working_bits(edge) + held + constants


def _codes(problem: Problem, value: int) -> bool:
    """Whether a value that is read as codes can be."""
    group = problem.values[value].group
    return group == NONE or bool(problem.groups[group].bits)


def _dependencies(problem: Problem) -> tuple[list[int], list[int]]:
    """Return for each op the masks of all ops that it depends on, and of all that depend on it."""
    count = len(problem.ops)
    before, after = [0] * count, [0] * count
    for i, op in enumerate(problem.ops):
        for v in op.reads:
            if v in problem.producer:
                before[i] |= before[problem.producer[v]] | 1 << problem.producer[v]
    for i in range(count):
        for j in range(i):
            if before[i] >> j & 1:
                after[j] |= 1 << i
    return before, after


class _Arcs:
    """The graph of the minimum cut: source side is the edge. Its arcs stay, their capacities change."""

    def __init__(self, problem: Problem, pricing: Pricing) -> None:
        self.problem = problem
        self.count = len(problem.ops)
        self.sent = [v for v, readers in enumerate(problem.readers) if readers and not problem.values[v].constant]
        self.sent = [v for v in self.sent if v in problem.producer or problem.values[v].is_input]
        joins = [[i for i in h.ops if i != h.root] for h in pricing.holders]
        arcs: list[tuple[int, int]] = [(SOURCE, 2 + i) for i in range(self.count)] + [(2 + i, SINK) for i in range(self.count)]
        node = 2 + self.count
        always: list[tuple[int, int]] = []
        for i, op in enumerate(problem.ops):
            always += [(2 + i, 2 + j) for j in sorted({problem.producer[v] for v in op.reads if v in problem.producer})]
            reader = _reader_of_constants(problem, i)
            always += [(2 + i, 2 + reader)] if reader != NONE else []
        for v in self.sent:
            arcs.append((2 + problem.producer[v] if v in problem.producer else SOURCE, node))
            always += [(node, 2 + r) for r in problem.readers[v]]
            node += 1
        for ops in joins:
            arcs.append((node, SINK))
            always += [(2 + i, node) for i in ops]
            node += 1
        self.limited = len(arcs)
        ends = np.array([*arcs, *always], np.int32)
        self.tails, self.heads = np.ascontiguousarray(ends[:, 0]), np.ascontiguousarray(ends[:, 1])
        self.fixed_ns = problem.link.fixed_ns + _header_ns(problem) if all(problem.values[v].elements != 0 for v in self.sent) else 0
        self.cloud_ns = np.array([op.cloud_ns for op in problem.ops], np.float64)

    def capacities(self, priced: Priced) -> tuple[NDArray[np.int64], int]:
        """Return the capacities of the arcs that have one, and what every cut costs besides."""
        net = np.floor(SCALE * (priced.ops - self.cloud_ns)).astype(np.int64)
        crossing = np.floor(SCALE * priced.crossing[self.sent]).astype(np.int64)
        joined = np.floor(SCALE * priced.joined).astype(np.int64)
        const = SCALE * (self.cloud_ns.sum() + priced.always + self.fixed_ns) + int(net.clip(None, 0).sum())
        return np.concatenate([(-net).clip(0), net.clip(0), crossing.clip(0), joined.clip(0)]), int(np.floor(const))

    def minimum(self, capacities: NDArray[np.int64], edge: int, cloud: int, barred: frozenset[int]) -> tuple[int, int] | None:
        """Return the least capacity of a cut with some ops on the edge and some off it, and the mask of its source side."""
        from ortools.graph.python.max_flow import SimpleMaxFlow

        endless = int(capacities.sum()) + 1
        held = np.concatenate([capacities, np.full(len(self.tails) - self.limited, endless, np.int64)])
        for i in range(self.count):
            if edge >> i & 1:
                held[i] = endless
            if cloud >> i & 1:
                held[self.count + i] = endless
        for k, v in enumerate(self.sent):
            if v in barred:
                held[2 * self.count + k] = endless
        flow = SimpleMaxFlow()
        flow.add_arcs_with_capacity(self.tails, self.heads, held)
        if flow.solve(SOURCE, SINK) != SimpleMaxFlow.OPTIMAL or flow.optimal_flow() >= endless:
            return None
        chosen = sum(1 << (n - 2) for n in map(int, flow.get_source_side_min_cut()) if 2 <= n < 2 + self.count)
        return flow.optimal_flow(), chosen


def _header_ns(problem: Problem) -> float:
    """Time of the headers of packets for what every message holds, as if packets could be parted."""
    link = problem.link
    return link.packet_ns * link.overhead_bytes / link.capacity_bytes if link.capacity_bytes else 0.0


def _reader_of_constants(problem: Problem, op: int) -> int:
    """Return the one op that reads what an op makes of constants alone: they are on one side. NONE where there are none or several."""
    made = problem.ops[op].makes
    constant = bool(made) and all(problem.values[v].constant and not problem.values[v].is_output for v in made)
    readers = {r for v in made for r in problem.readers[v]} if constant else set[int]()
    return next(iter(readers)) if len(readers) == 1 else NONE
