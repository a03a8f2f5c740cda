"""What the edge's weights and biases are rounded to: by the refinement of the chosen plan, else by the rounding that was planned with, else
each on its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from autosplitc.ir import Graph, Module, read_array

from .facts import Plan, Refinement, RoundedBias, RoundedWeight, Rounding
from .quantize.weights import WeightCodes, quantize_weight


@dataclass(frozen=True)
class Rounded:
    """Integer weights by constant and width, and biases f32[channels] by op and width.

    records: weights rounded on data. bits: the width of each constant on the edge.
    """

    bits: Mapping[str, int]
    records: Mapping[tuple[str, int], RoundedWeight]
    biases: Mapping[tuple[str, int], RoundedBias]

    def weight(self, graph: Graph, name: str, axis: int) -> WeightCodes:
        """Return the codes of a weight constant with its scales along `axis`."""
        bits = self.bits[name]
        record = self.records.get((name, bits))
        if record is None:
            return quantize_weight(graph.const[name].array(), bits, axis)
        return weight_codes(record, axis)

    def bias(self, op: str, weights: str) -> NDArray[Any] | None:
        """Return the bias f32[channels] that goes with the weights of an op; None where it is the model's own."""
        record = self.biases.get((op, self.bits.get(weights, 0)))
        return None if record is None else read_array(record.values)


def rounded_of(module: Module, plan: Plan) -> Rounded:
    """Return what the weights of a plan are rounded to."""
    bits = {b.name: b.bits for b in plan.weight_bits}
    records: dict[tuple[str, int], RoundedWeight] = {}
    biases: dict[tuple[str, int], RoundedBias] = {}
    for fact in (module.get(Rounding), module.get(Refinement)):
        if fact is not None:
            records |= {(w.const, w.bits): w for w in fact.weights}
            biases |= {(b.op, b.bits): b for b in fact.biases}
    return Rounded(bits, records, biases)


def weight_codes(record: RoundedWeight, axis: int) -> WeightCodes:
    """Return a record's codes and scales."""
    return WeightCodes(read_array(record.codes), read_array(record.scale), axis, record.bits)
