"""What all array models share: traffic through three buffers, a vector unit beside the array, SCALE-Sim's cycles."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from . import cycles_v1, cycles_v3
from .fields import check_fields, check_member
from .gemm import Product, products
from .target import ROWS, OpCost, OpView
from .traffic import Buffers, moves_nothing, product_traffic, resident_traffic
from .vector import vector_s

if TYPE_CHECKING:
    from .bit_serial import BitSerialTarget
    from .systolic import SystolicTarget

    Array: TypeAlias = SystolicTarget | BitSerialTarget

CycleModel: TypeAlias = Literal["scalesim-v1", "scalesim-v3"]

_MODELS = {"scalesim-v1": cycles_v1.cycles, "scalesim-v3": cycles_v3.cycles}

_ABOVE_ZERO = (
    "rows",
    "cols",
    "clock_hz",
    "bandwidth_bytes_per_s",
    "vector_bytes_per_s",
    "float_passes",
    "accumulator_bits",
    "ops_per_mac",
    "input_buffer_bytes",
    "weight_buffer_bytes",
    "output_buffer_bytes",
)


def check_array(array: Array) -> None:
    """Raise ValueError, naming the field, for values of an array that make no sense."""
    check_fields(array, _ABOVE_ZERO, ("per_op_s",))
    check_member(array, "dataflow", ("os", "ws", "is"))
    check_member(array, "cycles", _MODELS)
    check_member(array, "depthwise", ("per-channel", "block-diagonal"))


def array_cost(array: Array, op: OpView, product_s: Callable[[tuple[Product, ...]], NDArray[np.float64]]) -> OpCost | None:
    """Return the cost of an op at every bit-width, or None for a kind in `unsupported`.

    `product_s` gives the seconds of an op's products, shape [ROWS, ROWS]. Ops that only rename cost nothing, nor do `pack` and `unpack`:
    quantising and packing lie in the array's output path.
    """
    if op.kind in array.unsupported:
        return None
    if moves_nothing(op.kind) or op.kind in ("pack", "unpack"):
        nothing = tuple(np.zeros(ROWS) for _ in (*op.inputs, *op.results))
        return OpCost(np.zeros((ROWS, ROWS)), nothing, array.bandwidth_bytes_per_s, array.overlap)
    parts = products(op, array.cols, array.depthwise)
    buffers = Buffers(array.input_buffer_bytes, array.weight_buffer_bytes, array.output_buffer_bytes, array.accumulator_bits)
    traffic = product_traffic(op, parts, array.dataflow, array.rows, array.cols, buffers, array.float_bits)
    beside_s = vector_s(op, array.float_bits, array.vector_bytes_per_s) + array.per_op_s
    moved = resident_traffic(op, traffic, array.resident)
    return OpCost(product_s(parts) + beside_s[:, np.newaxis], moved, array.bandwidth_bytes_per_s, array.overlap)


def product_cycles(array: Array, parts: tuple[Product, ...], fold: int = 1) -> int:
    """Return the cycles of matrix products where every unit of the array sums `fold` taps at once."""
    model = _MODELS[array.cycles]
    return sum(p.runs * model(array.dataflow, p.m, p.n, -(-p.k // fold), array.rows, array.cols) for p in parts)
