"""Layers: ops on codes with constant weights, as matrices, and what rounding them on data gives as records of facts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import ArrayRef, DType, Graph, Op, TensorType, blob_from_array

from .facts import RoundedBias, RoundedWeight
from .quantize import Moments, RoundedLayer, layer_matrix, layer_weights, patches
from .roles import Roles
from .walk import Inputs, Rounds

RUNS = {"fast": 64, "normal": 256, "best": 1024}
"""Runs of the calibration data that weights are rounded on, at most, by effort."""
ROWS = {"fast": 2048, "normal": 8192, "best": 16384}
"""Rows of a layer's input matrix that are looked at, spread over runs and places, by effort."""


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """An op whose weights are a matrix f32[groups, results a group, inputs a result] of the graph."""

    graph: Graph
    op: Op
    matrix: NDArray[np.float32]
    rows: int

    @staticmethod
    def of(graph: Graph, op: Op, effort: str) -> Layer | None:
        """Return the layer of an op, None where its weights make no such matrix."""
        matrix = layer_matrix(op, graph.const[op.inputs[1]].array())
        return None if matrix is None else Layer(graph, op, matrix, ROWS[effort])

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the weight constant."""
        return self.graph.const[self.op.inputs[1]].type.dims

    def moments(self, inputs: Inputs, seed: int) -> Moments:
        """Return the second moments of the layer's input in both worlds."""
        count = -(-self.rows // len(inputs.exact))
        total: Moments | None = None
        for run, (exact, held) in enumerate(zip(inputs.exact, inputs.held, strict=True)):
            rows = patches(self.op, self.shape, exact, count, seed + run)
            coded = rows if held is exact else patches(self.op, self.shape, held, count, seed + run)
            found = Moments.of(rows, coded)
            total = found if total is None else total + found
        if total is None:
            raise ValueError("there are no runs")
        return total

    def weights(self, rounded: RoundedLayer) -> NDArray[np.float32]:
        """Return rounded weights in the constant's shape."""
        values = rounded.codes.astype(np.float32) * rounded.scale[..., None].astype(np.float32)
        return layer_weights(self.op, values, self.shape)

    def bias(self, rounded: RoundedLayer) -> NDArray[np.float32] | None:
        """Return the bias f32[channels] that keeps the mean of the layer's result; None for ops that take none."""
        if self.op.kind == "matmul":
            return None
        shift = rounded.shift.reshape(-1)
        name = self.op.inputs[2] if len(self.op.inputs) > 2 else ""
        own = self.graph.const[name].array().astype(np.float64).reshape(-1) if name else np.zeros(1)
        return (own + shift).astype(np.float32)

    def record(self, rounded: RoundedLayer, bits: int) -> RoundedWeight:
        """Return the record of the rounded weights."""
        codes = layer_weights(self.op, rounded.codes, self.shape)
        return RoundedWeight(self.op.inputs[1], bits, _ref(codes, DType.I8), _ref(rounded.scale.reshape(-1), DType.F32), float(rounded.nsr))

    def bias_record(self, rounded: RoundedLayer, bits: int) -> RoundedBias | None:
        """Return the record of the corrected bias."""
        values = self.bias(rounded)
        return None if values is None else RoundedBias(self.op.name, bits, _ref(values, DType.F32))

    def rounds(self, rounded: RoundedLayer) -> Rounds:
        """Return what a walk goes on with."""
        return Rounds(self.weights(rounded), self.bias(rounded))


def layers_of(graph: Graph, found: Roles, effort: str, ops: Iterable[Op], take: Callable[[str], bool]) -> Iterator[Layer]:
    """Yield the layers among `ops` whose weight constant `take` wants and no op reads as numbers."""
    for op in ops:
        name = op.inputs[1] if len(op.inputs) > 1 else ""
        if op.name not in found.quantised or name not in found.weight_axis or not take(name):
            continue
        if any(other.name not in found.quantised for other in graph.users[name]):
            continue
        layer = Layer.of(graph, op, effort)
        if layer is not None:
            yield layer


def _ref(array: NDArray[np.generic], dtype: DType) -> ArrayRef:
    wanted = np.ascontiguousarray(array, np.int8 if dtype is DType.I8 else np.float32)
    return ArrayRef(TensorType(dtype, wanted.shape), blob_from_array(wanted))
