"""Quality figures."""

from __future__ import annotations

import math

import numpy as np
import pytest

from autosplitc.metrics import Share, agreement, sqnr_db, top1, wilson_interval


def close(found: float | tuple[float, float], wanted: float | tuple[float, float], absolute: float) -> None:
    """Assert that figures agree."""
    np.testing.assert_allclose(found, wanted, rtol=0, atol=absolute)


def test_sqnr_is_the_power_ratio_in_decibels() -> None:
    reference = np.full(100, 2.0, np.float32)
    close(sqnr_db(reference, reference + np.float32(0.02)), 40.0, 1e-3)
    assert sqnr_db(reference, np.zeros(100, np.float32)) == 0.0


def test_sqnr_at_its_ends() -> None:
    ones, zeros = np.ones(3), np.zeros(3)
    assert sqnr_db(ones, ones) == sqnr_db(zeros, zeros) == math.inf
    assert sqnr_db(zeros, ones) == -math.inf
    assert math.isnan(sqnr_db(ones, np.array([1.0, np.nan, 1.0])))
    assert math.isnan(sqnr_db(np.array([np.inf, 0, 0]), ones))
    close(sqnr_db(np.full(3, 1e30, np.float32), np.full(3, 0.9e30, np.float32)), 20.0, 1e-4)
    with pytest.raises(ValueError, match="shapes"):
        sqnr_db(np.ones((2, 3)), np.ones((3, 2)))


def test_top1_counts_largest_entries_at_the_label() -> None:
    logits = np.array([[0, 1, 2], [5, 5, 0], [0, -1, -2], [9, 0, 10]])
    assert top1(logits, np.array([2, 0, 1, 2])) == Share(3, 4)
    for bad in (np.zeros(3, np.int64), np.zeros((4, 1), np.int64)):
        with pytest.raises(ValueError, match="do not fit"):
            top1(logits, bad)


def test_agreement_needs_every_place_of_a_sample() -> None:
    rng = np.random.default_rng(0)
    a = rng.standard_normal((6, 5, 9))
    b = a.copy()
    b[2, 4] = -b[2, 4]
    b[3] *= 2
    assert agreement(a, b) == Share(5, 6)
    assert agreement(a[:, 0], b[:, 0]) == Share(6, 6)
    assert agreement(a[:0], b[:0]) == Share(0, 0)
    with pytest.raises(ValueError, match="shapes"):
        agreement(a, b[:5])


def test_shares_add() -> None:
    assert Share(3, 4) + Share(1, 6) == Share(4, 10)
    assert (Share(4, 10)).value == 0.4
    assert math.isnan(Share(0, 0).value)


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    # Newcombe, Statist. Med. 17 (1998), table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_interval_is_the_published_one(hits: int, n: int, low: float, high: float) -> None:
    close(wilson_interval(hits, n), (low, high), 5e-5)
    mirrored = wilson_interval(n - hits, n)
    close(mirrored, (1 - high, 1 - low), 5e-5)
    assert Share(hits, n).interval == wilson_interval(hits, n)


def test_wilson_interval_at_its_ends() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert wilson_interval(0, 5)[0] == 0.0
    assert wilson_interval(5, 5)[1] == 1.0
    for hits, n in ((-1, 5), (6, 5)):
        with pytest.raises(ValueError, match="no share"):
            wilson_interval(hits, n)
