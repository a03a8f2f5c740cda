"""A roofline: peak rates, a memory bandwidth and a vector rate, for devices of which a datasheet says no more."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .fields import check_fields
from .target import BIT_ROWS, ROWS, OpCost, OpView, Residency, wider_table
from .traffic import moves_nothing, plain_traffic, resident_traffic
from .vector import vector_s


@dataclass(frozen=True, slots=True, kw_only=True)
class RooflineTarget:
    """A device known by its peaks (Williams, Waterman, Patterson, CACM 52(4), 2009).

    compute_s = multiply-accumulates x ops_per_mac / (peak x efficiency)
              + elements on the vector unit (`vector.py`) x bytes an element / vector rate + per_op_s.
    The peak is `float_ops_per_s` where an operand is float, `int4_ops_per_s` where it is given and both have at most 4 bits, and
    `int8_ops_per_s` otherwise. traffic_bytes: every input and result once (`traffic.py`). Ops that only rename their input cost nothing.
    Quantising and packing for the wire costs its traffic and one step of the vector unit.

    ops_per_mac: operations that the peaks count a multiply-accumulate as. efficiency: share of the peaks that real code reaches.
    bandwidth_bytes_per_s: off-chip. overlap: whether transfers hide behind compute, as a roofline has it. per_op_s: fixed cost of
    starting an op. unsupported: kinds that cannot run here. sources: pairs of a target file's key ("compute.peak") and where its figure
    comes from. Other fields as in `Target`. Raises ValueError, naming the field, for values that make no sense.
    """

    name: str
    source: str
    float_ops_per_s: float
    int8_ops_per_s: float
    int4_ops_per_s: float | None = None
    ops_per_mac: int = 2
    efficiency: float = 1.0
    bandwidth_bytes_per_s: float
    vector_bytes_per_s: float
    per_op_s: float = 0.0
    ram_bytes: int
    storage_bytes: int | None = None
    weight_bits: tuple[int, ...] = (8,)
    act_bits: tuple[int, ...] = (8,)
    float_bits: int = 32
    resident: Residency = "int8"
    overlap: bool = True
    max_opset: int = 25
    unsupported: tuple[str, ...] = ()
    sources: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Check the values that the formulas divide by."""
        rates = ("float_ops_per_s", "int8_ops_per_s", "int4_ops_per_s", "bandwidth_bytes_per_s", "vector_bytes_per_s")
        check_fields(self, (*rates, "ops_per_mac", "efficiency"), ("per_op_s",))
        if self.efficiency > 1:
            raise ValueError(f"efficiency must be at most 1, not {self.efficiency}")
        if self.int4_ops_per_s is not None and self.int4_ops_per_s < self.int8_ops_per_s:
            raise ValueError(f"int4_ops_per_s must not be below int8_ops_per_s, which is {self.int8_ops_per_s}, not {self.int4_ops_per_s}")

    @property
    def peak_ops_per_s(self) -> float:
        """The rate on a datasheet at 8 bits."""
        return self.int8_ops_per_s

    def cost(self, op: OpView) -> OpCost | None:
        """Return the cost of an op at every bit-width, or None for a kind in `unsupported`."""
        if op.kind in self.unsupported:
            return None
        traffic = resident_traffic(op, plain_traffic(op, self.float_bits), self.resident)
        return OpCost(self._compute_s(op), traffic, self.bandwidth_bytes_per_s, self.overlap)

    def _compute_s(self, op: OpView) -> NDArray[np.float64]:
        if moves_nothing(op.kind):
            return np.zeros((ROWS, ROWS))
        beside_s = vector_s(op, self.float_bits, self.vector_bytes_per_s) + self.per_op_s
        return op.macs * self._mac_s() + beside_s[:, np.newaxis]

    def _mac_s(self) -> NDArray[np.float64]:
        """Seconds of a multiply-accumulate by the rows of both operands."""
        narrow = self.int8_ops_per_s if self.int4_ops_per_s is None else self.int4_ops_per_s
        peaks = np.array([narrow if bits <= 4 else self.int8_ops_per_s for bits in BIT_ROWS] + [self.float_ops_per_s])
        return wider_table(self.ops_per_mac / (peaks * self.efficiency))
