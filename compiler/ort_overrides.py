"""`tensor_quant_overrides.json`: our quantisers in the form that onnxruntime.quantization takes as `TensorQuantOverrides`.

It speaks of the model as it was given. Tensors of the edge part are in it that this model has under the same name with the same values;
others (made by rewrites, or scaled by `equalize`) are left out, so that what applies the file finds quantisers of its own for them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import CompileError, DType, Graph, Module
from autosplitc.passes import Choice, Env, Quantisers, Ranges, Request, Solutions, edge_names, groups, load, roles

from .engine import sample_feeds

FILE = "tensor_quant_overrides.json"

ACT_BITS = 8
"""Activations get the quantiser that they have at 8 bits: onnxruntime has integer kernels for no other width."""

TOLERANCE = 1e-3
"""Part of a tensor's largest magnitude by which folded arithmetic may move it; one that `equalize` scaled is off by far more."""

Overrides = dict[str, list[dict[str, Any]]]


def quant_overrides(module: Module, original: Graph, env: Env) -> Overrides:
    """Return the overrides for the edge part of a lowered module, by tensor of `original`, the graph as it was imported.

    Activations: type, scale and zero point. Weights: INT4 up to 4 bits, else INT8, symmetric per channel; their scales are left to whoever
    applies them, since ours go with codes that are not the nearest ones. Empty where the model does not run on a sample.
    """
    request, plan = module.fact(Request), module.fact(Solutions).plans[module.fact(Choice).index]
    found, quantisers = roles(module.main, request.keep_float), Quantisers(module.fact(Ranges))
    held = {b.name for b in plan.act_bits}
    names = edge_names(module.main, plan)
    edge = [op for op in module.main.ops if op.name in names]
    values = [v.name for v in module.main.inputs] + [result for op in edge for result in op.results if result]
    coded = [v for v in values if found.root.get(v, "") in held]
    overrides: Overrides = {}
    for name in _same_in_both(module, original, coded, env):
        affine = quantisers.affine(found.root[name], ACT_BITS)
        overrides[name] = [{"quant_type": "QUInt8", "scale": float(np.float32(affine.scale)), "zero_point": affine.zero_point}]
    for weight in plan.weight_bits:
        known = original.const.get(weight.name)
        if known is not None and known.type == module.main.type_of(weight.name):
            kind = "QInt4" if weight.bits <= 4 else "QInt8"
            overrides[weight.name] = [{"quant_type": kind, "axis": found.weight_axis[weight.name], "symmetric": True}]
    return overrides


def _same_in_both(module: Module, original: Graph, names: list[str], env: Env) -> list[str]:
    """Return the values that both graphs have, with the same numbers on a sample, in order. Inputs are the same by nature."""
    inputs = {v.name for v in original.inputs}
    shared = [n for n in names if n in original.producer and n in module.main.producer and original.type_of(n).dtype is DType.F32]
    try:
        feed = next(sample_feeds(module, env.calib, module.fact(Request).seed, 1))
        same = set(inputs)
        for group in groups(module.main, shared):
            ours, theirs = load(module.main, group).run(feed), load(original, group).run(feed)
            same |= {name for name in group if _is_close(ours[name], theirs[name])}
    except (CompileError, StopIteration):
        same = inputs
    return [name for name in names if name in same]


def _is_close(ours: NDArray[Any], theirs: NDArray[Any]) -> bool:
    largest = float(np.abs(theirs).max(initial=0.0))
    return ours.shape == theirs.shape and bool((np.abs(ours - theirs) <= TOLERANCE * largest).all())
