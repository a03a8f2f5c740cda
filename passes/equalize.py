"""equalize: channels of activations are brought to similar ranges, so that one scale a tensor serves them all.

Cross-layer equalisation (Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019) with the
factors of SmoothQuant (Xiao et al., ICML 2023): a channel's maximum to the power s, over the power 1 - s of the largest weight that reads
it. What stands before an activation that lets no factors through has factors of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import CompileError, Diagnostic, Graph, Module, Op, pre_activation

from .base import Data, Env, Pass
from .equalize_groups import GAINED, ChannelGroups, channel_groups, is_scalable_layer
from .equalize_weights import input_maxima, scaled_graph
from .execute import groups, load, runnable_part
from .lifts import lift_floors
from .walk import spread_feeds

Vector = NDArray[np.float64]

_TINY = 1e-6
"""A channel below this share of its tensor's maximum is dead: it stays as it is."""


@dataclass(frozen=True)
class Equalize(Pass):
    """Divides channels of activations by factors that the weights around take up: the model computes the same.

    strength: power of an activation's maximum in its factor, 0 to 1; weights have the rest. limit: largest ratio of a tensor's factors to
    what keeps its range. runs: at most so many runs of the calibration data, evenly spaced, are looked at; without data nothing is done.
    """

    name: ClassVar[str] = "equalize"
    summary: ClassVar[str] = "bring channels of activations to similar ranges, by factors that weights take up"

    strength: float = 0.5
    limit: float = 1024.0
    runs: int = 64

    def apply(self, module: Module, env: Env) -> Module:
        """Return the module with `main` equalised.

        Raises CompileError: AS154 an option out of range. Data on which the model does not run changes nothing here; `calibrate` says why.
        """
        self._check()
        if env.calib is None or any(v.type.wraps for v in module.main.inputs):
            return module
        found = channel_groups(module.main)
        try:
            maxima, before = channel_extents(module.main, found, env.calib, env, self.runs)
        except CompileError:
            return module
        factors = self.factors(module.main, found, maxima)
        inner = {op: inner_factors(*extents, self.limit) for op, extents in before.items()}
        if (factors == 1.0).all() and not inner:
            return module
        return module.with_graph(scaled_graph(module.main, {name: factors[ids] for name, ids in found.ids.items()}, inner))

    def _check(self) -> None:
        most = math.inf
        for option, value, low, high in (("strength", self.strength, 0, 1), ("limit", self.limit, 1, most), ("runs", self.runs, 1, most)):
            if not low <= value <= high:
                needed = f"at least {low}" if high == most else f"{low} to {high}"
                default = next(f.default for f in fields(self) if f.name == option)
                message = f"{option} is {value}: {needed} is needed"
                raise CompileError(Diagnostic("AS154", message, hint=f"--set equalize.{option}={default}"))

    def factors(self, graph: Graph, found: ChannelGroups, maxima: Mapping[str, Vector]) -> Vector:
        """Return the factor of every class, 1 for those that are not scaled. maxima: how far every channel reaches, by value."""
        active = np.zeros(found.fixed.size)
        for name, largest in maxima.items():
            np.maximum.at(active, found.ids[name], largest / (largest.max() or 1.0))
        weights = np.zeros(found.fixed.size)
        for op in graph.ops:
            columns = input_maxima(graph, op) if is_scalable_layer(graph, op) else None
            if columns is not None:
                np.maximum.at(weights, found.ids[op.inputs[0]], columns / (columns.max() or 1.0))
        alive = (active > _TINY) & ~found.fixed
        factors = np.ones(active.size)
        weighed = alive & (weights > _TINY)
        factors[alive] = active[alive]
        factors[weighed] = active[weighed] ** self.strength / weights[weighed] ** (1.0 - self.strength)
        return self._normalised(_labels(found, maxima), active, alive, factors)

    def _normalised(self, label: NDArray[np.int64], active: Vector, alive: NDArray[np.bool_], factors: Vector) -> Vector:
        """Scale the factors of values that hang together (`label`) so that their ranges stay, and bound them."""
        largest = np.zeros(active.size)
        np.maximum.at(largest, label[alive], active[alive] / factors[alive])
        scaled = factors.copy()
        scaled[alive] = np.clip(factors[alive] * largest[label[alive]], 1.0 / self.limit, self.limit)
        return np.where(alive, scaled, 1.0).astype(np.float32).astype(np.float64)


def inner_factors(low: Vector, high: Vector, limit: float) -> Vector:
    """Return the factors of what stands before an activation, f64[channels], from the ends of each channel's range (low <= 0 <= high).

    Scales of output channels take any factor up, so all ranges become alike.
    """
    extents = one_sided(low, high)
    top = float(extents.max(initial=0.0))
    return (np.maximum(extents / top, 1.0 / limit) if top else np.ones(low.size)).astype(np.float32).astype(np.float64)


def one_sided(low: Vector, high: Vector) -> Vector:
    """Return how far each channel reaches, f64[channels], where the low end of the quantiser that all share is a share of its high end.

    low <= 0 <= high: the ends of each channel's range. The share is that which costs the channels least resolution in the (geometric) mean.
    """
    shares = np.geomspace(1.0 / 32.0, 32.0, 41)
    needed = [np.maximum(high, -low / share) for share in shares]
    least = max(float(np.maximum(high, -low).max(initial=0.0)) * _TINY, np.finfo(np.float64).tiny)
    costs = [np.log(np.maximum(n, least) * (1.0 + share)).sum() for n, share in zip(needed, shares, strict=True)]
    return needed[int(np.argmin(costs))]


def channel_extents(
    graph: Graph, found: ChannelGroups, data: Data, env: Env, runs: int
) -> tuple[dict[str, Vector], dict[str, tuple[Vector, Vector]]]:
    """Return how far every channel reaches, f64[channels], of all values that may be scaled, and the ends of its range before the
    activations of layers in `GAINED`, by op, as far as the activation is not flat there. Values that were not finite are left out.

    Raises CompileError AS323, AS324 where the model does not run on the data.
    """
    known = runnable_part(graph)[0]
    inner = {pre_activation(known, op): op for op in known.ops if op.attrs.get("act") in GAINED and is_scalable_layer(known, op)}
    names = [r for op in known.ops for r in op.results if r and found.is_free(r)]
    feeds = spread_feeds(known, data, runs)
    ends: dict[str, tuple[Vector, Vector]] = {}
    for group in groups(known, [*names, *inner]):
        execution = load(known, group)
        for feed in env.progress.track(feeds, "equalize", len(feeds)):
            for name, value in execution.run(feed).items():
                axes = tuple(axis for axis in range(value.ndim) if axis != 1)
                low, high = (np.asarray(end(value, axis=axes, initial=0.0), np.float64) for end in (np.min, np.max))
                ends[name] = (np.minimum(ends[name][0], low), np.maximum(ends[name][1], high)) if name in ends else (low, high)
    finite = {name: (low, high) for name, (low, high) in ends.items() if np.isfinite(low).all() and np.isfinite(high).all()}
    maxima = {name: one_sided(*finite[name]) for name in names if name in finite}
    return maxima, {op.name: _curved(op, *finite[name]) for name, op in inner.items() if name in finite}


def _curved(op: Op, low: Vector, high: Vector) -> tuple[Vector, Vector]:
    floors = lift_floors(op)
    return (low if floors is None else np.maximum(low, floors)), high


def _labels(found: ChannelGroups, values: Mapping[str, Vector]) -> NDArray[np.int64]:
    """Return a number for every class, the same for classes of one value, through any number of values."""
    label = np.arange(found.fixed.size)
    changed = True
    while changed:
        changed = False
        for name in values:
            ids = found.ids[name]
            least = label[ids].min(initial=label.size)
            if (label[ids] != least).any():
                label[ids] = least
                changed = True
    return label
