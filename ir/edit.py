"""Pure helpers to edit graphs. Every function returns a new graph; names of graph inputs and outputs never change."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from .graph import Const, Graph, Op
from .types import Attrs, AttrValue


def fresh_name(taken: Container[str], hint: str) -> str:
    """Return `hint`, or `hint.2`, `hint.3` ... : the first that is not in `taken`."""
    name, count = hint, 1
    while name in taken:
        count += 1
        name = f"{hint}.{count}"
    return name


def redirect(graph: Graph, names: Mapping[str, str]) -> Graph:
    """Let every reader of a value in `names` read the value it maps to instead (chains are followed); captured values too.

    Graph outputs keep their names: an output that is redirected is not changed here. Raises ValueError for a circle of names.
    """
    final = {name: _followed(names, name) for name in names}
    ops = tuple(
        replace(op, inputs=tuple(final.get(i, i) for i in op.inputs)) if any(i in final for i in op.inputs) else op for op in graph.ops
    )
    return replace(graph, ops=ops)


def _followed(names: Mapping[str, str], name: str) -> str:
    seen = {name}
    at = names[name]
    while at in names:
        if at in seen:
            raise ValueError(f"{name!r} is redirected to itself")
        seen.add(at)
        at = names[at]
    return at


def replace_ops(graph: Graph, new: Mapping[str, Sequence[Op]], consts: Iterable[Const] = ()) -> Graph:
    """Put the ops of `new` in place of the op of that name (an empty sequence removes it), and add constants.

    The new ops stand where the old one stood; the order is made topological again. Nothing is removed beyond that: see `remove_dead`.
    """
    ops: list[Op] = []
    for op in graph.ops:
        ops.extend(new.get(op.name, (op,)))
    return toposort(replace(graph, ops=tuple(ops), consts=(*graph.consts, *consts)))


def toposort(graph: Graph) -> Graph:
    """Put the ops in topological order, keeping the given order wherever it is one. Raises ValueError for a cycle."""
    maker = {r: i for i, op in enumerate(graph.ops) for r in op.results if r}
    waits = [{maker[name] for name in op.inputs if name in maker} for op in graph.ops]
    if all(j < i for i, needed in enumerate(waits) for j in needed):
        return graph
    readers: dict[int, list[int]] = {}
    for i, needed in enumerate(waits):
        for j in needed:
            readers.setdefault(j, []).append(i)
    open_count = [len(needed) for needed in waits]
    ready = [i for i, count in enumerate(open_count) if count == 0]
    order: list[int] = []
    while ready:
        i = heapq.heappop(ready)
        order.append(i)
        for j in readers.get(i, ()):
            open_count[j] -= 1
            if open_count[j] == 0:
                heapq.heappush(ready, j)
    if len(order) < len(graph.ops):
        stuck = next(op.name for i, op in enumerate(graph.ops) if i not in set(order))
        raise ValueError(f"the graph has a cycle through {stuck!r}")
    return replace(graph, ops=tuple(graph.ops[i] for i in order))


def remove_dead(graph: Graph) -> Graph:
    """Remove ops that no output depends on and constants that nothing reads. Returns the graph itself where there are none."""
    needed = set(graph.outputs)
    kept: list[Op] = []
    for op in reversed(graph.ops):
        if any(r in needed for r in op.results):
            kept.append(op)
            needed.update(op.inputs)
    if len(kept) < len(graph.ops):
        graph = replace(graph, ops=tuple(reversed(kept)))
    return prune_consts(graph)


def prune_consts(graph: Graph) -> Graph:
    """Remove constants that no op reads and that are no outputs. Returns the graph itself where there are none."""
    consts = tuple(c for c in graph.consts if c.name in graph.users or c.name in graph.outputs)
    return graph if len(consts) == len(graph.consts) else replace(graph, consts=consts)


def map_ops(graph: Graph, change: Callable[[Op], Op]) -> Graph:
    """Return the graph with `change` applied to every op. Results must keep their names."""
    return replace(graph, ops=tuple(change(op) for op in graph.ops))


def sub_graphs(op: Op) -> Iterator[Graph]:
    """The sub-graphs among an op's attributes."""
    for value in op.attrs.values():
        if isinstance(value, Graph):
            yield value
        elif isinstance(value, tuple):
            yield from (v for v in value if isinstance(v, Graph))


def all_names(graph: Graph) -> set[str]:
    """Names of every value that a graph and its sub-graphs make."""
    names = set(graph.types)
    for op in graph.ops:
        for inner in sub_graphs(op):
            names |= all_names(inner)
    return names


def free_names(graph: Graph) -> tuple[str, ...]:
    """Names that a sub-graph reads from outside, in order of their first reading."""
    found: dict[str, None] = {}
    for op in graph.ops:
        found.update((name, None) for name in op.inputs if name and name not in graph.types)
    found.update((name, None) for name in graph.outputs if name not in graph.types)
    return tuple(found)


def renamed_inside(value: AttrValue, names: Mapping[str, str]) -> AttrValue:
    """Return an attribute with values that its sub-graphs read from outside renamed; other attributes come back as they are."""
    return _in_graphs(value, lambda inner: rename_free(inner, names))


def rename_free(graph: Graph, names: Mapping[str, str]) -> Graph:
    """Rename values that a sub-graph reads from outside. Names made inside that would hide a new one get another name."""
    free = {name: names[name] for name in free_names(graph) if name in names}
    if not free:
        return graph
    clear = rename_made(graph, set(free.values()) - set(free_names(graph)))
    return _rename(clear, free)


def rename_made(graph: Graph, taken: Collection[str]) -> Graph:
    """Give values that a sub-graph, or a sub-graph of it, makes other names where theirs are in `taken`."""
    avoid = {*taken, *all_names(graph), *free_names(graph)}
    changed: dict[str, str] = {}
    for name in graph.types:
        if name in taken:
            changed[name] = fresh_name(avoid, f"{name}.inner")
            avoid.add(changed[name])

    def inside(op: Op) -> Op:
        attrs = {key: _in_graphs(value, lambda inner: rename_made(inner, taken)) for key, value in op.attrs.items()}
        return replace(op, attrs=Attrs.of(attrs))

    ops = tuple(inside(op) if any(True for _ in sub_graphs(op)) else op for op in graph.ops)
    return _rename(replace(graph, ops=ops), changed)


def _in_graphs(value: AttrValue, change: Callable[[Graph], Graph]) -> AttrValue:
    if isinstance(value, Graph):
        return change(value)
    if isinstance(value, tuple):
        return tuple(change(v) if isinstance(v, Graph) else v for v in value)
    return value


def _rename(graph: Graph, names: Mapping[str, str]) -> Graph:
    """Rename values wherever the graph itself makes or reads them; its sub-graphs go on using the names that they capture by."""
    if not names:
        return graph

    def new(name: str) -> str:
        return names.get(name, name)

    return replace(
        graph,
        inputs=tuple(replace(v, name=new(v.name)) for v in graph.inputs),
        consts=tuple(replace(c, name=new(c.name)) for c in graph.consts),
        ops=tuple(replace(op, results=tuple(map(new, op.results)), inputs=tuple(map(new, op.inputs))) for op in graph.ops),
        outputs=tuple(map(new, graph.outputs)),
    )
