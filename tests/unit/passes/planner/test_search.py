"""The search over cuts: order, ties, what is left out, and what stands where nothing is feasible."""

from __future__ import annotations

from dataclasses import replace

from autosplitc.passes.planner import (
    NONE,
    Effort,
    Limits,
    LinearSpace,
    Link,
    Operand,
    OpItem,
    Problem,
    Value,
    best_effort,
    prefix,
    prefix_bounds,
    search,
)

ROWS = 9
NO_TIME = ((0,) * ROWS,) * ROWS


def chain(sizes: tuple[int, ...], errors: tuple[int, ...], cloud_ns: int = 0) -> Problem:
    """Return a chain of float ops that take no time on the edge; value i has `sizes[i]` elements and crosses at 8 bits with `errors[i]`."""
    last = len(sizes) - 1
    values = tuple(
        Value(f"v{i}", n, 32, is_input=i == 0, is_output=i == last, raw=i == 0, wire_bits=(8,), wire_error=((error,) * 8,) * ROWS)
        for i, (n, error) in enumerate(zip(sizes, errors, strict=True))
    )
    ops = tuple(
        OpItem(f"op{i}", (Operand(i),), (Operand(i + 1),), False, (NONE, NONE), NO_TIME, NO_TIME[:2], cloud_ns) for i in range(last)
    )
    return Problem(values, (), (), (), ops, Link(8 * 10**9, 0), Limits(10**9), overlap=False, packed=True)


def test_a_tie_in_latency_goes_to_less_error_then_to_the_earlier_cut() -> None:
    problem = chain((9, 5, 5, 5, 9), (0, 7, 3, 3, 0))
    assert [s.position for s in search(problem, LinearSpace((1, 2, 3)), Effort()).solutions] == [2]
    assert [s.position for s in search(problem, LinearSpace((1, 2, 3)), Effort(), keep=3).solutions] == [2, 3, 1]


def test_cuts_that_cannot_win_are_not_looked_into() -> None:
    problem = chain((90, 5, 50, 70, 9), (0,) * 5)
    assert prefix_bounds(problem) == [90, 5, 50, 70, 0]
    assert search(problem, LinearSpace((1, 2, 3)), Effort()).solved == 1
    assert search(problem, LinearSpace((1, 2, 3)), Effort(), keep=2).solved == 2


def test_slower_than_the_ceiling_is_of_no_use_but_one_plan_stands() -> None:
    problem = chain((90, 50, 5, 70, 9), (0,) * 5)
    assert [s.position for s in search(problem, LinearSpace((1, 2, 3)), Effort(), keep=3, ceiling_ns=60).solutions] == [2, 1]
    assert [s.position for s in search(problem, LinearSpace((1, 2, 3)), Effort(), keep=3, ceiling_ns=4).solutions] == [2]


def test_refused_cuts_are_passed_over() -> None:
    problem = chain((90, 5, 50, 70, 9), (0,) * 5)
    refused = replace(problem, ops=(replace(problem.ops[0], refusal="no"), *problem.ops[1:]))
    assert search(refused, LinearSpace(range(5)), Effort()).solutions[0].position == 0
    assert best_effort(refused, prefix(refused, 1), Effort()) is None


def test_best_effort_goes_over_memory_before_it_goes_over_the_error() -> None:
    problem = chain((90, 5, 9), (0, 7, 0))
    tight = replace(problem, limits=Limits(ram_bits=1, error=7))
    found = best_effort(tight, prefix(problem, 1), Effort())
    assert found is not None
    assert (found.figures.ram_bits > 1, found.figures.error, found.proven) == (True, 7, True)
    hopeless = best_effort(replace(problem, limits=Limits(ram_bits=1, error=6)), prefix(problem, 1), Effort())
    assert hopeless is not None
    assert hopeless.figures.error == 7
