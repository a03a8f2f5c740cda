"""enumerate-splits: every linear cut with what crosses it, what sending that takes at the fewest bits, and formula (6) of the paper."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import accumulate
from typing import ClassVar

from autosplitc.ir import CompileError, Diagnostic, Graph, Module, at_batch_one, constant_values

from .base import Env, Pass
from .facts import Costs, Liveness, Request, Split, Splits
from .fewest_bits import Fewest, crossing_sets, fewest_bits
from .from_bytes import byte_values
from .given_codes import given_codes
from .planner import Life, buffers, live_sets
from .roles import roles


@dataclass(frozen=True)
class EnumerateSplits(Pass):
    """All prefixes of the graph's order as cuts, position 0 (Cloud-Only) to the number of ops (Edge-Only).

    `transfer_bytes` is T_n with crossing activations at the fewest bits that the edge takes (the raw input at `input_bits`);
    `memory_bytes` is the left side of (6), `potential` is (6): T_n <= T_0 and weights + largest working set <= memory. (6) is a column;
    it takes no cut off the list.
    """

    name: ClassVar[str] = "enumerate-splits"
    summary: ClassVar[str] = "all linear cuts, what crosses them, and the paper's formula (6)"
    needs: ClassVar = (Request, Liveness, Costs)
    gives: ClassVar = (Splits,)

    def apply(self, module: Module, env: Env) -> Module:
        """Return the module with the fact."""
        request = module.fact(Request)
        limit = env.edge.ram_bytes if request.edge_ram_bytes is None else request.edge_ram_bytes
        graph = module.main
        found = roles(graph, request.keep_float)
        given = given_codes(graph, found.coded)
        fewest = fewest_bits(graph, given, request, env)
        crossing = crossing_sets(graph)
        transfers = fewest.transfers(crossing)
        weights = _weight_bits(graph, frozenset(found.weight_axis), fewest)
        resident = [0] * len(weights) if env.edge.resident == "storage" else weights
        memory = _memory_bytes(graph, module.fact(Liveness), fewest, resident)
        refusals = _refusals(graph, module.fact(Costs), crossing)
        splits = tuple(
            Split(
                position=p,
                after=graph.ops[p - 1].name if p else "",
                crossing=crossing[p],
                transfer_bytes=transfers[p],
                memory_bytes=memory[p],
                potential=transfers[p] <= transfers[0] and memory[p] <= limit,
                reason=refusals[p],
            )
            for p in range(len(graph.ops) + 1)
        )
        return module.with_fact(Splits(graph.name, splits))


def _memory_bytes(graph: Graph, liveness: Liveness, fewest: Fewest, weight_bits: list[int]) -> list[int]:
    """Return the left side of (6) for every position; `weight_bits` is the memory of the weights that each op is the first to read.

    What is live while an op runs is the same for every later cut: a value that the edge does not read again crosses, and stays.
    """
    lives = {v.value: v for v in liveness.values}
    index = {name: i for i, name in enumerate(lives)}
    owners = {index[v.value]: index[v.alias_of] for v in lives.values() if v.alias_of}
    joined = buffers({index[n]: Life(v.first, v.last) for n, v in lives.items()}, owners)
    sizes = [fewest.memory_bits(name) for name in lives]
    steps = (sum(sizes[v] for v in live) for live in live_sets(joined, len(graph.ops))[:-1])
    inputs = sum(sizes[index[v.name]] for v in graph.inputs if v.name in index)
    largest = accumulate(steps, max, initial=inputs)
    held = accumulate(weight_bits, initial=0)
    return [(w + a + 7) // 8 for w, a in zip(held, largest, strict=True)]


def _weight_bits(graph: Graph, weights: frozenset[str], fewest: Fewest) -> list[int]:
    """Return for every op the memory of the weights that it is the first to read; those that the model brings as codes keep their width."""
    left = {name: (graph.type_of(name).elements or 0) * fewest.weight_bits for name in weights}
    codes = {op.inputs[0] for op in graph.ops if op.kind == "dequantize_linear" and graph.is_const(op.inputs[0])}
    left.update((name, (graph.type_of(name).elements or 0) * graph.type_of(name).dtype.bits) for name in codes)
    return [sum(left.pop(name, 0) for name in op.inputs) for op in graph.ops]


def _refusals(graph: Graph, costs: Costs, crossing: list[tuple[str, ...]]) -> list[str]:
    """Return for every position why the cut cannot be taken, "" where it can."""
    unknown = {name for name, t in graph.types.items() if at_batch_one(t).elements is None or not t.dtype.bits}
    idle = _idle_constants(graph)
    inside = _halfway(graph)
    found: list[str] = []
    edge = ""
    for position, names in enumerate(crossing):
        if position and not edge:
            op, cost = graph.ops[position - 1], costs.ops[position - 1]
            made = next((r for r in op.results if r in unknown), "")
            if not cost.edge_ok:
                edge = f"op {op.name!r} ({op.kind}) cannot run on the edge"
            elif made:
                edge = f"the size of {made!r}, made on the edge, is not known"
        sent = next((name for name in names if name in unknown), "")
        useless = f"op {idle[position]!r} depends on constants alone, and nothing before the cut reads it" if position in idle else ""
        odd = next((name for name in names if not graph.type_of(name).dtype.is_sendable), "")
        closed = f"{odd!r}, of type {graph.type_of(odd).dtype}, cannot be sent" if odd else ""
        halfway = next((name for name in names if name in inside), "")
        closed = closed or (f"{halfway!r} is made of a picture's bytes, which are fewer" if halfway else "")
        reason = edge or useless or closed or (f"the size of {sent!r}, which crosses, is not known" if sent else "")
        found.append(reason or ("nothing crosses" if 0 < position < len(graph.ops) and not names else ""))
    return found


def _halfway(graph: Graph) -> frozenset[str]:
    """Return the values between a picture's bytes and the numbers that they are scaled to."""
    return frozenset(name for made in byte_values(graph).values() for name in made.inside)


def unsendable(graph: Graph) -> frozenset[str]:
    """Return the values that can cross no cut, whatever their size."""
    return _halfway(graph).union(name for name, type_ in graph.types.items() if not type_.dtype.is_sendable)


def _idle_constants(graph: Graph) -> dict[int, str]:
    """Return the positions before which an op makes of constants what only ops behind them read, with its name."""
    constant = constant_values(graph) - set(graph.outputs)
    place = {op.name: i for i, op in enumerate(graph.ops)}
    found: dict[int, str] = {}
    for i, op in enumerate(graph.ops):
        made = [r for r in op.results if r]
        readers = [place[user.name] for r in made for user in graph.users.get(r, ())]
        if readers and constant.issuperset(made):
            found.update((position, op.name) for position in range(i + 1, min(readers) + 1) if position not in found)
    return found


def positions_of_cut(cut: tuple[str, ...], splits: tuple[Split, ...]) -> tuple[int, ...]:
    """Return the positions at which exactly the named tensors cross; empty where no cut is asked for.

    Raises CompileError (AS152) with the nearest cuts where there is no such position.
    """
    if not cut:
        return ()
    names = frozenset(cut)
    found = tuple(s.position for s in splits if frozenset(s.crossing) == names)
    if found:
        return found
    raise no_such_cut(cut, splits)


def no_such_cut(cut: tuple[str, ...], splits: tuple[Split, ...]) -> CompileError:
    """Return the error (AS152) for tensors that cross no cut, with the nearest cuts."""
    names = frozenset(cut)
    ranked = sorted((s for s in splits if s.crossing), key=lambda s: (-_likeness(names, s.crossing), s.position))
    near = dict.fromkeys(",".join(s.crossing) for s in ranked)
    notes = tuple(f"a cut: {text}" for text in list(near)[:3])
    asked = ", ".join(map(repr, cut))
    hint = f'--cut "{next(iter(near))}"' if near else ""
    return CompileError(Diagnostic("AS152", f"no cut of the graph is crossed by exactly {asked}", notes=notes, hint=hint))


def _likeness(names: frozenset[str], crossing: tuple[str, ...]) -> float:
    """Return how alike two sets of names are: names in common count whole, other names by their spelling."""
    common = len(names & set(crossing)) / len(names | set(crossing))
    spelled = SequenceMatcher(None, ",".join(sorted(names)), ",".join(sorted(crossing))).ratio()
    return common + spelled
