"""Which plans stay on the list, and sizes for people."""

from __future__ import annotations

import pytest

from autosplitc.passes import Plan
from autosplitc.passes.planner import size_text, undominated_plans


def plan(
    position: int, ms: float, ram: int = 10, *, sent: int = 10, error: float = 0.1, kind: str = "split", feasible: bool = True
) -> Plan:
    return Plan(
        kind, position, "", ms * 1e-3, 0.0, 0.0, sent, ram, 10, error, "optimal", 0.0, feasible, () if feasible else ("RAM",), (), (), ()
    )


def kept(*plans: Plan) -> list[int]:
    return [p.position for p in undominated_plans(plans)]


def test_what_is_worse_in_nothing_and_no_better_in_anything_goes() -> None:
    assert kept(plan(1, 5), plan(2, 6)) == [1]
    assert kept(plan(1, 5), plan(2, 6, ram=9)) == [1, 2]
    assert kept(plan(1, 5), plan(2, 6, sent=9), plan(3, 7, error=0.05), plan(4, 8, ram=11)) == [1, 2, 3]


def test_equal_plans_leave_the_first() -> None:
    assert kept(plan(2, 5), plan(1, 5)) == [1]


def test_a_plan_that_breaks_a_limit_pushes_nothing_off() -> None:
    assert kept(plan(1, 5, feasible=False), plan(2, 6)) == [1, 2]


def test_the_ends_and_the_fastest_split_always_stay() -> None:
    ends = (plan(0, 1, ram=0, sent=0, error=0.0, kind="cloud-only"), plan(9, 99, kind="edge-only"))
    assert kept(*ends, plan(4, 50), plan(5, 51)) == [0, 4, 9]


@pytest.mark.parametrize(("nbytes", "text"), [(0, "0 B"), (999, "999 B"), (43_328, "43.3 KB"), (8e6, "8 MB"), (4.29e9, "4.29 GB")])
def test_sizes_for_people(nbytes: float, text: str) -> None:
    assert size_text(nbytes) == text
