"""The table of typed ops. A node whose op type has a row here becomes that kind; every other node is kept verbatim as `onnx.<OpType>`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from .types import Attrs, AttrValue, EmptyList, TensorType

QuantClass: TypeAlias = Literal["mac", "requantize", "same", "float"]
"""How quantisation passes through an op.

mac: multiply-accumulates on codes, the result is requantised. requantize: works on codes, the result has a scale of its own.
same: the result has the codes, scale and bits of the first input. float: computed in float.
"""


AttrKind: TypeAlias = Literal["int", "float", "str", "ints", "floats", "strs"]
"""What an attribute of a typed op holds."""


def _attrs(**kinds: str) -> Mapping[str, AttrKind]:
    """Return attribute kinds from `int="axis keepdims", ints="pads"`."""
    found: dict[str, AttrKind] = {}
    for kind in _ATTR_KINDS:
        found.update((name, kind) for name in kinds.get(kind, "").split())
    return found


_ATTR_KINDS: tuple[AttrKind, ...] = ("int", "float", "str", "ints", "floats", "strs")


@dataclass(frozen=True, slots=True)
class OpRow:
    """One kind of op. Inputs, their order and attribute names are those of the ONNX op `op_type`.

    `attrs` names the attributes that an op of the kind may have; a node with another one stays `onnx.<OpType>`. `results` is the least and
    the largest number of results.
    """

    kind: str
    op_type: str
    min_inputs: int
    max_inputs: int
    quant: QuantClass
    reshape_like: bool = False
    attrs: Mapping[str, AttrKind] = field(default_factory=dict[str, AttrKind])
    results: tuple[int, int] = (1, 1)


_WINDOW = {"ints": "dilations kernel_shape pads strides", "str": "auto_pad"}
_TRANSPOSED = {"ints": "dilations kernel_shape output_padding output_shape pads strides", "str": "auto_pad"}
_RNN = {"floats": "activation_alpha activation_beta", "strs": "activations", "float": "clip", "str": "direction"}
_RESIZE = {
    "str": "coordinate_transformation_mode keep_aspect_ratio_policy mode nearest_mode",
    "int": "antialias exclude_outside",
    "ints": "axes",
    "float": "cubic_coeff_a extrapolation_value",
}

_ROWS = (
    OpRow("conv", "Conv", 2, 3, "mac", attrs=_attrs(**_WINDOW, int="group")),
    OpRow("conv_transpose", "ConvTranspose", 2, 3, "mac", attrs=_attrs(**_TRANSPOSED, int="group")),
    OpRow("gemm", "Gemm", 2, 3, "mac", attrs=_attrs(float="alpha beta", int="transA transB")),
    OpRow("matmul", "MatMul", 2, 2, "mac"),
    OpRow("batch_norm", "BatchNormalization", 5, 5, "float", attrs=_attrs(float="epsilon momentum", int="training_mode")),
    OpRow("add", "Add", 2, 2, "requantize"),
    OpRow("sub", "Sub", 2, 2, "requantize"),
    OpRow("mul", "Mul", 2, 2, "requantize"),
    OpRow("div", "Div", 2, 2, "requantize"),
    OpRow("relu", "Relu", 1, 1, "requantize"),
    OpRow("clip", "Clip", 1, 3, "requantize"),
    OpRow("leaky_relu", "LeakyRelu", 1, 1, "requantize", attrs=_attrs(float="alpha")),
    OpRow("prelu", "PRelu", 2, 2, "requantize"),
    OpRow("hard_swish", "HardSwish", 1, 1, "requantize"),
    OpRow("hard_sigmoid", "HardSigmoid", 1, 1, "requantize", attrs=_attrs(float="alpha beta")),
    OpRow("sigmoid", "Sigmoid", 1, 1, "requantize"),
    OpRow("tanh", "Tanh", 1, 1, "requantize"),
    OpRow("silu", "Swish", 1, 1, "requantize"),
    OpRow("max_pool", "MaxPool", 1, 1, "same", attrs=_attrs(**_WINDOW, int="ceil_mode storage_order")),
    OpRow("average_pool", "AveragePool", 1, 1, "requantize", attrs=_attrs(**_WINDOW, int="ceil_mode count_include_pad")),
    OpRow("global_average_pool", "GlobalAveragePool", 1, 1, "requantize"),
    OpRow("global_max_pool", "GlobalMaxPool", 1, 1, "same"),
    OpRow("reduce_mean", "ReduceMean", 1, 2, "requantize", attrs=_attrs(int="keepdims noop_with_empty_axes")),
    OpRow("concat", "Concat", 1, 2**31, "requantize", attrs=_attrs(int="axis")),
    OpRow("resize", "Resize", 1, 4, "requantize", attrs=_attrs(**_RESIZE)),
    OpRow("pad", "Pad", 2, 4, "requantize", attrs=_attrs(str="mode")),
    OpRow("reshape", "Reshape", 2, 2, "same", reshape_like=True, attrs=_attrs(int="allowzero")),
    OpRow("flatten", "Flatten", 1, 1, "same", reshape_like=True, attrs=_attrs(int="axis")),
    OpRow("squeeze", "Squeeze", 1, 2, "same", reshape_like=True),
    OpRow("unsqueeze", "Unsqueeze", 2, 2, "same", reshape_like=True),
    OpRow("identity", "Identity", 1, 1, "same", reshape_like=True),
    OpRow("dropout", "Dropout", 1, 3, "same", reshape_like=True, attrs=_attrs(int="seed")),
    OpRow("transpose", "Transpose", 1, 1, "same", attrs=_attrs(ints="perm")),
    OpRow("slice", "Slice", 3, 5, "same"),
    OpRow("split", "Split", 1, 2, "same", attrs=_attrs(int="axis num_outputs"), results=(1, 2**31)),
    OpRow("softmax", "Softmax", 1, 1, "float", attrs=_attrs(int="axis")),
    OpRow("lrn", "LRN", 1, 1, "float", attrs=_attrs(float="alpha beta bias", int="size")),
    OpRow("lstm", "LSTM", 3, 8, "float", attrs=_attrs(**_RNN, int="hidden_size input_forget layout"), results=(1, 3)),
    OpRow("gru", "GRU", 3, 6, "float", attrs=_attrs(**_RNN, int="hidden_size layout linear_before_reset"), results=(1, 2)),
    OpRow("gather", "Gather", 2, 2, "float", attrs=_attrs(int="axis")),
    OpRow("cast", "Cast", 1, 1, "float", attrs=_attrs(int="saturate to", str="round_mode")),
    OpRow("shape", "Shape", 1, 1, "float", attrs=_attrs(int="end start")),
    OpRow("quantize_linear", "QuantizeLinear", 2, 3, "float", attrs=_attrs(int="axis block_size output_dtype precision saturate")),
    OpRow("dequantize_linear", "DequantizeLinear", 2, 3, "float", attrs=_attrs(int="axis block_size output_dtype")),
    OpRow("quantize", "", 1, 2, "float", attrs=_attrs(float="scale", int="zero_point bits axis")),
    OpRow("dequantize", "", 1, 2, "float", attrs=_attrs(float="scale", int="zero_point axis")),
    OpRow("pack", "", 1, 2**31, "float"),
    OpRow("unpack", "", 1, 1, "float", attrs=_attrs(int="offset bits", str="dtype", ints="shape")),
)
"""`quantize` ... `unpack` are ours: they stand in `edge`, `cloud` and `whole`, and code generation spells them in standard ops."""

ROW_BY_KIND = {row.kind: row for row in _ROWS}
KIND_BY_OP_TYPE = {row.op_type: row.kind for row in _ROWS if row.op_type}

ACTIVATIONS = ("relu", "clip", "leaky_relu", "hard_swish", "hard_sigmoid", "sigmoid", "tanh", "silu")
"""Values of attribute `act` of a fused op (kinds `conv`, `conv_transpose`, `gemm`, `matmul`, `add`, `batch_norm`, `mul`).

Parameters stand beside it: `act_low`, `act_high` (clip), `act_alpha` (leaky_relu, hard_sigmoid), `act_beta` (hard_sigmoid), and with any
activation `act_lift` and `act_gain`: f32[channels], what each channel (axis 1) is multiplied by before and after the activation.
"""

ACT_LIFT = "act_lift"
"""Attribute of a fused op: factors of its channels between what the op computes and the activation, an `ArrayRef`."""

ACT_GAIN = "act_gain"
"""Attribute of a fused op: factors of its channels behind the activation, an `ArrayRef`."""

ACT_PARAMETERS: Mapping[str, tuple[str, ...]] = {
    "clip": ("act_high", "act_low"),
    "leaky_relu": ("act_alpha",),
    "hard_sigmoid": ("act_alpha", "act_beta"),
}
"""Parameters that an activation may have."""

FUSABLE = frozenset({"conv", "conv_transpose", "gemm", "matmul", "add", "batch_norm", "mul"})
"""Kinds that may have attribute `act`."""


def attr_holds(value: AttrValue, kind: AttrKind) -> bool:
    """Whether an attribute's value is of a kind."""
    match kind:
        case "int":
            return isinstance(value, int)
        case "float":
            return isinstance(value, float)
        case "str":
            return isinstance(value, str)
        case "ints" | "floats" | "strs":
            wanted = {"ints": int, "floats": float, "strs": str}[kind]
            return isinstance(value, EmptyList) or (isinstance(value, tuple) and all(isinstance(v, wanted) for v in value))


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
    if len(inputs) < 2 or not results or not inputs[0].is_static or not inputs[1].is_static:
        return 0
    if kind in ("conv", "conv_transpose"):
        weights = inputs[1].dims
        driven = results[0] if kind == "conv" else inputs[0]
        return (driven.elements or 0) * math.prod(weights[1:])
    if kind == "matmul":
        return (results[0].elements or 0) * math.prod(inputs[0].dims[-1:])
    if kind == "gemm" and results[0].is_static:
        return (results[0].elements or 0) * math.prod(inputs[0].dims) // (math.prod(results[0].dims[:1]) or 1)
    if kind in ("lstm", "gru") and len(inputs) > 2 and inputs[2].is_static:
        return math.prod(inputs[0].dims[:2]) * (math.prod(inputs[1].dims) + math.prod(inputs[2].dims))
    return 0


def at_batch_one(type_: TensorType) -> TensorType:
    """Return the type at batch size 1: a symbolic size `N` becomes 1 and `k*N` becomes k. Sizes that are not known stay."""
    if type_.shape is None or type_.is_static:
        return type_
    shape = tuple(_at_one(d) if isinstance(d, str) else d for d in type_.shape)
    return TensorType(type_.dtype, shape, type_.wraps)


def _at_one(dim: str) -> int:
    factor, star, _ = dim.partition("*")
    return int(factor) if star and factor.isdecimal() else 1
