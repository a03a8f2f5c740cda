"""What is looked at before a cost is believed: a plug-in may return anything."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from autosplitc.ir import CompileError
from autosplitc.targets import ROWS, OpCost, OpView, SystolicTarget, checked_cost, constant_table, load_target

from .conftest import MakeOp

GOOD = OpCost(constant_table(1e-6), (np.zeros(ROWS),) * 3, 1e9, False)


@dataclass(frozen=True)
class Plugin:
    """A target whose costs are `answer`, in all else eyeriss."""

    eyeriss: SystolicTarget
    answer: Any

    def __getattr__(self, name: str) -> Any:
        return getattr(self.eyeriss, name)

    def cost(self, op: OpView) -> Any:
        del op
        return self.answer


def problem(make_op: MakeOp, answer: Any) -> str:
    eyeriss = load_target("eyeriss")
    assert isinstance(eyeriss, SystolicTarget)
    target: Any = Plugin(eyeriss, answer)
    with pytest.raises(CompileError) as caught:
        checked_cost(target, make_op("add", [(4,), (4,)], [(4,)]), "sum")
    (found,) = caught.value.diagnostics
    assert (found.code, found.location, caught.value.exit_code) == ("AS420", 'op "sum"', 1)
    return found.message.removeprefix("target 'eyeriss' gives no usable cost for add: ")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"compute_s": [[0.0] * ROWS] * ROWS}, "compute_s or traffic_bytes holds a list, not an array of numbers"),
        ({"compute_s": 1e-6}, "compute_s or traffic_bytes holds a float, not an array of numbers"),
        ({"compute_s": np.full((ROWS, ROWS), None)}, "compute_s or traffic_bytes holds a ndarray, not an array of numbers"),
        ({"traffic_bytes": ([0.0] * ROWS,) * 3}, "compute_s or traffic_bytes holds a list, not an array of numbers"),
        ({"compute_s": np.zeros((ROWS, ROWS - 1))}, "compute_s has shape (9, 8), not (9, 9)"),
        ({"traffic_bytes": ()}, "traffic_bytes has 0 arrays for 3 inputs and results"),
        ({"traffic_bytes": (np.zeros(ROWS), np.zeros(ROWS), np.zeros(8))}, "an array of traffic_bytes is not of shape (9,)"),
        ({"compute_s": constant_table(-1.0)}, "compute_s holds -1.0"),
        ({"traffic_bytes": (np.zeros(ROWS), np.zeros(ROWS), np.full(ROWS, np.nan))}, "traffic_bytes holds nan"),
        ({"bandwidth_bytes_per_s": float("inf")}, "bandwidth_bytes_per_s is inf"),
        ({"measured_rows": frozenset({99})}, "measured_rows is frozenset({99}), not a frozenset of rows from 0 to 8"),
        ({"measured_rows": [8]}, "measured_rows is [8], not a frozenset of rows from 0 to 8"),
        ({"compute_s": constant_table(1e300)}, "it takes 1e+300 s, more than can be planned with"),
        ({"traffic_bytes": (np.ones(ROWS),) * 3, "bandwidth_bytes_per_s": 1e-200}, "it takes 3e+200 s, more than can be planned with"),
    ],
)
def test_what_is_wrong_with_a_cost_is_said(make_op: MakeOp, change: dict[str, Any], message: str) -> None:
    assert problem(make_op, replace(GOOD, **change)) == message


def test_whole_numbers_are_numbers(make_op: MakeOp) -> None:
    whole: Any = np.ones((ROWS, ROWS), np.int64)
    eyeriss = load_target("eyeriss")
    assert isinstance(eyeriss, SystolicTarget)
    target: Any = Plugin(eyeriss, replace(GOOD, compute_s=whole))
    assert checked_cost(target, make_op("add", [(4,), (4,)], [(4,)]), "sum") is target.answer


def test_a_plugin_cannot_end_the_compile(make_op: MakeOp) -> None:
    class Leaving(Plugin):
        def cost(self, op: OpView) -> Any:
            del op
            raise SystemExit("first line\nsecond line")

    eyeriss = load_target("eyeriss")
    assert isinstance(eyeriss, SystolicTarget)
    target: Any = Leaving(eyeriss, None)
    with pytest.raises(CompileError) as caught:
        checked_cost(target, make_op("add", [(4,), (4,)], [(4,)]), "sum")
    (found,) = caught.value.diagnostics
    assert (found.code, found.notes) == ("AS420", ("SystemExit: first line second line",))
