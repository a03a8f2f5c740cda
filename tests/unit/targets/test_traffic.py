"""Off-chip traffic: each operand at its own bits, again where a buffer is too small; sums that the dataflow cannot keep."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autosplitc.ir import DType, TensorType
from autosplitc.targets import BIT_ROWS, FLOAT_ROW, OpView, SystolicTarget, load_target, moves_nothing, row_bytes, row_of

from .conftest import MakeOp

EYERISS = load_target("eyeriss")
assert isinstance(EYERISS, SystolicTarget)
DEVICE = replace(
    EYERISS, rows=8, cols=8, input_buffer_bytes=1024, weight_buffer_bytes=1024, output_buffer_bytes=1024, accumulator_bits=32, float_bits=16
)
"""An 8 x 8 array with three buffers of 1 KiB."""


def moved(target: SystolicTarget, op: OpView) -> list[list[float]]:
    found = target.cost(op)
    assert found is not None
    return [[float(x) for x in array] for array in found.traffic_bytes]


def at(bits: int | None, arrays: list[list[float]]) -> list[float]:
    return [array[row_of(bits)] for array in arrays]


def matmul(make_op: MakeOp, m: int, n: int, k: int) -> OpView:
    return make_op("matmul", [(m, k), (k, n)], [(m, n)])


@pytest.mark.parametrize("bits", BIT_ROWS)
@pytest.mark.parametrize("dataflow", ["os", "ws", "is"])
def test_the_bits_of_one_operand_say_nothing_of_the_others(make_op: MakeOp, dataflow: Any, bits: int) -> None:
    """Every operand has an array of its own: mixed widths are read off at different rows, and nothing else moves."""
    # 20 x 30 inputs, 30 x 40 weights: 600 bytes fit their buffer, 1,200 do not.
    arrays = moved(replace(DEVICE, dataflow=dataflow, weight_buffer_bytes=2048), matmul(make_op, 20, 40, 30))
    assert at(bits, arrays) == [600 * bits / 8, 1200 * bits / 8, 800 * bits / 8]


def test_an_input_fits_or_not_by_its_own_bits(make_op: MakeOp) -> None:
    # 32 filters of 64 taps in 4 column folds of 512 bytes, two of which fill the buffer: 2 groups. The input is 32 x 64 = 2,048 elements.
    arrays = moved(DEVICE, matmul(make_op, 32, 32, 64))
    assert [at(bits, arrays)[0] for bits in (2, 4, 5, 8)] == [512, 1024, 2 * 1280, 2 * 2048]
    assert [at(bits, arrays)[1] for bits in (2, 4, 5, 8)] == [512, 1024, 1280, 2048]


def test_floats_fill_the_weight_buffer_sooner(make_op: MakeOp) -> None:
    # At 16 bits a column fold of 512 filter taps is 1,024 bytes: one a group, 4 groups where codes have 2.
    arrays = moved(DEVICE, matmul(make_op, 32, 32, 64))
    assert at(None, arrays) == [4 * 4096, 4096, 2048]
    assert moved(replace(DEVICE, float_bits=32), matmul(make_op, 32, 32, 64))[0][FLOAT_ROW] == 4 * 8192


@pytest.mark.parametrize(("bits", "passes"), [(1, 1), (4, 1), (5, 4), (8, 4), (None, 4)])
def test_output_stationary_weights_pass_again_for_every_fold_of_pixels(make_op: MakeOp, bits: int | None, passes: int) -> None:
    # A column fold of 8 filters of 256 taps is 2,048 elements; 32 pixels are 4 folds.
    weights = moved(replace(DEVICE, dataflow="os"), matmul(make_op, 32, 8, 256))[1]
    assert weights[row_of(bits)] == passes * 2048 * (16 if bits is None else bits) / 8


def test_sums_spill_once_less_than_a_fold_has_parts(make_op: MakeOp) -> None:
    # A column fold of 8 filters of 320 taps is 2,560 bytes: 3 parts, as floats 5. 40 pixels x 8 sums x 4 bytes are more than 1 KiB.
    op = matmul(make_op, 40, 16, 320)
    results = moved(DEVICE, op)[2]
    assert results[row_of(8)] == 640 + 2 * 2 * 640 * 4
    assert results[row_of(2)] == 160 + 2 * 2 * 640 * 4
    assert results[FLOAT_ROW] == 1280 + 2 * 4 * 640 * 4
    assert moved(replace(DEVICE, output_buffer_bytes=40 * 8 * 4), op)[2][row_of(8)] == 640
    assert moved(replace(DEVICE, accumulator_bits=16, output_buffer_bytes=40 * 8 * 2), op)[2][row_of(8)] == 640
    assert moved(replace(DEVICE, dataflow="os"), op)[2][row_of(8)] == 640


def test_input_stationary_holds_pixels_where_others_hold_filters(make_op: MakeOp) -> None:
    for bits in (3, 8, None):
        there = at(bits, moved(replace(DEVICE, dataflow="is"), matmul(make_op, 16, 40, 320)))
        here = at(bits, moved(replace(DEVICE, dataflow="ws"), matmul(make_op, 40, 16, 320)))
        assert [there[1], there[0], there[2]] == here


def test_each_group_has_its_own_slice(make_op: MakeOp) -> None:
    op = make_op("conv", [(1, 64, 40, 40), (64, 1, 3, 3), (64,)], [(1, 64, 40, 40)], group=64)
    assert at(8, moved(DEVICE, op)) == [64 * 1600, 64 * 9, 64, 64 * 1600]


def test_a_matrix_that_a_stack_shares_passes_again_unless_it_fits(make_op: MakeOp) -> None:
    # 12 products of 6 inputs, 400 elements each, by 2 matrices of 1,200.
    op = make_op("matmul", [(1, 6, 10, 40), (2, 1, 40, 30)], [(2, 6, 10, 30)])
    arrays = moved(DEVICE, op)
    assert at(8, arrays) == [6 * 400, 12 * 1200, 3600]
    assert at(4, arrays) == [6 * 200, 2 * 600, 1800]


def test_scalars_and_packed_codes_take_fractions_of_bytes() -> None:
    assert row_bytes(TensorType(DType.F32, (1,)), 32).tolist() == [b / 8 for b in BIT_ROWS] + [4.0]
    assert row_bytes(TensorType(DType.F16, (1,)), 16)[FLOAT_ROW] == 2
    assert row_bytes(TensorType(DType.U4, (1,)), 32).tolist() == [0.5] * 9
    assert row_bytes(TensorType(DType.STRING, (1,)), 32).tolist() == [0.0] * 9


@pytest.mark.parametrize(
    ("kind", "nothing"), [("reshape", True), ("shape", True), ("identity", True), ("transpose", False), ("pack", False)]
)
def test_what_moves_nothing(kind: str, nothing: bool) -> None:
    assert moves_nothing(kind) is nothing


@pytest.mark.parametrize(("resident", "at_2_bits"), [("packed", [64, 64, 64]), ("int8", [256, 256, 256]), ("storage", [256, 64, 256])])
def test_codes_that_lie_in_memory_as_bytes_move_as_bytes(make_op: MakeOp, resident: Any, at_2_bits: list[float]) -> None:
    op = replace(matmul(make_op, 16, 16, 16), constant=(False, True))
    arrays = moved(replace(DEVICE, resident=resident), op)
    assert at(2, arrays) == at_2_bits
    assert (at(8, arrays), at(None, arrays)) == ([256] * 3, [512] * 3)


SIZES = st.integers(1, 200)
BUFFERS = st.sampled_from([64, 1000, 4096, 100_000])


@settings(max_examples=150, deadline=None)
@given(
    m=SIZES, n=SIZES, k=SIZES, dataflow=st.sampled_from(["os", "ws", "is"]), inputs=BUFFERS, weights=BUFFERS, outputs=BUFFERS,
    cols=st.sampled_from([1, 8, 100]),
)  # fmt: skip
def test_traffic_grows_with_bits_and_sizes_and_falls_with_buffers(
    make_op: MakeOp, m: int, n: int, k: int, dataflow: Any, inputs: int, weights: int, outputs: int, cols: int
) -> None:
    small = replace(
        DEVICE, dataflow=dataflow, cols=cols, input_buffer_bytes=inputs, weight_buffer_bytes=weights, output_buffer_bytes=outputs
    )
    large = replace(small, input_buffer_bytes=2 * inputs, weight_buffer_bytes=2 * weights, output_buffer_bytes=2 * outputs)
    found = np.array(moved(small, matmul(make_op, m, n, k)))
    once = np.outer((m * k, k * n, m * n), (*BIT_ROWS, DEVICE.float_bits)) / 8
    assert np.all(np.diff(found) > 0)
    assert np.all(found >= once)
    assert np.all(np.array(moved(large, matmul(make_op, m, n, k))) <= found)
    for larger in ((m + 1, n, k), (m, n + 1, k), (m, n, k + 1)):
        assert np.all(np.array(moved(small, matmul(make_op, *larger))) >= found)
