"""refine-weights: rounds the weights of the chosen plan once more, layer after layer, each on what the quantised layers before it give, so
that a layer makes up for what those before it lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from autosplitc.ir import Graph, Module, Op

from .base import Env, Pass
from .cache_keys import digest_of
from .execute import runnable_part
from .facts import Choice, Plan, Ranges, Refinement, Request, Solutions
from .layers import ROWS, RUNS, Effort, Layer, layers_of, one_blas_thread
from .quantisers import Quantisers
from .quantize import Affine, RoundedLayer, mean_lasts, refit_lasts, round_layer
from .quantize.insert import ABSORBED
from .reorder import edge_names
from .roles import Roles, roles
from .round_weights import effort_of
from .rounding_cache import VERSION, RoundedOp, cached
from .walk import Codes, Inputs, OnLayer, Rounds, runs_that_fit, spread_feeds, walk

FINE_BITS = 6
"""From here on a layer is refitted, and its mean result kept, on quantised inputs only where one half of the data says that of the other.

Coarse codes lose more than a refit learns by heart. MobileNetV2 on 32 crops of 8 pictures, KL to float x 1e-3 on 168 crops of 28 others,
effort normal: 8 bits 41.9 with both in all layers, 34.9 without the refit, 25.7 without either, 23.0 by halves; 6 bits 89, 58, 48, 34.
"""


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
        names = edge_names(module.main, plan)
        ops = [op for op in graph.ops if op.name in names]
        codes = codes_of(plan, found, Quantisers(module.fact(Ranges)), ops)
        bits = {b.name: b.bits for b in plan.weight_bits}
        chain = _Chain(graph, ops, env, effort, bits, codes)
        order = chain.rounded([*layers_of(graph, found, effort, ops, bits.__contains__)])
        biases = tuple(r.bias for r in order if r.bias is not None)
        return module.with_fact(Refinement(module.main.name, effort, tuple(r.weight for r in order), biases))


@dataclass(frozen=True)
class _Chain:
    """Rounds layers one after the other, from the cache as far as plans agree, else on a walk."""

    graph: Graph
    ops: list[Op]
    env: Env
    effort: Effort
    bits: Mapping[str, int]
    codes: Codes

    def rounded(self, layers: list[Layer]) -> list[RoundedOp]:
        """Return the layers' weights in order, each constant once."""
        keys = self._keys()
        done: dict[str, RoundedOp] = {}
        for layer in layers:
            if layer.const not in done:
                found = cached(self.env.cache, keys[layer.op.name], layer.const, layer.op.name, self.bits[layer.const])
                if found is not None:
                    done[layer.const] = found
        if self.env.calib is not None and any(layer.const not in done for layer in layers):
            feeds = spread_feeds(self.graph, self.env.calib, runs_that_fit(self.graph, RUNS[self.effort]))
            looks = {layer.op.name: self._look(layer, keys, done) for layer in layers}
            with one_blas_thread():
                walk(self.graph, feeds, self.codes, looks, self.env.progress, self.ops)
        return [done[const] for const in dict.fromkeys(layer.const for layer in layers) if const in done]

    def _look(self, layer: Layer, keys: Mapping[str, str], done: dict[str, RoundedOp]) -> OnLayer:
        def look(op: Op, inputs: Inputs) -> Rounds:
            bits = self.bits[layer.const]
            if layer.const not in done:
                done[layer.const] = layer.rounded_op(_rounded(layer, inputs, bits, self.effort, self.env.seed), bits)
                self.env.cache.put(keys[op.name], done[layer.const].to_bytes())
            rounds, mine = done[layer.const].rounds(layer.axis), done[layer.const].bias
            return rounds if mine is None or mine.op == op.name else replace(rounds, bias=None)

        return look

    def _keys(self) -> dict[str, str]:
        """Return a key for every op: it tells all that was quantised before it, and its own width."""
        data = self.env.calib.sha256 if self.env.calib else ""
        key = digest_of("refine-weights", VERSION, self.graph, data, self.effort, self.env.seed, RUNS[self.effort], ROWS[self.effort])
        key = digest_of(key, [self.codes.affine.get(name) for name in self.graph.input])
        keys: dict[str, str] = {}
        for op in self.ops:
            widths = [self.bits.get(name) for name in op.inputs]
            keys[op.name] = digest_of(key, op.name, widths)
            key = digest_of(keys[op.name], [self.codes.affine.get(name) for name in op.results], self.codes.inner.get(op.name))
        return keys


def _rounded(layer: Layer, inputs: Inputs, bits: int, effort: Effort, seed: int) -> RoundedLayer:
    """Round a layer on what the edge feeds it."""
    if bits < FINE_BITS or len(inputs.exact) < 2:
        return round_layer(layer.matrix, layer.moments(inputs, seed), bits, effort, refit=effort != "fast")
    halves = layer.halves(inputs, seed)
    moments = halves[0] + halves[1]
    seen = moments if mean_lasts(layer.matrix, halves) else replace(moments, mean=moments.mean_exact)
    return round_layer(layer.matrix, seen, bits, effort, refit=effort != "fast" and refit_lasts(layer.matrix, halves, bits))


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
