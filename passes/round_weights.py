"""round-weights: rounds every weight constant on calibration data at every width that it may get, so that the planner's errors are those of
the rounding that is used.

Each layer sees the float model's activations held as codes of the most bits, so the results do not depend on each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from autosplitc.ir import CompileError, Diagnostic, Graph, Module, Op

from .base import Env, Pass
from .cache_keys import digest_of
from .execute import runnable_part
from .facts import Ranges, Request, Rounding
from .from_bytes import input_widths
from .layers import ROWS, RUNS, Effort, Layer, layers_of, one_blas_thread
from .quantisers import Quantisers
from .quantize import WEIGHT_BITS, Affine, fake_quantize, round_layer_widths
from .roles import Roles, roles
from .rounding_cache import VERSION, RoundedOp, cached
from .walk import Codes, Inputs, OnLayer, Rounds, runs_that_fit, spread_feeds, walk


@dataclass(frozen=True)
class RoundWeights(Pass):
    """Gives `rounding`. Without calibration data it is empty: weights are then rounded each on its own.

    effort: `fast` (scales that keep the gain, corrected biases), `normal` (error-compensated rounding), `best` (more scales, then a descent
    on the codes); "" takes the request's.
    """

    name: ClassVar[str] = "round-weights"
    summary: ClassVar[str] = "round every weight at every bit-width on calibration data, with its error compensated"
    needs: ClassVar = (Ranges,)
    gives: ClassVar = (Rounding,)
    effort: str = ""

    def apply(self, module: Module, env: Env) -> Module:
        """Return the module with the fact.

        Raises CompileError: AS156 an unknown effort, AS323 and AS324 where the model does not run.
        """
        request = module.get(Request)
        effort = effort_of(self.effort, request)
        if env.calib is None:
            return module.with_fact(Rounding(module.main.name, effort, ()))
        graph = runnable_part(module.main)[0]
        found = roles(graph, request.keep_float if request else "")
        widths = tuple(b for b in ((request.weight_bits if request else None) or env.edge.weight_bits) if b in WEIGHT_BITS)
        layers = {layer.const: layer for layer in reversed([*layers_of(graph, found, effort, graph.ops, lambda _: True)])}
        table = _Table(graph, found, env, effort, widths, _held(module, env, found))
        rounded = table.rounded(list(layers.values()))
        order = [rounded[const, bits] for const in found.weight_axis if const in layers for bits in widths]
        biases = tuple(r.bias for r in order if r.bias is not None)
        return module.with_fact(Rounding(module.main.name, effort, tuple(r.weight for r in order), biases))


def _held(module: Module, env: Env, found: Roles) -> dict[str, Affine]:
    """Return the quantiser, of the most bits, of every value that is read as codes."""
    request, quantisers = module.get(Request), Quantisers(module.fact(Ranges))
    bits = max((request.act_bits if request else None) or env.edge.act_bits)
    input_bits = request.input_bits if request else bits
    roots = set(found.root.values()) & set(quantisers.of_value)
    fixed = input_widths(module.main, input_bits)
    return {root: quantisers.affine(root, fixed.get(root, bits)) for root in roots}


@dataclass(frozen=True)
class _Table:
    """Rounds layers at every width, from the cache or on a walk; `held` are the quantisers of what they read."""

    graph: Graph
    roles: Roles
    env: Env
    effort: Effort
    widths: tuple[int, ...]
    held: Mapping[str, Affine]

    def rounded(self, layers: list[Layer]) -> dict[tuple[str, int], RoundedOp]:
        """Return all of them by constant and width."""
        data = self.env.calib.sha256 if self.env.calib else ""
        base = digest_of("round-weights", VERSION, self.graph, data, self.effort, self.env.seed, RUNS[self.effort], ROWS[self.effort])
        keys = {(layer.const, bits): digest_of(base, layer.op.name, self._affine(layer), bits) for layer in layers for bits in self.widths}
        done: dict[tuple[str, int], RoundedOp] = {}
        missing: dict[str, OnLayer] = {}
        for layer in layers:
            for bits in self.widths:
                found = cached(self.env.cache, keys[layer.const, bits], layer.const, layer.op.name, bits)
                if found is not None:
                    done[layer.const, bits] = found
            if any((layer.const, bits) not in done for bits in self.widths):
                missing[layer.op.name] = self._look(layer, keys, done)
        if missing and self.env.calib is not None:
            feeds = spread_feeds(self.graph, self.env.calib, runs_that_fit(self.graph, RUNS[self.effort]))
            with one_blas_thread():
                walk(self.graph, feeds, Codes({}, {}), missing, self.env.progress)
        return done

    def _affine(self, layer: Layer) -> Affine | None:
        return self.held.get(self.roles.root.get(layer.op.inputs[0], ""))

    def _look(self, layer: Layer, keys: Mapping[tuple[str, int], str], done: dict[tuple[str, int], RoundedOp]) -> OnLayer:
        def look(_: Op, inputs: Inputs) -> Rounds | None:
            affine = self._affine(layer)
            held = inputs.exact if affine is None else [fake_quantize(value, affine) for value in inputs.exact]
            wanted = tuple(bits for bits in self.widths if (layer.const, bits) not in done)
            moments = layer.moments(Inputs(inputs.exact, held), self.env.seed)
            for bits, rounded in round_layer_widths(layer.matrix, moments, wanted, self.effort, refit=False).items():
                made = layer.rounded_op(rounded, bits)
                done[layer.const, bits] = made
                self.env.cache.put(keys[layer.const, bits], made.to_bytes())

        return look


def effort_of(option: str, request: Request | None) -> Effort:
    """Return the effort that an option asks for, else the request's. Raises CompileError (AS156)."""
    asked = option or (request.effort if request else "normal")
    for effort in RUNS:
        if effort == asked:
            return effort
    raise CompileError(Diagnostic("AS156", f"unknown effort {asked!r}", notes=(f"there are {', '.join(RUNS)}",), hint="--effort normal"))
