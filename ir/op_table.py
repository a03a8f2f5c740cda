"""The table of typed ops. A node whose op type has a row here becomes that kind; every other node is kept verbatim as `onnx.<OpType>`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

from .types import Attrs, TensorType

QuantClass: TypeAlias = Literal["mac", "requantize", "same", "float"]
"""How quantisation passes through an op.

mac: multiply-accumulates on codes, the result is requantised. requantize: works on codes, the result has a scale of its own.
same: the result has the codes, scale and bits of the first input. float: computed in float.
"""


@dataclass(frozen=True, slots=True)
class OpRow:
    """One kind of op. Inputs, their order and attribute names are those of the ONNX op `op_type`."""

    kind: str
    op_type: str
    min_inputs: int
    max_inputs: int
    quant: QuantClass
    reshape_like: bool = False


_ROWS = (
    OpRow("conv", "Conv", 2, 3, "mac"),
    OpRow("conv_transpose", "ConvTranspose", 2, 3, "mac"),
    OpRow("gemm", "Gemm", 2, 3, "mac"),
    OpRow("matmul", "MatMul", 2, 2, "mac"),
    OpRow("batch_norm", "BatchNormalization", 5, 5, "float"),
    OpRow("add", "Add", 2, 2, "requantize"),
    OpRow("sub", "Sub", 2, 2, "requantize"),
    OpRow("mul", "Mul", 2, 2, "requantize"),
    OpRow("div", "Div", 2, 2, "requantize"),
    OpRow("relu", "Relu", 1, 1, "requantize"),
    OpRow("clip", "Clip", 1, 3, "requantize"),
    OpRow("leaky_relu", "LeakyRelu", 1, 1, "requantize"),
    OpRow("prelu", "PRelu", 2, 2, "requantize"),
    OpRow("hard_swish", "HardSwish", 1, 1, "requantize"),
    OpRow("hard_sigmoid", "HardSigmoid", 1, 1, "requantize"),
    OpRow("sigmoid", "Sigmoid", 1, 1, "requantize"),
    OpRow("tanh", "Tanh", 1, 1, "requantize"),
    OpRow("silu", "Swish", 1, 1, "requantize"),
    OpRow("max_pool", "MaxPool", 1, 1, "same"),
    OpRow("average_pool", "AveragePool", 1, 1, "requantize"),
    OpRow("global_average_pool", "GlobalAveragePool", 1, 1, "requantize"),
    OpRow("global_max_pool", "GlobalMaxPool", 1, 1, "same"),
    OpRow("reduce_mean", "ReduceMean", 1, 2, "requantize"),
    OpRow("concat", "Concat", 1, 2**31, "requantize"),
    OpRow("resize", "Resize", 1, 4, "requantize"),
    OpRow("pad", "Pad", 2, 4, "requantize"),
    OpRow("reshape", "Reshape", 2, 2, "same", reshape_like=True),
    OpRow("flatten", "Flatten", 1, 1, "same", reshape_like=True),
    OpRow("squeeze", "Squeeze", 1, 2, "same", reshape_like=True),
    OpRow("unsqueeze", "Unsqueeze", 2, 2, "same", reshape_like=True),
    OpRow("identity", "Identity", 1, 1, "same", reshape_like=True),
    OpRow("dropout", "Dropout", 1, 3, "same", reshape_like=True),
    OpRow("transpose", "Transpose", 1, 1, "same"),
    OpRow("slice", "Slice", 3, 5, "same"),
    OpRow("split", "Split", 1, 2, "same"),
    OpRow("softmax", "Softmax", 1, 1, "float"),
    OpRow("lrn", "LRN", 1, 1, "float"),
    OpRow("lstm", "LSTM", 3, 8, "float"),
    OpRow("gru", "GRU", 3, 6, "float"),
    OpRow("gather", "Gather", 2, 2, "float"),
    OpRow("cast", "Cast", 1, 1, "float"),
    OpRow("shape", "Shape", 1, 1, "float"),
    OpRow("quantize_linear", "QuantizeLinear", 2, 3, "float"),
    OpRow("dequantize_linear", "DequantizeLinear", 2, 3, "float"),
    OpRow("quantize", "", 1, 2, "float"),
    OpRow("dequantize", "", 1, 2, "float"),
    OpRow("pack", "", 1, 2**31, "float"),
    OpRow("unpack", "", 1, 1, "float"),
)
"""`quantize` ... `unpack` are ours: they stand in `edge`, `cloud` and `whole`, and code generation spells them in standard ops."""

ROW_BY_KIND = {row.kind: row for row in _ROWS}
KIND_BY_OP_TYPE = {row.op_type: row.kind for row in _ROWS if row.op_type}

ACTIVATIONS = ("relu", "clip", "leaky_relu", "hard_swish", "hard_sigmoid", "sigmoid", "tanh", "silu")
"""Values of attribute `act` of a fused op (kinds `conv`, `conv_transpose`, `gemm`, `matmul`, `add`, `batch_norm`, `mul`).

Parameters stand beside it: `act_low`, `act_high` (clip), `act_alpha` (leaky_relu, hard_sigmoid), `act_beta` (hard_sigmoid).
"""


def op_row(kind: str) -> OpRow:
    """Return the row of a kind; `onnx.*` kinds share one that says: any arity, float."""
    found = ROW_BY_KIND.get(kind)
    return found if found is not None else OpRow(kind, kind.rsplit(".", 1)[-1], 0, 2**31, "float")


def op_macs(kind: str, attrs: Attrs, inputs: tuple[TensorType, ...], results: tuple[TensorType, ...]) -> int:
    """Multiply-accumulates of an op at the given (static) types; 0 for ops without, and where a size is not known.

    Conv: output elements x filter taps x input channels a group. ConvTranspose: the same with input elements. LSTM and GRU: their matrix
    products, all directions and steps.
    """
    del attrs
    if len(inputs) < 2 or not inputs[1].is_static or not results or not inputs[0].is_static:
        return 0
    if kind in ("conv", "conv_transpose"):
        weights = inputs[1].dims
        driven = results[0] if kind == "conv" else inputs[0]
        return (driven.elements or 0) * math.prod(weights[1:])
    if kind == "matmul":
        return (results[0].elements or 0) * inputs[0].dims[-1]
    if kind == "gemm":
        return (results[0].elements or 0) * math.prod(inputs[0].dims) // (results[0].dims[0] or 1)
    if kind in ("lstm", "gru"):
        steps, batch = inputs[0].dims[0], inputs[0].dims[1]
        return steps * batch * (math.prod(inputs[1].dims) + math.prod(inputs[2].dims))
    return 0


def at_batch_one(type_: TensorType) -> TensorType:
    """Return the type at batch size 1: a symbolic size `N` becomes 1 and `k*N` becomes k. Sizes that are not known stay."""
    if type_.shape is None:
        return type_
    shape = tuple(_at_one(d) if isinstance(d, str) else d for d in type_.shape)
    return TensorType(type_.dtype, shape, type_.wraps)


def _at_one(dim: str) -> int:
    factor, star, _ = dim.partition("*")
    return int(factor) if star else 1
