"""Other methods against trying everything, on random small problems."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from autosplitc.passes import algorithm1, as_float, cut_of, excess, min_cut, neurosurgeon, placed, prefix, sent_raw, uniform
from autosplitc.passes.planner import Problem, closed_sets, exhaustive

if TYPE_CHECKING:
    from .conftest import Problems

FLOAT_BITS = 16


def best_of(problem: Problem, sets: list[tuple[int, ...]]) -> int | None:
    """Return the least latency over the given sets of edge ops."""
    cuts = (cut_of(problem, ops) for ops in sets)
    return min((placed(problem, cut, sent_raw(problem, cut)).figures.latency_ns for cut in cuts if not cut.refusal), default=None)


@settings(max_examples=150, derandomize=True, deadline=None)
@given(seed=st.integers(0, 10**9))
def test_a_chain_is_cut_at_its_best_prefix(problems: Problems, seed: int) -> None:
    problem = as_float(problems.tight(seed, ops=6), FLOAT_BITS)
    found = neurosurgeon(problem)
    truth = best_of(problem, [tuple(range(p)) for p in range(len(problem.ops) + 1)])
    assert (found and found.figures.latency_ns) == truth


@settings(max_examples=250, derandomize=True, deadline=None)
@given(seed=st.integers(0, 10**9), ops=st.integers(3, 8))
def test_a_minimum_cut_is_the_best_closed_set(problems: Problems, seed: int, ops: int) -> None:
    """Where a message costs nothing but its bytes, and nothing stands in a set's way, a minimum cut finds the best of all sets."""
    given_problem = problems.loose(seed, ops)
    link = replace(given_problem.link, fixed_ns=0, packet_ns=0)
    problem = as_float(replace(given_problem, link=link, return_result=False), FLOAT_BITS)
    sets = list(closed_sets(problem))
    open_sets = [ops for ops in sets if not cut_of(problem, ops).refusal]
    found = min_cut(problem)
    truth = best_of(problem, open_sets)
    if found is None:
        assert truth is None or len(open_sets) < len(sets)
    else:
        assert truth is not None
        assert found.figures.latency_ns >= truth
        if len(open_sets) == len(sets):
            assert found.figures.latency_ns == truth


@settings(max_examples=80, derandomize=True, deadline=None)
@given(seed=st.integers(0, 10**9))
def test_the_papers_search_never_beats_exhaustive_search(problems: Problems, seed: int) -> None:
    problem = problems.tight(seed, ops=4)
    found = algorithm1(problem, range(1, len(problem.ops) + 1), (2, 4, 8))
    if found is None:
        return
    truth = exhaustive(problem)
    if not excess(problem.limits, found.figures).keys() - {"latency"}:
        assert truth is not None
        assert truth.figures.latency_ns <= found.figures.latency_ns
    else:
        assert not found.cut.ops


@settings(max_examples=80, derandomize=True, deadline=None)
@given(seed=st.integers(0, 10**9))
def test_uniform_bits_are_those_nearest(problems: Problems, seed: int) -> None:
    problem = problems.loose(seed, ops=5)
    found = uniform(problem, prefix(problem, len(problem.ops)), 4)
    if found is not None:
        for w, bits in found.bits.weights.items():
            assert abs(bits - 4) == min(abs(b - 4) for b in problem.weights[w].bits)
