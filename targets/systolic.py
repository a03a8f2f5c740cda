"""A systolic array with its buffers, memory and vector unit: the model behind `eyeriss` and `tpu`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from . import cycles_v1, cycles_v3
from .gemm import Dataflow, Depthwise, Product, products
from .target import FLOAT_ROW, ROWS, OpCost, OpView, Residency
from .traffic import Buffers, plain_traffic, product_traffic, row_bytes
from .vector import moves_nothing, vector_elements

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
        for field in _ABOVE_ZERO:
            if not getattr(self, field) > 0:
                raise ValueError(f"{field} must be above zero, not {getattr(self, field)}")
        if self.per_op_s < 0:
            raise ValueError(f"per_op_s must not be negative, not {self.per_op_s}")
        if self.dataflow not in ("os", "ws", "is") or self.cycles not in _MODELS or self.depthwise not in ("per-channel", "block-diagonal"):
            raise ValueError(f"unknown dataflow, cycles or depthwise: {self.dataflow}, {self.cycles}, {self.depthwise}")

    @property
    def peak_ops_per_s(self) -> float:
        """The rate on a datasheet: rows x cols x clock x ops_per_mac, at 8 bits."""
        return self.rows * self.cols * self.clock_hz * self.ops_per_mac

    def cost(self, op: OpView) -> OpCost | None:
        """Return the cost of an op at every bit-width, or None for a kind in `unsupported`."""
        if op.kind in self.unsupported:
            return None
        if op.kind in ("pack", "unpack"):
            nothing = tuple(np.zeros(ROWS) for _ in (*op.inputs, *op.results))
            return OpCost(np.zeros((ROWS, ROWS)), nothing, self.bandwidth_bytes_per_s, self.overlap)
        parts = products(op, self.cols, self.depthwise)
        if parts:
            buffers = Buffers(self.input_buffer_bytes, self.weight_buffer_bytes, self.output_buffer_bytes, self.accumulator_bits)
            traffic = product_traffic(op, parts, self.dataflow, self.rows, self.cols, buffers, self.float_bits)
        else:
            traffic = plain_traffic(op, self.float_bits)
        return OpCost(self._compute_s(op, parts), traffic, self.bandwidth_bytes_per_s, self.overlap)

    def product_cycles(self, parts: tuple[Product, ...]) -> int:
        """Return the cycles of matrix products on 8-bit operands."""
        model = _MODELS[self.cycles]
        return sum(part.runs * model(self.dataflow, part.m, part.n, part.k, self.rows, self.cols) for part in parts)

    def _compute_s(self, op: OpView, parts: tuple[Product, ...]) -> NDArray[np.float64]:
        table = np.zeros((ROWS, ROWS))
        if moves_nothing(op.kind):
            return table
        table += self.product_cycles(parts) / self.clock_hz
        table[FLOAT_ROW, :] *= self.float_passes
        table[:FLOAT_ROW, FLOAT_ROW] *= self.float_passes
        elements = vector_elements(op)
        if elements:
            table += (elements * self._vector_bytes(op) / self.vector_bytes_per_s)[:, np.newaxis]
        return table + self.per_op_s

    def _vector_bytes(self, op: OpView) -> NDArray[np.float64]:
        """Bytes an element takes on the vector unit, by the row of the first operand: whole bytes."""
        leading = op.inputs[0] if op.inputs else op.results[0]
        return np.ceil(row_bytes(leading, self.float_bits)).clip(1)
