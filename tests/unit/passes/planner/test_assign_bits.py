"""The list of solutions: what stands on it, what binds, what is warned of."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from autosplitc.ir import CompileError
from autosplitc.passes import Plan, Solutions
from autosplitc.passes.assign_bits import AssignBits

if TYPE_CHECKING:
    from .conftest import Toy


def plans(toy: Toy, pass_: AssignBits | None = None, **request: Any) -> tuple[Plan, ...]:
    module = (pass_ or AssignBits()).apply(toy.module(**request), toy.env())
    return module.fact(Solutions).plans


def of_kind(found: tuple[Plan, ...], kind: str) -> Plan:
    return next(p for p in found if p.kind == kind)


def test_plans_are_sorted_and_both_ends_are_there(toy: Toy) -> None:
    found = plans(toy, min_sqnr_db=20.0)
    assert [p.latency_s for p in found] == sorted(p.latency_s for p in found)
    assert {"cloud-only", "edge-only"} <= {p.kind for p in found}
    assert all(p.proof == "optimal" and p.gap == 0.0 and p.feasible for p in found)


def test_cloud_only_sends_the_input_and_holds_nothing(toy: Toy) -> None:
    plan = of_kind(plans(toy, input_bits=6), "cloud-only")
    assert (plan.position, plan.after, plan.payload_bytes, plan.edge_s) == (0, "", 24, 0.0)
    assert [(b.name, b.bits) for b in plan.wire_bits] == [("x", 6)]
    assert [(b.name, b.bits) for b in plan.act_bits] == [("x", 6)]
    assert plan.weight_bits == ()


def test_a_split_has_bits_for_every_quantiser(toy: Toy) -> None:
    plan = next(p for p in plans(toy, min_sqnr_db=20.0, cut=("c1",)) if p.position == 1)
    assert [(b.name, b.bits) for b in plan.weight_bits] == [("w1", 4)]
    assert [(b.name, b.bits) for b in plan.act_bits] == [("x", 8), ("c1", 4)]
    assert [(b.name, b.bits) for b in plan.wire_bits] == [("c1", 4)]
    assert plan.payload_bytes == 32


def test_values_that_share_a_quantiser_are_not_repeated(toy: Toy) -> None:
    plan = next(p for p in plans(toy, cut=("flat",)) if p.position == 4)
    assert [b.name for b in plan.act_bits] == ["x", "c1", "c2", "sum"]
    assert [b.name for b in plan.wire_bits] == ["flat"]


def test_edge_only_over_memory_is_listed_with_what_it_breaks(make_toy: Callable[..., Toy]) -> None:
    found = plans(make_toy(ram_bytes=250))
    edge = of_kind(found, "edge-only")
    assert not edge.feasible
    (violation,) = edge.violations
    assert violation == f"RAM {edge.ram_bytes / 1e3:.3g} KB, {edge.ram_bytes - 250} B over the limit of 250 B"
    assert all(p.feasible for p in found if p.kind != "edge-only")


def test_edge_only_is_not_listed_where_an_op_cannot_run(make_toy: Callable[..., Toy]) -> None:
    found = plans(make_toy(refuses="gemm"), wire_bits=(1,))
    assert {p.kind for p in found} == {"cloud-only", "split"}
    assert max(p.position for p in found) <= 4


def test_memory_too_small_for_any_split_lists_the_smallest(make_toy: Callable[..., Toy]) -> None:
    found = plans(make_toy(ram_bytes=70))
    assert [p.kind for p in found if p.feasible] == ["cloud-only"]
    split = of_kind(found, "split")
    assert split.position == 1
    assert split.violations[0].startswith("RAM ")


def test_a_split_slower_than_cloud_only_stands_alone(make_toy: Callable[..., Toy]) -> None:
    found = plans(make_toy(op_s=10.0))
    assert [p.kind for p in found] == ["cloud-only", "split", "edge-only"]


def test_a_latency_limit_is_checked_but_prunes_nothing(toy: Toy) -> None:
    found = plans(toy, max_latency_s=1e-6)
    assert not any(p.feasible for p in found)
    assert all(v.startswith("latency ") for v in found[0].violations)


def test_max_error_bounds_the_sum(toy: Toy) -> None:
    for bound in (0.5, 0.05, 0.005):
        found = plans(toy, max_error=bound)
        assert all(p.error <= bound * (1 + 1e-9) for p in found if p.feasible)
    assert [p.kind for p in plans(toy, max_error=0.0) if p.feasible] == ["cloud-only"]


def test_a_fixed_cut_is_searched_alone(toy: Toy) -> None:
    found = plans(toy, cut=("c1", "c2"))
    assert {p.position for p in found} == {0, 2, 5}


def test_a_fixed_cut_that_cannot_be_taken(make_toy: Callable[..., Toy]) -> None:
    with pytest.raises(CompileError) as caught:
        plans(make_toy(refuses="add"), cut=("sum",))
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.code, caught.value.exit_code) == ("AS504", 3)
    assert diagnostic.notes == ("op 'sum' (add) cannot run on the edge",)


def test_keep_limits_the_splits(toy: Toy) -> None:
    found = plans(toy, AssignBits(keep=1), min_sqnr_db=20.0)
    assert sum(p.kind == "split" for p in found) == 1


def test_tensors_that_cannot_keep_the_sqnr_are_warned_of(toy: Toy) -> None:
    plans(toy, min_sqnr_db=60.0)
    (warning,) = toy.warnings
    assert (warning.code, warning.severity) == ("AS503", "warning")
    assert "keep 60 dB at no width" in warning.message
    assert warning.notes[0] == "'w1' has 48.2 dB at 8 bits"


@pytest.mark.usefixtures("no_relaxation")
def test_running_out_of_time_takes_the_proof_back_and_warns(toy: Toy) -> None:
    found = plans(toy, AssignBits(time_limit_s=1e-9), max_error=0.02, edge_ram_bytes=900)
    assert [w.code for w in toy.warnings] == ["AS502"]
    best = next(p for p in found if p.feasible)
    assert best.proof == "feasible"
    assert 0 < best.gap < 1


def test_the_same_module_gives_the_same_plans(toy: Toy) -> None:
    assert plans(toy, max_error=0.03) == plans(toy, max_error=0.03)


def test_no_split_within_the_limits_beats_the_best_plan_by_hand(toy: Toy) -> None:
    best = plans(toy, min_sqnr_db=20.0)[0]
    assert best.kind == "edge-only"
    moved = (32 + 36 + 16 + 32) + (32 + 72 + 32) + (32 + 32 + 32) + (32 + 32) + (32 + 320 + 10)
    assert best.latency_s == pytest.approx(5 * 1e-3 + moved * 1e-6)
