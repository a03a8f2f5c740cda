"""Shape rules of typed ops: what type their results must have, as far as the types of the inputs say.

A rule returns one type a result. A size that it cannot tell (it depends on values, or on a size that is not known) is None, a shape that it
cannot tell is None, and UNKNOWN_TYPE says nothing at all. The rules follow https://onnx.ai/onnx/operators/.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from .graph import UNKNOWN_TYPE, Graph, Op
from .onnx_types import DTYPE_OF_ONNX
from .types import Dim, DType, Shape, TensorType, code_dtype

Rule: TypeAlias = Callable[[Op, tuple[TensorType, ...], Graph], tuple[TensorType, ...]]


class ShapeError(ValueError):
    """The inputs of an op do not fit each other."""


def result_types(graph: Graph, op: Op) -> tuple[TensorType, ...]:
    """Return the types that an op's results must have, UNKNOWN_TYPE where nothing is known of them. Raises ShapeError."""
    rule = _RULES.get(op.kind)
    inputs = tuple(graph.types.get(name, UNKNOWN_TYPE) for name in op.inputs)
    if rule is None or not inputs or inputs[0].wraps:
        return (UNKNOWN_TYPE,) * len(op.results)
    try:
        found = rule(op, inputs, graph)
    except ShapeError:
        raise
    except (IndexError, TypeError, ValueError, ZeroDivisionError) as error:
        raise ShapeError("its attributes do not fit its inputs") from error
    return found + (UNKNOWN_TYPE,) * (len(op.results) - len(found))


def broadcast(first: Shape | None, second: Shape | None) -> Shape | None:
    """Return the shape of two broadcast shapes (numpy's rules). Raises ShapeError where two known sizes differ and none is 1."""
    if first is None or second is None:
        return None
    rank = max(len(first), len(second))
    pairs = zip((1,) * (rank - len(first)) + first, (1,) * (rank - len(second)) + second, strict=True)
    return tuple(_broadcast_dim(a, b) for a, b in pairs)


def _broadcast_dim(a: Dim, b: Dim) -> Dim:
    if a == 1 or a == b:
        return b
    if b == 1:
        return a
    if isinstance(a, int) and isinstance(b, int):
        raise ShapeError(f"sizes {a} and {b} do not go together")
    return a if isinstance(a, int) else b if isinstance(b, int) else None


def _same(op: Op, inputs: tuple[TensorType, ...], graph: Graph) -> tuple[TensorType, ...]:
    del op, graph
    return (inputs[0],)


def _elementwise(op: Op, inputs: tuple[TensorType, ...], graph: Graph) -> tuple[TensorType, ...]:
    del op, graph
    return (TensorType(inputs[0].dtype, broadcast(inputs[0].shape, inputs[1].shape)),)


def _prelu(op: Op, inputs: tuple[TensorType, ...], graph: Graph) -> tuple[TensorType, ...]:
    del op, graph
    broadcast(inputs[0].shape, inputs[1].shape)
    return (inputs[0],)


def _rank_only(op: Op, inputs: tuple[TensorType, ...], graph: Graph) -> tuple[TensorType, ...]:
    del graph
    shape = inputs[0].shape
    kept = TensorType(inputs[0].dtype, None if shape is None else (None,) * len(shape))
    return (kept,) * len(op.results)


def _dtype_only(op: Op, inputs: tuple[TensorType, ...], graph: Graph) -> tuple[TensorType, ...]:
    del graph
    return (TensorType(inputs[0].dtype, None),) * len(op.results)


def _spatial(op: Op, sizes: Shape, kernel: Shape) -> Shape:
    """Return output sizes of a sliding window: floor((in + pads - dilation * (kernel - 1) - 1) / stride) + 1 (ceil with ceil_mode)."""
    count = len(sizes)
    strides = op.attrs.ints("strides", (1,) * count)
    dilations = op.attrs.ints("dilations", (1,) * count)
    pads = op.attrs.ints("pads", (0,) * (2 * count))
    mode = op.attrs.str_("auto_pad", "NOTSET")
    found: list[Dim] = []
    for i, (size, taps) in enumerate(zip(sizes, kernel, strict=True)):
        if not isinstance(size, int) or not isinstance(taps, int) or op.attrs.int_("ceil_mode", 0):
            found.append(None)
        elif mode in ("SAME_UPPER", "SAME_LOWER"):
            found.append(-(-size // strides[i]))
        else:
            padded = size + (pads[i] + pads[count + i] if mode == "NOTSET" else 0)
            room = padded - dilations[i] * (taps - 1) - 1
            if room < 0:
                raise ShapeError(f"a window of {taps} taps does not fit into size {size}")
            found.append(room // strides[i] + 1)
    return tuple(found)


def _conv(op: Op, inputs: tuple[TensorType, ...], graph: Graph) -> tuple[TensorType, ...]:
    del graph
    data, weights = inputs[0].shape, inputs[1].shape
    if data is None or weights is None or len(data) != len(weights):
        if data is not None and weights is not None:
            raise ShapeError(f"input of rank {len(data)}, weights of rank {len(weights)}")
        return (TensorType(inputs[0].dtype, None),)
    channels, per_group = data[1], weights[1]
    if isinstance(channels, int) and isinstance(per_group, int) and channels != per_group * op.attrs.int_("group", 1):
        raise ShapeError(f"{channels} input channels, but weights for {per_group} x {op.attrs.int_('group', 1)} groups")
    return (TensorType(inputs[0].dtype, (data[0], weights[0], *_spatial(op, data[2:], weights[2:]))),)


def _conv_transpose(op: Op, inputs: tuple[TensorType, ...], graph: Graph) -> tuple[TensorType, ...]:
    del graph
    data, weights = inputs[0].shape, inputs[1].shape
    if data is None or weights is None:
        return (TensorType(inputs[0].dtype, None),)
    if isinstance(data[1], int) and isinstance(weights[0], int) and data[1] != weights[0]:
        raise ShapeError(f"{data[1]} input channels, but weights for {weights[0]}")
    made = weights[1] * op.attrs.int_("group", 1) if isinstance(weights[1], int) else None
    return (TensorType(inputs[0].dtype, (data[0], made, *(None,) * (len(data) - 2))),)


def _pool(op: Op, inputs: tuple[TensorType, ...], graph: Graph) -> tuple[TensorType, ...]:
    del graph
    shape = inputs[0].shape
    kernel = op.attrs.ints("kernel_shape")
    if shape is None or len(kernel) != len(shape) - 2:
        return (TensorType(inputs[0].dtype, None),)
    return (TensorType(inputs[0].dtype, (*shape[:2], *_spatial(op, shape[2:], kernel))),)


def _global_pool(op: Op, inputs: tuple[TensorType, ...], graph: Graph) -> tuple[TensorType, ...]:
    del op, graph
    shape = inputs[0].shape
    return (TensorType(inputs[0].dtype, None if shape is None else (*shape[:2], *(1,) * (len(shape) - 2))),)


def _gemm(op: Op, inputs: tuple[TensorType, ...], graph: Graph) -> tuple[TensorType, ...]:
    del graph
    a, b = inputs[0].shape, inputs[1].shape
    if a is None or b is None:
        return (TensorType(inputs[0].dtype, (None, None)),)
    if len(a) != 2 or len(b) != 2:
        raise ShapeError(f"matrices of rank {len(a)} and {len(b)}")
    rows, depth = (a[1], a[0]) if op.attrs.int_("transA", 0) else (a[0], a[1])
    inner, columns = (b[1], b[0]) if op.attrs.int_("transB", 0) else (b[0], b[1])
    _check_equal(depth, inner)
    return (TensorType(inputs[0].dtype, (rows, columns)),)


def _matmul(op: Op, inputs: tuple[TensorType, ...], graph: Graph) -> tuple[TensorType, ...]:
    del op, graph
    a, b = inputs[0].shape, inputs[1].shape
    if not a or not b:
        return (TensorType(inputs[0].dtype, None),)
    _check_equal(a[-1], b[-2:][0])
    outer = broadcast(a[:-2], b[:-2])
    tail = (*a[-2:-1], *(b[-1:] if len(b) > 1 else ()))
    return (TensorType(inputs[0].dtype, None if outer is None else (*outer, *tail)),)


def _check_equal(a: Dim, b: Dim) -> None:
    if isinstance(a, int) and isinstance(b, int) and a != b:
        raise ShapeError(f"inner sizes {a} and {b} differ")


def _concat(op: Op, inputs: tuple[TensorType, ...], graph: Graph) -> tuple[TensorType, ...]:
    del graph
    shapes = [t.shape for t in inputs if t.shape is not None]
    if len(shapes) < len(inputs) or any(len(s) != len(shapes[0]) for s in shapes):
        return (TensorType(inputs[0].dtype, None),)
    axis = op.attrs.int_("axis", 0) % max(1, len(shapes[0]))
    dims: list[Dim] = []
    for i, sizes in enumerate(zip(*shapes, strict=True)):
        known = [s for s in sizes if isinstance(s, int)]
        if i == axis:
            dims.append(sum(known) if len(known) == len(sizes) else None)
        elif len(set(known)) > 1:
            raise ShapeError(f"sizes {sorted(set(known))} in axis {i} do not go together")
        else:
            dims.append(sizes[0] if len(set(sizes)) == 1 else known[0] if known else None)
    return (TensorType(inputs[0].dtype, tuple(dims)),)


def _reshape(op: Op, inputs: tuple[TensorType, ...], graph: Graph) -> tuple[TensorType, ...]:
    made = op.types[0] if op.types else UNKNOWN_TYPE
    target = graph.const.get(op.inputs[1])
    rank = target.type.elements if target is not None else None
    if rank is not None and made.shape is not None and len(made.shape) != rank:
        raise ShapeError(f"a result of rank {len(made.shape)}, where {rank} sizes are given")
    if made.elements is not None and inputs[0].elements is not None and made.elements != inputs[0].elements:
        raise ShapeError(f"{inputs[0].elements} elements become {made.elements}")
    return (TensorType(inputs[0].dtype, None),)


def _flatten(op: Op, inputs: tuple[TensorType, ...], graph: Graph) -> tuple[TensorType, ...]:
    del graph
    shape = inputs[0].shape
    if shape is None:
        return (TensorType(inputs[0].dtype, (None, None)),)
    axis = op.attrs.int_("axis", 1)
    axis = axis + len(shape) if axis < 0 else axis
    return (TensorType(inputs[0].dtype, (_product(shape[:axis]), _product(shape[axis:]))),)


def _product(shape: Shape) -> Dim:
    total = 1
    for size in shape:
        if not isinstance(size, int):
            return shape[0] if len(shape) == 1 else None
        total *= size
    return total


def _transpose(op: Op, inputs: tuple[TensorType, ...], graph: Graph) -> tuple[TensorType, ...]:
    del graph
    shape = inputs[0].shape
    if shape is None:
        return (TensorType(inputs[0].dtype, None),)
    perm = op.attrs.ints("perm", tuple(reversed(range(len(shape)))))
    if sorted(perm) != list(range(len(shape))):
        raise ShapeError(f"{perm} is no order of {len(shape)} axes")
    return (TensorType(inputs[0].dtype, tuple(shape[i] for i in perm)),)


def _cast(op: Op, inputs: tuple[TensorType, ...], graph: Graph) -> tuple[TensorType, ...]:
    del graph
    return (TensorType(DTYPE_OF_ONNX.get(op.attrs.int_("to", 0), DType.UNKNOWN), inputs[0].shape),)


def _shape(op: Op, inputs: tuple[TensorType, ...], graph: Graph) -> tuple[TensorType, ...]:
    del op, inputs, graph
    return (TensorType(DType.I64, (None,)),)


def _quantize(op: Op, inputs: tuple[TensorType, ...], graph: Graph) -> tuple[TensorType, ...]:
    del graph
    bits = op.attrs.int_("bits", 8)
    return (TensorType(code_dtype(bits, signed=False) if 1 <= bits <= 8 else DType.UNKNOWN, inputs[0].shape),)


def _dequantize(op: Op, inputs: tuple[TensorType, ...], graph: Graph) -> tuple[TensorType, ...]:
    del op, graph
    return (TensorType(DType.F32, inputs[0].shape),)


def packed_type(inputs: tuple[TensorType, ...]) -> TensorType:
    """Return the type of `pack`: u8[N, bytes], every tensor of a sample padded to whole bytes.

    A symbolic first size is the batch; of a size `k*N` every sample has k. Tensors without one are one sample.
    """
    batch: Dim = 1
    total: int | None = 0
    for type_ in inputs:
        if type_.shape is None:
            return TensorType(DType.U8, (None, None))
        sizes: Shape = type_.shape
        if sizes and isinstance(sizes[0], str):
            factor, star, symbol = sizes[0].partition("*")
            batch = symbol if star else sizes[0]
            sizes = (int(factor) if star else 1, *sizes[1:])
        elements = _product(sizes)
        total = total + (elements * type_.dtype.bits + 7) // 8 if isinstance(elements, int) and total is not None else None
    return TensorType(DType.U8, (batch, total))


def _pack(op: Op, inputs: tuple[TensorType, ...], graph: Graph) -> tuple[TensorType, ...]:
    del op, graph
    return (packed_type(inputs),)


_SAME = (
    *("relu", "clip", "leaky_relu", "hard_swish", "hard_sigmoid", "sigmoid", "tanh", "silu"),
    *("identity", "dropout", "softmax", "lrn", "batch_norm"),
)
_RULES: Mapping[str, Rule] = {
    **dict.fromkeys(_SAME, _same),
    **dict.fromkeys(("add", "sub", "mul", "div"), _elementwise),
    **dict.fromkeys(("max_pool", "average_pool"), _pool),
    **dict.fromkeys(("global_average_pool", "global_max_pool"), _global_pool),
    **dict.fromkeys(("resize", "pad", "slice", "split"), _rank_only),
    **dict.fromkeys(("squeeze", "unsqueeze", "reduce_mean", "gather", "lstm", "gru"), _dtype_only),
    "prelu": _prelu,
    "conv": _conv,
    "conv_transpose": _conv_transpose,
    "gemm": _gemm,
    "matmul": _matmul,
    "concat": _concat,
    "reshape": _reshape,
    "flatten": _flatten,
    "transpose": _transpose,
    "cast": _cast,
    "shape": _shape,
    "quantize": _quantize,
    "dequantize": _dequantize,
    "pack": _pack,
}
