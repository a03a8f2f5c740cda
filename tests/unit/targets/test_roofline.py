"""The roofline: rates by the pair of bit-widths, vector work, traffic, and values that it refuses."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autosplitc.ir import DType, TensorType
from autosplitc.targets import (
    FLOAT_ROW,
    ROWS,
    OpCost,
    OpView,
    Residency,
    RooflineTarget,
    check_target,
    checked_cost,
    pack_view,
    row_of,
    unpack_view,
)

from .conftest import MakeOp

DEVICE = RooflineTarget(
    name="device",
    source="round figures",
    float_ops_per_s=10e9,
    int8_ops_per_s=40e9,
    int4_ops_per_s=80e9,
    efficiency=0.5,
    bandwidth_bytes_per_s=1e9,
    vector_bytes_per_s=2e9,
    per_op_s=1e-6,
    ram_bytes=2**20,
    resident="packed",
)
CONV = ("conv", [(1, 16, 10, 10), (32, 16, 3, 3), (32,)], [(1, 32, 10, 10)])
MACS = 32 * 100 * 144
W4, W5, W8 = row_of(4), row_of(5), row_of(8)


def cost(op: OpView, target: RooflineTarget = DEVICE) -> OpCost:
    found = checked_cost(target, op, "op")
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("first", "second", "rate"),
    [
        (W4, W4, 80e9),
        (row_of(1), row_of(2), 80e9),
        (W4, W5, 40e9),
        (W8, W4, 40e9),
        (W8, W8, 40e9),
        (FLOAT_ROW, W8, 10e9),
        (W4, FLOAT_ROW, 10e9),
    ],
)
def test_the_wider_operand_decides_the_rate(make_op: MakeOp, first: int, second: int, rate: float) -> None:
    table = cost(make_op(*CONV)).compute_s
    assert math.isclose(table[first, second], 2 * MACS / (rate * 0.5) + 1e-6, rel_tol=1e-12)


def test_four_bits_run_at_the_rate_of_eight_where_no_other_is_given(make_op: MakeOp) -> None:
    table = cost(make_op(*CONV), replace(DEVICE, int4_ops_per_s=None)).compute_s
    assert np.all(table[:FLOAT_ROW, :FLOAT_ROW] == table[W8, W8])
    assert table[FLOAT_ROW, FLOAT_ROW] > table[W8, W8]


def test_peaks_that_count_a_multiply_accumulate_once_are_twice_as_high(make_op: MakeOp) -> None:
    once = cost(make_op(*CONV), replace(DEVICE, ops_per_mac=1, per_op_s=0.0)).compute_s
    twice = cost(make_op(*CONV), replace(DEVICE, per_op_s=0.0)).compute_s
    assert np.allclose(2 * once, twice, rtol=1e-12)


def test_every_operand_crosses_once_at_its_own_bits_whatever_its_size(make_op: MakeOp) -> None:
    found = cost(make_op(*CONV))
    assert [float(t[W8]) for t in found.traffic_bytes] == [1600, 32 * 144, 32, 3200]
    assert [float(t[row_of(2)]) for t in found.traffic_bytes] == [400, 8 * 144, 8, 800]
    assert [float(t[FLOAT_ROW]) for t in found.traffic_bytes] == [6400, 128 * 144, 128, 12800]


@pytest.mark.parametrize(("resident", "at_2_bits"), [("int8", [1600, 32 * 144, 3200]), ("storage", [1600, 8 * 144, 3200])])
def test_codes_that_lie_in_memory_as_bytes_move_as_bytes(make_op: MakeOp, resident: Residency, at_2_bits: list[int]) -> None:
    op = replace(make_op("conv", [(1, 16, 10, 10), (32, 16, 3, 3)], [(1, 32, 10, 10)]), constant=(False, True))
    found = cost(op, replace(DEVICE, resident=resident))
    assert [float(t[row_of(2)]) for t in found.traffic_bytes] == at_2_bits
    assert [float(t[W8]) for t in found.traffic_bytes] == [1600, 32 * 144, 3200]
    assert [float(t[FLOAT_ROW]) for t in found.traffic_bytes] == [6400, 128 * 144, 12800]


def test_latency_is_the_roofline(make_op: MakeOp) -> None:
    found = cost(make_op("gemm", [(1, 1000), (1000, 1000)], [(1, 1000)], transB=1))
    rows, macs = (W8, W8, W8), (W8, W8)
    moved_s, compute_s = 1_002_000 / 1e9, 2e6 / 20e9 + 1e-6
    assert math.isclose(found.latency_s(rows, macs), max(moved_s, compute_s), rel_tol=1e-12)
    added = cost(make_op("gemm", [(1, 1000), (1000, 1000)], [(1, 1000)], transB=1), replace(DEVICE, overlap=False))
    assert math.isclose(added.latency_s(rows, macs), moved_s + compute_s, rel_tol=1e-12)


def test_other_ops_pass_the_vector_unit_as_bytes_or_floats(make_op: MakeOp) -> None:
    table = cost(make_op("max_pool", [(1, 8, 8, 8)], [(1, 8, 4, 4)], kernel_shape=(3, 3))).compute_s
    assert np.allclose(table[:FLOAT_ROW], 9 * 128 / 2e9 + 1e-6, rtol=1e-12)
    assert np.allclose(table[FLOAT_ROW], 4 * 9 * 128 / 2e9 + 1e-6, rtol=1e-12)


def test_packing_costs_its_traffic_and_a_step_of_the_vector_unit() -> None:
    value = TensorType(DType.F32, (1, 64, 7, 7))
    packed, unpacked = cost(pack_view(value)), cost(unpack_view(value))
    elements = 64 * 49
    step_s = elements / 2e9 + 1e-6
    assert math.isclose(packed.latency_s((W4, W4), (W4, W4)), max(step_s, elements / 1e9), rel_tol=1e-12)
    assert math.isclose(unpacked.latency_s((W4, FLOAT_ROW), (W4, FLOAT_ROW)), max(step_s, elements * 4.5 / 1e9), rel_tol=1e-12)


def test_ops_that_only_rename_cost_nothing_and_unsupported_ones_have_no_cost(make_op: MakeOp) -> None:
    op = make_op("flatten", [(1, 64, 7, 7)], [(1, 3136)])
    assert not cost(op).compute_s.any()
    assert not np.stack(cost(op).traffic_bytes).any()
    assert replace(DEVICE, unsupported=("flatten",)).cost(op) is None


@settings(max_examples=60, deadline=None)
@given(channels=st.integers(1, 64), filters=st.integers(1, 64), size=st.integers(1, 20))
def test_cost_grows_with_bits_and_sizes(make_op: MakeOp, channels: int, filters: int, size: int) -> None:
    def conv(inward: int) -> OpView:
        return make_op("conv", [(1, inward, size, size), (filters, inward, 1, 1)], [(1, filters, size, size)])

    found, larger = cost(conv(channels)), cost(conv(channels + 1))
    assert np.all(np.diff(found.compute_s, axis=0) >= 0)
    assert np.all(np.diff(found.compute_s, axis=1) >= 0)
    assert np.all(larger.compute_s > found.compute_s)
    assert np.all(np.diff(np.stack(found.traffic_bytes)) > 0)
    assert found.compute_s.shape == (ROWS, ROWS)


@pytest.mark.parametrize(
    "change",
    [
        {"float_ops_per_s": 0.0},
        {"int8_ops_per_s": -1.0},
        {"int8_ops_per_s": math.nan},
        {"int4_ops_per_s": 0.0},
        {"int4_ops_per_s": 39e9},
        {"ops_per_mac": 0},
        {"efficiency": 0.0},
        {"efficiency": 1.01},
        {"bandwidth_bytes_per_s": math.inf},
        {"vector_bytes_per_s": 0.0},
        {"per_op_s": -1e-9},
        {"per_op_s": math.nan},
        {"ram_bytes": 0},
        {"storage_bytes": -1},
        {"weight_bits": (8, 4)},
        {"act_bits": (9,)},
        {"float_bits": 24},
        {"resident": "float"},
        {"max_opset": 0},
        {"name": ""},
    ],
)
def test_values_that_make_no_sense_are_refused_by_name(change: dict[str, Any]) -> None:
    assert check_target(DEVICE, "here") is DEVICE
    with pytest.raises(ValueError, match=next(iter(change))):
        replace(DEVICE, **change)
