"""Random planning problems, small enough for exhaustive search."""

from __future__ import annotations

import pytest

from autosplitc.bench.random_problems import random_problem, tightened
from autosplitc.passes.planner import Problem, closed_sets, cut_of


class Problems:
    """Makes problems, the same for the same seed."""

    def loose(self, seed: int, ops: int = 4) -> Problem:
        """Return a problem whose limits bind nowhere."""
        return random_problem(seed, ops)

    def tight(self, seed: int, ops: int = 4) -> Problem:
        """Return a problem whose limits are taken from random plans."""
        return tightened(random_problem(seed, ops), seed)

    def pairwise(self, seed: int, ops: int = 4) -> Problem:
        """Return a tight problem in which every compute time depends on the widths of two operands."""
        return tightened(random_problem(seed, ops, pairwise=True), seed)

    def branching(self, seed: int, ops: int = 6, *, pairwise: bool | None = None, tight: bool = True) -> Problem:
        """Return a problem of four ops or more whose limits, where `tight`, are taken from plans of any closed set."""
        problem = random_problem(seed, ops, fewest=4, pairwise=pairwise)
        cuts = (cut_of(problem, ops) for ops in closed_sets(problem))
        return tightened(problem, seed, cuts) if tight else problem


@pytest.fixture(scope="session")
def problems() -> Problems:
    """Return what makes problems."""
    return Problems()
