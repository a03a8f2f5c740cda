"""Closed sets: what is given up is told, holders of many ways are bounded all the same, and named cuts are found in the graph."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autosplitc.bench.random_problems import random_problem, tightened
from autosplitc.ir import Attrs, Graph, Op, TensorType, Value
from autosplitc.ir import DType as D
from autosplitc.passes import Plan
from autosplitc.passes.planner import ClosedSpace, Effort, Problem, closed_sets, cut_of, exhaustive, search
from autosplitc.passes.reorder import crossing_of, least_edge, ordered_for

EFFORT = Effort(limit_s=20.0)
SEEDS = range(40)


def problem_of(seed: int) -> Problem:
    problem = random_problem(seed, 7, fewest=5)
    return tightened(problem, seed, [cut_of(problem, ops) for ops in closed_sets(problem)])


def truth_of(problem: Problem) -> tuple[int, int] | None:
    found = exhaustive(problem, (cut_of(problem, ops) for ops in closed_sets(problem)))
    return None if found is None else (found.figures.latency_ns, found.figures.error)


def test_sets_that_are_given_up_leave_a_bound_that_holds() -> None:
    gave_up = 0
    for seed in SEEDS:
        problem = problem_of(seed)
        candidates = list(ClosedSpace(most_parts=1).candidates(problem))
        assert all(not c.rest for c in candidates[:-1])
        found = search(problem, ClosedSpace(ends=True, most_parts=1), EFFORT)
        truth = truth_of(problem)
        told = [(s.figures.latency_ns, s.figures.error) for s in found.solutions]
        if found.open_ns is None:
            assert told == ([] if truth is None else [truth])
        elif truth is not None:
            gave_up += 1
            assert found.open_ns <= truth[0] <= min(told, default=truth)[0]
    assert gave_up > 0


@pytest.mark.parametrize("most_ways", [1, 3])
def test_holders_of_too_many_ways_are_bounded_piece_by_piece(monkeypatch: pytest.MonkeyPatch, most_ways: int) -> None:
    monkeypatch.setattr("autosplitc.passes.planner.holders.MOST_WAYS", most_ways)
    for seed in SEEDS:
        problem = problem_of(seed)
        found = search(problem, ClosedSpace(ends=True), EFFORT)
        truth = truth_of(problem)
        assert [(s.figures.latency_ns, s.figures.error) for s in found.solutions] == ([] if truth is None else [truth])


def test_the_same_sets_come_in_the_same_order() -> None:
    for seed in SEEDS:
        problem = problem_of(seed)
        assert list(ClosedSpace().candidates(problem)) == list(ClosedSpace().candidates(problem))


def fork() -> Graph:
    """Return x -> t -> (a -> b, c -> d), t and b being outputs' makers besides d."""
    type_ = TensorType(D.F32, (1, 4))
    reads = {"t": "x", "a": "t", "b": "a", "c": "t", "d": "c"}
    ops = tuple(Op((name,), "relu", (source,), Attrs(), (type_,)) for name, source in reads.items())
    return Graph("main", (("", 21),), (Value("x", type_),), (), ops, ("b", "d"))


@pytest.mark.parametrize(
    ("crossing", "edge"),
    [("x", ""), ("t", "t"), ("a", "tacd"), ("c", "tabc"), ("ac", "tac"), ("ta", "ta"), ("xt", None), ("b", None), ("q", None)],
)
def test_the_fewest_ops_behind_which_named_values_cross(crossing: str, edge: str | None) -> None:
    graph = fork()
    found = least_edge(graph, tuple(crossing))
    assert found == (None if edge is None else frozenset(edge))
    if found is not None:
        assert set(crossing_of(graph, found)) == set(crossing)


def test_a_graph_is_reordered_for_a_cut_and_no_further() -> None:
    graph = fork()
    plan = Plan("split", 2, "c", 0, 0, 0, 0, 0, 0, 0, "optimal", 0, feasible=True, violations=(), weight_bits=(), act_bits=(), wire_bits=())
    assert ordered_for(graph, plan) is graph
    assert [op.name for op in ordered_for(graph, replace(plan, edge_ops=("t", "c"))).ops] == ["t", "c", "a", "b", "d"]
