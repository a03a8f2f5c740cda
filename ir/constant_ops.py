"""Ops that depend on constants alone, such as the dequantisation of weights: which they are, and where they stand."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from .graph import Graph
from .op_table import ROW_BY_KIND


def constant_values(graph: Graph) -> frozenset[str]:
    """Return the values that ops make of constants alone, directly or through each other.

    Only kinds of the op table count: they make the same of the same wherever they run, which a node kept verbatim (a random one, one with
    sub-graphs, one of a custom domain) may not.
    """
    found: set[str] = set()
    for op in graph.ops:
        read = [name for name in op.inputs if name]
        if read and op.kind in ROW_BY_KIND and all(name in found or graph.is_const(name) for name in read):
            found.update(r for r in op.results if r)
    return frozenset(found)


def constant_makers(graph: Graph, wanted: Collection[str], constant: Collection[str]) -> frozenset[str]:
    """Return the names of the ops that make the values `wanted`, those among `constant` (`constant_values`), from constants."""
    found: set[str] = set()
    needed = {name for name in wanted if name in constant}
    while needed:
        op = graph.producer[needed.pop()]
        if op.name not in found:
            found.add(op.name)
            needed.update(name for name in op.inputs if name in constant)
    return frozenset(found)


def constants_near_readers(graph: Graph) -> Graph:
    """Put every op that depends on constants alone immediately before its first reader, and leave the order as it is otherwise.

    So the order says where its result is needed. One that no op reads stays where it is.
    """
    constant = constant_values(graph)
    moved = {r for r in constant if r in graph.users}
    place = {op.name: i for i, op in enumerate(graph.ops)}
    order: dict[int, None] = {}
    for i, op in enumerate(graph.ops):
        if any(r in moved for r in op.results):
            continue
        makers = constant_makers(graph, [name for name in op.inputs if name in constant], constant)
        order.update((at, None) for at in sorted(place[name] for name in makers))
        order[i] = None
    ops = tuple(graph.ops[i] for i in order)
    return graph if ops == graph.ops else replace(graph, ops=ops)
