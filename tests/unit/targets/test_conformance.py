"""The conformance kit: good targets pass, and each fault is found by the check that is there for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest

from autosplitc.ir import CompileError
from autosplitc.targets import OpCost, OpView, SystolicTarget, Target, conformance, load_target
from autosplitc.targets.probe_ops import Sizes, probes

Fault: TypeAlias = Callable[[OpView, OpCost], OpCost | None]

GOOD = load_target("eyeriss")
assert isinstance(GOOD, SystolicTarget)


@dataclass(frozen=True)
class Wrapped(SystolicTarget):
    """The good target with a fault in what it answers."""

    fault: Fault = field(kw_only=True)

    def cost(self, op: OpView) -> OpCost | None:
        """Return the good target's cost, spoilt."""
        found = GOOD.cost(op)
        assert found is not None
        return self.fault(op, found)


def with_fault(fault: Fault) -> Wrapped:
    members: dict[str, Any] = {name: getattr(GOOD, name) for name in SystolicTarget.__dataclass_fields__}
    return Wrapped(**members, fault=fault)


def broken(target: Target) -> dict[str, tuple[str, ...]]:
    return {f.check: f.problems for f in conformance(target, lambda: target) if not f.holds}


@pytest.mark.parametrize("name", ["eyeriss", "tpu", "eyeriss:dataflow=is,overlap=true", "tpu:depthwise=block-diagonal,cycles=scalesim-v3"])
def test_good_targets_conform(name: str) -> None:
    assert broken(load_target(name)) == {}


def test_a_member_that_makes_no_sense() -> None:
    target = with_fault(lambda _, cost: cost)
    object.__setattr__(target, "ram_bytes", -1)
    assert list(broken(target)) == ["members"]


def test_a_cost_that_raises_or_is_not_a_number() -> None:
    def raises(op: OpView, cost: OpCost) -> OpCost:
        del cost
        raise ZeroDivisionError(op.kind)

    found = broken(with_fault(raises))
    assert list(found) == ["costs"]
    assert "ZeroDivisionError: conv" in found["costs"][0]
    found = broken(with_fault(lambda op, cost: replace(cost, compute_s=cost.compute_s * (np.nan if op.kind == "gru" else 1))))
    assert [problem.partition(":")[0] for problem in found["costs"]] == ["gru"]


def test_a_cost_that_fails_only_for_larger_ops() -> None:
    def fails(op: OpView, cost: OpCost) -> OpCost:
        return replace(cost, compute_s=-cost.compute_s) if op.macs > 10**9 else cost

    with pytest.raises(CompileError) as raised:
        conformance(with_fault(fails), lambda: with_fault(fails))
    assert raised.value.diagnostics[0].code == "AS420"


def test_a_target_without_8_bit() -> None:
    assert list(broken(load_target("eyeriss:weight-bits=2/4"))) == ["8 bit"]


def test_a_cost_that_is_not_pure() -> None:
    calls: list[str] = []

    def drifts(op: OpView, cost: OpCost) -> OpCost:
        calls.append(op.kind)
        return replace(cost, compute_s=cost.compute_s * (1 + len(calls) * 1e-3))

    assert "purity" in broken(with_fault(drifts))


def test_two_objects_that_differ() -> None:
    found = conformance(GOOD, lambda: load_target("eyeriss:clock=201MHz"))
    assert [f.check for f in found if not f.holds] == ["purity"]


@pytest.mark.parametrize(("change", "what"), [({"compute_s": 1e9}, "compute_s"), ({"traffic_bytes": 8.0}, "add moves")])
def test_other_units(change: dict[str, float], what: str) -> None:
    def scaled(op: OpView, cost: OpCost) -> OpCost:
        del op
        factor = change.get("traffic_bytes", 1.0)
        return replace(
            cost, compute_s=cost.compute_s * change.get("compute_s", 1.0), traffic_bytes=tuple(t * factor for t in cost.traffic_bytes)
        )

    found = broken(with_fault(scaled))
    assert list(found) == ["units"]
    assert what in found["units"][0]


def test_fewer_bits_that_cost_more() -> None:
    slower = broken(with_fault(lambda _, cost: replace(cost, traffic_bytes=tuple(t[::-1] for t in cost.traffic_bytes))))
    assert "monotone in bits" in slower


def test_larger_ops_that_cost_less() -> None:
    def shrinks(op: OpView, cost: OpCost) -> OpCost:
        table = np.full_like(cost.compute_s, 1 / max(op.macs, 1))
        return replace(cost, compute_s=table, traffic_bytes=tuple(t * 0 for t in cost.traffic_bytes))

    assert "monotone in sizes" in broken(with_fault(shrinks))


def test_what_was_measured_is_not_judged() -> None:
    def measured(op: OpView, cost: OpCost) -> OpCost:
        del op
        return replace(cost, traffic_bytes=tuple(t[::-1] for t in cost.traffic_bytes), measured_rows=frozenset(range(9)))

    assert "monotone in bits" not in broken(with_fault(measured))


def test_a_target_that_runs_nothing() -> None:
    def refuses(op: OpView, cost: OpCost) -> None:
        del op, cost

    assert broken(with_fault(refuses)) == {"costs": ("no probe op can run",)}


def test_a_profiled_device_is_not_judged_by_its_times(make_profile: Callable[..., Any], tmp_path: Path) -> None:
    """Neither what was timed, 8 bits quicker than 4 here, nor what is interpolated between."""
    conv = probes(Sizes())["conv"]
    file = tmp_path / "board.json"

    def times(op: OpView, context: str) -> float:
        del op
        return 3e-3 if context == "4" else 1e-3

    made = make_profile([("y", conv)], times, ("float", "8", "4"))
    file.write_text(json.dumps(made))
    assert set(broken(load_target(str(file)))) <= {"units"}
