"""What values take with every choice of bits at its least, and what crosses each linear cut of a graph."""

from __future__ import annotations

from dataclasses import dataclass

from autosplitc.ir import DType, Graph, at_batch_one, constant_values

from .base import Env
from .facts import Request
from .from_bytes import byte_values
from .given_codes import GivenCodes, given_codes
from .roles import roles


@dataclass(frozen=True, slots=True)
class Fewest:
    """Sizes with every choice of bits at its least; `raw` values are inputs, or what their bytes are scaled to."""

    graph: Graph
    raw: frozenset[str]
    given: GivenCodes
    weight_bits: int
    act_bits: int
    input_bits: int

    def bits(self, value: str) -> int:
        """Size of a value; 0 where it is not known at compile time."""
        type_ = at_batch_one(self.graph.type_of(value))
        width = type_.dtype.bits
        if type_.dtype is DType.F32:
            width = self.input_bits if value in self.raw else self.act_bits
        return (type_.elements or 0) * width

    def transfers(self, crossing: list[tuple[str, ...]]) -> list[int]:
        """Return the bytes that each set of values takes on the link."""
        return [sum((self.bits(name) + 7) // 8 for name in names) for names in crossing]

    def memory_bits(self, value: str) -> int:
        """Memory of a value: what the model holds as codes takes the bits of those."""
        width = self.given.memory_bits.get(value)
        return self.bits(value) if width is None else (at_batch_one(self.graph.type_of(value)).elements or 0) * width


def fewest_bits(graph: Graph, given: GivenCodes, request: Request, env: Env) -> Fewest:
    """Return the sizes on a request's terms."""
    raw = frozenset((*graph.input, *byte_values(graph)))
    return Fewest(graph, raw, given, env.edge.weight_bits[0], env.edge.act_bits[0], request.input_bits)


def transfer_bytes(graph: Graph, request: Request, env: Env) -> list[int]:
    """Return for every position 0..n of a graph the `transfer_bytes` of its cut."""
    given = given_codes(graph, roles(graph, request.keep_float).coded)
    return fewest_bits(graph, given, request, env).transfers(crossing_sets(graph))


def crossing_sets(graph: Graph) -> list[tuple[str, ...]]:
    """Return for every position 0..n what ops behind it read of what is there before it: graph inputs, then results in order.

    What depends on constants alone never crosses: both sides make it.
    """
    constant = constant_values(graph)
    last: dict[str, int] = {}
    for i, op in enumerate(graph.ops):
        last.update((name, i) for name in op.inputs if name and not graph.is_const(name))
    born = [(v.name, 0) for v in graph.inputs]
    born += [(r, i + 1) for i, op in enumerate(graph.ops) for r in op.results if r and r not in constant]
    found: list[list[str]] = [[] for _ in range(len(graph.ops) + 1)]
    for name, first in born:
        for position in range(first, last.get(name, -1) + 1):
            found[position].append(name)
    return [tuple(names) for names in found]
