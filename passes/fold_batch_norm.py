"""fold-batch-norm: scales and shifts of channels move into the weights and bias of the op before them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import (
    Const,
    DType,
    Graph,
    Loc,
    Module,
    Op,
    TensorType,
    blob_from_array,
    fresh_name,
    numpy_dtype,
    prune_consts,
    replace_ops,
)

from .base import Env, Pass
from .channel_affine import Affine, affine_chains, is_read_once

_DTYPES = (DType.F64, DType.F32, DType.F16)


@dataclass(frozen=True)
class FoldBatchNorm(Pass):
    """Folds batch normalisation, and constant scales and shifts of channels, into the Conv, ConvTranspose or Gemm before.

    A batch normalisation that cannot be folded becomes one scale and one shift. Computed in f64 and rounded once.
    """

    name: ClassVar[str] = "fold-batch-norm"
    summary: ClassVar[str] = "fold batch normalisation, scales and shifts into the Conv, ConvTranspose or Gemm before"

    def apply(self, module: Module, env: Env) -> Module:
        """Return the module with `main` folded."""
        del env
        return module.with_graph(fold_batch_norm(module.main))


def fold_batch_norm(graph: Graph) -> Graph:
    """Return the graph with scales and shifts folded; the graph itself where there is nothing to fold."""
    new: dict[str, Sequence[Op]] = {}
    editor = _Editor(graph, {}, set(graph.types))
    for affine in affine_chains(graph):
        base = graph.producer.get(affine.source)
        folded = editor.folded(base, affine) if base is not None and is_read_once(graph, affine.source) else None
        if folded is not None and base is not None:
            new.update({base.name: (folded,), **{op.name: () for op in affine.ops}})
        elif any(op.kind == "batch_norm" for op in affine.ops):
            first, *rest = affine.ops
            new.update({first.name: editor.scale_and_shift(affine), **{op.name: () for op in rest}})
    if not new:
        return graph
    kept = tuple(c for c in graph.consts if c.name not in editor.consts)
    return prune_consts(replace_ops(replace(graph, consts=kept), new, editor.consts.values()))


@dataclass(frozen=True)
class _Editor:
    """Makes ops with new constants; `consts` collects these by name."""

    graph: Graph
    consts: dict[str, Const]
    taken: set[str]

    def folded(self, base: Op, affine: Affine) -> Op | None:
        """Return the op with the scale and shift in its weights and bias, or None where they cannot be folded."""
        if base.kind not in ("conv", "conv_transpose", "gemm") or "act" in base.attrs or not self._has_known_weights(base):
            return None
        weights = self.graph.const[base.inputs[1]]
        bias = _bias(self.graph, base, affine.scale.size)
        if bias is None:
            return None
        loc = Loc().joined(*(op.loc for op in affine.ops))
        name = weights.name
        if (affine.scale != 1).any():
            scaled = _scaled_weights(base, weights.array().astype(np.float64), affine.scale)
            name = self._const(name, scaled, weights.type.dtype, weights.loc.joined(loc))
        inputs = (base.inputs[0], name, self._bias_const(base, bias * affine.scale + affine.shift, weights, loc))
        attrs = base.attrs.with_(beta=None)
        return replace(base, results=(affine.result,), inputs=inputs, attrs=attrs, types=affine.ops[-1].types, loc=base.loc.joined(loc))

    def _has_known_weights(self, base: Op) -> bool:
        names = [name for name in base.inputs[1:] if name]
        return all(self.graph.is_const(name) and self.graph.const[name].type.dtype in _DTYPES for name in names)

    def scale_and_shift(self, affine: Affine) -> tuple[Op, ...]:
        """Return Mul and Add for a chain that has no op to be folded into; one of them alone where it does."""
        last = affine.ops[-1]
        loc = Loc().joined(*(op.loc for op in affine.ops))
        shape = (affine.scale.size,) + (1,) * (len(last.type.shape or ()) - 2)
        scales, shifts = bool((affine.scale != 1).any()), bool((affine.shift != 0).any())
        scaled = fresh_name(self.taken, f"{last.result}.scaled") if shifts else last.result
        ops: list[Op] = []
        source = affine.source
        if scales or not shifts:
            factor = self._const(f"{last.result}.scale", affine.scale.reshape(shape), last.type.dtype, loc)
            ops.append(Op((scaled,), "mul", (source, factor), types=last.types, loc=loc))
            self.taken.add(scaled)
            source = scaled
        if shifts:
            term = self._const(f"{last.result}.shift", affine.shift.reshape(shape), last.type.dtype, loc)
            ops.append(Op((last.result,), "add", (source, term), types=last.types, loc=loc))
        return tuple(ops)

    def _bias_const(self, base: Op, values: NDArray[np.float64], weights: Const, loc: Loc) -> str:
        bias = self.graph.const.get(base.inputs[2]) if len(base.inputs) > 2 else None
        name, origin = (bias.name, bias.loc) if bias is not None else (f"{weights.name}.bias", weights.loc)
        return self._const(name, values, weights.type.dtype, origin.joined(loc))

    def _const(self, name: str, values: NDArray[np.float64], dtype: DType, loc: Loc) -> str:
        """Add a constant under its name: that of an old one which is read only here is taken over."""
        read_here_only = self.graph.is_const(name) and is_read_once(self.graph, name) and name not in self.consts
        chosen = name if read_here_only else fresh_name(self.taken, name)
        array: NDArray[Any] = values.astype(numpy_dtype(dtype))
        self.taken.add(chosen)
        self.consts[chosen] = Const(chosen, TensorType(dtype, array.shape), blob_from_array(array), loc)
        return chosen


def _bias(graph: Graph, base: Op, channels: int) -> NDArray[np.float64] | None:
    """The bias as it is added, f64[channels]; None where it is not the same for a whole channel."""
    if len(base.inputs) < 3 or not base.inputs[2]:
        return np.zeros(channels)
    values = graph.const[base.inputs[2]].array().astype(np.float64)
    if base.kind != "gemm":
        return values
    if values.size != 1 and values.shape not in ((channels,), (1, channels)):
        return None
    return np.broadcast_to(values.reshape(-1) * base.attrs.float_("beta", 1.0), channels)


def _scaled_weights(base: Op, weights: NDArray[np.float64], scale: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale the weights that make each output channel.

    Conv: [out, in / groups, ...]; ConvTranspose: [in, out / groups, ...], the channels of a group's results in its block of inputs;
    Gemm: [in, out], or [out, in] with transB.
    """
    if base.kind == "gemm":
        return weights * (scale[:, None] if base.attrs.int_("transB", 0) else scale)
    taps = (1,) * (weights.ndim - 2)
    if base.kind == "conv":
        return weights * scale.reshape(-1, 1, *taps)
    groups = base.attrs.int_("group", 1)
    blocks = weights.reshape(groups, -1, *weights.shape[1:])
    return (blocks * scale.reshape(groups, 1, -1, *taps)).reshape(weights.shape)
