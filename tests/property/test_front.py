"""The front against exhaustive search of every cell, on random small problems."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autosplitc.bench.exhaustive import closed_sets
from autosplitc.passes.planner import (
    ClosedSpace,
    Effort,
    ExhaustiveFound,
    LinearSpace,
    Seeker,
    Solution,
    cut_of,
    evaluate,
    excess,
    exhaustive,
    prefix,
)

if TYPE_CHECKING:
    from .conftest import Problems

EFFORT = Effort(limit_s=20.0)


@pytest.mark.parametrize("space", ["linear", "dag"])
@settings(max_examples=100, derandomize=True, deadline=None)
@given(seed=st.integers(0, 10**9))
def test_every_cell_is_the_fastest_plan_within_its_limits(problems: Problems, space: str, seed: int) -> None:
    r = random.Random(seed)
    problem = r.choice((problems.tight, problems.loose, problems.pairwise))(seed, ops=5)
    problem = replace(problem, limits=replace(problem.limits, latency_ns=None))
    linear = space == "linear"
    sought_in = LinearSpace(range(len(problem.ops) + 1)) if linear else ClosedSpace()
    cuts = [prefix(problem, n) for n in range(len(problem.ops) + 1)] if linear else [cut_of(problem, ops) for ops in closed_sets(problem)]
    cells = list(Seeker(problem, sought_in, EFFORT).front(r.choice((1, 2, 5)), r.choice((1, 2, 3))))
    assert len({(c.error, c.ram_bits) for c in cells}) == len(cells) > 0
    for cell in cells:
        limits = replace(problem.limits, error=cell.error, ram_bits=cell.ram_bits)
        truth = exhaustive(replace(problem, limits=limits), cuts)
        assert cell.proven
        assert latency_ns(cell.solution) == latency_ns(truth)
        if cell.solution is not None:
            assert evaluate(problem, cell.solution.cut, cell.solution.bits) == cell.solution.figures
            assert not excess(limits, cell.solution.figures)
    for tight in cells:
        for loose in (c for c in cells if c.error >= tight.error and c.ram_bits >= tight.ram_bits):
            assert (latency_ns(loose.solution) or 0) <= (latency_ns(tight.solution) or 10**18)


def latency_ns(found: Solution | ExhaustiveFound | None) -> int | None:
    return None if found is None else found.figures.latency_ns
