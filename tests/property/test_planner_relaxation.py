"""Bounds of the relaxation against every assignment, on random small problems: none is beaten, and no value that is needed is left out."""

from __future__ import annotations

import math
import random
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from autosplitc.passes.planner import Instance, Problem, Relaxation, all_values, ascended, branched, formulate, prefix, reduced

if TYPE_CHECKING:
    from .conftest import Problems

MOST_PICKS = 10_000


def some_instance(problem: Problem, seed: int) -> Instance | None:
    """Return the instance of the last cut of which all assignments can be listed, at times that of an earlier one; None without any."""
    last = len(problem.ops) - random.Random(seed).choice((0, 0, 1))
    for position in range(last, 0, -1):
        cut = prefix(problem, position)
        instance = None if cut.refusal else formulate(problem, cut)
        domains = [] if instance is None else all_values(instance)
        if all(domains) and 1 < math.prod(map(len, domains)) <= MOST_PICKS:
            return instance
    return None


def within_limits(instance: Instance) -> list[tuple[int, tuple[int, ...]]]:
    """Return latency and values of every assignment within the limits, the fastest first."""
    picks = product(*(range(len(var.bits)) for var in instance.vars))
    return sorted((instance.latency_at(pick), pick) for pick in picks if instance.keeps_limits(pick))


@settings(max_examples=200, derandomize=True, deadline=None)
@given(seed=st.integers(0, 10**9))
def test_no_assignment_beats_the_bound_and_none_that_is_needed_is_left_out(problems: Problems, seed: int) -> None:
    instance = some_instance(problems.pairwise(seed, ops=6), seed)
    if instance is None:
        return
    picks = within_limits(instance)
    relaxation = Relaxation(instance, all_values(instance))
    r = random.Random(seed)
    target = r.choice((None, r.choice(picks)[0] + r.choice((0, 1, 1000)) if picks else None))
    first = ascended(relaxation, target)
    for relaxed in (first, branched(relaxation, first, target)):
        assert not picks or relaxed.bound_ns <= picks[0][0]
        assert relaxed.pick is None or (instance.latency_at(relaxed.pick), relaxed.pick) in picks
        below = r.choice(picks)[0] + r.choice((0, 1)) if picks else 10**9
        domains = reduced(relaxation, relaxed, below)
        assert all(k in domain for ns, pick in picks if ns < below for k, domain in zip(pick, domains, strict=True))


@settings(max_examples=200, derandomize=True, deadline=None)
@given(seed=st.integers(0, 10**9))
def test_bounds_hold_for_any_multipliers(problems: Problems, seed: int) -> None:
    instance = some_instance(problems.pairwise(seed, ops=6), seed)
    if instance is None:
        return
    relaxation = Relaxation(instance, all_values(instance))
    r = np.random.default_rng(seed)
    of_limits = 10 ** r.uniform(0, 7, len(relaxation.limits)) * r.integers(0, 2, len(relaxation.limits))
    multipliers = np.concatenate([of_limits, relaxation.scale * r.choice([0.0, 0.3, 0.5, 1.0], len(relaxation.scale))])
    point = relaxation.at(multipliers, relaxation.possible)
    bounds = relaxation.bounds(point)
    for latency, pick in within_limits(instance):
        assert point.total <= latency
        assert all(bounds[v, k] <= latency for v, k in enumerate(pick))


def test_bounds_are_good(problems: Problems) -> None:
    gaps: list[float] = []
    for seed in range(300):
        instance = some_instance(problems.pairwise(seed, ops=6), seed)
        picks = [] if instance is None else within_limits(instance)
        if instance is not None and picks and picks[0][0]:
            relaxation = Relaxation(instance, all_values(instance))
            relaxed = branched(relaxation, ascended(relaxation, None), None)
            gaps.append(1 - relaxed.bound_ns / picks[0][0])
    assert len(gaps) > 80
    assert np.mean(gaps) < 0.02
