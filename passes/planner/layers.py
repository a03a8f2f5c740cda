"""The chosen plan layer by layer: where each op runs, at what bits, for how long and why, and what is in memory meanwhile."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from autosplitc.ir import Module

from ..base import Env
from ..facts import Choice, Costs, Plan, Sensitivity, Solutions, Splits
from .build import build
from .cut import Cut, given_bits, held_bits, live_values, prefix
from .evaluate import compute_and_traffic_ns, constant_bits, op_ns, value_bits
from .problem import Assignment, OpItem, Problem


@dataclass(frozen=True, slots=True)
class Layer:
    """One op of the chosen plan, all figures predicted.

    side: `edge` or `cloud`. weight_bits, act_bits: of its weights and of its result, None where they are float. sqnr_db: signal to
    quantisation noise of its own weights and result, None where nothing is quantised. bound_by: what its time goes to. ram_bytes: memory
    while it runs on the edge, constants of the whole edge part included; None in the cloud. crossing_bytes: what a cut behind it would
    send, activations at the fewest bits that the edge takes.
    """

    name: str
    kind: str
    side: str
    weight_bits: int | None
    act_bits: int | None
    sqnr_db: float | None
    latency_s: float
    bound_by: str
    ram_bytes: int | None
    crossing_bytes: int


def plan_layers(module: Module, env: Env) -> tuple[Layer, ...]:
    """Return the layers of the chosen plan in graph order."""
    problem = build(module, env)
    plan = module.fact(Solutions).plans[module.fact(Choice).index]
    cut = prefix(problem, plan.position)
    bits = _assignment(problem, cut, plan)
    noise = {e.tensor: e.nsr for e in (*module.fact(Sensitivity).weights, *module.fact(Sensitivity).activations)}
    constants = constant_bits(problem, cut, bits)
    memory = [constants + sum(value_bits(problem, cut, bits, v) for v in live) for live in live_values(problem, cut)]
    crossing = [s.transfer_bytes for s in module.fact(Splits).splits][1:]
    found: list[Layer] = []
    for i, (op, item, cost) in enumerate(zip(module.main.ops, problem.ops, module.fact(Costs).ops, strict=True)):
        if i >= plan.position:
            found.append(Layer(op.name, op.kind, "cloud", None, None, None, cost.cloud_s, cost.cloud_bound_by, None, crossing[i]))
            continue
        compute, traffic = compute_and_traffic_ns(problem, cut, bits, item)
        weights, acts = _codes(problem, cut, bits, item)
        given = (given_bits(problem, v) for v in item.makes)
        found.append(
            Layer(
                op.name,
                op.kind,
                "edge",
                min(weights.values(), default=None),
                min((*acts.values(), *filter(None, given)), default=None),
                _sqnr_db(noise, {**weights, **acts}),
                op_ns(problem, cut, bits, item) * 1e-9,
                "compute" if compute >= traffic else "traffic",
                -(-memory[i] // 8),
                crossing[i],
            )
        )
    return tuple(found)


def _assignment(problem: Problem, cut: Cut, plan: Plan) -> Assignment:
    """Return the bits of a plan by index."""
    weights, acts, wires = ({b.name: b.bits for b in named} for named in (plan.weight_bits, plan.act_bits, plan.wire_bits))
    return Assignment(
        {w: weights[problem.weights[w].name] for w in cut.weights},
        {g: acts[problem.groups[g].name] for g in cut.acts},
        {w.value: wires[problem.values[w.value].name] for w in cut.wires},
    )


def _codes(problem: Problem, cut: Cut, bits: Assignment, item: OpItem) -> tuple[dict[str, int], dict[str, int]]:
    """Return the bits of an op's weights, and those of its results that are codes of ours."""
    weights = {problem.weights[w].name: bits.weights[w] for w in item.weights}
    acts = {problem.values[v].name: held for v in item.makes if (held := held_bits(cut, bits, v))}
    return weights, acts


def _sqnr_db(noise: Mapping[str, tuple[float, ...]], widths: Mapping[str, int]) -> float | None:
    """Return the signal-to-noise ratio of tensors at the given bits, their noise added up; None where none has noise of its own."""
    total = sum(noise[name][width - 1] for name, width in widths.items() if name in noise)
    return -10 * math.log10(total) if total > 0 else None
