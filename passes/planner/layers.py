"""The chosen plan layer by layer: where each op runs, at what bits, for how long and why, and what is in memory meanwhile.

Where packing for the wire and unpacking take time, they are layers of their own, between the last op on the edge and the first in the
cloud; so the edge's layers add up to the plan's time on the edge, and the cloud's to that in the cloud.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from autosplitc.ir import Module

from ..base import Env
from ..facts import Choice, Costs, Plan, Request, Sensitivity, Solutions
from ..fewest_bits import transfer_bytes
from ..reorder import ordered_for
from .build import build
from .cut import Cut, cut_of, given_bits, held_bits, live_values
from .evaluate import compute_and_traffic_ns, constant_bits, op_ns, packed_bytes, value_bits
from .problem import Assignment, OpItem, Problem
from .provenance import Basis, basis, edge_measured


@dataclass(frozen=True, slots=True)
class Layer:
    """One op of the chosen plan, or the packing or unpacking of a value that crosses (kinds `pack` and `unpack`, act_bits: the wire's).

    side: `edge` or `cloud`. weight_bits, act_bits: of its weights and of its result, None where they are float. sqnr_db: signal to
    quantisation noise of its own weights and result, None where nothing is quantised. output_change: what those change at the network's
    output, in `Sensitivity.unit`, None where it was not measured. bound_by: what its time goes to, "" for packing.
    ram_bytes: memory while it runs on the edge, constants of the whole edge part included; None in the cloud. crossing_bytes: what a cut
    behind it would send, activations at the fewest bits that the edge takes. basis: whether its time was measured on the device at these
    bits; all other figures are predicted.
    """

    name: str
    kind: str
    side: str
    weight_bits: int | None
    act_bits: int | None
    sqnr_db: float | None
    output_change: float | None
    latency_s: float
    bound_by: str
    ram_bytes: int | None
    crossing_bytes: int
    basis: Basis


def plan_layers(module: Module, env: Env) -> tuple[Layer, ...]:
    """Return the layers of the chosen plan: those on the edge, then those in the cloud, both in graph order."""
    problem = build(module, env)
    plan = module.fact(Solutions).plans[module.fact(Choice).index]
    ordered = ordered_for(module.main, plan)
    place = {op.name: i for i, op in enumerate(module.main.ops)}
    order = [place[op.name] for op in ordered.ops]
    cut = cut_of(problem, order[: plan.position])
    errors = (*module.fact(Sensitivity).weights, *module.fact(Sensitivity).activations)
    noise, changes = {e.tensor: e.nsr for e in errors}, {e.tensor: e.output for e in errors if e.output}
    chosen = _Chosen(problem, cut, _assignment(problem, cut, plan), noise, changes)
    crossing = transfer_bytes(ordered, module.fact(Request), env)
    memory = chosen.memory_bytes()
    found = [chosen.on_edge(i, module.main.ops[i].kind, memory[k], crossing[k + 1]) for k, i in enumerate(cut.ops)]
    found += chosen.wires(memory[-1], crossing[plan.position])
    costs = module.fact(Costs).ops
    for k in range(plan.position, len(problem.ops)):
        i = order[k]
        item, kind = problem.ops[i], module.main.ops[i].kind
        found.append(
            Layer(
                name=item.name,
                kind=kind,
                side="cloud",
                weight_bits=None,
                act_bits=None,
                sqnr_db=None,
                output_change=None,
                latency_s=item.cloud_ns * 1e-9,
                bound_by=costs[i].cloud_bound_by,
                ram_bytes=None,
                crossing_bytes=crossing[k + 1],
                basis=basis(item.cloud_measured),
            )
        )
    return tuple(found)


@dataclass(frozen=True)
class _Chosen:
    """The chosen plan's cut and bits. noise: noise-to-signal ratios at 1..8 bits by tensor; changes: of the network's output, likewise."""

    problem: Problem
    cut: Cut
    bits: Assignment
    noise: Mapping[str, tuple[float, ...]]
    changes: Mapping[str, tuple[float, ...]]

    def memory_bytes(self) -> list[int]:
        """Return the memory at each op on the edge and, last, when the payload is made; 0 for Cloud-Only, as `evaluate.ram_bits` has it."""
        problem, cut, bits = self.problem, self.cut, self.bits
        if not cut.ops:
            return [0]
        found = [sum(value_bits(problem, cut, bits, v) for v in live) for live in live_values(problem, cut)]
        found[-1] += 8 * packed_bytes(problem, cut, bits)
        constants = constant_bits(problem, cut, bits)
        return [-(-(constants + working) // 8) for working in found]

    def on_edge(self, index: int, kind: str, ram_bytes: int, crossing_bytes: int) -> Layer:
        """Return the layer of an op on the edge."""
        problem, cut, bits, item = self.problem, self.cut, self.bits, self.problem.ops[index]
        compute, traffic = compute_and_traffic_ns(problem, cut, bits, item)
        weights, acts = _codes(problem, cut, bits, item)
        given = (given_bits(problem, v) for v in item.makes)
        return Layer(
            name=item.name,
            kind=kind,
            side="edge",
            weight_bits=min(weights.values(), default=None),
            act_bits=min((*acts.values(), *filter(None, given)), default=None),
            sqnr_db=_sqnr_db(self.noise, {**weights, **acts}),
            output_change=_change(self.changes, {**weights, **acts}),
            latency_s=op_ns(problem, cut, bits, item) * 1e-9,
            bound_by="compute" if compute >= traffic else "traffic",
            ram_bytes=ram_bytes,
            crossing_bytes=crossing_bytes,
            basis=basis(edge_measured(problem, cut, bits, item)),
        )

    def wires(self, ram_bytes: int, crossing_bytes: int) -> list[Layer]:
        """Return packing on the edge, then unpacking in the cloud, of every crossing value for which it takes time."""
        wires = [(self.problem.values[w.value], self.bits.wires[w.value]) for w in self.cut.wires]
        packing = [(v, b, "pack", "edge", v.packing_ns(b), ram_bytes, b in v.pack_measured) for v, b in wires]
        unpacking = [(v, b, "unpack", "cloud", v.unpacking_ns(b), None, b in v.unpack_measured) for v, b in wires]
        return [
            Layer(value.name, kind, side, None, width, None, None, ns * 1e-9, "", ram, crossing_bytes, basis(measured))
            for value, width, kind, side, ns, ram, measured in (*packing, *unpacking)
            if ns
        ]


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


def _change(changes: Mapping[str, tuple[float, ...]], widths: Mapping[str, int]) -> float | None:
    """Return what tensors at the given bits change at the output, added up; None where none was measured."""
    found = [changes[name][width - 1] for name, width in widths.items() if name in changes]
    return sum(found) if found else None
