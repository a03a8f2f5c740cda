"""Tables: curves over the amount of work, which curve and which column an op takes, holes and other mistakes."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autosplitc.ir import DType, TensorType
from autosplitc.targets import FLOAT_ROW, Curve, OpCost, OpView, TableTarget, check_target, checked_cost, pack_view, row_of, unpack_view

from .conftest import MakeOp

CONV = Curve(
    kinds=("conv", "gemm"), work=(1000, 2000, 4000), seconds={"float": (4.0, 8.0, 10.0), "8": (2.0, 3.0, 4.0), "4": (1.0, 1.0, 2.0)}
)
OTHER = Curve(kinds=("*",), work=(100,), seconds={"float": (0.4,), "8": (0.2,), "4": (0.1,), "2": (0.05,)})
DEVICE = TableTarget(name="device", source="stopwatch", curves=(CONV, OTHER), weight_bits=(4, 8), act_bits=(8,), ram_bytes=2**20)


def cost(op: OpView, target: TableTarget = DEVICE) -> OpCost:
    found = checked_cost(target, op, "op")
    assert found is not None
    return found


def add(make_op: MakeOp, elements: int) -> OpView:
    return make_op("add", [(elements,), (1,)], [(elements,)])


@pytest.mark.parametrize(
    ("work", "expected"),
    [(1, 2.0), (1000, 2.0), (1500, 2.5), (2000, 3.0), (3000, 3.5), (4000, 4.0), (6000, 5.0), (40000, 22.0)],
)
def test_a_curve_is_constant_then_straight_and_goes_on_along_its_last_line(work: int, expected: float) -> None:
    assert math.isclose(CONV.at("8", work), expected, rel_tol=1e-12)


def test_beyond_a_single_point_time_is_proportional() -> None:
    assert [OTHER.at("8", work) for work in (0, 50, 100)] == [0.2] * 3
    assert math.isclose(OTHER.at("8", 250), 0.5)


def test_a_product_takes_the_wider_of_its_operands(make_op: MakeOp) -> None:
    table = cost(make_op("gemm", [(1, 30), (30, 50)], [(1, 50)])).compute_s
    w2, w4, w8 = row_of(2), row_of(4), row_of(8)
    assert math.isclose(table[w4, w4], 1.0)
    assert math.isclose(table[w2, w4], 1.0)
    assert math.isclose(table[w8, w4], 2.5)
    assert math.isclose(table[w4, w8], 2.5)
    assert math.isclose(table[w8, FLOAT_ROW], 6.0)
    assert math.isclose(table[FLOAT_ROW, w4], 6.0)


def test_a_width_without_a_column_takes_the_next_wider_one(make_op: MakeOp) -> None:
    column = cost(add(make_op, 100)).compute_s[:, FLOAT_ROW]
    assert column.tolist() == [0.05, 0.05, 0.1, 0.1, 0.2, 0.2, 0.2, 0.2, 0.4]
    only4 = replace(
        DEVICE, weight_bits=(4,), act_bits=(4,), curves=(Curve(kinds=("*",), work=(1,), seconds={"4": (1.0,), "float": (3.0,)}),)
    )
    assert cost(add(make_op, 1), only4).compute_s[:, FLOAT_ROW].tolist() == [1.0] * 4 + [3.0] * 5


def test_work_is_the_larger_of_inputs_and_results(make_op: MakeOp) -> None:
    w8 = row_of(8)
    pool = make_op("max_pool", [(1, 10, 10, 10)], [(1, 10, 5, 5)], kernel_shape=(2, 2))
    assert math.isclose(cost(pool).compute_s[w8, FLOAT_ROW], 0.2 * 1000 / 100)
    halves = make_op("split", [(1, 400)], [(1, 200), (1, 200)])
    assert math.isclose(cost(halves).compute_s[w8, FLOAT_ROW], 0.2 * 400 / 100)
    assert cost(make_op("relu", [(None, 3)], [(None, 3)])).compute_s[w8, FLOAT_ROW] == 0.2


def test_ops_that_only_rename_cost_nothing_unless_a_curve_names_them(make_op: MakeOp) -> None:
    op = make_op("reshape", [(1, 200), TensorType(DType.I64, (2,))], [(2, 100)])
    assert not cost(op, replace(DEVICE, per_op_s=1.0)).compute_s.any()
    named = Curve(kinds=("reshape",), work=(200,), seconds={"float": (0.7,), "8": (0.7,), "4": (0.7,)})
    assert np.all(cost(op, replace(DEVICE, curves=(named, *DEVICE.curves), per_op_s=1.0)).compute_s == 1.7)


def test_transfers_are_part_of_the_times(make_op: MakeOp) -> None:
    found = cost(add(make_op, 100))
    assert not np.stack(found.traffic_bytes).any()
    assert found.latency_s((7, 7, 7), (7, FLOAT_ROW)) == 0.2


def test_packing_takes_the_curve_of_all_other_kinds_or_its_own() -> None:
    value = TensorType(DType.F32, (1, 1000))
    w4 = row_of(4)
    assert math.isclose(cost(pack_view(value)).latency_s((w4, w4), (w4, w4)), 1.0)
    assert math.isclose(cost(unpack_view(value)).latency_s((w4, FLOAT_ROW), (w4, FLOAT_ROW)), 1.0)
    own = Curve(kinds=("pack",), work=(1,), seconds={"float": (9.0,), "8": (9.0,), "4": (9.0,)})
    both = replace(DEVICE, curves=(*DEVICE.curves, own))
    assert cost(pack_view(TensorType(DType.F32, (1,))), both).latency_s((w4, w4), (w4, w4)) == 9.0


def test_what_a_target_does_not_support_has_no_cost(make_op: MakeOp) -> None:
    assert replace(DEVICE, unsupported=("add",)).cost(add(make_op, 1)) is None


@settings(max_examples=100, deadline=None)
@given(
    points=st.lists(st.tuples(st.integers(1, 50), st.integers(0, 50)), min_size=1, max_size=5),
    work=st.lists(st.integers(0, 400), min_size=2),
)
def test_a_curve_never_falls_and_meets_its_points(points: list[tuple[int, int]], work: list[int]) -> None:
    amounts = tuple(float(x) for x in np.cumsum([step for step, _ in points]))
    times = tuple(float(x) for x in np.cumsum([rise for _, rise in points]))
    curve = Curve(kinds=("*",), work=amounts, seconds={"float": times})
    assert [curve.at("float", x) for x in amounts] == pytest.approx(list(times))
    found = [curve.at("float", x) for x in sorted(work)]
    assert all(a <= b + 1e-9 for a, b in pairwise(found))


@pytest.mark.parametrize(
    "change",
    [
        {"kinds": ()},
        {"kinds": ("conv", "conv")},
        {"kinds": ("",)},
        {"work": ()},
        {"work": (1000, 1000, 2000)},
        {"work": (2000, 1000, 4000)},
        {"work": (0, 1000, 2000)},
        {"work": (1000, math.nan, 2000)},
        {"work": (1000, 2000, math.inf)},
        {"seconds": {"float": (1.0, 2.0)}},
        {"seconds": {"float": (1.0, 2.0, -3.0)}},
        {"seconds": {"float": (-1.0, 2.0, 3.0)}},
        {"seconds": {"float": (1.0, 3.0, 2.0)}},
        {"seconds": {"float": (1.0, math.nan, 2.0)}},
        {"seconds": {"float": (1.0, 2.0, math.inf)}},
        {"seconds": {"9": (1.0, 2.0, 3.0)}},
        {"seconds": {"f32": (1.0, 2.0, 3.0)}},
    ],
)
def test_curves_that_make_no_sense_are_refused_by_field(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        replace(CONV, **change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"curves": (CONV,)}, r'curves must have one of kinds \("\*",\)'),
        ({"curves": ()}, "curves must have one"),
        ({"curves": (CONV, OTHER, OTHER)}, r"curves name kind '\*' 2 times"),
        ({"curves": (CONV, replace(CONV, kinds=("gemm",)), OTHER)}, "curves name kind 'gemm' 2 times"),
        ({"weight_bits": (2, 4, 8)}, "curves have a hole: conv, gemm has no column 2"),
        ({"act_bits": (6, 8)}, "curves have a hole: conv, gemm has no column 6"),
        ({"curves": (replace(OTHER, seconds={"4": (1.0,), "8": (1.0,)}),)}, r"curves have a hole: \* has no column float"),
        ({"per_op_s": -1.0}, "per_op_s must not be negative"),
        ({"ram_bytes": 0}, "ram_bytes"),
        ({"max_opset": 0}, "max_opset"),
    ],
)
def test_tables_with_holes_and_other_mistakes_are_refused(change: dict[str, Any], message: str) -> None:
    assert check_target(DEVICE, "here") is DEVICE
    with pytest.raises(ValueError, match=message):
        replace(DEVICE, **change)
