"""The matrix products of every op that has them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autosplitc.ir import DType, TensorType
from autosplitc.targets import Operand, Product, products

from .conftest import MakeOp

CASES: list[tuple[str, list[tuple[int, ...]], list[tuple[int, ...]], dict[str, Any]]] = [
    ("conv", [(1, 3, 224, 224), (64, 3, 7, 7)], [(1, 64, 112, 112)], {"strides": (2, 2)}),
    ("conv", [(4, 16, 10), (8, 16, 3)], [(4, 8, 8)], {}),
    ("conv", [(1, 32, 14, 14), (32, 1, 3, 3)], [(1, 32, 14, 14)], {"group": 32}),
    ("conv", [(1, 8, 20, 20), (8, 8, 3, 3)], [(1, 8, 16, 16)], {"dilations": (2, 2)}),
    ("conv_transpose", [(1, 16, 7, 7), (16, 8, 2, 2)], [(1, 8, 14, 14)], {"strides": (2, 2)}),
    ("conv_transpose", [(1, 16, 7, 7), (16, 4, 3, 3)], [(1, 8, 15, 15)], {"group": 2, "strides": (2, 2)}),
    ("gemm", [(1, 2048), (1000, 2048), (1000,)], [(1, 1000)], {"transB": 1}),
    ("gemm", [(5, 7), (7, 3)], [(5, 3)], {}),
    ("matmul", [(2, 30, 64), (64, 73)], [(2, 30, 73)], {}),
    ("matmul", [(1, 12, 49, 32), (1, 12, 32, 49)], [(1, 12, 49, 49)], {}),
    ("matmul", [(2, 1, 5, 8), (3, 8, 4)], [(2, 3, 5, 4)], {}),
    ("matmul", [(8,), (8, 4)], [(4,)], {}),
    ("matmul", [(6, 8), (8,)], [(6,)], {}),
    ("lstm", [(30, 1, 96), (2, 512, 96), (2, 512, 128), (2, 1024)], [(30, 2, 1, 128)], {}),
    ("gru", [(7, 2, 10), (1, 48, 10), (1, 48, 16)], [(7, 1, 2, 16)], {}),
]


@pytest.mark.parametrize(("kind", "inputs", "results", "attrs"), CASES)
def test_products_add_up_to_the_ops_macs(
    make_op: MakeOp, kind: str, inputs: list[tuple[int, ...]], results: list[tuple[int, ...]], attrs: dict[str, Any]
) -> None:
    op = make_op(kind, inputs, results, **attrs)
    assert op.macs > 0
    assert sum(part.macs for part in products(op)) == op.macs


@pytest.mark.parametrize(("kind", "inputs", "results", "attrs"), CASES)
def test_slices_hold_the_whole_operand(
    make_op: MakeOp, kind: str, inputs: list[tuple[int, ...]], results: list[tuple[int, ...]], attrs: dict[str, Any]
) -> None:
    op = make_op(kind, inputs, results, **attrs)
    for part in products(op, 14, "block-diagonal"):
        assert part.runs % part.second.slices == 0
    for position in (0, 1):
        held = sum(o.slices * o.elements for p in products(op) for o in (p.first, p.second) if o is not None and o.position == position)
        assert held == op.inputs[position].elements


@pytest.mark.parametrize(
    ("kind", "inputs", "results", "attrs", "expected"),
    [
        ("conv", [(1, 8, 20, 20), (8, 8, 3, 3)], [(1, 8, 16, 16)], {"dilations": (2, 2)}, [(256, 8, 72, 1)]),
        ("conv", [(1, 32, 14, 14), (64, 8, 3, 3)], [(1, 64, 14, 14)], {"group": 4}, [(196, 16, 72, 4)]),
        ("conv_transpose", [(1, 16, 7, 7), (16, 8, 2, 2)], [(1, 8, 14, 14)], {"strides": (2, 2)}, [(49, 32, 16, 1)]),
        ("conv_transpose", [(1, 16, 7, 7), (16, 4, 3, 3)], [(1, 8, 15, 15)], {"group": 2, "strides": (2, 2)}, [(49, 36, 8, 2)]),
        ("gemm", [(7, 5), (7, 3)], [(5, 3)], {"transA": 1}, [(5, 3, 7, 1)]),
        ("gemm", [(5, 7), (3, 7)], [(5, 3)], {"transB": 1}, [(5, 3, 7, 1)]),
        ("matmul", [(2, 30, 64), (64, 73)], [(2, 30, 73)], {}, [(60, 73, 64, 1)]),
        ("matmul", [(2, 30, 64), (1, 64, 73)], [(2, 30, 73)], {}, [(60, 73, 64, 1)]),
        ("matmul", [(30, 64), (4, 64, 73)], [(4, 30, 73)], {}, [(30, 73, 64, 4)]),
        ("matmul", [(1, 12, 49, 32), (1, 12, 32, 49)], [(1, 12, 49, 49)], {}, [(49, 49, 32, 12)]),
        ("gru", [(7, 2, 10), (1, 48, 10), (1, 48, 16)], [(7, 1, 2, 16)], {}, [(14, 48, 10, 1), (2, 48, 16, 7)]),
        ("gru", [(2, 7, 10), (1, 48, 10), (1, 48, 16)], [(2, 7, 1, 16)], {"layout": 1}, [(14, 48, 10, 1), (2, 48, 16, 7)]),
    ],
)
def test_products_have_these_sizes(
    make_op: MakeOp, kind: str, inputs: list[Any], results: list[Any], attrs: dict[str, Any], expected: list[tuple[int, ...]]
) -> None:
    assert [(part.m, part.n, part.k, part.runs) for part in products(make_op(kind, inputs, results, **attrs))] == expected


def test_groups_of_several_filters_stand_side_by_side_while_they_fit(make_op: MakeOp) -> None:
    op = make_op("conv", [(1, 32, 14, 14), (64, 8, 3, 3)], [(1, 64, 14, 14)], group=4)
    (three, one) = products(op, 50, "block-diagonal")
    assert (three.n, three.k, three.runs, one.n, one.k, one.runs) == (48, 216, 1, 16, 72, 1)
    assert products(op, 10, "block-diagonal") == products(op, 10)


def test_a_convolution_is_pixels_by_filters_by_taps(make_op: MakeOp) -> None:
    op = make_op("conv", [(1, 3, 224, 224), (64, 3, 7, 7)], [(1, 64, 112, 112)])
    assert products(op) == (Product(112 * 112, 64, 147, 1, Operand(0, 1, 3 * 224 * 224), Operand(1, 1, 64 * 147)),)


def test_a_fully_connected_layer_has_one_pixel(make_op: MakeOp) -> None:
    (part,) = products(make_op("gemm", [(1, 2048), (1000, 2048)], [(1, 1000)], transB=1))
    assert (part.m, part.n, part.k) == (1, 1000, 2048)


def test_depthwise_per_channel_runs_a_product_a_channel(make_op: MakeOp) -> None:
    (part,) = products(make_op("conv", [(1, 32, 14, 14), (32, 1, 3, 3)], [(1, 32, 14, 14)], group=32), 14)
    assert (part.m, part.n, part.k, part.runs) == (196, 1, 9, 32)


def test_depthwise_block_diagonal_fills_the_columns_and_leaves_a_rest(make_op: MakeOp) -> None:
    op = make_op("conv", [(1, 32, 14, 14), (32, 1, 3, 3)], [(1, 32, 14, 14)], group=32)
    full, rest = products(op, 14, "block-diagonal")
    assert (full.n, full.k, full.runs) == (14, 126, 2)
    assert (rest.n, rest.k, rest.runs) == (4, 36, 1)
    assert full.second.elements * full.second.slices + rest.second.elements == 32 * 9


def test_block_diagonal_changes_nothing_without_groups(make_op: MakeOp) -> None:
    op = make_op("conv", [(1, 3, 8, 8), (20, 3, 3, 3)], [(1, 20, 6, 6)])
    assert products(op, 14, "block-diagonal") == products(op, 14, "per-channel")


def test_a_bidirectional_lstm_reads_its_input_for_both_directions(make_op: MakeOp) -> None:
    into, through = products(make_op("lstm", [(30, 1, 96), (2, 512, 96), (2, 512, 128)], [(30, 2, 1, 128)]))
    assert (into.m, into.n, into.k, into.runs) == (30, 512, 96, 2)
    assert into.first == Operand(0, 1, 30 * 96)
    assert (through.m, through.n, through.k, through.runs) == (1, 512, 128, 60)
    assert through.first is None
    assert through.second == Operand(2, 2, 512 * 128)


def test_sizes_seen_flat_still_give_the_products(make_op: MakeOp) -> None:
    op = make_op("conv", [(3 * 20 * 20,), (8, 3, 3, 3)], [(8 * 18 * 18,)])
    assert sum(part.macs for part in products(op)) == 8 * 18 * 18 * 27


@pytest.mark.parametrize("kind", ["conv", "conv_transpose", "gemm", "matmul", "lstm", "gru", "add", "onnx.Einsum"])
def test_unknown_sizes_and_other_ops_give_no_products(make_op: MakeOp, kind: str) -> None:
    unknown = TensorType(DType.F32, None)
    assert products(make_op(kind, [unknown, (4, 4, 3, 3)], [unknown])) == ()
    assert products(make_op(kind, [(1, 4, 8, 8), unknown], [unknown])) == ()
    assert products(make_op(kind, [], [])) == ()


@given(channels=st.integers(1, 40), factor=st.integers(1, 3), columns=st.integers(1, 64))
def test_both_mappings_do_all_groups(make_op: MakeOp, channels: int, factor: int, columns: int) -> None:
    op = make_op("conv", [(1, channels, 6, 6), (channels * factor, 1, 3, 3)], [(1, channels * factor, 6, 6)], group=channels)
    for part in (products(op, columns), products(op, columns, "block-diagonal")):
        assert sum(p.n * p.runs for p in part) == channels * factor
        assert sum(p.k * p.runs for p in part) == channels * 9
