"""Factors of channels put into constants: weights, biases, terms and factors of channels, and gains behind activations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import (
    ACT_GAIN,
    ACT_LIFT,
    ArrayRef,
    AttrValue,
    Const,
    DType,
    Graph,
    Op,
    TensorType,
    array_ref,
    blob_from_array,
    fresh_name,
    map_ops,
    prune_consts,
    read_array,
)

from .channel_affine import is_read_once
from .equalize_groups import GAINED, by_channel, is_scalable_layer

Vector = NDArray[np.float64]


def scaled_graph(graph: Graph, factors: Mapping[str, Vector], inner: Mapping[str, Vector]) -> Graph:
    """Return the graph with every value divided by its factors, f64[channels] by value, and computing the same.

    inner: factors, by op, of what stands before the activation of a layer in `GAINED`. Values that are missing stay as they are. The
    factors must fit `channel_groups`.
    """
    scaler = _Scaler(graph, factors, inner)
    scaled = map_ops(graph, scaler.op)
    kept = tuple(c for c in graph.consts if c.name not in scaler.consts)
    return prune_consts(replace(scaled, consts=(*kept, *scaler.consts.values())))


def input_maxima(graph: Graph, op: Op) -> Vector | None:
    """Return the largest |weight| that reads each input channel of a layer, f64[channels].

    None where every input channel is alone in its group (depthwise): scales of output channels take any factor up.
    """
    weights = np.abs(graph.const[op.inputs[1]].array().astype(np.float64))
    if op.kind == "conv":
        if weights.shape[1] == 1:
            return None
        count = op.attrs.int_("group", 1)
        return weights.reshape(count, -1, *weights.shape[1:]).max(axis=(1, *range(3, weights.ndim + 1))).reshape(-1)
    axis = 1 if op.kind == "gemm" and op.attrs.int_("transB", 0) else 0
    return weights.max(axis=tuple(a for a in range(weights.ndim) if a != axis))


@dataclass
class _Scaler:
    """Rewrites ops one by one; `consts` are new or changed constants by name."""

    graph: Graph
    factors: Mapping[str, Vector]
    inner: Mapping[str, Vector]
    consts: dict[str, Const] = field(default_factory=dict[str, Const])

    def op(self, op: Op) -> Op:
        """Return an op that reads and makes scaled values."""
        if is_scalable_layer(self.graph, op):
            return self._gained(self._layer(op), op)
        if op.kind in ("add", "sub") and len(op.results) == 1:
            return self._gained(self._with_constants(op, 1.0 / self._before(op)), op)
        sources = [name for name in op.inputs if not self.graph.is_const(name)]
        if op.kind in ("mul", "div") and len(op.results) == 1:
            if len(sources) != 1:
                return self._gained(op, op)
            (source,) = sources
            ratio = self._of(source) / self._before(op)
            return self._gained(self._with_constants(op, ratio if op.kind == "mul" else 1.0 / ratio), op)
        return op

    def _of(self, name: str) -> Vector:
        return self.factors.get(name, np.ones(1))

    def _before(self, op: Op) -> Vector:
        """Factors of what stands before an op's activation: those of the result, unless a gain makes them."""
        return self.inner.get(op.name, np.ones(1)) if op.attrs.str_("act") in GAINED else self._of(op.result)

    def _gained(self, changed: Op, op: Op) -> Op:
        """Return an op with its factors around its activation, where they belong there."""
        if op.attrs.str_("act") not in GAINED:
            return changed
        lift = _multiplied(op, ACT_LIFT, self._before(op))
        gain = _multiplied(op, ACT_GAIN, 1.0 / self._of(op.result))
        return replace(changed, attrs=changed.attrs.with_(**lift, **gain))

    def _layer(self, op: Op) -> Op:
        before, after = self._of(op.inputs[0]), self._before(op)
        if (before == 1.0).all() and (after == 1.0).all():
            return op
        const = self.graph.const[op.inputs[1]]
        weights = _scaled_weights(op, const.array().astype(np.float64), before, after)
        inputs = [op.inputs[0], self._const(op, const, weights), *op.inputs[2:]]
        if len(inputs) > 2 and inputs[2] and (after != 1.0).any():
            bias = self.graph.const[inputs[2]]
            values = bias.array().astype(np.float64)
            inputs[2] = self._const(op, bias, np.broadcast_to(values, np.broadcast_shapes(values.shape, after.shape)) / after)
        return replace(op, inputs=tuple(inputs))

    def _with_constants(self, op: Op, ratio: Vector) -> Op:
        """Return an op with its constant operands multiplied by `ratio`, one number a channel."""
        if (ratio == 1.0).all():
            return op
        rank = len(op.type.shape or ())
        inputs: list[str] = []
        for name in op.inputs:
            values = by_channel(self.graph, name, rank) if self.graph.is_const(name) else None
            if values is None:
                inputs.append(name)
                continue
            scaled = values.astype(np.float64) * ratio
            inputs.append(self._const(op, self.graph.const[name], scaled.reshape(-1, *(1,) * (rank - 2))))
        return replace(op, inputs=tuple(inputs))

    def _const(self, op: Op, old: Const, values: Vector) -> str:
        """Add a constant in place of an old one, under its name where nothing else reads that."""
        alone = is_read_once(self.graph, old.name)
        name = old.name if alone else fresh_name({*self.graph.types, *self.consts}, f"{old.name}.{op.name}")
        array = values.astype(np.float32)
        self.consts[name] = Const(name, TensorType(DType.F32, array.shape), blob_from_array(array), old.loc)
        return name


def _multiplied(op: Op, name: str, factors: Vector) -> dict[str, AttrValue]:
    """Return an attribute that holds factors of channels, multiplied by more; nothing where these are 1."""
    if (factors == 1.0).all():
        return {}
    old = op.attrs.get(name)
    array = ((read_array(old) if isinstance(old, ArrayRef) else 1.0) * factors).astype(np.float32)
    return {name: array_ref(array)}


def _scaled_weights(op: Op, weights: Vector, before: Vector, after: Vector) -> Vector:
    """Multiply weights by the factors of their input channels and divide them by those of their output channels; [1]: all alike.

    Conv: [out, in / groups, ...]; ConvTranspose: [in, out / groups, ...]; MatMul, Gemm: [in, out], or [out, in] with transB.
    """
    if op.kind == "matmul" or (op.kind == "gemm" and not op.attrs.int_("transB", 0)):
        return weights * before[:, None] / after
    if op.kind == "gemm":
        return weights * before / after[:, None]
    groups = op.attrs.int_("group", 1)
    blocks = weights.reshape(groups, -1, *weights.shape[1:])
    sides = (before, after) if op.kind == "conv_transpose" else (after, before)
    sizes = (weights.shape[0], groups * weights.shape[1])
    first, second = (side if side.size > 1 else np.repeat(side, size) for side, size in zip(sides, sizes, strict=True))
    taps = (1,) * (weights.ndim - 2)
    first, second = first.reshape(groups, -1, 1, *taps), second.reshape(groups, 1, -1, *taps)
    scaled = blocks * first / second if op.kind == "conv_transpose" else blocks * second / first
    return scaled.reshape(weights.shape)
