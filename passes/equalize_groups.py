"""Which channels of which values must be scaled alike for a graph to compute the same, and which may be scaled at all.

Every channel (axis 1) of a value belongs to a class. Ops that work on channels one by one pass classes on, additions join them, layers with
constant weights start new ones: their weights take a factor on either side. A class is fixed where some maker or reader of it cannot.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import DType, Graph, Op, Shape, TensorType

from .roles import plain_gemm

LAYERS = ("conv", "conv_transpose", "gemm", "matmul")
"""Kinds whose constant weights take factors of channels."""

GAINED = ("hard_swish", "silu")
"""Fused activations that get factors of their own behind them: factors before them would not come out."""

_PASS_ON_SCALE = ("relu", "leaky_relu")
_CHANNELWISE = ("relu", "leaky_relu", "max_pool", "average_pool", "global_average_pool", "global_max_pool", "identity", "dropout")
_RESHAPES = ("reshape", "flatten", "squeeze", "unsqueeze")
_GATES = ("sigmoid", "hard_sigmoid")

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class ChannelGroups:
    """Classes of the channels of a graph's values: `ids[value]` i64[channels] index `fixed` bool[classes]."""

    ids: Mapping[str, Ids]
    fixed: NDArray[np.bool_]

    def is_free(self, value: str) -> bool:
        """Whether some channel of a value may be scaled."""
        return value in self.ids and not self.fixed[self.ids[value]].all()


def channel_groups(graph: Graph) -> ChannelGroups:
    """Return the classes of all f32 values whose second axis has a known size."""
    builder = _Builder(graph)
    for value in graph.inputs:
        builder.start(value.name, free=False)
    for op in graph.ops:
        if not _all_f32(graph, op) or not _RULES.get(op.kind, _other)(builder, op):
            _other(builder, op)
    for name in graph.outputs:
        builder.fix(name)
    return builder.groups()


@dataclass
class _Builder:
    """Classes under construction. A rule returns False where it does not know the op: it has changed nothing then."""

    graph: Graph
    ids: dict[str, Ids] = field(default_factory=dict[str, Ids])
    parent: list[int] = field(default_factory=list[int])
    held: set[int] = field(default_factory=set[int])

    def start(self, name: str, *, free: bool) -> None:
        """Give a value new classes."""
        count = channels_of(self.graph.type_of(name))
        if count is None:
            return
        first = len(self.parent)
        self.parent.extend(range(first, first + count))
        self.ids[name] = np.arange(first, first + count)
        if not free:
            self.fix(name)

    def fix(self, name: str) -> None:
        """Let nobody scale a value."""
        if name in self.ids:
            self.held.update(self.ids[name].tolist())

    def join(self, a: str, b: str) -> None:
        """Let the channels of two values be scaled alike."""
        for i, j in zip(self.ids[a].tolist(), self.ids[b].tolist(), strict=True):
            i, j = self._root(i), self._root(j)
            self.parent[max(i, j)] = min(i, j)

    def _root(self, i: int) -> int:
        while self.parent[i] != i:
            self.parent[i] = self.parent[self.parent[i]]
            i = self.parent[i]
        return i

    def groups(self) -> ChannelGroups:
        """Return what was found, classes numbered without gaps."""
        roots = np.array([self._root(i) for i in range(len(self.parent))], np.int64)
        kept, number = np.unique(roots, return_inverse=True)
        fixed = np.zeros(kept.size, np.bool_)
        fixed[number[sorted(self.held)]] = True
        return ChannelGroups({name: number[ids] for name, ids in self.ids.items()}, fixed)

    def same_channels(self, *names: str) -> bool:
        """Whether all are values of ops or inputs, of one rank and number of channels."""
        if not all(name in self.ids for name in names) or any(self.graph.is_const(name) for name in names):
            return False
        return len({(self.ids[name].size, len(shape_of(self.graph, name))) for name in names}) == 1

    def activated(self, op: Op, sources: tuple[str, ...]) -> None:
        """Give the result of an op that hands on the classes of its sources, joined, what its fused activation lets through."""
        if homogeneous(op):
            for other in sources[1:]:
                self.join(sources[0], other)
            self.ids[op.result] = self.ids[sources[0]]
            return
        for name in sources:
            self.fix(name)
        self.start(op.result, free=op.attrs.str_("act") in GAINED)


def channels_of(type_: TensorType) -> int | None:
    """Return the size of axis 1 of an f32 tensor, None where there is none or it is not known."""
    if type_.dtype is not DType.F32 or type_.wraps or type_.shape is None or len(type_.shape) < 2:
        return None
    size = type_.shape[1]
    return size if isinstance(size, int) else None


def shape_of(graph: Graph, name: str) -> Shape:
    """Return the shape of a value; () where not even its rank is known."""
    shape = graph.type_of(name).shape
    return () if shape is None else shape


def homogeneous(op: Op) -> bool:
    """Whether scaling what stands before an op's fused activation scales its result; true without one."""
    return op.attrs.str_("act") in ("", *_PASS_ON_SCALE)


def is_scalable_layer(graph: Graph, op: Op) -> bool:
    """Whether an op is a layer whose constant weights can take factors of the channels of its input and of its result."""
    if op.kind not in LAYERS or not plain_gemm(op) or len(op.inputs) < 2 or graph.is_const(op.inputs[0]):
        return False
    source, weights = graph.type_of(op.inputs[0]), graph.const.get(op.inputs[1])
    made = channels_of(op.type)
    if weights is None or weights.type.dtype is not DType.F32 or channels_of(source) is None or made is None:
        return False
    if len(op.inputs) > 2 and op.inputs[2] and not _is_bias(graph, op.inputs[2], made):
        return False
    ranks = (len(shape_of(graph, op.inputs[0])), len(weights.type.dims))
    return ranks == (2, 2) if op.kind in ("gemm", "matmul") else ranks[0] == ranks[1] > 2


def _is_bias(graph: Graph, name: str, channels: int) -> bool:
    """Whether a constant holds one number for every output channel, or one for all."""
    type_ = graph.type_of(name)
    if not graph.is_const(name) or type_.dtype is not DType.F32:
        return False
    return type_.elements == 1 or type_.dims[-1:] == (type_.elements,) == (channels,)


def by_channel(graph: Graph, name: str, rank: int) -> NDArray[np.float32] | None:
    """Return a f32 constant that differs along axis 1 alone, as a vector of one or all channels, for values of a rank; None for others."""
    const = graph.const.get(name)
    if const is None or const.type.dtype is not DType.F32 or len(const.type.dims) > rank:
        return None
    aligned = (1,) * (rank - len(const.type.dims)) + const.type.dims
    return const.array().reshape(-1) if all(size == 1 for axis, size in enumerate(aligned) if axis != 1) else None


def _all_f32(graph: Graph, op: Op) -> bool:
    types = (graph.type_of(op.inputs[0]), op.types[0]) if op.inputs else ()
    return len(op.results) == len(types) - 1 == 1 and all(t.dtype is DType.F32 for t in types) and channels_of(op.types[0]) is not None


def _other(builder: _Builder, op: Op) -> bool:
    for name in op.inputs:
        builder.fix(name)
    for result in op.results:
        if result:
            builder.start(result, free=False)
    return True


def _layer(builder: _Builder, op: Op) -> bool:
    if not is_scalable_layer(builder.graph, op):
        return False
    builder.start(op.result, free=homogeneous(op) or op.attrs.str_("act") in GAINED)
    return True


def _channelwise(builder: _Builder, op: Op) -> bool:
    if not builder.same_channels(op.inputs[0]) or builder.ids[op.inputs[0]].size != channels_of(op.type):
        return False
    builder.ids[op.result] = builder.ids[op.inputs[0]]
    return True


def _prelu(builder: _Builder, op: Op) -> bool:
    return builder.graph.is_const(op.inputs[1]) and _channelwise(builder, op)


def _reduce_mean(builder: _Builder, op: Op) -> bool:
    source, *given = op.inputs
    axes = builder.graph.const.get(given[0]) if given else None
    rank = len(shape_of(builder.graph, source))
    if axes is None or not axes.type.elements or (axes.array() % rank < 2).any():
        return False
    return _channelwise(builder, op)


def _resize(builder: _Builder, op: Op) -> bool:
    return op.attrs.str_("coordinate_transformation_mode") != "tf_crop_and_resize" and "axes" not in op.attrs and _channelwise(builder, op)


def _pad(builder: _Builder, op: Op) -> bool:
    """Zeros around, or copies, of every channel alike."""
    graph = builder.graph
    pads, filling = graph.const.get(op.inputs[1]), op.inputs[2] if len(op.inputs) > 2 else ""
    if pads is None or (len(op.inputs) > 3 and op.inputs[3]):
        return False
    ends = pads.array().reshape(2, -1)
    zeros = not filling or (graph.is_const(filling) and not graph.const[filling].array().any())
    if ends.shape[1] < 2 or ends[:, :2].any() or not (zeros or op.attrs.str_("mode", "constant") != "constant"):
        return False
    return _channelwise(builder, op)


def _sum(builder: _Builder, op: Op) -> bool:
    """Of two values of the same channels, or of one and a constant for every channel, which is divided too."""
    rank = len(shape_of(builder.graph, op.result))
    values = tuple(name for name in op.inputs if not builder.graph.is_const(name))
    constants = (by_channel(builder.graph, name, rank) for name in op.inputs if builder.graph.is_const(name))
    if not values or not builder.same_channels(*values) or any(c is None for c in constants):
        return False
    if builder.ids[values[0]].size != channels_of(op.type) or len(shape_of(builder.graph, values[0])) != rank:
        return False
    builder.activated(op, values)
    return True


def _product(builder: _Builder, op: Op) -> bool:
    """By a constant for every channel, which takes the factors, or by a gate, which is left alone."""
    graph = builder.graph
    rank = len(shape_of(builder.graph, op.result))
    source, gate = op.inputs
    if graph.is_const(source) or (not graph.is_const(gate) and _is_gate(graph, source, gate)):
        source, gate = gate, source
    if not builder.same_channels(source) or builder.ids[source].size != channels_of(op.type) or len(shape_of(graph, source)) != rank:
        return False
    if graph.is_const(gate):
        if by_channel(graph, gate, rank) is None or (op.kind == "div" and gate != op.inputs[1]):
            return False
        builder.start(op.result, free=homogeneous(op) or op.attrs.str_("act") in GAINED)
        return True
    if op.kind == "div" or not _is_gate(graph, gate, source):
        return False
    builder.fix(gate)
    builder.activated(op, (source,))
    return True


def _is_gate(graph: Graph, name: str, other: str) -> bool:
    """Whether of two factors `name` is the gate: one number a channel, or the result of a sigmoid."""
    shape, size = shape_of(graph, name), shape_of(graph, other)
    if shape != size and len(shape) > 2 and all(d == 1 for d in shape[2:]):
        return True
    maker, against = graph.producer.get(name), graph.producer.get(other)
    return _makes_gate(maker) and not _makes_gate(against)


def _makes_gate(op: Op | None) -> bool:
    return op is not None and (op.kind in _GATES or op.attrs.get("act") in _GATES)


def _concat(builder: _Builder, op: Op) -> bool:
    axis = op.attrs.int_("axis", 0) % len(shape_of(builder.graph, op.result))
    if not all(name in builder.ids and not builder.graph.is_const(name) for name in op.inputs):
        return False
    if axis == 1:
        builder.ids[op.result] = np.concatenate([builder.ids[name] for name in op.inputs])
        return True
    if not builder.same_channels(*op.inputs):
        return False
    for other in op.inputs[1:]:
        builder.join(op.inputs[0], other)
    builder.ids[op.result] = builder.ids[op.inputs[0]]
    return True


def _reshape(builder: _Builder, op: Op) -> bool:
    """The first axis stays, and so does the second, or it comes to hold the whole rest."""
    source, made = shape_of(builder.graph, op.inputs[0]), shape_of(builder.graph, op.result)
    if op.inputs[0] not in builder.ids or builder.graph.is_const(op.inputs[0]) or source[0] is None or source[0] != made[0]:
        return False
    ids = builder.ids[op.inputs[0]]
    if source[1] == made[1]:
        builder.ids[op.result] = ids
        return True
    rest = [d for d in source[2:] if isinstance(d, int)]
    if len(made) != 2 or len(rest) != len(source) - 2 or made[1] != ids.size * int(np.prod(rest)):
        return False
    builder.ids[op.result] = np.repeat(ids, int(np.prod(rest)))
    return True


_RULES: Mapping[str, Callable[[_Builder, Op], bool]] = {
    **dict.fromkeys(LAYERS, _layer),
    **dict.fromkeys(_CHANNELWISE, _channelwise),
    **dict.fromkeys(_RESHAPES, _reshape),
    "prelu": _prelu,
    "reduce_mean": _reduce_mean,
    "resize": _resize,
    "pad": _pad,
    "add": _sum,
    "sub": _sum,
    "mul": _product,
    "div": _product,
    "concat": _concat,
}
