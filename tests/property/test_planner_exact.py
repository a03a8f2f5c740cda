"""The solver against exhaustive search over every cut and every assignment of bits, on random small problems."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autosplitc.passes.planner import (
    Effort,
    ExhaustiveFound,
    LinearSpace,
    Solution,
    all_values,
    assignment,
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
