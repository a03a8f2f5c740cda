"""The solver against exhaustive search over every cut and every assignment of bits, on random small problems."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autosplitc.passes.planner import (
    ClosedSpace,
    Effort,
    ExhaustiveFound,
    LinearSpace,
    Solution,
    all_values,
    assignment,
    closed_sets,
    cut_of,
    evaluate,
    exhaustive,
    formulate,
    minimise_error,
    minimise_latency,
    prefix,
    prefix_bounds,
    search,
)

if TYPE_CHECKING:
    from .conftest import Problems

INSTANCES = 240
EFFORT = Effort(limit_s=20.0)


@settings(max_examples=INSTANCES, derandomize=True, deadline=None)
@given(seed=st.integers(0, 10**9))
def test_search_finds_what_exhaustive_search_finds(problems: Problems, seed: int) -> None:
    problem = problems.tight(seed, ops=5)
    positions = range(len(problem.ops) + 1)
    found = search(problem, LinearSpace(positions), EFFORT, keep=len(positions))
    assert found.open_ns is None
    by_position = {s.position: s for s in found.solutions}
    for position in positions:
        truth = exhaustive(problem, [prefix(problem, position)])
        solution = by_position.get(position)
        assert merit(solution) == merit(truth), position
        if solution is not None:
            assert solution.proven
            assert evaluate(problem, solution.cut, solution.bits) == solution.figures
    best = search(problem, LinearSpace(positions), EFFORT)
    assert [merit(s) for s in best.solutions] == [merit(s) for s in found.solutions[:1]]


@pytest.mark.parametrize("tight", [False, True])
@pytest.mark.parametrize("pairwise", [False, True])
@settings(max_examples=75, derandomize=True, deadline=None)
@given(seed=st.integers(0, 10**9))
def test_search_finds_the_fastest_of_all_closed_sets(problems: Problems, seed: int, pairwise: bool, tight: bool) -> None:
    problem = problems.branching(seed, ops=7, pairwise=pairwise, tight=tight)
    truth = exhaustive(problem, (cut_of(problem, ops) for ops in closed_sets(problem)))
    found = search(problem, ClosedSpace(ends=True), EFFORT)
    assert [merit(s) for s in found.solutions] == ([] if truth is None else [merit(truth)])
    assert found.open_ns is None
    for solution in found.solutions:
        assert solution.proven
        assert evaluate(problem, solution.cut, solution.bits) == solution.figures


@settings(max_examples=100, derandomize=True, deadline=None)
@given(seed=st.integers(0, 10**9))
def test_closed_sets_come_each_once_by_bounds_that_hold(problems: Problems, seed: int) -> None:
    problem = problems.branching(seed, ops=6)
    candidates = list(ClosedSpace(ends=True).candidates(problem))
    bounds = {c.ops: c.bound_ns for c in candidates}
    assert [c.bound_ns for c in candidates] == sorted(bounds.values())
    assert len(bounds) == len(candidates)
    assert all(c.ops in set(closed_sets(problem)) for c in candidates)
    for ops in closed_sets(problem):
        truth = exhaustive(problem, [cut_of(problem, ops)])
        assert truth is None or bounds[ops] <= truth.figures.latency_ns, ops


@settings(max_examples=60, derandomize=True, deadline=None)
@given(seed=st.integers(0, 10**9))
def test_cuts_of_named_values_and_barred_ones_are_kept_to(problems: Problems, seed: int) -> None:
    problem = problems.branching(seed, ops=6)
    r = random.Random(seed)
    cuts = [cut_of(problem, ops) for ops in closed_sets(problem)]
    split = r.choice([c for c in cuts if 0 < len(c.ops) < len(problem.ops)])
    same = [c for c in cuts[1:-1] if set(c.crossing) == set(split.crossing)]
    found = search(problem, ClosedSpace(crossing=frozenset(split.crossing)), EFFORT)
    assert merit(next(iter(found.solutions), None)) == merit(exhaustive(problem, same))
    barred = frozenset(r.sample(range(len(problem.values)), 2))
    kept = [c for c in cuts[1:-1] if not barred.intersection(c.crossing)]
    found = search(problem, ClosedSpace(barred=barred), EFFORT)
    assert merit(next(iter(found.solutions), None)) == merit(exhaustive(problem, kept))


@settings(max_examples=60, derandomize=True, deadline=None)
@given(seed=st.integers(0, 10**9))
def test_instances_agree_with_the_definition_of_cost(problems: Problems, seed: int) -> None:
    problem = problems.loose(seed, ops=6)
    r = random.Random(seed)
    for position in range(len(problem.ops) + 1):
        cut = prefix(problem, position)
        if cut.refusal:
            continue
        instance = formulate(problem, cut)
        for _ in range(5):
            pick = [r.randrange(len(var.bits)) for var in instance.vars]
            error = instance.error_at(pick)
            if error is None:
                continue
            figures = evaluate(problem, cut, assignment(instance, pick))
            told = (instance.latency_at(pick), instance.ram_at(pick), instance.storage.at(pick), error)
            assert told == (figures.latency_ns, figures.ram_bits, figures.storage_bits, figures.error)
            assert instance.latency_low() <= figures.latency_ns


@settings(max_examples=100, derandomize=True, deadline=None)
@given(seed=st.integers(0, 10**9))
def test_no_plan_within_the_limits_beats_the_bound_of_its_prefix(problems: Problems, seed: int) -> None:
    problem = problems.tight(seed, ops=6)
    bounds = prefix_bounds(problem)
    for position, bound in enumerate(bounds):
        truth = exhaustive(problem, [prefix(problem, position)])
        assert truth is None or bound <= truth.figures.latency_ns


def merit(found: Solution | ExhaustiveFound | None) -> tuple[int, int] | None:
    """Return what is minimised."""
    return None if found is None else (found.figures.latency_ns, found.figures.error)


@pytest.mark.parametrize("most_cells", [0, 64])
def test_the_solver_alone_finds_what_exhaustive_search_finds(problems: Problems, monkeypatch: pytest.MonkeyPatch, most_cells: int) -> None:
    monkeypatch.setattr("autosplitc.passes.planner.cpsat.MOST_CELLS", most_cells)
    for seed in range(80):
        problem = problems.tight(seed, ops=6)
        position = random.Random(seed).randrange(1, len(problem.ops) + 1)
        cut = prefix(problem, position)
        if cut.refusal or not all(all_values(formulate(problem, cut))):
            continue
        instance = formulate(problem, cut)
        found = minimise_latency(instance, all_values(instance), EFFORT, None, None)
        truth = exhaustive(problem, [cut])
        assert found.proven
        assert (found.pick and instance.latency_at(found.pick)) == (truth and truth.figures.latency_ns)
        if found.pick is not None and truth is not None:
            assert found.bound == truth.figures.latency_ns
            best = minimise_error(instance, all_values(instance), EFFORT, found.pick)
            assert best.pick is not None
            assert (instance.latency_at(best.pick), instance.error_at(best.pick)) == merit(truth)
