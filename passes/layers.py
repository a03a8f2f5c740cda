"""Layers: ops on codes with constant weights, as matrices, and what rounding them on data gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import Graph, Op, array_ref

from .facts import RoundedBias, RoundedWeight
from .quantize import Moments, RoundedLayer, layer_matrix, layer_weights, patches
from .roles import Roles
from .rounding_cache import RoundedOp
from .walk import Inputs

Effort: TypeAlias = Literal["fast", "normal", "best"]
"""How far rounding goes."""

RUNS: Mapping[Effort, int] = {"fast": 64, "normal": 256, "best": 1024}
"""Runs of the calibration data that weights are rounded on, at most, by effort."""
ROWS: Mapping[Effort, int] = {"fast": 2048, "normal": 8192, "best": 16384}
"""Rows of a layer's input matrix that are looked at, spread over runs and places, by effort."""


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """An op whose weights are a matrix f32[groups, results a group, inputs a result]; `axis`: their output channels in the constant."""

    graph: Graph
    op: Op
    matrix: NDArray[np.float32]
    axis: int
    rows: int

    @property
    def const(self) -> str:
        """Name of the weight constant."""
        return self.op.inputs[1]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the weight constant."""
        return self.graph.const[self.const].type.dims

    def moments(self, inputs: Inputs, seed: int) -> Moments:
        """Return the second moments of the layer's input in both worlds."""
        count = -(-self.rows // len(inputs.exact))
        return Moments.over(self._rows(inputs, count, seed))

    def halves(self, inputs: Inputs, seed: int) -> tuple[Moments, Moments]:
        """Return the same moments, of the first half of at least two runs and of the rest."""
        count, middle = -(-self.rows // len(inputs.exact)), len(inputs.exact) // 2
        first = Inputs(inputs.exact[:middle], inputs.held[:middle])
        rest = Inputs(inputs.exact[middle:], inputs.held[middle:])
        return Moments.over(self._rows(first, count, seed)), Moments.over(self._rows(rest, count, seed + middle))

    def _rows(self, inputs: Inputs, count: int, seed: int) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        for run, (exact, held) in enumerate(zip(inputs.exact, inputs.held, strict=True)):
            rows = patches(self.op, self.shape, exact, count, seed + run)
            yield rows, rows if held is exact else patches(self.op, self.shape, held, count, seed + run)

    def rounded_op(self, rounded: RoundedLayer, bits: int) -> RoundedOp:
        """Return the rounded weights, and the bias that keeps the mean of the layer's result where the op takes one."""
        codes = array_ref(layer_weights(self.op, rounded.codes, self.shape))
        weight = RoundedWeight(self.const, bits, codes, array_ref(rounded.scale.reshape(-1)), float(rounded.nsr))
        if self.op.kind == "matmul":
            return RoundedOp(weight, None)
        name = self.op.inputs[2] if len(self.op.inputs) > 2 else ""
        own = self.graph.const[name].array().astype(np.float64).reshape(-1) if name else np.zeros(1)
        return RoundedOp(weight, RoundedBias(self.op.name, bits, array_ref((own + rounded.shift.reshape(-1)).astype(np.float32))))


def one_blas_thread() -> AbstractContextManager[object]:
    """Return a context in which numpy's products run on one thread: they then give the same bits whatever the number of cores, and threads
    that wait for each other do not stall on a busy machine.
    """
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1, "blas")


def layers_of(graph: Graph, found: Roles, effort: Effort, ops: Iterable[Op], take: Callable[[str], bool]) -> Iterator[Layer]:
    """Yield the layers among `ops` whose weight constant `take` wants and no op reads as numbers."""
    for op in ops:
        name = op.inputs[1] if len(op.inputs) > 1 else ""
        if op.name not in found.quantised or name not in found.weight_axis or not take(name):
            continue
        if any(other.name not in found.quantised for other in graph.users[name]):
            continue
        matrix = layer_matrix(op, graph.const[name].array())
        if matrix is not None:
            yield Layer(graph, op, matrix, found.weight_axis[name], ROWS[effort])
