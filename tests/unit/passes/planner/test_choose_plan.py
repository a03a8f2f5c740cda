"""Which plan is taken, and the sentence that says why."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from autosplitc.ir import CompileError
from autosplitc.passes import Choice, Plan, Solutions
from autosplitc.passes.assign_bits import AssignBits
from autosplitc.passes.choose_plan import ChoosePlan

if TYPE_CHECKING:
    from .conftest import Toy


def chosen(toy: Toy, **request: Any) -> tuple[Plan, str]:
    module = ChoosePlan().apply(AssignBits().apply(toy.module(**request), toy.env()), toy.env())
    choice = module.fact(Choice)
    return module.fact(Solutions).plans[choice.index], choice.why


def test_the_fastest_feasible_plan_is_taken(toy: Toy) -> None:
    plan, why = chosen(toy)
    assert plan.kind == "edge-only"
    assert why.startswith("the fastest of ")
    assert "Cloud-Only takes 5" in why


def test_a_split_says_what_its_time_goes_to_and_what_is_short(make_toy: Callable[..., Toy]) -> None:
    plan, why = chosen(make_toy(ram_bytes=150), wire_bits=(1,))
    assert plan.kind == "split"
    assert "Edge-Only takes" in why
    assert "and breaks a limit: RAM" in why
    assert "the link is" in why
    assert "memory is short" in why


def test_cloud_only_says_which_limit_stands_in_the_way(make_toy: Callable[..., Toy]) -> None:
    plan, why = chosen(make_toy(ram_bytes=70))
    assert plan.kind == "cloud-only"
    assert why.startswith("the only plan that keeps every limit")
    assert 'the nearest split, after "c1", breaks a limit: RAM' in why


def test_cloud_only_says_that_no_split_is_faster(make_toy: Callable[..., Toy]) -> None:
    plan, why = chosen(make_toy(op_s=10.0))
    assert plan.kind == "cloud-only"
    assert "no split is faster: the most promising one, after " in why


def test_cloud_only_says_that_no_split_can_be_made(make_toy: Callable[..., Toy]) -> None:
    plan, why = chosen(make_toy(refuses="conv"))
    assert plan.kind == "cloud-only"
    assert why == "the only plan that keeps every limit; no split can be made: op 'c1' (conv) cannot run on the edge"


def test_without_a_feasible_plan_the_least_broken_and_fastest_is_taken(toy: Toy) -> None:
    plan, why = chosen(toy, max_latency_s=1e-6)
    assert plan.kind == "edge-only"
    assert why.startswith("no plan keeps every limit: latency ")


def test_pick_counts_from_one(toy: Toy) -> None:
    plan, why = chosen(toy, pick=2)
    assert plan.kind == "cloud-only"
    assert why.startswith("--pick 2 asks for it; Edge-Only takes ")


def test_a_pick_beyond_the_list(toy: Toy) -> None:
    with pytest.raises(CompileError) as caught:
        chosen(toy, pick=99)
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.code, caught.value.exit_code) == ("AS153", 2)
    assert diagnostic.message.startswith("there is no solution 99: there are ")


def test_a_fixed_cut_is_taken_though_others_are_faster(toy: Toy) -> None:
    plan, why = chosen(toy, cut=("c1", "c2"))
    assert plan.position == 2
    assert why.startswith("--cut asks for it")
