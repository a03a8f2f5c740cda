"""Cycles of a matrix product on a systolic array, exactly as SCALE-Sim v1 counts them (Samajdar et al., arXiv:1811.02883).

A product of M pixels, N filters and K taps runs on R rows by C columns. SCALE-Sim v1 walks the array cycle by cycle; these are its closed
forms, checked against its own rows (`tests/data/scalesim`). Output stationary is not quite monotone in M: when the last fold fills up, its
write trace starts the next filter fold up to R cycles earlier.
"""

from __future__ import annotations

from .gemm import Dataflow


def cycles(dataflow: Dataflow, m: int, n: int, k: int, rows: int, cols: int) -> int:
    """Return the cycles of one product; 0 where it is empty."""
    if 0 in (m, n, k):
        return 0
    if dataflow == "os":
        return _output_stationary(m, n, k, rows, cols)
    if k <= rows:
        return _several_windows(dataflow, m, n, k, rows, cols)
    return _folded_window(dataflow, m, n, k, rows, cols)


def _folded_window(dataflow: Dataflow, m: int, n: int, k: int, rows: int, cols: int) -> int:
    """K > R: each fold loads its rows, streams, and drains; a drain starts when the rows are passed and the columns are through.

    ws holds filters in the columns and streams pixels, is the other way round; the cycle in which the first filter leaves is
    counted once less in is.
    """
    held, streamed, first = (n, m, 0) if dataflow == "ws" else (m, n, 1)
    row_folds, col_folds = _folds(k, rows), _folds(held, cols)
    return 2 * k * col_folds + held * row_folds + (streamed - first) * row_folds * col_folds


def _several_windows(dataflow: Dataflow, m: int, n: int, k: int, rows: int, cols: int) -> int:
    """K <= R: P = floor(R / K) windows stand above one another, so a fold holds up to P x C filters (ws) or pixels (is)."""
    held = n if dataflow == "ws" else m
    per_fold = (rows // k) * cols
    full, rest = divmod(held, per_fold)
    return full * _one_fold(dataflow, per_fold, m, n, k, cols) + (_one_fold(dataflow, rest, m, n, k, cols) if rest else 0)


def _one_fold(dataflow: Dataflow, held: int, m: int, n: int, k: int, cols: int) -> int:
    """Load window after window, then stream once for all of them."""
    load = _folds(held, cols) * k
    if dataflow == "ws":
        return load + min(held, cols) + k + m
    return load + k + n + min(held, cols) - 1


def _output_stationary(m: int, n: int, k: int, rows: int, cols: int) -> int:
    """Folds of R pixels by C filters, back to back: all pixels of one fold of filters, then the next.

    Reads end when the last column and the last row have got their operands; writes end when one column's results after another have
    left, a result a cycle. The later of the two counts.
    """
    return max(_reads_end(m, n, k, rows, cols), _writes_end(m, n, k, rows, cols))


def _reads_end(m: int, n: int, k: int, rows: int, cols: int) -> int:
    """Row r and column c start r and c cycles late and take K cycles a fold; the last folds may leave rows and columns unused."""
    row_folds, col_folds = _folds(m, rows), _folds(n, cols)
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
    """The first results leave when the columns in use are filled; a fold lasts as long as its sums or its results take.

    From one fold of filters to the next the sums of the last rows overlap with the results still leaving.
    """
    row_folds, col_folds = _folds(m, rows), _folds(n, cols)
    last_rows = m - (row_folds - 1) * rows
    last_cols = n - (col_folds - 1) * cols
    end = k + min(n, cols) - 1 + col_folds * (row_folds - 1) * max(k, rows) + last_rows
    if col_folds > 1:
        end += (col_folds - 2) * max(last_rows, k + 1 - last_rows)
        end += max(last_rows, k + 1 - last_rows - (cols - last_cols))
    return end


def _folds(size: int, per_fold: int) -> int:
    return -(-size // per_fold)
