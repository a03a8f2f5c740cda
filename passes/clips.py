"""Clips: the bounds of every value's quantiser at 1..8 bits, as `Ranges` holds them.

Operands of a Concat that are made alike are given the bounds of its result, so that at equal bits they have equal scales and a Concat only
copies codes. The network's outputs are not clipped. Pools of maxima, Reshape and their like share the quantiser of what they read
(`roles.py`). An average pool does not: averages spread less than what they are made of, engines requantise in the same pass, and so a scale
of its own costs nothing and is finer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import Graph, Op

from .facts import ValueRange
from .quantize.clipping import clip_bounds
from .quantize.errors import BITS
from .roles import Roles

AUTO = ("mse",) * 8
"""Method at 1..8 bits under `auto`: what lost least at the network's output with all activations at that width and weights in float.

Geometric mean of the KL to the float model over Fashion (2,000 images), MobileNetV2 (78 crops) and plates (300), all equalised, in
thousandths, min-max / percentile 99.99 / mse / aciq: 8 bits 2.7 / 4.4 / 3.4 / 6.8; 7 bits 10.0 / 9.0 / 7.2 / 15.7; 6 bits 45 / 18 / 19 /
36; 5 bits 204 / 74 / 53 / 81; 4 bits 1075 / 561 / 197 / 256. No method is best for every model. At 8 bits it depends on the samples: there
MobileNetV2 had 48 / 39 / 54 / 35 and plates 3.7 / 16.6 / 6.0 / 58; on the zoo's own (112 crops) MobileNetV2 had 28 / 29 / 19 / 1375, and
plates (336) 25.8 dB with min-max and 27.1 dB with mse.
"""

JOINT_FACTOR = 2.0
"""Bounds are made equal where the common ones are at most so much wider than each: that costs one bit at the most."""

OUTPUT_MARGIN = 1.2
"""How far the bounds of an output reach, as a part of what was seen, from `OUTPUT_BITS` on.

The largest output decides (a class, a box): where it saturates it ties with the next, and few samples have not seen the largest. Logits of
MobileNetV2 clipped by mse, all else in float: KL 0.0097 and 97 % agreement (168 crops), a quarter of what all activations cost.
"""
OUTPUT_BITS = 6
"""At fewer bits an output's bounds are as clipped as those of other values: there the step costs more."""

Bounds = NDArray[np.float64]


def clips_of(
    graph: Graph, found: Roles, values: tuple[ValueRange, ...], rows: NDArray[np.float64], method: str, percentile: float
) -> Bounds | None:
    """Return the bounds f64[values, 8, 2]; None where each value's are its `low` and `high` at every width.

    rows: histograms f64[n, COLUMNS] by `ValueRange.histogram`. Values without one, and those that 8 bits hold exactly, are not clipped.
    """
    by_name = {value.value: value for value in values}
    joint = _Joint(by_name)
    for op in graph.ops:
        if op.kind == "concat" and op.name in found.quantised:
            joint.add(graph, found, op)
    if method == "min-max" and not joint.owner:
        return None
    bounds = {value.value: _bounds(value, rows, method, percentile) for value in values}
    bounds |= {name: _widened(bounds[name], by_name[name]) for name in _open_outputs(graph, found, by_name)}
    return np.stack([bounds[joint.top(value.value)] for value in values]) if values else None


def _bounds(value: ValueRange, rows: NDArray[np.float64], method: str, percentile: float) -> Bounds:
    if value.histogram < 0 or value.exact:
        return np.tile(np.array([value.low, value.high]), (len(BITS), 1))
    methods = AUTO if method == "auto" else (method,) * len(BITS)
    made = {m: clip_bounds(rows[value.histogram], value.low, value.high, m, percentile) for m in set(methods)}
    return np.stack([made[m][bits - 1] for bits, m in zip(BITS, methods, strict=True)])


def _open_outputs(graph: Graph, found: Roles, values: Mapping[str, ValueRange]) -> Iterator[str]:
    """Yield the values whose codes the graph's outputs have and whose ends no activation sets."""
    for root in dict.fromkeys(found.root.get(name, "") for name in graph.outputs):
        maker = graph.producer.get(root)
        if maker is None or maker.name not in found.quantised or "act" in maker.attrs or root not in values:
            continue
        if values[root].histogram >= 0 and not values[root].exact:
            yield root


def _widened(bounds: Bounds, value: ValueRange) -> Bounds:
    """Return bounds that from `OUTPUT_BITS` on reach beyond all that was seen."""
    wide = bounds.copy()
    wide[OUTPUT_BITS - 1 :] = OUTPUT_MARGIN * np.array([min(value.low, 0.0), max(value.high, 0.0)])
    return wide


@dataclass
class _Joint:
    """Values that have the bounds of another: `owner` maps each to the result of the Concat that reads it."""

    ranges: Mapping[str, ValueRange]
    owner: dict[str, str] = field(default_factory=dict[str, str])

    def top(self, name: str) -> str:
        """Return the value whose bounds a value has."""
        while name in self.owner:
            name = self.owner[name]
        return name

    def add(self, graph: Graph, found: Roles, op: Op) -> None:
        """Give a Concat's operands, and all that shares their bounds already, the bounds of its result where that fits them all."""
        if op.result not in found.coded or not all(name in found.coded for name in op.inputs):
            return
        tops = {self.top(found.root[name]) for name in op.inputs}
        members = tops | {name for name in self.owner if self.top(name) in tops}
        if op.result not in tops and all(self._fits(graph, name, op.result) for name in members):
            self.owner.update((name, op.result) for name in tops)

    def _fits(self, graph: Graph, name: str, result: str) -> bool:
        """Whether a value made on the edge loses little by the result's bounds, and an activation in it stays one that engines absorb."""
        maker = graph.producer.get(name)
        mine, joint = self.ranges.get(name), self.ranges.get(result)
        if maker is None or mine is None or joint is None or mine.histogram < 0 or joint.histogram < 0:
            return False
        low, high = min(mine.low, joint.low, 0.0), max(mine.high, joint.high, 0.0)
        alike = high - low <= JOINT_FACTOR * (max(mine.high, 0.0) - min(mine.low, 0.0))
        same_zero = (mine.low >= 0) == (joint.low >= 0)
        inside = "act_high" not in maker.attrs or high <= maker.attrs.float_("act_high", 0.0)
        return alike and same_zero and inside
