"""Second moments of a layer's inputs."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from autosplitc.passes.quantize import Moments

Rows = NDArray[np.float32]


def rows_with_errors(count: int, seed: int = 0, groups: int = 2, width: int = 5) -> tuple[Rows, Rows]:
    """Rows far from zero, and rows that differ from them a little, with a bias."""
    rng = np.random.default_rng(seed)
    exact = (rng.normal(size=(groups, count, width)) + 10 * rng.normal(size=(groups, 1, width))).astype(np.float32)
    return exact, (exact + 0.1 * rng.normal(size=exact.shape) + 0.05).astype(np.float32)


def same(one: Moments, other: Moments) -> None:
    """Whether two moments are equal up to rounding."""
    assert one.count == other.count
    np.testing.assert_allclose(one.mean, other.mean, rtol=1e-5)
    np.testing.assert_allclose(one.mean_exact, other.mean_exact, rtol=1e-5)
    np.testing.assert_allclose(one.gram, other.gram, rtol=1e-4, atol=1e-4 * float(np.abs(other.gram).max()))
    assert (one.drift is None) == (other.drift is None)
    if one.drift is not None and other.drift is not None and one.drift_gram is not None and other.drift_gram is not None:
        np.testing.assert_allclose(one.drift, other.drift, rtol=1e-3, atol=1e-3 * float(np.abs(other.drift).max()))
        np.testing.assert_allclose(one.drift_gram, other.drift_gram, rtol=1e-3, atol=1e-3 * float(np.abs(other.drift_gram).max()))


def test_against_definition() -> None:
    exact, rows = rows_with_errors(300)
    found = Moments.of(exact, rows)
    x, e = rows.astype(np.float64), rows.astype(np.float64) - exact
    x, e = x - x.mean(axis=1, keepdims=True), e - e.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(found.gram, x.swapaxes(1, 2) @ x, rtol=1e-4, atol=1e-2)
    assert found.drift is not None
    assert found.drift_gram is not None
    np.testing.assert_allclose(found.drift, e.swapaxes(1, 2) @ x, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found.drift_gram, e.swapaxes(1, 2) @ e, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("cuts", [(150,), (1, 2, 299), (100, 200)])
def test_parts_add_up(cuts: tuple[int, ...]) -> None:
    exact, rows = rows_with_errors(300)
    parts = list(zip(np.split(exact, cuts, axis=1), np.split(rows, cuts, axis=1), strict=True))
    whole = Moments.of(exact, rows)
    total = Moments.of(*parts[0])
    for part in parts[1:]:
        total = total + Moments.of(*part)
    same(total, whole)
    same(Moments.over(iter(parts)), whole)


def test_exact_parts_add_to_others() -> None:
    exact, rows = rows_with_errors(200)
    half = exact[:, :100]
    mixed = np.concatenate([half, rows[:, 100:]], axis=1)
    same(Moments.of(half, half) + Moments.of(exact[:, 100:], rows[:, 100:]), Moments.of(exact, mixed))
    assert (Moments.of(half, half) + Moments.of(half, half)).drift is None


def test_many_runs_are_streamed() -> None:
    exact, rows = rows_with_errors(10_000)
    parts = zip(np.array_split(exact, 23, axis=1), np.array_split(rows, 23, axis=1), strict=True)
    same(Moments.over(parts), Moments.of(exact, rows))
    with pytest.raises(ValueError, match="no rows"):
        Moments.over([])
