"""Bit-serial and bit-fusion arrays: times by pairs of widths, against figures made by hand and against the systolic array."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autosplitc.ir import DType, TensorType
from autosplitc.targets import (
    BIT_ROWS,
    FLOAT_ROW,
    BitSerialTarget,
    OpCost,
    OpView,
    SystolicTarget,
    check_target,
    checked_cost,
    cycles_v1,
    cycles_v3,
    pack_view,
    row_of,
    unpack_view,
)

from .conftest import MakeOp

FUSED = BitSerialTarget(
    name="fused",
    source="round figures",
    mode="fused",
    weight_step_bits=2,
    input_step_bits=2,
    rows=16,
    cols=32,
    dataflow="ws",
    clock_hz=500e6,
    vector_bytes_per_s=16e9,
    input_buffer_bytes=32 * 1024,
    weight_buffer_bytes=64 * 1024,
    output_buffer_bytes=16 * 1024,
    bandwidth_bytes_per_s=12e9,
    float_passes=4,
    ram_bytes=2**30,
)
LOOM = replace(FUSED, name="loom", mode="serial", weight_step_bits=1, input_step_bits=1, lanes=16)
STRIPES = replace(LOOM, name="stripes", weight_step_bits=8)
CONV = ("conv", [(1, 64, 56, 56), (64, 64, 3, 3), (64,)], [(1, 64, 56, 56)])


def cost(target: BitSerialTarget, op: OpView) -> OpCost:
    found = checked_cost(target, op, "op")
    assert found is not None
    return found


def cycles(target: BitSerialTarget, op: OpView, act_bits: int, weight_bits: int) -> int:
    return round(float(cost(target, op).compute_s[row_of(act_bits), row_of(weight_bits)]) * target.clock_hz)


@pytest.mark.parametrize(
    ("act_bits", "weight_bits", "expected"),
    # SCALE-Sim v1, ws, 3,136 pixels, 64 filters in 2 column folds: 2 x taps x 2 + 64 x row folds + 3,136 x 2 x row folds.
    [
        (8, 8, 2 * 576 * 2 + 64 * 36 + 3136 * 2 * 36),
        (8, 2, 2 * 144 * 2 + 64 * 9 + 3136 * 2 * 9),
        (4, 4, 2 * 144 * 2 + 64 * 9 + 3136 * 2 * 9),
        (2, 2, 2 * 36 * 2 + 64 * 3 + 3136 * 2 * 3),
        (1, 1, 2 * 36 * 2 + 64 * 3 + 3136 * 2 * 3),
        (3, 2, 2 * 72 * 2 + 64 * 5 + 3136 * 2 * 5),
        (6, 6, 2 * 576 * 2 + 64 * 36 + 3136 * 2 * 36),
    ],
)
def test_bricks_of_two_bits_make_up_to_sixteen_multipliers(make_op: MakeOp, act_bits: int, weight_bits: int, expected: int) -> None:
    assert cycles(FUSED, make_op(*CONV), act_bits, weight_bits) == expected


def test_lanes_of_a_fused_unit_multiply_what_it_handles(make_op: MakeOp) -> None:
    wide = replace(FUSED, lanes=4)
    assert cycles(wide, make_op(*CONV), 8, 8) == cycles(FUSED, make_op(*CONV), 4, 4)


def test_loom_takes_time_in_proportion_to_both_widths(make_op: MakeOp) -> None:
    # 576 taps in 16 lanes are 36: as above at 2 x 2 bits, but every step takes as many cycles as bits meet.
    step = 2 * 36 * 2 + 64 * 3 + 3136 * 2 * 3
    for act_bits in BIT_ROWS:
        for weight_bits in BIT_ROWS:
            assert cycles(LOOM, make_op(*CONV), act_bits, weight_bits) == step * act_bits * weight_bits


def test_stripes_takes_time_in_proportion_to_the_input_alone(make_op: MakeOp) -> None:
    eight = cycles(STRIPES, make_op(*CONV), 8, 8)
    for act_bits in BIT_ROWS:
        assert [8 * cycles(STRIPES, make_op(*CONV), act_bits, w) for w in BIT_ROWS] == [eight * act_bits] * 8


def test_steps_of_several_bits_are_rounded_up(make_op: MakeOp) -> None:
    two = replace(LOOM, input_step_bits=2, weight_step_bits=4)
    one = cycles(two, make_op(*CONV), 1, 1)
    assert [cycles(two, make_op(*CONV), a, 1) // one for a in BIT_ROWS] == [1, 1, 2, 2, 3, 3, 4, 4]
    assert [cycles(two, make_op(*CONV), 1, w) // one for w in BIT_ROWS] == [1, 1, 1, 1, 2, 2, 2, 2]


@pytest.mark.parametrize("target", [FUSED, LOOM], ids=lambda t: t.name)
def test_a_float_operand_takes_passes_of_eight_bits(make_op: MakeOp, target: BitSerialTarget) -> None:
    table = cost(target, make_op(*CONV)).compute_s
    assert np.allclose(table[FLOAT_ROW, :], 4 * table[row_of(8), row_of(8)], rtol=1e-12)
    assert np.allclose(table[:, FLOAT_ROW], 4 * table[row_of(8), row_of(8)], rtol=1e-12)


def as_systolic(target: BitSerialTarget) -> SystolicTarget:
    names = {f.name for f in fields(SystolicTarget)}
    return SystolicTarget(**{f.name: getattr(target, f.name) for f in fields(target) if f.name in names})


@pytest.mark.parametrize("mode", ["serial", "fused"])
@pytest.mark.parametrize("dataflow", ["os", "ws", "is"])
@pytest.mark.parametrize("model", ["scalesim-v1", "scalesim-v3"])
@pytest.mark.parametrize(
    "op",
    [
        CONV,
        ("gemm", [(1, 512), (512, 1000), (1000,)], [(1, 1000)]),
        ("lstm", [(30, 1, 96), (2, 512, 96), (2, 512, 128)], [(30, 2, 1, 128)]),
        ("max_pool", [(1, 8, 8, 8)], [(1, 8, 4, 4)]),
        ("add", [(1, 8), (1, 8)], [(1, 8)]),
        ("flatten", [(1, 8, 2)], [(1, 16)]),
    ],
    ids=lambda op: op[0],
)
def test_with_steps_of_eight_bits_it_is_the_systolic_array(make_op: MakeOp, op: Any, model: Any, dataflow: Any, mode: Any) -> None:
    target = replace(FUSED, mode=mode, weight_step_bits=8, input_step_bits=8, cycles=model, dataflow=dataflow, per_op_s=1e-6)
    found, expected = cost(target, make_op(*op)), as_systolic(target).cost(make_op(*op))
    assert expected is not None
    assert np.array_equal(found.compute_s, expected.compute_s)
    assert np.array_equal(np.stack(found.traffic_bytes), np.stack(expected.traffic_bytes))
    assert (found.bandwidth_bytes_per_s, found.overlap) == (expected.bandwidth_bytes_per_s, expected.overlap)


def test_groups_follow_the_mapping_of_depthwise(make_op: MakeOp) -> None:
    op = make_op("conv", [(1, 32, 14, 14), (32, 1, 3, 3)], [(1, 32, 14, 14)], group=32)
    assert cycles(FUSED, op, 8, 8) == 32 * cycles_v1.cycles("ws", 196, 1, 9, 16, 32)
    assert cycles(FUSED, op, 2, 2) == 32 * cycles_v1.cycles("ws", 196, 1, 1, 16, 32)
    diagonal = replace(FUSED, depthwise="block-diagonal", cycles="scalesim-v3")
    assert cycles(diagonal, op, 4, 4) == cycles_v3.cycles("ws", 196, 32, 72, 16, 32)


def test_the_peak_is_that_of_eight_bits() -> None:
    assert FUSED.peak_ops_per_s == 16 * 32 * 500e6 * 2
    assert LOOM.peak_ops_per_s == 16 * 32 * 16 / 64 * 500e6 * 2
    assert replace(STRIPES, ops_per_mac=1).peak_ops_per_s == 16 * 32 * 16 / 8 * 500e6


def test_values_for_the_wire_are_packed_and_unpacked_at_no_cost() -> None:
    value = TensorType(DType.F32, (1, 64, 7, 7))
    for op in (pack_view(value), unpack_view(value)):
        assert not cost(replace(FUSED, per_op_s=1.0), op).compute_s.any()
        assert not np.stack(cost(FUSED, op).traffic_bytes).any()


def test_what_a_target_does_not_support_has_no_cost(make_op: MakeOp) -> None:
    assert replace(FUSED, unsupported=("conv",)).cost(make_op(*CONV)) is None


@settings(max_examples=100, deadline=None)
@given(
    m=st.integers(1, 300), n=st.integers(1, 100), k=st.integers(1, 600), rows=st.integers(1, 40), cols=st.integers(1, 40),
    dataflow=st.sampled_from(["os", "ws", "is"]), cycles=st.sampled_from(["scalesim-v1", "scalesim-v3"]),
    mode=st.sampled_from(["serial", "fused"]), input_step=st.sampled_from([1, 2, 4, 8]), weight_step=st.sampled_from([1, 2, 4, 8]),
)  # fmt: skip
def test_time_never_falls_with_bits_or_sizes(
    make_op: MakeOp, m: int, n: int, k: int, input_step: int, weight_step: int, **array: Any
) -> None:
    target = replace(FUSED, input_step_bits=input_step, weight_step_bits=weight_step, lanes=1 + k % 3, **array)

    def table(taps: int) -> Any:
        return cost(target, make_op("matmul", [(m, taps), (taps, n)], [(m, n)])).compute_s

    found = table(k)
    assert np.all(np.diff(found, axis=0) >= 0)
    assert np.all(np.diff(found, axis=1) >= 0)
    assert np.all(table(k + 1) >= found)


@pytest.mark.parametrize(
    "change",
    [
        {"mode": "parallel"},
        {"weight_step_bits": 0},
        {"input_step_bits": 9},
        {"input_step_bits": 3},
        {"lanes": 0},
        {"rows": -1},
        {"cols": 0},
        {"clock_hz": 0.0},
        {"clock_hz": math.inf},
        {"vector_bytes_per_s": math.nan},
        {"bandwidth_bytes_per_s": -1.0},
        {"input_buffer_bytes": 0},
        {"weight_buffer_bytes": 0},
        {"output_buffer_bytes": 0},
        {"float_passes": 0},
        {"accumulator_bits": 0},
        {"ops_per_mac": 0},
        {"per_op_s": -1.0},
        {"dataflow": "rs"},
        {"cycles": "scalesim-v2"},
        {"depthwise": "none"},
        {"ram_bytes": 0},
        {"weight_bits": ()},
        {"resident": "sometimes"},
    ],
)
def test_values_that_make_no_sense_are_refused_by_name(change: dict[str, Any]) -> None:
    assert check_target(FUSED, "here") is FUSED
    with pytest.raises(ValueError, match=next(iter(change))):
        replace(FUSED, **change)


def test_serial_steps_may_be_any_number_of_bits() -> None:
    assert replace(LOOM, input_step_bits=3).input_step_bits == 3
