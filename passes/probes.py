"""What is quantised one at a time when outputs are measured: every weight constant as it would be rounded, every activation that has a
quantiser of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import DType, Graph, Op, TensorType, fresh_name, map_ops, read_array
from autosplitc.targets import Target

from .cache_keys import digest_of
from .facts import Request, RoundedBias, RoundedWeight, Rounding
from .output_sensitivity import Change, Held, Probe
from .planner.tensors import DEFAULT_WIRE_BITS
from .quantisers import Quantisers
from .quantize import WEIGHT_BITS, Affine, fake_quantize, quantize_weight
from .roles import Roles
from .rounded import weight_codes


@dataclass(frozen=True)
class Widths:
    """Bits that weights, and that activations with their wires, may have."""

    weights: tuple[int, ...]
    activations: tuple[int, ...]

    @staticmethod
    def of(request: Request | None, edge: Target) -> Widths:
        """Return what a request admits, or else the edge."""
        weights = (request.weight_bits if request else None) or edge.weight_bits
        activations = (request.act_bits if request else None) or edge.act_bits
        wires = (request.wire_bits if request else None) or (*DEFAULT_WIRE_BITS, *edge.act_bits)
        return Widths(tuple(b for b in sorted(set(weights)) if b in WEIGHT_BITS), tuple(sorted({*activations, *wires})))


@dataclass(frozen=True)
class Roundings:
    """Weights rounded on data, by constant and width, and biases by op and width."""

    weights: Mapping[tuple[str, int], RoundedWeight]
    biases: Mapping[tuple[str, int], RoundedBias]

    @staticmethod
    def of(fact: Rounding | None) -> Roundings:
        """Return what the fact holds."""
        if fact is None:
            return Roundings({}, {})
        return Roundings({(w.const, w.bits): w for w in fact.weights}, {(b.op, b.bits): b for b in fact.biases})


def weight_probes(graph: Graph, found: Roles, roundings: Roundings, widths: tuple[int, ...]) -> Iterator[Probe]:
    """Yield a probe of every weight constant, each width with the biases that go with it."""
    for name, axis in found.weight_axis.items():
        biases = _biases(graph, name, roundings)
        places = {place.name: place.type for place in biases}
        named = {place.op: place.name for place in biases}
        changed = map_ops(graph, lambda op, named=named: _with_bias(op, named.get(op.name)))
        rounding = tuple(_WeightRounding(graph, name, axis, bits, roundings, biases) for bits in widths)
        yield Probe(name, changed, {name: graph.types[name], **places}, (), tuple(Change(r.bits, r.key, r.make) for r in rounding))


@dataclass(frozen=True, slots=True)
class _BiasPlace:
    """The input `name` that takes the place of an op's bias."""

    op: str
    name: str
    type: TensorType
    own: NDArray[Any]


def _biases(graph: Graph, const: str, roundings: Roundings) -> tuple[_BiasPlace, ...]:
    """Return places for the biases of the ops that read a weight constant and have one that was rounded with it."""
    types = {b.op: b.values.type for b in roundings.biases.values()}
    found: list[_BiasPlace] = []
    for op in graph.users.get(const, ()):
        if op.name in types:
            type_ = types[op.name]
            own = graph.const[op.inputs[2]].array().reshape(-1) if len(op.inputs) > 2 and op.inputs[2] else np.zeros(1, np.float32)
            place = fresh_name(graph.types, f"{op.name}.bias")
            found.append(_BiasPlace(op.name, place, type_, np.broadcast_to(own, type_.dims)))
    return tuple(found)


def _with_bias(op: Op, place: str | None) -> Op:
    return op if place is None else replace(op, inputs=(*op.inputs[:2], place))


@dataclass(frozen=True, slots=True)
class _WeightRounding:
    """A weight constant at one width, as code generation would round it without a refinement."""

    graph: Graph
    const: str
    axis: int
    bits: int
    roundings: Roundings
    biases: tuple[_BiasPlace, ...]

    @property
    def key(self) -> str:
        """Digest of what the weights and biases become."""
        record = self.roundings.weights.get((self.const, self.bits))
        biases = [self.roundings.biases.get((place.op, self.bits)) for place in self.biases]
        return digest_of(record or (self.graph.const[self.const].blob.sha256, self.axis), biases)

    def make(self) -> Held:
        """Return what gives the rounded weights and biases, whatever the run."""
        record = self.roundings.weights.get((self.const, self.bits))
        array = self.graph.const[self.const].array()
        codes = quantize_weight(array, self.bits, self.axis) if record is None else weight_codes(record, self.axis)
        fixed = {self.const: codes.dequantized(), **{place.name: self._bias(place) for place in self.biases}}
        return lambda _: fixed

    def _bias(self, place: _BiasPlace) -> NDArray[Any]:
        record = self.roundings.biases.get((place.op, self.bits))
        return np.ascontiguousarray(place.own) if record is None else read_array(record.values)


def activation_probes(graph: Graph, found: Roles, quantisers: Quantisers, widths: tuple[int, ...]) -> Iterator[Probe]:
    """Yield a probe of every f32 value that may be held or sent with a quantiser of its own, graph inputs aside."""
    for name, seen in quantisers.of_value.items():
        if name not in graph.producer or graph.types[name].dtype is not DType.F32 or seen.histogram < 0:
            continue
        if found.root.get(name, name) == name:
            held = [_Holding(name, quantisers.affine(name, bits)) for bits in widths]
            changes = tuple(Change(h.affine.bits, digest_of(h.affine), h.make) for h in held)
            yield Probe(name, graph, {name: graph.types[name]}, (name,), changes)


@dataclass(frozen=True, slots=True)
class _Holding:
    """A value held as codes."""

    value: str
    affine: Affine

    def make(self) -> Held:
        """Return what gives a run's value as its codes have it."""
        return lambda values: {self.value: fake_quantize(values[self.value], self.affine)}
