"""refine-weights: rounds the weights of the chosen plan once more, layer after layer, each on what the quantised layers before it give, so
that a layer makes up for what those before it lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from autosplitc.ir import Module, Op

from .base import Env, Pass
from .execute import runnable_part
from .facts import Choice, Plan, Ranges, Refinement, Request, RoundedBias, RoundedWeight, Solutions
from .layers import RUNS, Layer, layers_of
from .quantisers import Quantisers
from .quantize import Affine, round_layer
from .quantize.insert import ABSORBED
from .roles import Roles, roles
from .round_weights import effort_of
from .walk import Codes, Inputs, OnLayer, Rounds, runs_that_fit, spread_feeds, walk


@dataclass(frozen=True)
class RefineWeights(Pass):
    """Gives `refinement` of the chosen plan; empty without calibration data. effort: as in `round-weights`."""

    name: ClassVar[str] = "refine-weights"
    summary: ClassVar[str] = "round the chosen plan's weights again, each layer on what the quantised layers before it give"
    needs: ClassVar = (Request, Ranges, Solutions, Choice)
    gives: ClassVar = (Refinement,)
    effort: str = ""

    def apply(self, module: Module, env: Env) -> Module:
        """Return the module with the fact.

        Raises CompileError: AS156 an unknown effort, AS323 and AS324 where the model does not run.
        """
        request, plan = module.fact(Request), module.fact(Solutions).plans[module.fact(Choice).index]
        effort = effort_of(self.effort, request)
        if env.calib is None or not plan.weight_bits:
            return module.with_fact(Refinement(module.main.name, effort, ()))
        graph = runnable_part(module.main)[0]
        found = roles(graph, request.keep_float)
        bits = {b.name: b.bits for b in plan.weight_bits}
        names = {op.name for op in module.main.ops[: plan.position]}
        ops = [op for op in graph.ops if op.name in names]
        weights: list[RoundedWeight] = []
        biases: list[RoundedBias] = []
        shared: dict[str, Rounds] = {}

        def looks_at(layer: Layer) -> OnLayer:
            def look(op: Op, inputs: Inputs) -> Rounds:
                if op.inputs[1] in shared:
                    return shared[op.inputs[1]]
                width = bits[op.inputs[1]]
                rounded = round_layer(layer.matrix, layer.moments(inputs, env.seed), width, effort, refit=effort != "fast")
                weights.append(layer.record(rounded, width))
                bias = layer.bias_record(rounded, width)
                biases.extend([bias] if bias else [])
                shared[op.inputs[1]] = Rounds(layer.weights(rounded))
                return layer.rounds(rounded)

            return look

        layers = {layer.op.name: looks_at(layer) for layer in layers_of(graph, found, effort, ops, bits.__contains__)}
        if layers:
            feeds = spread_feeds(graph, env.calib, runs_that_fit(graph, RUNS[effort]))
            walk(graph, feeds, codes_of(plan, found, Quantisers(module.fact(Ranges)), ops), layers, ops)
        return module.with_fact(Refinement(module.main.name, effort, tuple(weights), tuple(biases)))


def codes_of(plan: Plan, found: Roles, quantisers: Quantisers, ops: list[Op]) -> Codes:
    """Return how the edge holds the values of a plan."""
    affine = {b.name: quantisers.affine(b.name, b.bits) for b in plan.act_bits if found.root.get(b.name) == b.name}
    inner: dict[str, Affine] = {}
    for op in ops:
        if op.name in found.quantised and op.attrs.str_("act") not in ("", *ABSORBED):
            before = quantisers.inner(op.result)
            if before is not None:
                inner[op.name] = before
    return Codes(affine, inner)
