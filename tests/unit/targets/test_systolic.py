"""The systolic target: compute tables, traffic, and what holds for every op."""

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
    SystolicTarget,
    cycles_v1,
    cycles_v3,
    load_target,
    pack_view,
    row_of,
    unpack_view,
    vector_elements,
)

from .conftest import MakeOp

W8 = row_of(8)
CONV = ("conv", [(1, 64, 56, 56), (64, 64, 3, 3), (64,)], [(1, 64, 56, 56)])

def built_in(name: str) -> SystolicTarget:
    target = load_target(name)
    assert isinstance(target, SystolicTarget)
    return target


eyeriss, tpu = built_in("eyeriss"), built_in("tpu")


def cost(target: SystolicTarget, op: Any) -> OpCost:
    found = target.cost(op)
    assert found is not None
    return found


def bytes_at(found: OpCost, row: int) -> list[float]:
    return [float(array[row]) for array in found.traffic_bytes]


def test_compute_is_cycles_over_clock_at_any_bits_and_twice_that_in_float(make_op: MakeOp) -> None:
    table = cost(eyeriss, make_op(*CONV)).compute_s
    cycles = cycles_v1.cycles("ws", 56 * 56, 64, 576, 12, 14)
    assert table.shape == (ROWS, ROWS)
    assert np.all(table[:FLOAT_ROW, :FLOAT_ROW] == cycles / 200e6)
    assert np.all(table[FLOAT_ROW, :] == 2 * cycles / 200e6)
    assert np.all(table[:, FLOAT_ROW] == 2 * cycles / 200e6)


def test_the_cycle_model_is_a_field(make_op: MakeOp) -> None:
    table = cost(replace(eyeriss, cycles="scalesim-v3"), make_op(*CONV)).compute_s
    assert table[W8, W8] == cycles_v3.cycles("ws", 56 * 56, 64, 576, 12, 14) / 200e6


def test_groups_run_one_after_the_other(make_op: MakeOp) -> None:
    op = make_op("conv", [(1, 32, 14, 14), (32, 1, 3, 3)], [(1, 32, 14, 14)], group=32)
    per_channel = cost(eyeriss, op).compute_s[W8, W8]
    assert per_channel == 32 * cycles_v1.cycles("ws", 196, 1, 9, 12, 14) / 200e6
    assert cost(replace(eyeriss, depthwise="block-diagonal"), op).compute_s[W8, W8] < per_channel


def test_operands_that_fit_cross_once_at_their_own_bits(make_op: MakeOp) -> None:
    op = make_op("conv", [(1, 16, 14, 14), (32, 16, 3, 3)], [(1, 32, 14, 14)])
    found = cost(eyeriss, op)
    assert bytes_at(found, W8) == [16 * 196, 32 * 144, 32 * 196]
    assert bytes_at(found, row_of(2)) == [16 * 196 / 4, 32 * 144 / 4, 32 * 196 / 4]
    assert bytes_at(found, FLOAT_ROW) == [2 * 16 * 196, 2 * 32 * 144, 2 * 32 * 196]


def test_an_input_too_large_for_its_buffer_crosses_for_every_group_of_filters(make_op: MakeOp) -> None:
    # 128 filters of 2,304 taps: 14 x 2,304 bytes a fold, 2 folds fill 64 KiB, 10 folds make 5 groups. The input is 200,704 elements.
    op = make_op("conv", [(1, 256, 28, 28), (128, 256, 3, 3)], [(1, 128, 28, 28)])
    found = cost(eyeriss, op)
    assert bytes_at(found, W8)[0] == 5 * 200704
    assert bytes_at(found, row_of(2))[0] == 200704 / 4
    assert bytes_at(found, W8)[1] == 128 * 2304


def test_output_stationary_fetches_weights_again_for_every_fold_of_pixels(make_op: MakeOp) -> None:
    # One fold of 14 filters of 9,216 taps is 129,024 elements: 64 KiB hold it at 4 bits, not at 8.
    op = make_op("conv", [(1, 1024, 10, 10), (14, 1024, 3, 3)], [(1, 14, 10, 10)])
    found = cost(replace(eyeriss, dataflow="os"), op)
    assert bytes_at(found, W8)[1] == 9 * 14 * 9216
    assert bytes_at(found, row_of(4))[1] == 14 * 9216 / 2


def test_weight_stationary_spills_sums_that_no_buffer_holds(make_op: MakeOp) -> None:
    # 129,024 weight bytes a fold are 2 parts; 10,000 pixels x 14 sums x 4 bytes exceed 64 KiB, so they go out and come back once.
    op = make_op("conv", [(1, 1024, 102, 102), (14, 1024, 3, 3)], [(1, 14, 100, 100)])
    assert bytes_at(cost(eyeriss, op), W8)[2] == 14 * 10000 + 2 * 14 * 10000 * 4
    assert bytes_at(cost(replace(eyeriss, output_buffer_bytes=2**20), op), W8)[2] == 14 * 10000
    assert bytes_at(cost(replace(eyeriss, weight_buffer_bytes=2**17), op), W8)[2] == 14 * 10000


def test_input_stationary_exchanges_inputs_and_weights(make_op: MakeOp) -> None:
    # 784 pixels are 56 folds of 14; a fold of 14 x 576 bytes fits the input buffer 8 times: 7 groups, each fetching all weights.
    op = make_op("conv", [(1, 64, 28, 28), (256, 64, 3, 3)], [(1, 256, 28, 28)])
    found = cost(replace(eyeriss, dataflow="is"), op)
    assert bytes_at(found, W8)[:2] == [64 * 784, 7 * 256 * 576]
    assert bytes_at(found, row_of(2))[1] == 256 * 576 / 4


def test_a_strided_pointwise_convolution_reads_only_what_it_uses(make_op: MakeOp) -> None:
    op = make_op("conv", [(1, 256, 56, 56), (512, 256, 1, 1)], [(1, 512, 28, 28)], strides=(2, 2))
    assert bytes_at(cost(tpu, op), W8)[0] == 256 * 28 * 28


def test_state_weights_cross_at_every_step_unless_they_fit(make_op: MakeOp) -> None:
    op = make_op("lstm", [(30, 1, 96), (2, 512, 96), (2, 512, 128), (2, 1024)], [(30, 2, 1, 128)])
    found = cost(eyeriss, op)
    assert bytes_at(found, FLOAT_ROW)[2] == 30 * 2 * 512 * 128 * 2
    assert bytes_at(found, W8)[2] == 2 * 512 * 128
    assert bytes_at(found, W8)[3] == 2 * 1024


def test_integers_and_flags_move_at_their_own_width(make_op: MakeOp) -> None:
    op = make_op(
        "onnx.Where",
        [TensorType(DType.BOOL, (10,)), TensorType(DType.I64, (10,)), TensorType(DType.U4, (10,)), TensorType(DType.STRING, (10,))],
        [TensorType(DType.I64, (10,))],
    )
    for row in range(ROWS):
        assert bytes_at(cost(eyeriss, op), row) == [10, 80, 5, 0, 80]


@pytest.mark.parametrize("kind", ["reshape", "flatten", "squeeze", "unsqueeze", "identity", "dropout", "shape"])
def test_ops_that_only_rename_cost_nothing(make_op: MakeOp, kind: str) -> None:
    found = cost(replace(eyeriss, per_op_s=1.0), make_op(kind, [(1, 64, 7, 7), TensorType(DType.I64, (2,))], [(1, 3136)]))
    assert not found.compute_s.any()
    assert not np.stack(found.traffic_bytes).any()


def test_values_for_the_wire_are_packed_and_unpacked_at_no_cost() -> None:
    value = TensorType(DType.F32, (1, 64, 7, 7))
    for op in (pack_view(value), unpack_view(value)):
        found = cost(replace(eyeriss, per_op_s=1.0), op)
        assert not found.compute_s.any()
        assert [array.shape for array in found.traffic_bytes] == [(ROWS,), (ROWS,)]
        assert not np.stack(found.traffic_bytes).any()


@pytest.mark.parametrize(
    ("kind", "inputs", "results", "attrs", "work"),
    [
        ("max_pool", [(1, 8, 8, 8)], [(1, 8, 4, 4)], {"kernel_shape": (3, 3)}, 9 * 128),
        ("global_average_pool", [(1, 8, 8, 8)], [(1, 8, 1, 1)], {}, 512),
        ("add", [(1, 8, 8, 8), (8, 1, 1)], [(1, 8, 8, 8)], {}, 512),
        ("concat", [(1, 8, 4), (1, 24, 4)], [(1, 32, 4)], {}, 128),
        ("resize", [(1, 8, 4, 4)], [(1, 8, 8, 8)], {"mode": "nearest"}, 512),
        ("resize", [(1, 8, 4, 4)], [(1, 8, 8, 8)], {"mode": "linear"}, 4 * 512),
        ("slice", [(100, 8)], [(2, 8)], {}, 16),
        ("gather", [(1000, 8), (3,)], [(3, 8)], {}, 24),
        ("softmax", [(1, 10)], [(1, 10)], {}, 50),
        ("batch_norm", [(1, 8, 4, 4), (8,), (8,), (8,), (8,)], [(1, 8, 4, 4)], {}, 256),
        ("lrn", [(1, 8, 4, 4)], [(1, 8, 4, 4)], {"size": 5}, 8 * 128),
        ("lstm", [(30, 1, 96), (2, 512, 96), (2, 512, 128)], [(30, 2, 1, 128)], {}, 2 * 60 * 512),
        ("onnx.NonZero", [(1, 8, 4, 4)], [TensorType(DType.I64, (4, None))], {}, 128),
        ("onnx.RandomNormal", [], [(7,)], {}, 7),
        ("conv", [(1, 4, 4, 4), (2, 4, 1, 1)], [(1, 2, 4, 4)], {}, 0),
        ("relu", [(None, 3)], [(None, 3)], {}, 0),
    ],
)
def test_other_ops_cost_the_vector_unit_their_elements_and_steps(
    make_op: MakeOp, kind: str, inputs: list[Any], results: list[Any], attrs: dict[str, Any], work: int
) -> None:
    op = make_op(kind, inputs, results, **attrs)
    assert vector_elements(op) == work
    if work and kind != "lstm":
        table = cost(replace(eyeriss, per_op_s=1e-6), op).compute_s
        wide = 8 if op.inputs[:1] and op.inputs[0].dtype is DType.I64 else 1
        assert np.allclose(table[:FLOAT_ROW], work * wide / eyeriss.vector_bytes_per_s + 1e-6, rtol=1e-12)
        assert np.allclose(table[FLOAT_ROW], 2 * work * wide / eyeriss.vector_bytes_per_s + 1e-6, rtol=1e-12)


def test_slices_read_only_what_they_give(make_op: MakeOp) -> None:
    found = cost(eyeriss, make_op("slice", [(100, 8), TensorType(DType.I64, (1,))], [(2, 8)]))
    assert bytes_at(found, W8) == [16, 8, 16]


def test_latency_adds_or_overlaps_transfers(make_op: MakeOp) -> None:
    op = make_op(*CONV)
    added = cost(eyeriss, op)
    rows = (W8,) * len(added.traffic_bytes)
    moved_s = sum(bytes_at(added, W8)) / 1e9
    assert math.isclose(added.latency_s(rows, (W8, W8)), added.compute_s[W8, W8] + moved_s)
    hidden = cost(replace(eyeriss, overlap=True), op)
    assert math.isclose(hidden.latency_s(rows, (W8, W8)), max(hidden.compute_s[W8, W8], moved_s))


def test_what_a_target_does_not_support_has_no_cost(make_op: MakeOp) -> None:
    assert replace(eyeriss, unsupported=("conv",)).cost(make_op(*CONV)) is None


@pytest.mark.parametrize(
    "change",
    [
        {"rows": 0},
        {"clock_hz": -1.0},
        {"clock_hz": float("nan")},
        {"bandwidth_bytes_per_s": 0.0},
        {"weight_buffer_bytes": 0},
        {"per_op_s": -1e-6},
        {"ops_per_mac": 0},
        {"dataflow": "rs"},
        {"cycles": "scalesim-v2"},
    ],
)
def test_values_that_make_no_sense_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        replace(eyeriss, **change)


@given(
    channels=st.integers(1, 300), filters=st.integers(1, 300), size=st.integers(1, 40), kernel=st.sampled_from([1, 3, 5]),
    dataflow=st.sampled_from(["os", "ws", "is"]), buffer=st.sampled_from([256, 4096, 65536]),
)  # fmt: skip
@settings(max_examples=60)
def test_traffic_grows_with_bits_and_depends_on_nothing_else(
    make_op: MakeOp, channels: int, filters: int, size: int, kernel: int, dataflow: Any, buffer: int
) -> None:
    small = replace(eyeriss, dataflow=dataflow, input_buffer_bytes=buffer, weight_buffer_bytes=buffer, output_buffer_bytes=buffer)
    op = make_op("conv", [(1, channels, size, size), (filters, channels, kernel, kernel)], [(1, filters, size, size)])
    found = cost(small, op)
    for array, type_ in zip(found.traffic_bytes, (*op.inputs, *op.results), strict=True):
        assert np.all(np.diff(array) > 0)
        assert array[W8] >= min(type_.elements or 0, channels * kernel**2 * size**2)
    assert np.all(found.compute_s >= 0)
    larger = make_op("conv", [(1, channels + 1, size, size), (filters, channels + 1, kernel, kernel)], [(1, filters, size, size)])
    for array, more in zip(found.traffic_bytes, cost(small, larger).traffic_bytes, strict=True):
        assert np.all(more >= array)


def test_the_published_devices_are_the_papers() -> None:
    assert (eyeriss.rows, eyeriss.cols, eyeriss.dataflow, eyeriss.clock_hz) == (12, 14, "ws", 200e6)
    assert eyeriss.input_buffer_bytes + eyeriss.weight_buffer_bytes + eyeriss.output_buffer_bytes == 192 * 1024
    assert (tpu.rows, tpu.cols, tpu.dataflow, tpu.clock_hz) == (256, 256, "os", 700e6)
    assert tpu.input_buffer_bytes + tpu.weight_buffer_bytes + tpu.output_buffer_bytes == 28 * 2**20
    assert math.isclose(tpu.peak_ops_per_s, 96e12, rel_tol=0.05)
    assert math.isclose(replace(eyeriss, ops_per_mac=1).peak_ops_per_s, 34e9, rel_tol=0.02)
