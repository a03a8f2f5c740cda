"""The ways in which a profile runs the whole model: in float, and with every weight, activation and wire at so many bits.

The graphs are those that the compiler emits for Edge-Only. Where not all of the model can be on the edge, the longest part that can is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from autosplitc.ir import CompileError, Graph, Module, Op, pre_activation
from autosplitc.passes import Choice, Env, Plan, Request, Solutions, Splits, pass_class, roles, runnable_part
from autosplitc.targets import BIT_ROWS, ROWS, OpCost, OpView, Residency, constant_table, parse_network

FLOAT = "float"
"""Name of the context in float; the others are named by their bits."""


@dataclass(frozen=True)
class Context:
    """One way to run the model. values: the op of the model that makes a value of `graph`, "" for what is no op's work; by value."""

    name: str
    graph: Graph
    values: Mapping[str, str]

    @property
    def file(self) -> str:
        """Name of its model in the kit."""
        return "float.onnx" if self.name == FLOAT else f"bits-{self.name}.onnx"


@dataclass(frozen=True, slots=True)
class AnyDevice:
    """A target that takes every op but those of `foreign` kinds, at all bits, in no time: for plans that nothing but the bits decides."""

    name: str = "any-device"
    source: str = "stands for a device that is yet to be measured"
    weight_bits: tuple[int, ...] = BIT_ROWS
    act_bits: tuple[int, ...] = BIT_ROWS
    float_bits: int = 32
    ram_bytes: int = 1 << 50
    storage_bytes: int | None = None
    resident: Residency = "int8"
    max_opset: int = 25
    foreign: frozenset[str] = frozenset()

    def cost(self, op: OpView) -> OpCost | None:
        """Return no cost at all, or None for a foreign op."""
        nothing = tuple(np.zeros(ROWS) for _ in (*op.inputs, *op.results))
        return None if op.kind in self.foreign else OpCost(constant_table(0.0), nothing, bandwidth_bytes_per_s=1.0, overlap=False)


def profiling_env(graph: Graph, env: Env) -> Env:
    """Return an environment whose edge takes all that onnxruntime does."""
    foreign = frozenset(op.kind for op in runnable_part(graph)[1])
    return replace(env, edge=AnyDevice(foreign=foreign), cloud=AnyDevice(), network=parse_network("3mbps"))


def float_context(graph: Graph) -> Context:
    """Return the simplified model as it is, up to the custom ops that onnxruntime does not have; what those read are outputs."""
    kept, foreign = runnable_part(graph)
    made = {result for op in kept.ops for result in op.results}
    read = [name for op in foreign for name in op.inputs if name in made]
    values = {name: op.name for op in kept.ops for name in _made_by(kept, op)}
    return Context(FLOAT, replace(kept, outputs=tuple(dict.fromkeys((*kept.outputs, *read)))), values)


def bits_context(module: Module, bits: int, env: Env) -> Context | None:
    """Return the model with everything at `bits`; None where no op can be on the edge. `module` is analysed, up to its splits."""
    plan = _longest_plan(module, bits, env)
    if plan is None:
        return None
    chosen = module.with_fact(Solutions(module.main.name, (plan,)), Choice(module.main.name, 0, "profile"))
    edge = pass_class("partition")().apply(chosen, env).graph("edge")
    return Context(str(bits), edge, values_of_edge(module.main, edge))


def _longest_plan(module: Module, bits: int, env: Env) -> Plan | None:
    """Return the plan at `bits` with the most ops on the edge, None where there is none with any."""
    request = replace(module.fact(Request), weight_bits=(bits,), act_bits=(bits,), wire_bits=(bits,))
    for cut in _cuts(module.fact(Splits)):
        try:
            planned = pass_class("assign-bits")().apply(module.with_fact(replace(request, cut=cut)), env)
        except CompileError:
            continue
        longest = max(planned.fact(Solutions).plans, key=lambda plan: plan.position)
        if longest.position:
            return longest
    return None


def _cuts(splits: Splits) -> Iterator[tuple[str, ...]]:
    """Yield what crosses at the cuts inside the model, the last first; then (), for a model without such cuts."""
    yield from dict.fromkeys(s.crossing for s in reversed(splits.splits[1:-1]) if not s.reason)
    yield ()


def values_of_edge(main: Graph, edge: Graph) -> dict[str, str]:
    """Return the op of `main` that makes each value of a partitioned graph, by value.

    Quantising what an op on codes makes is the op's own work, for its kernel does it; quantising and dequantising numbers for a reader is
    the reader's, so those values are left out. What only the payload is made of is no op's: "".
    """
    on_codes = roles(main).quantised
    makers = {result: op.name for op in main.ops for result in op.results if result}
    kept = {(op.kind, op.loc) for op in edge.ops}
    ops = [op for op in main.ops if (op.kind, op.loc) in kept]
    found: dict[str, str] = {}
    current, place = "", 0
    for op in edge.ops:
        if op.kind == "pack":
            found[op.result] = ""
        elif op.kind == "quantize":
            if found.get(op.inputs[0]) in on_codes:
                found[op.result] = found[op.inputs[0]]
        elif op.kind == "dequantize":
            if op.result in makers and not edge.is_const(op.inputs[0]):
                found[op.result] = makers[op.result]
        else:
            if place < len(ops) and (op.kind, op.loc) == (ops[place].kind, ops[place].loc):
                current, place = ops[place].name, place + 1
            found.update((name, current) for name in _made_by(edge, op))
    return found


def _made_by(graph: Graph, op: Op) -> Iterator[str]:
    """Yield the values that the nodes of an op make in the exported model."""
    yield from (result for result in op.results if result)
    if "act" in op.attrs:
        yield pre_activation(graph, op)
