"""fold-batch-norm: into weights and bias where it can, else one scale and one shift."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autosplitc.ir import Module, print_module
from autosplitc.passes.fold_batch_norm import fold_batch_norm

BN = "BatchNormalization <epsilon = 0.001>"
SQUARE = "(float[N,4,6,6] x) => (float[N,4,6,6] y)"


def statistics(lab: Any, channels: int) -> dict[str, Any]:
    """Scale, shift, mean and variance."""
    return {
        "g": lab.counting(channels, start=0.25),
        "b": lab.counting(channels),
        "m": lab.counting(channels, start=-0.5),
        "v": lab.counting(channels, start=0.125),
    }


@pytest.mark.parametrize("bias", ["", ", c"])
@pytest.mark.parametrize("groups", [1, 2])
def test_conv(lab: Any, bias: str, groups: int) -> None:
    body = f"a = Conv <pads = [1,1,1,1], group = {groups}> (x, w{bias})\n y = {BN} (a, g, b, m, v)"
    consts = {"w": lab.counting(4, 4 // groups, 3, 3), **({"c": lab.counting(4, start=0.5)} if bias else {})}
    before = lab.graph(SQUARE, body, **consts, **statistics(lab, 4))
    after = fold_batch_norm(before)
    assert lab.kinds(after) == {"conv": 1}
    assert [c.name for c in after.consts] == ["w", "c" if bias else "w.bias"]
    assert after.ops[0].loc.names == (*before.ops[0].loc.names, *before.ops[1].loc.names)
    lab.same(before, after)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_conv_transpose(lab: Any, groups: int) -> None:
    body = f"a = ConvTranspose <group = {groups}, strides = [2, 2]> (x, w)\n y = {BN} (a, g, b, m, v)"
    head = "(float[N,4,6,6] x) => (float[N,8,13,13] y)"
    before = lab.graph(head, body, w=lab.counting(4, 8 // groups, 3, 3), **statistics(lab, 8))
    after = fold_batch_norm(before)
    assert lab.kinds(after) == {"conv_transpose": 1}
    lab.same(before, after)


@pytest.mark.parametrize("transposed", [0, 1])
@pytest.mark.parametrize("shape", [None, (5,), (1, 5), (1,), ()])
def test_gemm(lab: Any, transposed: int, shape: tuple[int, ...] | None) -> None:
    given = "" if shape is None else ", c"
    body = f"a = Gemm <alpha = 0.5, beta = 3.0, transB = {transposed}> (x, w{given})\n y = {BN} (a, g, b, m, v)"
    consts = {"w": lab.counting(*((5, 3) if transposed else (3, 5))), **({} if shape is None else {"c": lab.counting(*shape, start=0.5)})}
    before = lab.graph("(float[N,3] x) => (float[N,5] y)", body, **consts, **statistics(lab, 5))
    after = fold_batch_norm(before)
    assert lab.kinds(after) == {"gemm": 1}
    lab.same(before, after)


def test_a_gemm_with_a_bias_for_every_row_is_not_folded(lab: Any) -> None:
    body = f"a = Gemm (x, w, c)\n y = {BN} (a, g, b, m, v)"
    before = lab.graph(
        "(float[5,3] x) => (float[5,5] y)", body, w=lab.counting(3, 5), c=lab.counting(5, 1, start=0.5), **statistics(lab, 5)
    )
    after = fold_batch_norm(before)
    assert lab.kinds(after) == {"gemm": 1, "mul": 1, "add": 1}
    lab.same(before, after)


@pytest.mark.parametrize(
    ("head", "rank"),
    [("(float[N,4] x) => (float[N,4] y)", 2), ("(float[N,4,6] x) => (float[N,4,6] y)", 3), (SQUARE, 4)],
)
def test_without_an_op_before_it_becomes_scale_and_shift(lab: Any, head: str, rank: int) -> None:
    before = lab.graph(head, f"y = {BN} (x, g, b, m, v)", **statistics(lab, 4))
    after = fold_batch_norm(before)
    assert [(op.kind, op.result) for op in after.ops] == [("mul", "y.scaled"), ("add", "y")]
    assert after.const["y.scale"].type.dims == (4,) + (1,) * (rank - 2)
    lab.same(before, after)


def test_a_result_that_is_read_twice_is_not_folded(lab: Any) -> None:
    body = f"a = Conv <pads = [1,1,1,1]> (x, w)\n n = {BN} (a, g, b, m, v)\n y = Add (a, n)"
    before = lab.graph(SQUARE, body, w=lab.counting(4, 4, 3, 3), **statistics(lab, 4))
    after = fold_batch_norm(before)
    assert lab.kinds(after) == {"conv": 1, "mul": 1, "add": 2}
    lab.same(before, after)


def test_a_result_that_is_an_output_is_not_folded(lab: Any) -> None:
    head = "(float[N,4,6,6] x) => (float[N,4,6,6] a, float[N,4,6,6] y)"
    body = f"a = Conv <pads = [1,1,1,1]> (x, w)\n y = {BN} (a, g, b, m, v)"
    before = lab.graph(head, body, w=lab.counting(4, 4, 3, 3), **statistics(lab, 4))
    after = fold_batch_norm(before)
    assert lab.kinds(after) == {"conv": 1, "mul": 1, "add": 1}
    lab.same(before, after)


def test_shared_weights_are_copied(lab: Any) -> None:
    body = f"a = Conv <pads = [1,1,1,1]> (x, w)\n n = {BN} (a, g, b, m, v)\n y = Conv <pads = [1,1,1,1]> (n, w)"
    before = lab.graph(SQUARE, body, w=lab.counting(4, 4, 3, 3), **statistics(lab, 4))
    after = fold_batch_norm(before)
    assert [op.inputs[1] for op in after.ops] == ["w.2", "w"]
    assert after.const["w"] == before.const["w"]
    lab.same(before, after)


def test_a_chain_of_scales_and_shifts_is_one(lab: Any) -> None:
    body = f"n = {BN} (x, g, b, m, v)\n t = Mul (n, k)\n u = Add (t, s)\n w = Sub (s, u)\n y = Div (w, k)"
    before = lab.graph(SQUARE, body, k=lab.counting(4, 1, 1, start=0.5), s=np.array([1.5], np.float32), **statistics(lab, 4))
    after = fold_batch_norm(before)
    assert lab.kinds(after) == {"mul": 1, "add": 1}
    lab.same(before, after)


def test_a_bias_behind_a_conv_is_its_bias(lab: Any) -> None:
    body = "a = Conv <pads = [1,1,1,1]> (x, w)\n y = Add (s, a)"
    before = lab.graph(SQUARE, body, w=lab.counting(4, 4, 3, 3), s=lab.counting(1, 4, 1, 1))
    after = fold_batch_norm(before)
    assert lab.kinds(after) == {"conv": 1}
    assert after.const["w"] == before.const["w"]
    lab.same(before, after)


@pytest.mark.parametrize(
    ("node", "shape"),
    [("Add", (6,)), ("Mul", (6, 1)), ("Add", (4, 6, 6)), ("Mul", (1, 1, 1, 1, 1)), ("Div", (4, 1, 1))],
)
def test_what_is_no_scale_of_channels_stays(lab: Any, node: str, shape: tuple[int, ...]) -> None:
    order = "(s, a)" if node == "Div" else "(a, s)"
    head = "(float[N,4,6,6] x) => (float[1,N,4,6,6] y)" if len(shape) == 5 else SQUARE
    before = lab.graph(head, f"a = Conv <pads = [1,1,1,1]> (x, w)\n y = {node} {order}", w=lab.counting(4, 4, 3, 3), s=lab.counting(*shape))
    assert fold_batch_norm(before) is before


def test_training_mode_is_left_alone(lab: Any) -> None:
    body = f"a = Conv <pads = [1,1,1,1]> (x, w)\n y, p, q = {BN[:-1]}, training_mode = 1> (a, g, b, m, v)"
    before = lab.graph(SQUARE, body, w=lab.counting(4, 4, 3, 3), **statistics(lab, 4))
    assert fold_batch_norm(before) is before


def test_weights_that_are_no_constant(lab: Any) -> None:
    body = f"a = Conv <pads = [1,1,1,1]> (x, w)\n y = {BN} (a, g, b, m, v)"
    before = lab.graph("(float[N,4,6,6] x, float[4,4,3,3] w) => (float[N,4,6,6] y)", body, **statistics(lab, 4))
    after = fold_batch_norm(before)
    assert lab.kinds(after) == {"conv": 1, "mul": 1, "add": 1}
    lab.same(before, after)


def test_a_variance_of_no_square_root_is_left_alone(lab: Any) -> None:
    consts = {**statistics(lab, 4), "v": np.full(4, -1, np.float32)}
    before = lab.graph(SQUARE, f"y = {BN} (x, g, b, m, v)", **consts)
    assert fold_batch_norm(before) is before


def test_half_precision(lab: Any) -> None:
    consts = {name: array.astype(np.float16) for name, array in statistics(lab, 4).items()}
    body = f"a = Conv <pads = [1,1,1,1]> (x, w)\n y = {BN} (a, g, b, m, v)"
    before = lab.graph(SQUARE.replace("float", "float16"), body, w=lab.counting(4, 4, 3, 3).astype(np.float16), **consts)
    after = fold_batch_norm(before)
    assert lab.kinds(after) == {"conv": 1}
    lab.same(before, after, 5e-3)


def test_text(lab: Any, golden: Any) -> None:
    body = f"a = Conv <pads = [1,1,1,1]> (x, w)\n n = {BN} (a, g, b, m, v)\n r = Relu (n)\n y = {BN} (r, g, b, m, v)"
    after = fold_batch_norm(lab.graph(SQUARE, body, w=lab.counting(4, 4, 3, 3), **statistics(lab, 4)))
    golden(print_module(Module((after,))))
