"""A roofline: so many multiply-accumulates a second, so many bytes a second, whichever takes longer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from autosplitc.targets import OpCost, OpView, constant_table, moves_nothing, plain_traffic


@dataclass(frozen=True)
class Roofline:
    """Latency of an op = max(MACs / peak, bytes / bandwidth)."""

    name: str = "acme-npu"
    source: str = "made up for a test"
    weight_bits: tuple[int, ...] = (4, 8)
    act_bits: tuple[int, ...] = (8,)
    float_bits: int = 32
    ram_bytes: int = 4 * 2**20
    storage_bytes: int | None = 16 * 2**20
    resident: Literal["packed", "int8"] = "int8"
    max_opset: int = 21
    macs_per_s: float = 1e9
    bandwidth_bytes_per_s: float = 1e9

    def cost(self, op: OpView) -> OpCost | None:
        """Return the cost of an op; it has no recurrent layers."""
        if op.kind in ("lstm", "gru"):
            return None
        compute_s = 0.0 if moves_nothing(op.kind) else op.macs / self.macs_per_s
        return OpCost(constant_table(compute_s), plain_traffic(op, self.float_bits), self.bandwidth_bytes_per_s, overlap=True)


def make_target() -> Roofline:
    """Return the target; the entry point names this function."""
    return Roofline()
