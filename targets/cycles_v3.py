"""Cycles of a matrix product on a systolic array as SCALE-Sim v2 and v3 count them (`compute_cycles`; Raj et al., ISPASS 2025)."""

from __future__ import annotations

from .gemm import Dataflow


def cycles(dataflow: Dataflow, m: int, n: int, k: int, rows: int, cols: int) -> int:
    """Return the cycles of one product of M pixels, N filters and K taps on R rows by C columns; 0 where it is empty.

    ceil(Sr / R) x ceil(Sc / C) folds one after the other, each T + R + C - 2 cycles, and R more where operands are loaded first
    (ws, is). os: Sr = M, Sc = N, T = K. ws: Sr = K, Sc = N, T = M. is: Sr = K, Sc = M, T = N.
    """
    if 0 in (m, n, k):
        return 0
    over_rows, over_cols, streamed = {"os": (m, n, k), "ws": (k, n, m), "is": (k, m, n)}[dataflow]
    load = 0 if dataflow == "os" else rows
    return -(-over_rows // rows) * -(-over_cols // cols) * (streamed + load + rows + cols - 2)
