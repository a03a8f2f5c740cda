"""A systolic array with its buffers, memory and vector unit: the model behind `eyeriss` and `tpu`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .array import CycleModel, array_cost, check_array, product_cycles
from .gemm import Dataflow, Depthwise, Product
from .target import FLOAT_ROW, ROWS, OpCost, OpView, Residency


@dataclass(frozen=True, slots=True, kw_only=True)
class SystolicTarget:
    """A device that multiplies on a systolic array of `rows` x `cols` 8-bit units.

    compute_s = cycles of the op's matrix products (`gemm.py`, `cycles_v1.py`, `cycles_v3.py`) / clock
              + elements on the vector unit (`vector.py`) x bytes an element / vector rate + per_op_s.
    Products take `float_passes` times as long when an operand is float; fewer than 8 bits do not speed up a unit. The vector unit
    handles codes as bytes and floats at `float_bits`. traffic_bytes: see `traffic.py`. Ops that only rename their input cost nothing.

    rows, cols: the array. dataflow: what stays in it. cycles: which SCALE-Sim is followed. clock_hz: cycles a second.
    depthwise: how grouped convolutions are mapped. *_buffer_bytes: on-chip buffers. bandwidth_bytes_per_s: off-chip.
    overlap: whether transfers hide behind compute. per_op_s: fixed cost of starting an op. accumulator_bits: bits of a partial sum.
    ops_per_mac: operations that the vendor's peak rate counts a multiply-accumulate as; costs do not depend on it.
    unsupported: kinds that cannot run here. sources: pairs of a target file's key ("compute.clock") and where its figure comes from.
    Other fields as in `Target`. Values that cross the wire are quantised, packed and unpacked in the output path: `pack` and `unpack`
    cost nothing. Raises ValueError for values that make no sense.
    """

    name: str
    source: str
    rows: int
    cols: int
    dataflow: Dataflow
    clock_hz: float
    bandwidth_bytes_per_s: float
    input_buffer_bytes: int
    weight_buffer_bytes: int
    output_buffer_bytes: int
    vector_bytes_per_s: float
    ram_bytes: int
    storage_bytes: int | None = None
    weight_bits: tuple[int, ...] = (2, 4, 6, 8)
    act_bits: tuple[int, ...] = (2, 4, 6, 8)
    float_bits: int = 16
    float_passes: int = 2
    accumulator_bits: int = 32
    resident: Residency = "packed"
    cycles: CycleModel = "scalesim-v1"
    depthwise: Depthwise = "per-channel"
    overlap: bool = False
    per_op_s: float = 0.0
    max_opset: int = 25
    unsupported: tuple[str, ...] = ()
    ops_per_mac: int = 2
    sources: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Check the values that the formulas divide by or branch on."""
        check_array(self)

    @property
    def peak_ops_per_s(self) -> float:
        """The rate on a datasheet: rows x cols x clock x ops_per_mac, at 8 bits."""
        return self.rows * self.cols * self.clock_hz * self.ops_per_mac

    def cost(self, op: OpView) -> OpCost | None:
        """Return the cost of an op at every bit-width, or None for a kind in `unsupported`."""
        return array_cost(self, op, self._product_s)

    def _product_s(self, parts: tuple[Product, ...]) -> NDArray[np.float64]:
        table = np.full((ROWS, ROWS), product_cycles(self, parts) / self.clock_hz)
        table[FLOAT_ROW, :] *= self.float_passes
        table[:FLOAT_ROW, FLOAT_ROW] *= self.float_passes
        return table
