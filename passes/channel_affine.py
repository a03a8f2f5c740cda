"""Chains of ops that scale and shift channels: batch normalisation, and Mul, Add, Sub, Div with a constant for every channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import Graph, Op, TensorType

_CHANNEL_AXIS = 1
_EPSILON = 1e-5
"""ONNX's default for BatchNormalization."""


@dataclass(frozen=True, eq=False)
class Affine:
    """`scale * x + shift` of value `source` for each channel (axis 1), f64[channels] both, as `ops` compute it one after the other."""

    source: str
    scale: NDArray[np.float64]
    shift: NDArray[np.float64]
    ops: tuple[Op, ...]

    @property
    def result(self) -> str:
        """Name of what the last op makes."""
        return self.ops[-1].result

    def then(self, last: Affine) -> Affine:
        """Return this followed by `last`, which reads its result."""
        return Affine(self.source, self.scale * last.scale, self.shift * last.scale + last.shift, (*self.ops, *last.ops))


def affine_chains(graph: Graph) -> tuple[Affine, ...]:
    """Return the longest chains. Values between the ops of a chain have no other reader."""
    open_chains: dict[str, Affine] = {}
    for op in graph.ops:
        found = _affine(graph, op)
        if found is None:
            continue
        before = open_chains.get(found.source)
        if before is not None and is_read_once(graph, found.source):
            del open_chains[found.source]
            found = before.then(found)
        open_chains[op.result] = found
    return tuple(open_chains.values())


def is_read_once(graph: Graph, name: str) -> bool:
    """Whether one op reads a value, one time, and it is no graph output."""
    users = graph.users.get(name, ())
    return len(users) == 1 and users[0].inputs.count(name) == 1 and name not in graph.outputs


def _affine(graph: Graph, op: Op) -> Affine | None:
    if len(op.results) != 1 or "act" in op.attrs or not op.type.dtype.is_float:
        return None
    source = next((name for name in op.inputs if name and not graph.is_const(name)), "")
    type_ = graph.type_of(source)
    if type_.shape is None or len(type_.shape) < 2 or type_.wraps or type_ != op.type:
        return None
    channels = type_.shape[_CHANNEL_AXIS]
    if not isinstance(channels, int):
        return None
    if op.kind == "batch_norm":
        return _batch_norm(graph, op)
    if op.kind in ("mul", "add", "sub", "div"):
        return _elementwise(graph, op, source, type_, channels)
    return None


def _batch_norm(graph: Graph, op: Op) -> Affine | None:
    source, *names = op.inputs
    if graph.is_const(source) or not all(graph.is_const(name) for name in names):
        return None
    gamma, beta, mean, variance = (graph.const[name].array().astype(np.float64) for name in names)
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = gamma / np.sqrt(variance + op.attrs.float_("epsilon", _EPSILON))
    return _finite(Affine(source, scale, beta - mean * scale, (op,)))


def _elementwise(graph: Graph, op: Op, source: str, type_: TensorType, channels: int) -> Affine | None:
    other = op.inputs[1] if op.inputs[0] == source else op.inputs[0]
    values = _by_channel(graph, other, len(type_.shape or ()), channels) if graph.is_const(other) else None
    if values is None:
        return None
    ones, zeros = np.ones(channels), np.zeros(channels)
    source_first = op.inputs[0] == source
    match op.kind:
        case "mul":
            return _finite(Affine(source, values, zeros, (op,)))
        case "div":
            with np.errstate(divide="ignore"):
                return _finite(Affine(source, 1.0 / values, zeros, (op,))) if source_first else None
        case "add":
            return _finite(Affine(source, ones, values, (op,)))
        case _:
            return _finite(Affine(source, ones if source_first else -ones, -values if source_first else values, (op,)))


def _by_channel(graph: Graph, name: str, rank: int, channels: int) -> NDArray[np.float64] | None:
    """Return a constant as f64[channels], or None where it differs along another axis."""
    shape = graph.const[name].type.dims
    aligned = (1,) * (rank - len(shape)) + shape
    if len(aligned) != rank or any(size != 1 for axis, size in enumerate(aligned) if axis != _CHANNEL_AXIS):
        return None
    array: NDArray[Any] = graph.const[name].array()
    return np.broadcast_to(array.reshape(-1).astype(np.float64), channels) if aligned[_CHANNEL_AXIS] in (1, channels) else None


def _finite(affine: Affine) -> Affine | None:
    return affine if bool(np.isfinite(affine.scale).all() and np.isfinite(affine.shift).all()) else None
