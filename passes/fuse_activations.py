"""fuse-activations: an activation becomes an attribute of the op before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from autosplitc.ir import Attrs, AttrValue, Graph, Module, Op, prune_consts, replace_ops

from .activation_patterns import Activation, activation
from .base import Env, Pass

_BEFORE = ("conv", "conv_transpose", "gemm", "matmul", "add", "mul")


@dataclass(frozen=True)
class FuseActivations(Pass):
    """Fuses Relu, Clip, LeakyRelu, HardSwish, HardSigmoid, Sigmoid, Tanh and SiLU into the Conv, ConvTranspose, Gemm, MatMul, Add or Mul
    whose result they alone read.

    Activations that exporters write as several ops are found too; one that has nothing to be fused into becomes one op of its own kind.
    The fused op takes the name of the last value.
    """

    name: ClassVar[str] = "fuse-activations"
    summary: ClassVar[str] = "fuse activations into the op before them"

    def apply(self, module: Module, env: Env) -> Module:
        """Return the module with activations fused in `main`."""
        del env
        return module.with_graph(fuse_activations(module.main))


def fuse_activations(graph: Graph) -> Graph:
    """Return the graph with activations fused; the graph itself where there are none to fuse."""
    new: dict[str, Sequence[Op]] = {}
    found = _activations(graph)
    inside = {op.name for act in found for op in act.ops}
    for act in found:
        base = graph.producer.get(act.source)
        if base is not None and base.name not in inside and _takes(graph, base, act):
            new.update({base.name: (_fused(base, act),), **{op.name: () for op in act.ops}})
        elif len(act.ops) > 1 and act.act != "clip":
            new.update({**{op.name: () for op in act.ops}, act.ops[-1].name: (_as_op(act),)})
    return prune_consts(replace_ops(graph, new)) if new else graph


def _activations(graph: Graph) -> list[Activation]:
    """All activations; no op is in two of them, and those of more ops come first."""
    found: list[Activation] = []
    taken: set[str] = set()
    for op in reversed(graph.ops):
        act = activation(graph, op) if op.name not in taken else None
        if act is not None and taken.isdisjoint(o.name for o in act.ops):
            found.append(act)
            taken.update(o.name for o in act.ops)
    return found[::-1]


def _takes(graph: Graph, base: Op, act: Activation) -> bool:
    """Whether an op can compute the activation too: nothing else reads what it makes before."""
    readers = {op.name for op in graph.users.get(act.source, ())}
    alone = readers <= {op.name for op in act.ops} and act.source not in graph.outputs
    return alone and base.kind in _BEFORE and "act" not in base.attrs and len(base.results) == 1 and base.type == act.ops[-1].type


def _fused(base: Op, act: Activation) -> Op:
    last = act.ops[-1]
    attrs = base.attrs.with_(**dict(act.attrs.items_))
    return replace(base, results=last.results, attrs=attrs, types=last.types, loc=base.loc.joined(act.loc))


def _as_op(act: Activation) -> Op:
    given: dict[str, AttrValue] = {key.removeprefix("act_"): value for key, value in act.attrs.items_ if key != "act"}
    return replace(act.ops[-1], kind=act.act, inputs=(act.source,), attrs=Attrs.of(given), loc=act.loc)
