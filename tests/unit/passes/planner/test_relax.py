"""The relaxation on instances that can be checked on paper."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from autosplitc.passes.planner import (
    NONE,
    Effort,
    Instance,
    Limits,
    Linear,
    Overlapped,
    Packets,
    Pair,
    Relaxation,
    Var,
    all_values,
    ascended,
    branched,
    reduced,
    solve,
)

NOTHING = Linear(0)


def instance(count: int, latency: Linear, limits: Limits, *, resident: Linear = NOTHING, error: Linear = NOTHING) -> Instance:
    """Return an instance of `count` weights at 4 or 8 bits."""
    return Instance(tuple(Var("weight", i, (4, 8)) for i in range(count)), latency, (), (), error, resident, (NOTHING,), NOTHING, limits)


def bound(one: Instance) -> int:
    relaxation = Relaxation(one, all_values(one))
    return ascended(relaxation, None).bound_ns


def least(one: Instance) -> int:
    picks = product(*(range(len(var.bits)) for var in one.vars))
    return min(one.latency_at(pick) for pick in picks if one.keeps_limits(pick))


def test_without_limits_that_bind_the_bound_is_the_least_latency() -> None:
    assert bound(instance(2, Linear(5, ((0, (1, 9)), (1, (7, 2)))), Limits(10))) == 8


def test_a_fraction_of_a_value_is_what_the_relaxation_may_take() -> None:
    one = instance(2, Linear(0, ((0, (0, 100)), (1, (0, 100)))), Limits(10, error=30), error=Linear(0, ((0, (20, 0)), (1, (20, 0)))))
    relaxation = Relaxation(one, all_values(one))
    found = ascended(relaxation, None)
    assert 45 <= found.bound_ns <= 50
    assert least(one) == branched(relaxation, found, None).bound_ns == 100


def test_a_pair_is_settled_exactly_where_one_of_its_variables_stands_in_no_other() -> None:
    table = ((9, 4), (3, 8))
    one = instance(3, NOTHING, Limits(10))
    chain = replace(one, pairs=(Pair(0, 1, table, ((0, 0),) * 2), Pair(2, 1, table, ((0, 0),) * 2)))
    assert bound(chain) == least(chain) == 6


def test_pairs_in_a_circle_are_bounded_from_below() -> None:
    for seed in range(200):
        r = random.Random(seed)
        pairs = tuple(
            Pair(i, (i + 1) % 3, tuple(tuple(r.randint(0, 50) for _ in range(2)) for _ in range(2)), ((0, 0),) * 2) for i in range(3)
        )
        sizes = Linear(0, tuple((v, (r.randint(0, 5), r.randint(5, 9))) for v in range(3)))
        one = replace(instance(3, NOTHING, Limits(r.randint(15, 27)), resident=sizes), pairs=pairs)
        assert bound(one) <= least(one)


def test_the_greater_of_two_times_is_shared_out() -> None:
    op = Overlapped(0, NONE, ((0,), (100,)), Linear(0, ((1, (100, 0)), (2, (0, 1)))))
    one = replace(instance(3, Linear(0, ((0, (60, 0)), (1, (0, 60)))), Limits(10)), overlapped=(op,))
    found = bound(one)
    assert found <= least(one) == 100
    assert found >= 60


def test_packets_count_as_if_they_could_be_parted() -> None:
    one = replace(instance(1, NOTHING, Limits(10)), packets=Packets(Linear(3, ((0, (4, 9)),)), 10, 100))
    assert (bound(one), least(one)) == (70, 100)


def test_the_limit_on_memory_holds_at_every_step() -> None:
    steps = (Linear(0, ((0, (4, 8)),)), Linear(0, ((1, (4, 8)),)), Linear(0, ((2, (4, 8)),)))
    one = replace(instance(3, Linear(0, tuple((v, (90, 0)) for v in range(3))), Limits(7)), steps=steps)
    assert least(one) == 270
    relaxation = Relaxation(one, all_values(one))
    assert branched(relaxation, ascended(relaxation, None), None).bound_ns == 270


def test_values_that_nothing_quick_enough_has_are_left_out() -> None:
    one = instance(2, Linear(0, ((0, (0, 10)), (1, (0, 30)))), Limits(10))
    relaxation = Relaxation(one, all_values(one))
    found = ascended(relaxation, None)
    assert reduced(relaxation, found, 1) == [[0], [0]]
    assert reduced(relaxation, found, 11) == [[0, 1], [0]]
    assert reduced(relaxation, found, 31) == [[0, 1], [0, 1]]
    assert reduced(relaxation, found, 0) == [[], []]


def test_bounds_are_whole_and_below_what_floats_make_of_them() -> None:
    one = instance(2, Linear(7, ((0, (10**12 + 1, 3)), (1, (1, 10**11)))), Limits(10**15, error=3), error=Linear(0, ((0, (1, 10**12)),)))
    relaxation = Relaxation(one, all_values(one))
    for multiplier in (0.0, 1e-9, 0.1, 1 / 3, 1e5, 1e12):
        point = relaxation.at(np.array([multiplier, 0.0]), relaxation.possible)
        assert isinstance(point.total, int)
        assert point.total <= least(one)


@pytest.mark.parametrize("quietest", [0, 1, 2])
def test_of_equally_fast_ones_the_least_error_is_found_though_a_limit_binds(quietest: int) -> None:
    latency = Linear(0, tuple((v, (50, 0)) for v in range(3)))
    sizes = Linear(0, tuple((v, (1, 5)) for v in range(3)))
    error = Linear(0, tuple((v, (9, 1 if v == quietest else 4)) for v in range(3)))
    found = solve(instance(3, latency, Limits(7), resident=sizes, error=error), Effort())
    assert (found.status, found.pick, found.bound_ns) == ("optimal", tuple(int(v == quietest) for v in range(3)), 100)


def test_a_variable_in_two_pairs_counts_once() -> None:
    table = ((4, 9), (6, 2))
    one = replace(instance(3, Linear(0, ((1, (70, 50)),)), Limits(10)), pairs=tuple(Pair(v, 1, table, ((0, 0),) * 2) for v in (0, 2)))
    sizes = Linear(0, ((1, (4, 20)),))
    for limit in (10, 20):
        tight = replace(one, resident=sizes, limits=Limits(limit))
        assert bound(tight) <= least(tight)
    shared = replace(one, pairs=tuple(Pair(1, v, table, ((0, 0),) * 2) for v in (0, 2)))
    assert bound(shared) == least(shared)
