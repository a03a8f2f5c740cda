"""round-weights: rounds every weight constant on calibration data at every width that it may get, so that the planner's errors are those of
the rounding that is used.

Each layer sees the float model's activations held as codes of the most bits, so the results do not depend on each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from autosplitc.ir import CompileError, Diagnostic, Module, Op

from .base import Env, Pass
from .execute import runnable_part
from .facts import Ranges, Request, RoundedBias, RoundedWeight, Rounding
from .layers import RUNS, Layer, layers_of
from .quantisers import Quantisers
from .quantize import WEIGHT_BITS, fake_quantize, round_layer_widths
from .roles import roles
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
        quantisers = Quantisers(module.fact(Ranges))
        widths = tuple(b for b in ((request.weight_bits if request else None) or env.edge.weight_bits) if b in WEIGHT_BITS)
        held_bits = max((request.act_bits if request else None) or env.edge.act_bits)
        weights: list[RoundedWeight] = []
        biases: list[RoundedBias] = []

        def looks_at(layer: Layer) -> OnLayer:
            def look(op: Op, inputs: Inputs) -> Rounds | None:
                if any(w.const == op.inputs[1] for w in weights):
                    return None
                root = found.root.get(op.inputs[0], "")
                held = inputs.exact
                if root:
                    affine = quantisers.affine(root, request.input_bits if request and root in graph.input else held_bits)
                    held = [fake_quantize(value, affine) for value in inputs.exact]
                moments = layer.moments(Inputs(inputs.exact, held), env.seed)
                for bits, rounded in round_layer_widths(layer.matrix, moments, widths, effort, refit=False).items():
                    weights.append(layer.record(rounded, bits))
                    bias = layer.bias_record(rounded, bits)
                    biases.extend([bias] if bias else [])

            return look

        layers = list(layers_of(graph, found, effort, graph.ops, lambda _: True))
        if layers and widths:
            feeds = spread_feeds(graph, env.calib, runs_that_fit(graph, RUNS[effort]))
            walk(graph, feeds, Codes({}, {}), {layer.op.name: looks_at(layer) for layer in layers})
        return module.with_fact(Rounding(module.main.name, effort, tuple(weights), tuple(biases)))


def effort_of(option: str, request: Request | None) -> str:
    """Return the effort that an option asks for, else the request's. Raises CompileError (AS156)."""
    effort = option or (request.effort if request else "normal")
    if effort not in RUNS:
        raise CompileError(Diagnostic("AS156", f"unknown effort {effort!r}", notes=(f"there are {', '.join(RUNS)}",), hint="--effort normal"))
    return effort
