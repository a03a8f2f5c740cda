"""The matrix products that an op consists of, as a systolic array sees them.

A product has M pixels (rows of the result), N filters (its columns) and K taps (what is summed up):

| op | M | N | K | products |
| --- | --- | --- | --- | --- |
| conv | batch x output pixels | filters a group | taps x input channels a group | groups |
| conv_transpose | batch x input pixels | filters a group x taps | input channels a group | groups |
| gemm, matmul by one matrix | all rows | columns | inner size | 1 |
| matmul of two stacks | rows | columns | inner size | pairs in the stack |
| lstm, gru: input | steps x batch | gates x hidden | input size | directions |
| lstm, gru: state | batch | gates x hidden | hidden size | directions x steps |

Dilation changes none of the three. M x N x K summed over the products is the op's multiply-accumulates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

from autosplitc.ir import TensorType

from .target import OpView

Dataflow: TypeAlias = Literal["os", "ws", "is"]
"""What stays in the array: output sums, weights, or inputs."""

Depthwise: TypeAlias = Literal["per-channel", "block-diagonal"]
"""How grouped convolutions are mapped.

per-channel: one product a group, one after the other. block-diagonal: as many groups side by side as fill the columns, as one product
whose weight matrix is zero off the diagonal; the zeros cost cycles but are not fetched.
"""


@dataclass(frozen=True, slots=True)
class Operand:
    """One operand of a product.

    position: which input of the op it is. slices: how many different matrices it holds; runs of the product share them evenly.
    elements: elements of the tensor in one slice.
    """

    position: int
    slices: int
    elements: int


@dataclass(frozen=True, slots=True)
class Product:
    """`runs` products of M x K by K x N, one after the other. `first` is None where it never leaves the chip (an LSTM's state)."""

    m: int
    n: int
    k: int
    runs: int
    first: Operand | None
    second: Operand

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all runs."""
        return self.m * self.n * self.k * self.runs


def products(op: OpView, columns: int = 1, depthwise: Depthwise = "per-channel") -> tuple[Product, ...]:
    """Return the products of an op; none for an op without, and none where a size that matters is not known.

    `columns` is the array's width, which the block-diagonal mapping fills.
    """
    if len(op.inputs) < 2 or not op.results or not op.inputs[1].is_static:
        return ()
    if op.kind in ("conv", "conv_transpose"):
        return _convolution(op, columns, depthwise)
    if op.kind == "gemm":
        return _gemm(op)
    if op.kind == "matmul":
        return _matmul(op)
    if op.kind in ("lstm", "gru"):
        return _recurrent(op)
    return ()


def _convolution(op: OpView, columns: int, depthwise: Depthwise) -> tuple[Product, ...]:
    weights = op.inputs[1].dims
    in_elements, out_elements = op.inputs[0].elements, op.results[0].elements
    if in_elements is None or out_elements is None or 0 in weights:
        return ()
    groups = op.attrs.int_("group", 1)
    if op.kind == "conv":
        m, n, k = out_elements // weights[0], weights[0] // groups, math.prod(weights[1:])
    else:
        m, n, k = in_elements // weights[0], math.prod(weights[1:]), weights[0] // groups
    weight_elements = math.prod(weights)
    side_by_side = min(groups, max(1, columns // n)) if depthwise == "block-diagonal" else 1
    found: list[Product] = []
    for runs, width in ((groups // side_by_side, side_by_side), (1, groups % side_by_side)):
        if runs and width:
            first = Operand(0, runs, in_elements * width // groups)
            second = Operand(1, runs, weight_elements * width // groups)
            found.append(Product(m, n * width, k * width, runs, first, second))
    return tuple(found)


def _gemm(op: OpView) -> tuple[Product, ...]:
    b, in_elements, out_elements = op.inputs[1].dims, op.inputs[0].elements, op.results[0].elements
    if in_elements is None or out_elements is None or len(b) != 2 or 0 in b:
        return ()
    n, k = b if op.attrs.int_("transB", 0) else (b[1], b[0])
    return (Product(out_elements // n, n, k, 1, Operand(0, 1, in_elements), Operand(1, 1, n * k)),)


def _matmul(op: OpView) -> tuple[Product, ...]:
    b, out_elements, in_elements = op.inputs[1].dims, op.results[0].elements, op.inputs[0].elements
    if out_elements is None or in_elements is None or not b or 0 in b:
        return ()
    k, n = (b[0], 1) if len(b) == 1 else (b[-2], b[-1])
    if math.prod(b) == k * n:
        return (Product(out_elements // n, n, k, 1, Operand(0, 1, in_elements), Operand(1, 1, k * n)),)
    m = 1 if len(op.inputs[0].dims) == 1 else op.inputs[0].dims[-2]
    if m * k == 0:
        return ()
    runs = out_elements // (m * n)
    if not runs:
        return ()
    first = Operand(0, min(runs, max(1, in_elements // (m * k))), m * k)
    second = Operand(1, min(runs, math.prod(b) // (k * n)), k * n)
    return (Product(m, n, k, runs, first, second),)


def _recurrent(op: OpView) -> tuple[Product, ...]:
    if len(op.inputs) < 3:
        return ()
    data, inward, state = op.inputs[:3]
    if not (data.is_static and state.is_static) or not (_rank_is(data, 3) and _rank_is(inward, 3) and _rank_is(state, 3)):
        return ()
    steps, batch, size = data.dims
    if op.attrs.int_("layout", 0):
        steps, batch = batch, steps
    directions, gates, _ = inward.dims
    hidden = state.dims[-1]
    if 0 in (steps, batch, directions, gates, hidden):
        return ()
    into = Product(
        steps * batch, gates, size, directions, Operand(0, 1, steps * batch * size), Operand(1, directions, gates * size)
    )
    through = Product(batch, gates, hidden, directions * steps, None, Operand(2, directions, gates * hidden))
    return into, through


def _rank_is(type_: TensorType, rank: int) -> bool:
    return len(type_.dims) == rank
