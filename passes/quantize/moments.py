"""Second moments of a layer's inputs, exact and as the quantised network makes them: what rounding weights on data needs to know.

With x the exact row and x + e the row that the quantised layer sees, kept are the centred sums of (x + e)(x + e)', e (x + e)' and e e'.
Differences are summed as such, not taken from larger sums, so that an error of 1e-6 of the signal is still a figure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Sums = NDArray[Any]
"""Sums of products, f64 or (large ones) f32."""

_LARGE = 1 << 22
"""Entries from which sums are f32: 32 MB of f64."""
_ROWS = 4096
"""Rows gathered before they are multiplied."""


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Moments of g problems of d inputs each.

    count: rows seen. mean_exact, mean: f64[g, d], of the exact and of the quantised rows. gram: [g, d, d], centred sum of quantised x
    quantised. drift, drift_gram: [g, d, d], centred sums of error x quantised and error x error; None where the quantised rows are the
    exact ones.
    """

    count: int
    mean_exact: NDArray[np.float64]
    mean: NDArray[np.float64]
    gram: Sums
    drift: Sums | None = None
    drift_gram: Sums | None = None

    @staticmethod
    def of(exact_rows: NDArray[np.float32], rows: NDArray[np.float32]) -> Moments:
        """Return the moments of matching rows [g, n, d], n >= 1; give the same array twice where nothing is quantised yet."""
        groups, count, width = rows.shape
        sums = np.float32 if groups * width * width >= _LARGE else np.float64
        mean = rows.mean(axis=1, dtype=np.float64)
        centred = rows - mean[:, None].astype(np.float32)
        gram = (centred.swapaxes(1, 2) @ centred).astype(sums)
        if exact_rows is rows:
            return Moments(count, mean, mean, gram)
        mean_exact = exact_rows.mean(axis=1, dtype=np.float64)
        error = rows - exact_rows
        error -= error.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
        turned = error.swapaxes(1, 2)
        return Moments(count, mean_exact, mean, gram, (turned @ centred).astype(sums), (turned @ error).astype(sums))

    @staticmethod
    def over(runs: Iterable[tuple[NDArray[np.float32], NDArray[np.float32]]]) -> Moments:
        """Return the moments of runs of (exact rows, rows), streamed: large products are made of some thousand rows at a time.

        Raises ValueError where there are no rows.
        """
        total: Moments | None = None
        held: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []
        for pair in runs:
            held.append(pair)
            if sum(rows.shape[1] for _, rows in held) >= _ROWS:
                total, held = _joined(total, held), []
        if held:
            total = _joined(total, held)
        if total is None:
            raise ValueError("there are no rows")
        return total

    def __add__(self, other: Moments) -> Moments:
        """Return the moments of the rows of both (Chan, Golub, LeVeque 1983)."""
        share = self.count * other.count / (self.count + other.count)
        step = other.mean - self.mean
        gram = _added(self.gram, other.gram, step, step, share)
        drift, drift_gram = self.drift, self.drift_gram
        if drift is not None or other.drift is not None:
            error = step - (other.mean_exact - self.mean_exact)
            drift = _added(drift, other.drift, error, step, share)
            drift_gram = _added(drift_gram, other.drift_gram, error, error, share)
        count = self.count + other.count
        weight = other.count / count
        mean_exact = self.mean_exact + (other.mean_exact - self.mean_exact) * weight
        return Moments(count, mean_exact, self.mean + step * weight, gram, drift, drift_gram)


def _joined(total: Moments | None, held: list[tuple[NDArray[np.float32], NDArray[np.float32]]]) -> Moments:
    rows = np.concatenate([r for _, r in held], axis=1) if len(held) > 1 else held[0][1]
    same = all(exact is r for exact, r in held)
    exact_rows = rows if same else np.concatenate([e for e, _ in held], axis=1)
    found = Moments.of(exact_rows, rows)
    return found if total is None else total + found


def _added(one: Sums | None, other: Sums | None, left: NDArray[np.float64], right: NDArray[np.float64], share: float) -> Sums:
    """Return one + other + share left right'."""
    between = (share * left[:, :, None]) * right[:, None, :]
    for sums in (one, other):
        if sums is not None:
            between += sums
    kept = one if one is not None else other
    return between if kept is None else between.astype(kept.dtype)
