"""A DSP: so many multiply-accumulates a second, so many bytes a second, whichever takes longer."""

from dataclasses import dataclass
from typing import Literal

from autosplitc.targets import FLOAT_ROW, OpCost, OpView, constant_table, moves_nothing, plain_traffic, row_of, vector_elements


@dataclass(frozen=True)
class AcmeNpu:
    """Latency of an op = start + max(MACs / peak, bytes / bandwidth)."""

    name: str = "acme-npu"
    source: str = "Acme TRM r1p2, section 4.1"
    weight_bits: tuple[int, ...] = (4, 8)
    act_bits: tuple[int, ...] = (8,)
    float_bits: int = 32
    ram_bytes: int = 4 * 2**20
    storage_bytes: int | None = 16 * 2**20
    resident: Literal["packed", "int8"] = "packed"
    max_opset: int = 25
    macs_per_s: float = 1e9
    vector_elements_per_s: float = 2.5e8
    start_s: float = 2e-6
    bandwidth_bytes_per_s: float = 1e9

    def cost(self, op: OpView) -> OpCost | None:
        """Return the cost of an op; it has no recurrent layers."""
        if op.kind in ("lstm", "gru"):
            return None
        table = constant_table(op.macs / self.macs_per_s)
        table[:, : row_of(4) + 1] /= 2  # 4-bit weights: two products a cycle
        table[FLOAT_ROW] = table[:, FLOAT_ROW] = 8 * op.macs / self.macs_per_s  # float is emulated
        table += vector_elements(op) / self.vector_elements_per_s
        table += 0.0 if moves_nothing(op.kind) else self.start_s
        return OpCost(table, plain_traffic(op, self.float_bits), self.bandwidth_bytes_per_s, overlap=True)


def make_target() -> AcmeNpu:
    """Return the target; the entry point names this function."""
    return AcmeNpu()
