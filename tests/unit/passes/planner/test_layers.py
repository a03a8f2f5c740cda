"""The chosen plan layer by layer: packing is a layer of its own, sums are the plan's, and what was measured says so."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from autosplitc.passes import Choice, Layer, Plan, Solutions, plan_layers
from autosplitc.passes.assign_bits import AssignBits
from autosplitc.passes.choose_plan import ChoosePlan
from autosplitc.targets import FLOAT_ROW

if TYPE_CHECKING:
    from .conftest import Toy


def chosen(toy: Toy, **request: Any) -> tuple[Plan, tuple[Layer, ...]]:
    module = toy.module(**request)
    for pass_ in (AssignBits(), ChoosePlan()):
        module = pass_.apply(module, toy.env())
    return module.fact(Solutions).plans[module.fact(Choice).index], plan_layers(module, toy.env())


def packing(toy: Toy, *, measured: tuple[int, ...] = ()) -> Toy:
    rows = frozenset(measured)
    return replace(
        toy, edge=replace(toy.edge, packing_s=1e-3, measured=rows), cloud=replace(toy.cloud, packing_s=2e-3, measured=rows)
    )


def total_s(layers: tuple[Layer, ...], side: str, *kinds: str, basis: str = "") -> float:
    found = (layer for layer in layers if layer.side == side and (layer.kind in kinds or not kinds))
    return sum(layer.latency_s for layer in found if basis in ("", layer.basis))


@pytest.mark.parametrize("cut", [("x",), ("c1",), ("c1", "c2"), ("flat",)])
def test_layers_add_up_to_the_plan(toy: Toy, cut: tuple[str, ...]) -> None:
    for target in (toy, packing(toy)):
        plan, layers = chosen(target, cut=cut, max_error=1.0)
        assert total_s(layers, "edge") == pytest.approx(plan.edge_s, abs=1e-12)
        assert total_s(layers, "cloud") == pytest.approx(plan.cloud_s, abs=1e-12)


def test_packing_stands_between_edge_and_cloud(toy: Toy) -> None:
    plan, layers = chosen(packing(toy), cut=("c1", "c2"), max_error=1.0)
    assert [(layer.name, layer.kind, layer.side) for layer in layers] == [
        ("c1", "conv", "edge"),
        ("c2", "conv", "edge"),
        ("c1", "pack", "edge"),
        ("c2", "pack", "edge"),
        ("c1", "unpack", "cloud"),
        ("c2", "unpack", "cloud"),
        ("sum", "add", "cloud"),
        ("flat", "flatten", "cloud"),
        ("y", "gemm", "cloud"),
    ]
    wire = {b.name: b.bits for b in plan.wire_bits}
    for layer in layers[2:6]:
        assert (layer.act_bits, layer.weight_bits, layer.sqnr_db, layer.bound_by) == (wire[layer.name], None, None, "")
        assert layer.crossing_bytes == layers[1].crossing_bytes
        assert layer.latency_s == pytest.approx(wire[layer.name] * (1e-3 if layer.side == "edge" else 2e-3))
    assert max(layer.ram_bytes or 0 for layer in layers) == plan.ram_bytes


def test_the_raw_input_is_packed_on_the_edge(toy: Toy) -> None:
    plan, layers = chosen(packing(toy), cut=("x",))
    assert [(layer.name, layer.kind, layer.ram_bytes) for layer in layers[:2]] == [("x", "pack", 0), ("x", "unpack", None)]
    assert (plan.kind, plan.edge_s) == ("cloud-only", pytest.approx(8e-3))


def test_targets_that_pack_for_nothing_have_layers_of_ops_alone(toy: Toy) -> None:
    _, layers = chosen(toy, cut=("c1",))
    assert [layer.name for layer in layers] == ["c1", "c2", "sum", "flat", "y"]
    assert {layer.basis for layer in layers} == {"predicted"}


def test_what_was_measured_at_the_bits_in_use_is_told_apart(toy: Toy) -> None:
    plan, layers = chosen(packing(toy, measured=(3, FLOAT_ROW)), cut=("c1", "c2"), max_error=1.0, act_bits=(4,), wire_bits=(4,))
    assert [(layer.name, layer.kind) for layer in layers if layer.basis == "measured"] == [
        ("c2", "conv"),
        ("c1", "pack"),
        ("c2", "pack"),
        ("c1", "unpack"),
        ("c2", "unpack"),
        ("sum", "add"),
        ("flat", "flatten"),
        ("y", "gemm"),
    ]
    assert plan.edge_measured_s == pytest.approx(total_s(layers, "edge", basis="measured"), abs=1e-12)
    assert 0 < plan.edge_measured_s < plan.edge_s
    assert plan.cloud_measured_s == plan.cloud_s


def test_an_op_on_floats_uses_the_float_row(toy: Toy) -> None:
    _, layers = chosen(packing(toy, measured=(FLOAT_ROW,)), cut=("c1", "c2"), max_error=1.0, keep_float="c1")
    assert [layer.basis for layer in layers if layer.side == "edge"] == ["measured", "predicted", "predicted", "predicted"]


def test_a_plan_on_predictions_has_nothing_measured(toy: Toy) -> None:
    plan, _ = chosen(packing(toy), cut=("c1",))
    assert (plan.edge_measured_s, plan.cloud_measured_s) == (0.0, 0.0)
