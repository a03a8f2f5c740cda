"""liveness: when every value is made and last read, and how much memory the working set takes at every step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from autosplitc.ir import Graph, Module, TensorType, at_batch_one, op_row

from .base import Env, Pass
from .facts import Liveness, LiveRange, Request, Step
from .given_codes import GivenCodes, given_codes
from .planner import Sequential, buffers, lifetimes, live_sets
from .roles import Roles, roles

CODE_BITS = 8
"""Bits of a code in the working set of this fact; the planner counts the bits that it chooses."""


@dataclass(frozen=True)
class ComputeLiveness(Pass):
    """First and last use of every value of `main`, and the working set at every op with 8-bit codes.

    Reshape-like ops, and quantisers of the model where its codes are kept, share the memory of their first input: `LiveRange.alias_of`
    names the value that owns it. A value whose size is not known counts as empty.
    """

    name: ClassVar[str] = "liveness"
    summary: ClassVar[str] = "first and last use of every value, and the working set over time"
    gives: ClassVar = (Liveness,)

    def apply(self, module: Module, env: Env) -> Module:
        """Return the module with the fact."""
        del env
        request = module.get(Request)
        return module.with_fact(liveness_of(module.main, request.keep_float if request else ""))


def liveness_of(graph: Graph, keep_float: str = "") -> Liveness:
    """Return the life of every value that ops read or make, constants aside, on the uncut graph at batch size 1.

    Ops that match `keep_float` work on no codes.
    """
    names = _values(graph)
    index = {name: i for i, name in enumerate(names)}
    run = Sequential(
        reads=[{index[n] for n in op.inputs if n in index} for op in graph.ops],
        makes=[[index[r] for r in op.results if r] for op in graph.ops],
        inputs=[index[v.name] for v in graph.inputs if v.name in index],
        kept=[index[name] for name in graph.outputs if name in index],
    )
    found = roles(graph, keep_float)
    given = given_codes(graph, found.coded)
    owner = _owners(graph, given)
    lives = lifetimes(run)
    sizes = working_set_bits(graph, found, given, names)
    shared = {index[name]: index[kept_by] for name, kept_by in owner.items()}
    totals = [sum(sizes[v] for v in live) for live in live_sets(buffers(lives, shared), len(graph.ops))[:-1]]
    steps = tuple(Step(op.name, (bits + 7) // 8) for op, bits in zip(graph.ops, totals, strict=True))
    peak = max(steps, key=lambda s: s.working_set_bytes, default=Step("", 0))
    ranges = tuple(
        LiveRange(n, lives[i].first, lives[i].last, at_batch_one(graph.type_of(n)).elements, owner.get(n, "")) for i, n in enumerate(names)
    )
    return Liveness(graph.name, ranges, steps, peak.working_set_bytes, peak.op)


def working_set_bits(graph: Graph, found: Roles, given: GivenCodes, names: list[str], code_bits: int = CODE_BITS) -> list[int]:
    """Return the memory of each named value in bits, with codes of ours of `code_bits`; 0 where the size is not known."""
    types = (at_batch_one(graph.type_of(name)) for name in names)
    return [
        _bits(t, code_bits if name in found.coded else given.memory_bits.get(name, t.dtype.bits))
        for name, t in zip(names, types, strict=True)
    ]


def _bits(type_: TensorType, width: int) -> int:
    return (type_.elements or 0) * width


def _values(graph: Graph) -> list[str]:
    """Values that ops read or make: graph inputs first, then results in order."""
    read = {name for op in graph.ops for name in op.inputs}
    return [v.name for v in graph.inputs if v.name in read] + [r for op in graph.ops for r in op.results if r]


def _owners(graph: Graph, given: GivenCodes) -> dict[str, str]:
    """For every value made by a reshape-like op, or by a quantiser of the model that costs nothing: the value whose memory it shares."""
    owner: dict[str, str] = {}
    for op in graph.ops:
        reshaped = op_row(op.kind).reshape_like and op.inputs and op.results[0]
        source = op.inputs[0] if reshaped else given.memory_of.get(op.results[0], "")
        if source and not graph.is_const(source):
            owner[op.results[0]] = owner.get(source, source)
    return owner
