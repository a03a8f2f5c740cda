"""Cycles of a matrix product on a systolic array, exactly as SCALE-Sim v1 counts them (Samajdar et al., arXiv:1811.02883).

A product of M pixels, N filters and K taps runs on R rows by C columns. SCALE-Sim v1 walks the array cycle by cycle; these are its closed
forms, checked against its own rows (`tests/data/scalesim`). Output stationary is not quite monotone in M: when the last fold fills up, its
write trace starts the next filter fold up to R cycles earlier.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from .gemm import Dataflow

RowFolds: TypeAlias = tuple[int, int, int]
"""How many equal folds, the units that one fills, the cycles that one takes."""


def cycles(dataflow: Dataflow, m: int, n: int, k: int, rows: int, cols: int) -> int:
    """Return the cycles of one product; 0 where it is empty."""
    if 0 in (m, n, k):
        return 0
    if dataflow == "os":
        return max(_reads_end(m, n, k, rows, cols), _writes_end(m, n, k, rows, cols))
    folds = stationary_folds(dataflow, m, n, k, rows, cols)
    return sum(col_folds * sum(count * each for count, _, each in row_folds) for col_folds, row_folds in folds)


def stationary_folds(dataflow: Dataflow, m: int, n: int, k: int, rows: int, cols: int) -> Iterator[tuple[int, tuple[RowFolds, ...]]]:
    """Yield how many column folds are equal, and the row folds of each. ws holds filters and streams pixels, is the reverse.

    K > R: a fold loads its rows, streams, and drains; a drain starts when the rows are passed and the columns are through. The cycle in
    which the first filter leaves is counted once less in is.
    K <= R: P = floor(R / K) windows stand above one another, so that a fold holds up to P x C filters (ws) or pixels (is); window after
    window is loaded, then all are streamed to once.
    """
    held, streamed = (n, m) if dataflow == "ws" else (m, n - 1)
    if k > rows:
        for folds, wide in _parts(held, cols):
            yield folds, tuple((count, high * wide, 2 * high + wide + streamed) for count, high in _parts(k, rows))
        return
    for folds, inside in _parts(held, rows // k * cols):
        yield folds, ((1, inside * k, -(-inside // cols) * k + min(inside, cols) + k + streamed),)


def _parts(size: int, per_fold: int) -> Iterator[tuple[int, int]]:
    """Yield (folds, size of each): the full ones and the last."""
    full, rest = divmod(size, per_fold)
    if full:
        yield full, per_fold
    if rest:
        yield 1, rest


def _reads_end(m: int, n: int, k: int, rows: int, cols: int) -> int:
    """os: when the last operand is read. Folds of R pixels by C filters, back to back: all pixels of one fold of filters, then the next.

    Row r and column c start r and c cycles late and take K cycles a fold; the last folds may leave rows and columns unused.
    """
    row_folds, col_folds = -(-m // rows), -(-n // cols)
    busy = row_folds * col_folds * k
    last_col = n - (col_folds - 1) * cols
    end = busy + last_col - 1
    if col_folds > 1:
        end = max(end, busy - row_folds * k + cols - 1)
    if k > 1:
        end = max(end, busy + m - (row_folds - 1) * rows - 1)
        if row_folds > 1:
            end = max(end, busy - k + rows - 1)
    return end


def _writes_end(m: int, n: int, k: int, rows: int, cols: int) -> int:
    """os: when the last result is written, one column's after another's, a result a cycle.

    The first results leave when the columns in use are filled; a fold lasts as long as its sums or its results take. From one fold of
    filters to the next the sums of the last rows overlap with the results still leaving.
    """
    row_folds, col_folds = -(-m // rows), -(-n // cols)
    last_rows = m - (row_folds - 1) * rows
    last_cols = n - (col_folds - 1) * cols
    end = k + min(n, cols) - 1 + col_folds * (row_folds - 1) * max(k, rows) + last_rows
    if col_folds > 1:
        end += (col_folds - 2) * max(last_rows, k + 1 - last_rows)
        end += max(last_rows, k + 1 - last_rows - (cols - last_cols))
    return end
