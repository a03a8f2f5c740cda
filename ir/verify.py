"""Verification: runs the table of rules over a graph or a module. It runs after every pass and on every text that is read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from .diagnostics import Diagnostic
from .edit import free_names, sub_graphs
from .graph import UNKNOWN_TYPE, Const, Graph, Op, Value
from .module import Module
from .verify_rules import CONST_RULES, GRAPH_RULES, OP_RULES

LENGTH_RULE = 61
"""Number of the rule that every result has a type; no other rule can be checked before."""
FACT_RULE = 60
"""Number of the rule that facts speak of graphs and values that are there."""


def verify(subject: Graph | Module, area: Literal["2", "9"] = "9") -> tuple[Diagnostic, ...]:
    """Return what is wrong with a graph, or with all graphs and facts of a module; empty where all is well.

    `area` is the first digit of the codes: 9 after a pass (an internal fault), 2 for text that a user gave. Codes are ASa50 to ASa61, see
    `verify_rules`.
    """
    if isinstance(subject, Graph):
        return tuple(_graph(subject, f'graph "{subject.name}"', area))
    found = [d for graph in subject.graphs for d in _graph(graph, f'graph "{graph.name}"', area)]
    found.extend(_facts(subject, area))
    return tuple(found)


def _graph(graph: Graph, where: str, area: str) -> Iterator[Diagnostic]:
    lopsided = [op for op in graph.ops if len(op.types) != len(op.results)]
    if lopsided:
        for op in lopsided:
            text = f"{len(op.results)} results, but {len(op.types)} types"
            yield _diagnostic(area, LENGTH_RULE, "lengths", text, f"{where}: op {_shown(op)}")
        return
    for rule in GRAPH_RULES:
        for text in rule.check(graph, graph):
            yield _diagnostic(area, rule.number, rule.name, text, where)
    for const in graph.consts:
        for rule in CONST_RULES:
            for text in rule.check(graph, const):
                yield _diagnostic(area, rule.number, rule.name, text, f"{where}: constant {_shown(const)}")
    for op in graph.ops:
        place = f"{where}: op {_shown(op)}"
        for rule in OP_RULES:
            for text in rule.check(graph, op):
                yield _diagnostic(area, rule.number, rule.name, text, place)
        for inner in sub_graphs(op):
            yield from _sub_graph(inner, graph, place, area)


def _sub_graph(inner: Graph, outer: Graph, place: str, area: str) -> Iterator[Diagnostic]:
    """Verify a sub-graph with what it captures standing there as inputs would."""
    captured = tuple(Value(name, outer.types.get(name, UNKNOWN_TYPE)) for name in free_names(inner))
    yield from _graph(replace(inner, inputs=(*inner.inputs, *captured)), place, area)


def _facts(module: Module, area: str) -> Iterator[Diagnostic]:
    for fact in module.facts:
        where = f'fact "{fact.name}"'
        if not fact.graph:
            continue
        if not module.has_graph(fact.graph):
            yield _diagnostic(area, FACT_RULE, "facts", f"there is no graph {fact.graph!r}", where)
            continue
        types = module.graph(fact.graph).types
        for key in fact.speaks_of():
            if key not in types:
                yield _diagnostic(area, FACT_RULE, "facts", f"graph {fact.graph!r} has no value {key!r}", where)


def _shown(subject: Op | Const) -> str:
    if isinstance(subject, Const):
        return f"%{subject.name}"
    name = next((r for r in subject.results if r), "")
    return f"%{name} = {subject.kind}" + (f" ({subject.loc})" if subject.loc.names else "")


def _diagnostic(area: str, number: int, rule: str, text: str, where: str) -> Diagnostic:
    return Diagnostic(f"AS{area}{number:02}", f"{rule}: {text}", where)
