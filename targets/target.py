"""Target: what a device can do and what an op costs on it.

This file is the contract for anybody's hardware: implement `Target`, register the object (or a zero-argument factory) in the entry-point
group `autosplitc.targets`, and `-t name` finds it. See docs/new-target.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import Attrs, DType, Graph, Op, TensorType, at_batch_one, op_macs

BIT_ROWS = (1, 2, 3, 4, 5, 6, 7, 8)
"""Bit-widths of the rows of a cost table; one more row, the last, is float."""
FLOAT_ROW = len(BIT_ROWS)
ROWS = FLOAT_ROW + 1
"""Rows of a cost table: row b-1 is b bits, the last is float."""

Residency: TypeAlias = Literal["packed", "int8", "storage"]
"""How codes below 8 bits lie in RAM: packed, or widened to bytes. storage: activations as bytes; constants not at all, they are read where
the model file lies, as microcontrollers read their flash.
"""


def row_of(bits: int | None) -> int:
    """Row of a bit-width in a cost table; None is float."""
    return FLOAT_ROW if bits is None else bits - 1


@dataclass(frozen=True, slots=True)
class OpView:
    """All that a target may look at: what the op is, never its data.

    `inputs` and `results` have a type each at batch size 1 (UNKNOWN_TYPE for an absent one), `constant` a flag an input, `macs` is the
    number of multiply-accumulates (0 for ops without).
    """

    kind: str
    attrs: Attrs
    inputs: tuple[TensorType, ...]
    results: tuple[TensorType, ...]
    constant: tuple[bool, ...]
    macs: int


def view(graph: Graph, op: Op) -> OpView:
    """Return an op of a graph as targets see it: at batch size 1, with its multiply-accumulates counted."""
    inputs = tuple(at_batch_one(graph.type_of(name)) for name in op.inputs)
    results = tuple(at_batch_one(t) for t in op.types)
    constant = tuple(bool(name) and graph.is_const(name) for name in op.inputs)
    return OpView(op.kind, op.attrs, inputs, results, constant, op_macs(op.kind, op.attrs, inputs, results))


def pack_view(value: TensorType, *, codes: bool = False) -> OpView:
    """Return quantising and packing a value for the wire, as the edge sees it: kind `pack`, value and result at the wire's bits.

    codes: the op before has made codes already, one a byte, so only packing them is left; the input's type is u8 then.
    """
    found = _wire_view("pack", value)
    return replace(found, inputs=(found.inputs[0].with_dtype(DType.U8),)) if codes else found


def unpack_view(value: TensorType) -> OpView:
    """Return unpacking and dequantising a value from the wire, as the cloud sees it: kind `unpack`, read at the wire's bits, made float."""
    return _wire_view("unpack", value)


def _wire_view(kind: str, value: TensorType) -> OpView:
    at_one = at_batch_one(value)
    return OpView(kind, Attrs(), (at_one,), (at_one,), (False,), 0)


@dataclass(frozen=True, slots=True, eq=False)
class OpCost:
    """Cost of one op at every bit-width at once.

    compute_s: seconds, shape [ROWS, ROWS]: row of the first MAC operand (the input), row of the second (the weights, or the second input).
        Ops without MACs use [first operand's row, FLOAT_ROW]; a table that does not depend on bits is simply constant.
    traffic_bytes: off-chip bytes, one array [ROWS] for each input and then each result, re-fetches included; zeros for absent ones.
    bandwidth_bytes_per_s: off-chip bandwidth. overlap: whether transfers hide behind compute.
    measured_rows: rows of the first operand whose times were measured on the device; all others are predictions.
    """

    compute_s: NDArray[np.float64]
    traffic_bytes: tuple[NDArray[np.float64], ...]
    bandwidth_bytes_per_s: float
    overlap: bool
    measured_rows: frozenset[int] = frozenset()

    def latency_s(self, rows: tuple[int, ...], mac_rows: tuple[int, int]) -> float:
        """Latency at the rows of every input and result and of the two MAC operands.

        It is max(compute, transfer) with overlap, else their sum.
        """
        compute_s, moved_s = float(self.compute_s[mac_rows]), self.moved_s(rows)
        return max(compute_s, moved_s) if self.overlap else compute_s + moved_s

    def moved_s(self, rows: tuple[int, ...]) -> float:
        """Seconds that off-chip transfers take at the rows of every input and result."""
        return sum(float(t[r]) for t, r in zip(self.traffic_bytes, rows, strict=True)) / self.bandwidth_bytes_per_s

    def bound_by(self, rows: tuple[int, ...], mac_rows: tuple[int, int]) -> Literal["compute", "traffic"]:
        """Which of the two takes longer at these rows."""
        return "traffic" if self.moved_s(rows) > float(self.compute_s[mac_rows]) else "compute"


@runtime_checkable
class Target(Protocol):
    """A device. All members are plain data; `cost` is a pure function of the view."""

    @property
    def name(self) -> str:
        """Short name, e.g. `eyeriss`."""
        ...

    @property
    def source(self) -> str:
        """Where the figures come from (paper section, datasheet, measurement)."""
        ...

    @property
    def weight_bits(self) -> tuple[int, ...]:
        """Bit-widths that weights may have, ascending."""
        ...

    @property
    def act_bits(self) -> tuple[int, ...]:
        """Bit-widths that activations may have, ascending."""
        ...

    @property
    def float_bits(self) -> int:
        """Bits of the device's float: 16 for the paper's targets, 32 for real ones."""
        ...

    @property
    def ram_bytes(self) -> int:
        """Memory for weights and working set."""
        ...

    @property
    def storage_bytes(self) -> int | None:
        """Flash or disk for the model file; None: no limit."""
        ...

    @property
    def resident(self) -> Residency:
        """Whether codes below 8 bits stay packed in RAM or are widened to int8, and whether constants take RAM at all."""
        ...

    @property
    def max_opset(self) -> int:
        """Highest opset that the device's runtime takes."""
        ...

    def cost(self, op: OpView) -> OpCost | None:
        """Return the cost of an op, or None where it cannot run here."""
        ...


def constant_table(value: float) -> NDArray[Any]:
    """Return a [ROWS, ROWS] compute table that does not depend on bits."""
    return np.full((ROWS, ROWS), value, np.float64)


def wider_table(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a [ROWS, ROWS] compute table that depends on the wider operand alone: `values` [ROWS] at its row."""
    return values[_WIDER_ROW]


_WIDER_ROW = np.maximum.outer(np.arange(ROWS), np.arange(ROWS))
