"""Layers as matrix products: weights as matrices, and the rows of inputs that they multiply (im2col), at sampled places.

A layer is `g` products of their own: result[g, n, r] = rows[g, n, d] . matrix[g, r, d]. A convolution has a product a group, `d` is inputs
of the group x taps and `n` counts samples x places; Gemm and MatMul with constant weights are one product.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import Op

Array = NDArray[Any]


def layer_matrix(op: Op, weights: Array) -> NDArray[np.float32] | None:
    """Return the weights of a conv, gemm or matmul as f32[g, r, d]; None for ops that are no such product.

    A Gemm with alpha, beta or transA is none, nor is a MatMul with weights that are not a matrix.
    """
    if op.kind == "conv" and weights.ndim >= 3:
        groups = op.attrs.int_("group", 1)
        return np.ascontiguousarray(weights, np.float32).reshape(groups, weights.shape[0] // groups, -1)
    if _across(op, weights.ndim):
        return np.ascontiguousarray(weights.T, np.float32)[None]
    return np.ascontiguousarray(weights, np.float32)[None] if _along(op, weights.ndim) else None


def layer_weights(op: Op, matrix: Array, shape: tuple[int, ...]) -> Array:
    """Return a matrix [g, r, d] of any element type, such as codes, in the shape of the constant: the inverse of `layer_matrix`."""
    return np.ascontiguousarray(matrix[0].T if _across(op, len(shape)) else matrix.reshape(shape))


def patches(op: Op, weights_shape: tuple[int, ...], x: Array, count: int, seed: int) -> NDArray[np.float32]:
    """Return rows f32[g, n, d] that the matrix of a layer multiplies, for n <= `count` places spread over the samples and places of x.

    Each of `count` equal parts of all places gives one, drawn with `seed`; all places in order where there are no more than `count`. The
    places are the same for the same shape of x, count and seed, so that rows of two versions of an input match. Padding is zero.
    """
    if op.kind != "conv":
        rows = x.reshape(-1, x.shape[-1])
        return np.ascontiguousarray(rows[sampled(len(rows), count, seed)], np.float32)[None]
    kernel = weights_shape[2:]
    starts, sizes = _windows(op, x.shape[2:], kernel)
    picked = sampled(len(x) * math.prod(sizes), count, seed)
    sample, *place = np.unravel_index(picked, (len(x), *sizes))
    strides = op.attrs.ints("strides", (1,) * len(kernel))
    dilations = op.attrs.ints("dilations", (1,) * len(kernel))
    origin = [p * stride - start for p, stride, start in zip(place, strides, starts, strict=True)]
    pixels = np.ascontiguousarray(np.moveaxis(np.asarray(x, np.float32), 1, -1))
    taps = [
        _tap(pixels, sample, [o + t * d for o, t, d in zip(origin, tap, dilations, strict=True)])
        for tap in itertools.product(*map(range, kernel))
    ]
    groups = op.attrs.int_("group", 1)
    stacked = np.stack(taps, axis=-1).reshape(len(picked), groups, -1)
    return np.ascontiguousarray(stacked.transpose(1, 0, 2))


def sampled(total: int, count: int, seed: int) -> NDArray[np.int64]:
    """Return min(total, count) increasing indices below `total`: one drawn from each of `count` equal parts, or all of them."""
    if total <= count:
        return np.arange(total, dtype=np.int64)
    bounds = np.arange(count + 1, dtype=np.int64) * total // count
    return np.random.default_rng(seed).integers(bounds[:-1], bounds[1:])


def _across(op: Op, rank: int) -> bool:
    """Whether weights are [inputs, results]."""
    return rank == 2 and (op.kind == "matmul" or (op.kind == "gemm" and _plain(op) and not op.attrs.int_("transB", 0)))


def _along(op: Op, rank: int) -> bool:
    """Whether weights are [results, inputs]."""
    return rank == 2 and op.kind == "gemm" and _plain(op) and op.attrs.int_("transB", 0) == 1


def _plain(op: Op) -> bool:
    return op.attrs.float_("alpha", 1.0) == 1.0 and op.attrs.float_("beta", 1.0) == 1.0 and op.attrs.int_("transA", 0) == 0


def _windows(op: Op, sizes: tuple[int, ...], kernel: tuple[int, ...]) -> tuple[list[int], list[int]]:
    """Return the zeros before the first sample and the number of places along each axis, as ONNX defines them."""
    rank = len(kernel)
    strides = op.attrs.ints("strides", (1,) * rank)
    dilations = op.attrs.ints("dilations", (1,) * rank)
    pads = op.attrs.ints("pads", (0,) * (2 * rank))
    mode = op.attrs.str_("auto_pad", "NOTSET")
    starts: list[int] = []
    places: list[int] = []
    for i, (size, taps) in enumerate(zip(sizes, kernel, strict=True)):
        span = dilations[i] * (taps - 1) + 1
        if mode in ("SAME_UPPER", "SAME_LOWER"):
            made = -(-size // strides[i])
            padding = max(0, (made - 1) * strides[i] + span - size)
            starts.append(padding // 2 if mode == "SAME_UPPER" else padding - padding // 2)
        else:
            before, after = (pads[i], pads[rank + i]) if mode == "NOTSET" else (0, 0)
            made = (size + before + after - span) // strides[i] + 1
            starts.append(before)
        places.append(made)
    return starts, places


def _tap(pixels: NDArray[np.float32], sample: NDArray[np.int64], at: list[NDArray[np.int64]]) -> NDArray[np.float32]:
    """Return what one tap sees, [n, channels]: `pixels` is [samples, spatial..., channels]; zero outside."""
    inside = np.ones(len(sample), np.bool_)
    index: list[NDArray[np.int64]] = [sample]
    for where, size in zip(at, pixels.shape[1:-1], strict=True):
        inside &= (where >= 0) & (where < size)
        index.append(np.clip(where, 0, size - 1))
    found = pixels[tuple(index)]
    if not inside.all():
        found[~inside] = 0.0
    return found
