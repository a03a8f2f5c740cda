"""Plans whose edge ops are no prefix of the graph's order: the graph in an order in which they are, and what follows from it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from autosplitc.ir import Graph, constant_values

from .facts import Plan


def ordered_for(graph: Graph, plan: Plan) -> Graph:
    """Return the graph with the plan's edge ops first, both parts in the order that they have; so `plan.position` parts them."""
    if not plan.edge_ops:
        return graph
    here = frozenset(plan.edge_ops)
    edge = [op for op in graph.ops if op.name in here]
    return replace(graph, ops=(*edge, *(op for op in graph.ops if op.name not in here)))


def crossing_of(graph: Graph, edge_ops: Collection[str]) -> tuple[str, ...]:
    """Return what ops off the edge read of what is there before them: graph inputs, then results of the given ops, in order.

    What depends on constants alone never crosses: both sides make it.
    """
    wanted = {name for op in graph.ops if op.name not in edge_ops for name in op.inputs if name and not graph.is_const(name)}
    constant = constant_values(graph)
    made = (r for op in graph.ops if op.name in edge_ops for r in op.results if r and r not in constant)
    return tuple(name for name in (*graph.input, *made) if name in wanted)


def edge_names(graph: Graph, plan: Plan) -> frozenset[str]:
    """Return the names of the ops that a plan has on the edge."""
    return frozenset(plan.edge_ops) or frozenset(op.name for op in graph.ops[: plan.position])


def least_edge(graph: Graph, crossing: Collection[str]) -> frozenset[str] | None:
    """Return the fewest ops, closed under predecessors, such that exactly the given values cross; None where there are none.

    What makes them is on the edge, and every reader of another value that is there.
    """
    constant = constant_values(graph)
    if constant.intersection(crossing) or any(name not in graph.producer and name not in graph.input for name in crossing):
        return None
    edge: set[str] = set()
    wanted = {graph.producer[name].name for name in crossing if name in graph.producer}
    while wanted or not edge:
        edge |= wanted
        ops = [op for op in graph.ops if op.name in edge]
        there = {*graph.input, *(r for op in ops for r in op.results if r and r not in constant)}.difference(crossing)
        wanted = {graph.producer[name].name for op in ops for name in op.inputs if name in graph.producer}
        wanted |= {user.name for name in there for user in graph.users.get(name, ())}
        wanted -= edge
        if not wanted:
            break
    return frozenset(edge) if frozenset(crossing_of(graph, edge)) == frozenset(crossing) else None
