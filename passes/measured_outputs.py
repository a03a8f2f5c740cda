"""Change of the network's outputs for everything that a plan may quantise, on samples of the calibration data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from autosplitc.ir import Diagnostic, Module
from autosplitc.targets import work_of

from .base import Env
from .estimate_cost import op_views
from .execute import runnable_part
from .facts import Ranges, Request, Rounding
from .output_change import float_outputs, unit_of
from .output_sensitivity import OutputSensitivity, samples_in_budget
from .probes import Roundings, Widths, activation_probes, weight_probes
from .quantisers import Quantisers
from .roles import Roles
from .walk import spread_feeds


@dataclass(frozen=True, slots=True)
class MeasuredOutputs:
    """Change of the outputs at 1..8 bits by tensor, in `unit`, over `samples` runs."""

    outputs: Mapping[str, tuple[float, ...]]
    unit: str
    samples: int


def measure_outputs(module: Module, env: Env, found: Roles, samples: int) -> MeasuredOutputs | None:
    """Return what is measured on at most `samples` runs of the calibration data; None, with a warning (AS327), where that cannot be."""
    graph, _ = runnable_part(module.main)
    outputs = float_outputs(graph)
    if env.calib is None or not outputs:
        message = "no output of the model is a tensor of floats that can be run: the planner sums errors of tensors instead"
        env.warn(Diagnostic("AS327", message, hint="--sensitivity sqnr", severity="warning"))
        return None
    widths = Widths.of(module.get(Request), env.edge)
    here = replace(found, weight_axis={name: axis for name, axis in found.weight_axis.items() if name in graph.users})
    probes = [
        *weight_probes(graph, here, Roundings.of(module.get(Rounding)), widths.weights),
        *activation_probes(graph, here, Quantisers(module.fact(Ranges)), widths.activations),
    ]
    work = {name: work_of(view) for name, view in op_views(module)}
    feeds = spread_feeds(graph, env.calib, samples_in_budget(probes, outputs, work, samples))
    unit = unit_of(graph, outputs)
    return MeasuredOutputs(OutputSensitivity(graph, outputs, feeds, unit, env).changes(probes), unit, len(feeds))
