"""Work of a vector unit: everything that is no matrix product.

An op handles so many elements; each passes the unit once for every step that the op needs:

| op | elements | steps |
| --- | --- | --- |
| reshape, flatten, squeeze, unsqueeze, identity, dropout, shape | 0 | - |
| slice, gather | those of the results: only what is taken is read | 1 |
| max_pool, average_pool | those of the result | taps of the window |
| resize | those of the result | 1 nearest, 4 linear, 16 cubic |
| lrn | those of the result | window + 3: squares summed, scale, power, divide |
| lstm, gru | gate values of every step | 2: function, combine |
| conv, conv_transpose, gemm, matmul | 0: bias, activation and rescaling lie in the array's output path | - |
| all others, also ops not understood | the larger of the largest input and all results | 1; batch_norm 2: multiply, add;
  softmax 5: maximum, subtract, exponent, sum, divide |
"""

from __future__ import annotations

import math

import numpy as np

from autosplitc.ir import TensorType

from .gemm import products
from .target import ROWS, OpView
from .traffic import Row, moves_nothing, row_bytes

_IN_OUTPUT_PATH = ("conv", "conv_transpose", "gemm", "matmul")
_RESIZE_TAPS = {"nearest": 1, "linear": 4, "cubic": 16}
_STEPS = {"batch_norm": 2, "softmax": 5}


def vector_s(op: OpView, float_bits: int, bytes_per_s: float) -> Row:
    """Return seconds of an op's work on a vector unit of this rate by the row of its first operand, shape [ROWS].

    Codes count as whole bytes, floats at `float_bits`.
    """
    elements = vector_elements(op)
    if not elements:
        return np.zeros(ROWS)
    leading = op.inputs[0] if op.inputs else op.results[0]
    return elements * np.ceil(row_bytes(leading, float_bits)).clip(1) / bytes_per_s


def vector_elements(op: OpView) -> int:
    """Return elements x steps of an op's work on the vector unit; elements of unknown number count 0."""
    if moves_nothing(op.kind) or op.kind in _IN_OUTPUT_PATH:
        return 0
    made = sum(_elements(t) for t in op.results)
    if op.kind in ("slice", "gather"):
        return made
    if op.kind in ("max_pool", "average_pool"):
        return made * math.prod(op.attrs.ints("kernel_shape", (1,)))
    if op.kind == "resize":
        return made * _RESIZE_TAPS.get(op.attrs.str_("mode", "nearest"), 1)
    if op.kind == "lrn":
        return made * (op.attrs.int_("size", 1) + 3)
    if op.kind in ("lstm", "gru"):
        return sum(2 * p.m * p.n * p.runs for p in products(op) if p.first is None)
    handled = max(made, *(_elements(t) for t in op.inputs), 0)
    return handled * _STEPS.get(op.kind, 1)


def _elements(type_: TensorType) -> int:
    return type_.elements or 0
