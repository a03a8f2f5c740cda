"""Plans at several bounds on the error, and the plan of least error within a number of bits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from autosplitc.passes import NamedBits, Plan, Sensitivity, Solutions, TensorError
from autosplitc.passes.assign_bits import AssignBits
from autosplitc.passes.planner import Effort, assignments, build, evaluate, excess, front, most_accurate, plan_at_mean_bits, prefix

if TYPE_CHECKING:
    from .conftest import Toy


def plans(toy: Toy, levels: int = 4, keep: int = 16, **request: Any) -> tuple[Plan, ...]:
    module = AssignBits(levels=levels, keep=keep).apply(toy.module(max_drop=(0.01,), **request), toy.env())
    return module.fact(Solutions).plans


def test_every_plan_is_undominated_among_those_that_fit(make_toy: Callable[..., Toy]) -> None:
    found = plans(make_toy(refuses="gemm"), levels=16)
    splits = [p for p in found if p.kind == "split"]
    assert len(splits) >= 3
    assert [p.latency_s for p in found] == sorted(p.latency_s for p in found)
    for one, two in product(splits, found):
        assert one is two or two.latency_s > one.latency_s or two.error > one.error


def test_each_plan_is_the_fastest_of_all_cuts_that_errs_no_more(make_toy: Callable[..., Toy]) -> None:
    toy = make_toy(refuses="gemm")
    problem = toy.problem(max_drop=(0.01,))
    every = [evaluate(problem, cut, bits) for p in range(1, 5) for cut in [prefix(problem, p)] for bits in assignments(problem, cut)]
    for plan in plans(toy):
        if plan.kind == "split":
            error = round(plan.error / problem.error_unit)
            assert plan.latency_s * 1e9 == pytest.approx(min(f.latency_ns for f in every if f.error <= error), abs=1)


def test_both_ends_of_the_front_are_there(toy: Toy) -> None:
    problem = toy.problem(max_drop=(0.01,))
    found = plans(toy)
    splits = [p for p in found if p.kind == "split"]
    cuts = [prefix(problem, p) for p in range(1, 5)]
    fastest = min(evaluate(problem, cut, bits).latency_ns for cut in cuts for bits in assignments(problem, cut))
    assert splits[0].latency_s * 1e9 == pytest.approx(fastest, abs=1)
    edge = [p for p in found if p.kind == "edge-only"]
    whole = prefix(problem, 5)
    least = min(evaluate(problem, whole, bits).error for bits in assignments(problem, whole))
    assert edge[-1].error == pytest.approx(least * problem.error_unit)
    assert edge[0].latency_s < edge[-1].latency_s
    assert sum(p.kind == "cloud-only" for p in found) == 1


def test_an_upper_bound_on_the_error_holds_at_every_level(toy: Toy) -> None:
    loose, tight = plans(toy), plans(toy, max_error=0.02)
    assert max(p.error for p in loose) > 0.02
    assert all(p.error <= 0.02 for p in tight if p.feasible)
    assert len({p.error for p in tight}) > 2


def test_memory_binds_at_every_level(make_toy: Callable[..., Toy]) -> None:
    found = plans(make_toy(ram_bytes=250))
    assert all(p.ram_bytes <= 250 for p in found if p.kind == "split")
    assert [p.feasible for p in found if p.kind == "edge-only"] == [False]


def test_one_level_gives_the_loosest_plans_alone(toy: Toy) -> None:
    assert {p.error for p in plans(toy, levels=1)} < {p.error for p in plans(toy)}


def test_the_list_is_capped_and_keeps_both_ends(make_toy: Callable[..., Toy]) -> None:
    toy = make_toy(refuses="gemm")
    every = [p for p in plans(toy, levels=16) if p.kind == "split"]
    few = [p for p in plans(toy, levels=16, keep=2) if p.kind == "split"]
    assert len(few) == 2 < len(every)
    assert few[0].latency_s == every[0].latency_s


def test_the_same_request_gives_the_same_plans(toy: Toy) -> None:
    assert plans(toy) == plans(toy)


def plan(kind: str, latency_s: float, error: float, feasible: bool = True) -> Plan:
    bits = (NamedBits("w", 4),)
    return Plan(kind, 1, "c", latency_s, 0.0, 0.0, 1, 1, 1, error, "optimal", 0.0, feasible, () if feasible else ("RAM",), bits, bits, ())


def test_the_front_of_plans() -> None:
    fast, beaten, strict = plan("split", 1.0, 0.5), plan("split", 2.0, 0.5), plan("split", 3.0, 0.1)
    broken = plan("edge-only", 0.5, 0.0, feasible=False)
    cloud, slow_edge, worse_edge = plan("cloud-only", 4.0, 0.0), plan("edge-only", 5.0, 0.3), plan("edge-only", 6.0, 0.4)
    found = front([cloud, strict, worse_edge, slow_edge, beaten, broken, fast], 9)
    assert found == (broken, fast, strict, cloud, slow_edge)


@pytest.mark.parametrize("ram_bytes", [10**9, 700])
@pytest.mark.parametrize("total", [None, 856 * 8, 856 * 4, 856 * 2, 856 * 4 + 500])
def test_the_least_error_is_that_of_all_assignments(make_toy: Callable[..., Toy], ram_bytes: int, total: int | None) -> None:
    toy = make_toy(ram_bytes=ram_bytes)
    module = toy.module(max_drop=(0.01,), act_bits=(8,))
    known = module.fact(Sensitivity)
    weights = tuple(TensorError(e.tensor, tuple(x * (i + 1) for x in e.nsr), e.mse) for i, e in enumerate(known.weights))
    module = module.with_fact(replace(known, weights=weights))
    problem = build(module, toy.env())
    cut = prefix(problem, 5)
    errors: list[int] = []
    for bits in assignments(problem, cut):
        size = sum(problem.weights[w].elements * b for w, b in bits.weights.items())
        figures = evaluate(problem, cut, bits)
        if not excess(problem.limits, figures) and (total is None or size <= total):
            errors.append(figures.error)
    found = most_accurate(problem, prefix(problem, 5), Effort(10.0), total)
    if not errors:
        assert found is None
        return
    assert found is not None
    assert (found.solution.figures.error, found.proven) == (min(errors), True)


def test_a_plan_at_mean_bits_keeps_them(toy: Toy) -> None:
    module = toy.module(max_drop=(0.01,), act_bits=(8,))
    found = plan_at_mean_bits(module, toy.env(), 5.0)
    assert found is not None
    made, proven = found
    sizes = {"w1": 72, "w2": 144, "w3": 640}
    assert proven
    assert made.kind == "edge-only"
    assert sum(sizes[b.name] * b.bits for b in made.weight_bits) <= 5.0 * sum(sizes.values())
    assert len({b.bits for b in made.weight_bits}) > 1
    assert plan_at_mean_bits(module, toy.env(), 1.9) is None
