"""Ops that a target is tried on: one of every common kind, in sizes that can be doubled one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from autosplitc.ir import Attrs, AttrValue, DType, TensorType, op_macs

from .target import OpView, pack_view, unpack_view

Dims = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes that probes are made of: pixels on a side, channels in and out, and the side of a filter."""

    side: int = 14
    channels_in: int = 64
    channels_out: int = 64
    taps: int = 3

    def doubled(self) -> Iterator[tuple[str, Sizes]]:
        """Yield the sizes with one of them twice as large, and its name."""
        yield "pixels", replace(self, side=2 * self.side)
        yield "channels in", replace(self, channels_in=2 * self.channels_in)
        yield "channels out", replace(self, channels_out=2 * self.channels_out)
        yield "taps", replace(self, taps=2 * self.taps)


def probes(sizes: Sizes) -> Mapping[str, OpView]:
    """Return ops by a name for people; every kind of matrix product, the common other kinds, and one that nobody understands."""
    s, cin, cout, taps = sizes.side, sizes.channels_in, sizes.channels_out, sizes.taps
    image, made, doubled, vector = (1, cin, s, s), (1, cout, s, s), (1, cout, 2 * s, 2 * s), (1, cin)
    return {
        "conv": _op("conv", (image, (cout, cin, taps, taps), (cout,)), made, 1, kernel_shape=(taps, taps)),
        "conv 1x1": _op("conv", (image, (cout, cin, 1, 1)), made, 1, kernel_shape=(1, 1)),
        "depthwise conv": _op("conv", (image, (cin, 1, taps, taps)), image, 1, kernel_shape=(taps, taps), group=cin),
        "conv_transpose": _op("conv_transpose", (image, (cin, cout, 2, 2)), doubled, 1, kernel_shape=(2, 2), strides=(2, 2)),
        "gemm": _op("gemm", (vector, (cout, cin), (cout,)), (1, cout), 1, transB=1),
        "matmul": _op("matmul", ((1, s * s, cin), (cin, cout)), (1, s * s, cout), 1),
        "matmul of activations": _op("matmul", ((4, s * s, cin), (4, cin, cout)), (4, s * s, cout)),
        "lstm": _op("lstm", ((s, 1, cin), (1, 4 * cout, cin), (1, 4 * cout, cout)), (s, 1, 1, cout), 1, hidden_size=cout),
        "gru": _op("gru", ((s, 1, cin), (1, 3 * cout, cin), (1, 3 * cout, cout)), (s, 1, 1, cout), 1, hidden_size=cout),
        "add": _op("add", (image, image), image),
        "concat": _op("concat", (image, image), (1, 2 * cin, s, s), axis=1),
        "max_pool": _op("max_pool", (image,), (1, cin, s // 2, s // 2), kernel_shape=(2, 2), strides=(2, 2)),
        "average_pool": _op("average_pool", (image,), (1, cin, s // 2, s // 2), kernel_shape=(2, 2), strides=(2, 2)),
        "global_average_pool": _op("global_average_pool", (image,), (1, cin, 1, 1)),
        "resize": _op("resize", (image,), (1, cin, 2 * s, 2 * s), mode="nearest"),
        "relu": _op("relu", (image,), image),
        "sigmoid": _op("sigmoid", (image,), image),
        "softmax": _op("softmax", (vector,), vector, axis=1),
        "transpose": _op("transpose", (image,), (1, s, s, cin), perm=(0, 2, 3, 1)),
        "reshape": _op("reshape", (image, (2,)), (1, cin * s * s), 1),
        "an op that is not understood": _op("onnx.SomethingNew", (image,), image),
        "pack": pack_view(TensorType(DType.F32, image)),
        "unpack": unpack_view(TensorType(DType.F32, image)),
    }


def unknown_size() -> OpView:
    """Return an op on values whose sizes are known only at run time."""
    open_ = TensorType(DType.F32, (None, None))
    return OpView("onnx.NonZero", Attrs(), (open_,), (TensorType(DType.I64, (2, None)),), (False,), 0)


def _op(kind: str, inputs: tuple[Dims, ...], result: Dims, first_constant: int = 99, **attrs: AttrValue) -> OpView:
    """Return an op on f32 tensors; inputs from `first_constant` on are constants."""
    in_types = tuple(TensorType(DType.F32, dims) for dims in inputs)
    out_types = (TensorType(DType.F32, result),)
    packed = Attrs.of(attrs)
    constant = tuple(i >= first_constant for i in range(len(inputs)))
    return OpView(kind, packed, in_types, out_types, constant, op_macs(kind, packed, in_types, out_types))
