"""Module = graphs + facts. What goes through the pipeline."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import ClassVar, TypeVar

from .graph import Graph


@dataclass(frozen=True)
class Fact:
    """Base of all results of analyses. Subclasses are frozen dataclasses with a kebab-case `name`.

    `graph` is the name of the graph that the fact speaks of. Fields may be int, float, str, bool, None, `BlobRef`, tuples of those, other
    frozen dataclasses (records), and tuples of records; the text form prints one record a line. Arrays (histograms, cost tables) are
    `ArrayRef`s.
    """

    name: ClassVar[str] = ""
    graph: str

    def speaks_of(self) -> Iterable[str]:
        """Names of values that the fact speaks of; all must exist in its graph (checked when a rewrite keeps the fact)."""
        return ()


F = TypeVar("F", bound=Fact)


@dataclass(frozen=True)
class Module:
    """Graphs by name (`main`; after partition also `edge`, `cloud`, `whole`) and facts, one of a type."""

    graphs: tuple[Graph, ...] = ()
    facts: tuple[Fact, ...] = ()

    @property
    def main(self) -> Graph:
        """The graph that is being planned."""
        return self.graph("main")

    def graph(self, name: str) -> Graph:
        """Return a graph by name; KeyError where it is not there."""
        for graph in self.graphs:
            if graph.name == name:
                return graph
        raise KeyError(name)

    def has_graph(self, name: str) -> bool:
        """Whether there is such a graph."""
        return any(g.name == name for g in self.graphs)

    def get(self, kind: type[F]) -> F | None:
        """Return the fact of a type, or None."""
        for fact in self.facts:
            if isinstance(fact, kind):
                return fact
        return None

    def fact(self, kind: type[F]) -> F:
        """Return the fact of a type. Raises KeyError where no pass has given it yet."""
        found = self.get(kind)
        if found is None:
            raise KeyError(f"no fact {kind.name!r}")
        return found

    def with_fact(self, *facts: Fact) -> Module:
        """Return the module with `facts` added, each in place of one of the same type."""
        new_types = {type(f) for f in facts}
        replaced = {type(f): f for f in facts}
        kept = tuple(replaced.pop(type(f)) if type(f) in new_types else f for f in self.facts)
        return replace(self, facts=(*kept, *(f for f in facts if type(f) in replaced)))

    def with_graph(self, graph: Graph, keep: tuple[type[Fact], ...] = ()) -> Module:
        """Return the module with `graph` in place of the one of that name (or added).

        Every fact about that graph is dropped, except those of the types in `keep`, whose keys must all exist in the new graph
        (KeyError otherwise: the pass claims to preserve what it does not).
        """
        if self.has_graph(graph.name) and self.graph(graph.name) is graph:
            return self
        if self.has_graph(graph.name):
            graphs = tuple(graph if g.name == graph.name else g for g in self.graphs)
        else:
            graphs = (*self.graphs, graph)
        facts = tuple(f for f in self.facts if f.graph != graph.name or isinstance(f, keep))
        for fact in facts:
            if fact.graph == graph.name:
                missing = [key for key in fact.speaks_of() if key not in graph.types]
                if missing:
                    raise KeyError(f"fact {fact.name!r} speaks of {missing[0]!r}, which graph {graph.name!r} does not have")
        return Module(graphs, facts)
