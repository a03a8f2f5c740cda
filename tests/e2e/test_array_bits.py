"""A compile for arrays whose speed depends on both operands' bits: the bundle runs, and its plan takes the time that the target says."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

import autosplitc
from autosplitc import Result
from autosplitc.ir import op_row
from autosplitc.passes import roles
from autosplitc.targets import FLOAT_ROW, Target, load_target, row_of, view

ARRAYS = {
    "fused": "bit-fusion:clock=2MHz,bandwidth=1MB/s,vector=4MB/s",
    "fused, transfers added": "bit-fusion:clock=2MHz,bandwidth=1MB/s,vector=4MB/s,overlap=false,weight-bits=2/4/6/8,act-bits=2/4/6/8",
    "serial": "bit-fusion:mode=serial,weight-step-bits=1,input-step-bits=1,rows=4,cols=4,clock=50MHz,bandwidth=1MB/s,vector=4MB/s",
}


@pytest.mark.parametrize("edge", ARRAYS.values(), ids=ARRAYS.keys())
def test_a_bundle_is_planned_by_the_bits_of_both_operands(residual_model: Any, tmp_path: Path, edge: str) -> None:
    free = autosplitc.compile(residual_model, edge=edge, network="ble", max_error=0.15, seed=3, passes="simplify,analyze,plan").best
    made = autosplitc.compile(
        residual_model, edge=edge, network="ble", max_error=0.15, edge_memory=free.ram_bytes - 400, output=tmp_path / "out", seed=3
    )
    plan = made.best
    assert made.measurements["check"]["halves_equal_whole"]
    assert plan.proof == "optimal"
    assert plan.latency_s >= free.latency_s
    assert plan.ram_bytes <= free.ram_bytes - 400
    assert len({named.bits for named in plan.weight_bits}) > 1
    assert math.isclose(plan.edge_s, edge_seconds(made, load_target(edge)), abs_tol=1e-6)


def edge_seconds(made: Result, target: Target) -> float:
    """Return the sum of what the target says of every edge op at the plan's bits."""
    graph, plan = made.module.main, made.best
    found = roles(graph)
    bits = {named.name: named.bits for named in (*plan.weight_bits, *plan.act_bits)}

    def row(name: str) -> int:
        return row_of(bits.get(found.root.get(name, name)))

    total_s = 0.0
    for op in graph.ops[: plan.position]:
        cost = target.cost(view(graph, op))
        assert cost is not None
        is_product = op_row(op.kind).quant == "mac" and op.name in found.quantised
        macs = (row(op.inputs[0]), row(op.inputs[1]) if is_product else FLOAT_ROW)
        total_s += cost.latency_s(tuple(row(name) for name in (*op.inputs, *op.results)), macs)
    return total_s


def test_narrow_codes_bring_the_network_to_the_edge(residual_model: Any) -> None:
    """With 8 bits throughout the whole network stays in the cloud; at widths that the solver picks the array is quick enough for it."""
    edge = ARRAYS["serial"]
    picked = autosplitc.compile(residual_model, edge=edge, network="ble", max_error=0.15, seed=3, passes="simplify,analyze,plan").best
    wide = autosplitc.compile(
        residual_model, edge=edge, network="ble", weight_bits=(8,), act_bits=(8,), seed=3, passes="simplify,analyze,plan"
    ).best
    assert (picked.kind, wide.kind) == ("edge-only", "cloud-only")
    assert picked.latency_s < wide.latency_s
