"""Drops and how sure they are: coverage of the intervals, and that they are sane where nothing differs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from autosplitc.drop import Drop, limit_text, paired_interval, ratio_interval
from autosplitc.metrics import Z_95


def test_the_paired_interval_is_agresti_and_mins() -> None:
    """Their formula for the four cells, each with half a count more: 7 pairs of 50 differ, 5 one way."""
    differences = np.array([1.0] * 5 + [-1.0] * 2 + [0.0] * 43)
    b, c, n = 5.5, 2.5, 52
    mean = (b - c) / n
    half = Z_95 * math.sqrt((b + c) - (b - c) ** 2 / n) / n
    assert paired_interval(differences) == pytest.approx((mean - half, mean + half))


def test_where_nothing_differs_the_interval_is_not_empty() -> None:
    for n in (1, 20, 2000):
        low, high = paired_interval(np.zeros(n))
        assert low == -high
        assert high == pytest.approx(Z_95 / (n + 2), rel=0.01) or n == 1
    assert paired_interval(np.zeros(0)) == (-1.0, 1.0)
    assert paired_interval(np.ones(3))[1] == 1.0


@pytest.mark.parametrize(("n", "worse", "better"), [(20, 0.05, 0.02), (100, 0.01, 0.0), (200, 0.05, 0.04), (1000, 0.01, 0.005)])
def test_the_paired_interval_covers_what_it_says(n: int, worse: float, better: float) -> None:
    generator = np.random.default_rng(5)
    draws = generator.choice([1.0, -1.0, 0.0], size=(4000, n), p=[worse, better, 1 - worse - better])
    ends = [paired_interval(draw) for draw in draws]
    covered = np.mean([low <= worse - better <= high for low, high in ends])
    assert covered >= 0.93


def test_scores_between_0_and_1_are_covered_too() -> None:
    generator = np.random.default_rng(6)
    draws = generator.beta(2, 30, size=(3000, 60)) - generator.beta(2, 60, size=(3000, 60))
    expected = 2 / 32 - 2 / 62
    assert np.mean([low <= expected <= high for low, high in map(paired_interval, draws)]) >= 0.95


def test_the_interval_of_a_ratio_of_powers_covers_what_it_says() -> None:
    generator = np.random.default_rng(7)
    signal = generator.gamma(4, 1.0, size=(3000, 64))
    noise = signal * generator.gamma(2, 0.005, size=(3000, 64))
    found = [ratio_interval(*pair) for pair in zip(noise, signal, strict=True)]
    covered = np.mean([ends is not None and ends[0] <= 0.01 <= ends[1] for ends in found])
    assert 0.91 <= covered <= 0.97
    assert ratio_interval(noise[0][:1], signal[0][:1]) is None
    assert ratio_interval(np.array([np.inf, 1.0]), np.ones(2)) is None
    assert ratio_interval(np.zeros(9), np.ones(9)) == (0.0, 0.0)


def test_a_drop_at_the_limit_holds() -> None:
    assert Drop("top1", 0.89, 0.9, 0.9 - 0.89, None, 100).holds(0.01)
    assert not Drop("top1", 0.88, 0.9, 0.02, None, 100).holds(0.01)


def test_what_is_not_finite_is_null() -> None:
    found = Drop("sqnr", None, None, math.inf, (0.1, math.inf), 3).as_json()
    assert found == {"metric": "sqnr", "value": None, "float": None, "drop": None, "interval95": [0.1, None], "n": 3}


def test_limits_for_people() -> None:
    assert limit_text("top1", 0.01) == "1 point"
    assert limit_text("top1", 0.005) == "0.5 points"
    assert limit_text("sqnr", 0.01) == "noise of 1 % of the signal"
