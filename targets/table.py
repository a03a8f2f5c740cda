"""A table: times that somebody measured or looked up, as curves over the amount of work."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .curve import ANY_KIND, FLOAT_COLUMN, Curve, seconds_by_row, work_of
from .fields import check_fields
from .target import ROWS, OpCost, OpView, Residency, constant_table, wider_table
from .traffic import moves_nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class TableTarget:
    """A device known by times of its ops.

    compute_s = what the op's curve says for its work at its bits + per_op_s. Work is multiply-accumulates, or for ops without the larger
    of the largest input and all results, in elements. Bits are those of the first input, or of a product's second operand if that has
    more; bits without a column take the next wider one, float last. An op belongs to the curve that names its kind, else to that of "*";
    ops that only rename cost nothing unless a curve names them. Times hold the transfers, so traffic_bytes is zero.

    curves: one of kinds ("*",) and any others; each kind in one only, each curve with columns for float and for every width that
    `weight_bits` and `act_bits` hold. per_op_s: fixed cost of starting an op. unsupported: kinds that cannot run here. sources: pairs of
    a target file's key ("memory.ram") and where its figure comes from. Other fields as in `Target`.
    Raises ValueError, naming the field, for values that make no sense.
    """

    name: str
    source: str
    curves: tuple[Curve, ...]
    per_op_s: float = 0.0
    ram_bytes: int
    storage_bytes: int | None = None
    resident: Residency = "int8"
    weight_bits: tuple[int, ...] = (8,)
    act_bits: tuple[int, ...] = (8,)
    float_bits: int = 32
    max_opset: int = 25
    unsupported: tuple[str, ...] = ()
    sources: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Check that every kind and every width has its times."""
        check_fields(self, (), ("per_op_s",))
        kinds = [kind for curve in self.curves for kind in curve.kinds]
        if ANY_KIND not in kinds:
            raise ValueError(f'curves must have one of kinds ("{ANY_KIND}",), for all kinds that no other names')
        for kind in kinds:
            if kinds.count(kind) > 1:
                raise ValueError(f"curves name kind {kind!r} {kinds.count(kind)} times")
        for curve in self.curves:
            for column in (FLOAT_COLUMN, *map(str, sorted({*self.weight_bits, *self.act_bits}))):
                if column not in curve.seconds:
                    raise ValueError(f"curves have a hole: {', '.join(curve.kinds)} has no column {column}")

    def cost(self, op: OpView) -> OpCost | None:
        """Return the cost of an op at every bit-width, or None for a kind in `unsupported`."""
        if op.kind in self.unsupported:
            return None
        nothing = tuple(np.zeros(ROWS) for _ in (*op.inputs, *op.results))
        return OpCost(self._compute_s(op), nothing, bandwidth_bytes_per_s=1.0, overlap=False)

    def _compute_s(self, op: OpView) -> NDArray[np.float64]:
        curve = next((c for c in self.curves if op.kind in c.kinds), None)
        if curve is None:
            if moves_nothing(op.kind):
                return constant_table(0.0)
            curve = next(c for c in self.curves if ANY_KIND in c.kinds)
        work = work_of(op)
        times = seconds_by_row({column: curve.at(column, work) for column in curve.seconds}) + self.per_op_s
        return wider_table(times) if op.macs else np.tile(times[:, np.newaxis], ROWS)
