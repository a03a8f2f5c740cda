"""Arrays whose units take narrow codes in less time: bit-serial (Stripes, Loom) and bit-level composable (Bit Fusion)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .array import CycleModel, array_cost, check_array, product_cycles
from .fields import check_fields, check_member
from .gemm import Dataflow, Depthwise, Product
from .target import BIT_ROWS, FLOAT_ROW, ROWS, OpCost, OpView, Residency, row_of

BitMode: TypeAlias = Literal["serial", "fused"]

_FULL_BITS = BIT_ROWS[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class BitSerialTarget:
    """An array of `rows` x `cols` units whose time for a multiply-accumulate depends on the bits of both operands, a (input) and w.

    mode `serial` (Judd et al., Stripes, MICRO 2016; Sharify et al., Loom, DAC 2018): a unit takes `input_step_bits` of the input and
        `weight_step_bits` of the weight a cycle, so ceil(a / input step) x ceil(w / weight step) cycles for `lanes` taps. Stripes is
        input step 1, weight step 8; Loom is 1 and 1.
    mode `fused` (Sharma et al., Bit Fusion, ISCA 2018): a unit is made of bricks of `input_step_bits` x `weight_step_bits` that form one
        8 x 8 multiplier or (8 / a') x (8 / w') smaller ones whose products it sums, every cycle; a' and w' are a and w rounded up to a
        power of two times the step. So it handles `lanes` x (8 / a') x (8 / w') taps a cycle. Bit Fusion has bricks of 2 x 2.

    compute_s = cycles of the op's matrix products with the taps divided by what a unit handles at once (`gemm.py`, `cycles_v1.py`,
    `cycles_v3.py`) x cycles a step / clock + the vector unit's work + per_op_s. Products with a float operand take `float_passes` times as
    long as 8 x 8 bits. All else is as in `SystolicTarget`: vector unit, traffic, no cost of packing for the wire.
    Raises ValueError, naming the field, for values that make no sense.
    """

    name: str
    source: str
    mode: BitMode
    weight_step_bits: int
    input_step_bits: int
    lanes: int = 1
    rows: int
    cols: int
    dataflow: Dataflow
    cycles: CycleModel = "scalesim-v1"
    depthwise: Depthwise = "per-channel"
    clock_hz: float
    ops_per_mac: int = 2
    float_passes: int = 2
    accumulator_bits: int = 32
    vector_bytes_per_s: float
    per_op_s: float = 0.0
    input_buffer_bytes: int
    weight_buffer_bytes: int
    output_buffer_bytes: int
    bandwidth_bytes_per_s: float
    overlap: bool = False
    ram_bytes: int
    storage_bytes: int | None = None
    resident: Residency = "packed"
    weight_bits: tuple[int, ...] = (2, 4, 6, 8)
    act_bits: tuple[int, ...] = (2, 4, 6, 8)
    float_bits: int = 16
    max_opset: int = 25
    unsupported: tuple[str, ...] = ()
    sources: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Check the values that the formulas divide by or branch on."""
        check_array(self)
        check_fields(self, ("lanes",))
        check_member(self, "mode", ("serial", "fused"))
        for field in ("weight_step_bits", "input_step_bits"):
            check_member(self, field, BIT_ROWS if self.mode == "serial" else (1, 2, 4, 8))

    @property
    def peak_ops_per_s(self) -> float:
        """The rate on a datasheet at 8 x 8 bits."""
        widest = row_of(_FULL_BITS)
        taps, steps = _taps_and_steps(self.mode, self.input_step_bits, self.weight_step_bits)[widest][widest]
        return self.rows * self.cols * self.lanes * taps / steps * self.clock_hz * self.ops_per_mac

    def cost(self, op: OpView) -> OpCost | None:
        """Return the cost of an op at every bit-width, or None for a kind in `unsupported`."""
        return array_cost(self, op, self._product_s)

    def _product_s(self, parts: tuple[Product, ...]) -> NDArray[np.float64]:
        table = np.zeros((ROWS, ROWS))
        if not parts:
            return table
        by_bits = _taps_and_steps(self.mode, self.input_step_bits, self.weight_step_bits)
        cycles = {taps: product_cycles(self, parts, self.lanes * taps) for taps in {taps for row in by_bits for taps, _ in row}}
        codes = np.array([[cycles[taps] * steps for taps, steps in row] for row in by_bits], np.float64) / self.clock_hz
        table[:FLOAT_ROW, :FLOAT_ROW] = codes
        table[FLOAT_ROW, :] = table[:, FLOAT_ROW] = codes[-1, -1] * self.float_passes
        return table


@cache
def _taps_and_steps(mode: BitMode, input_step_bits: int, weight_step_bits: int) -> tuple[tuple[tuple[int, int], ...], ...]:
    """Return, by row of input and of weight bits, how many taps a lane handles at once and in how many cycles."""
    if mode == "serial":
        return tuple(tuple((1, -(-a // input_step_bits) * -(-w // weight_step_bits)) for w in BIT_ROWS) for a in BIT_ROWS)
    return tuple(
        tuple((_FULL_BITS // _fused_bits(a, input_step_bits) * (_FULL_BITS // _fused_bits(w, weight_step_bits)), 1) for w in BIT_ROWS)
        for a in BIT_ROWS
    )


def _fused_bits(bits: int, step_bits: int) -> int:
    """Return the width of the multiplier that bricks form for codes of `bits`."""
    while step_bits < bits:
        step_bits *= 2
    return step_bits
