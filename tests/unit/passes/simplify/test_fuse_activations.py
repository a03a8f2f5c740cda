"""fuse-activations: every activation, as exporters write it, into every op that takes it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autosplitc.ir import Module, print_module
from autosplitc.passes.fuse_activations import fuse_activations

SQUARE = "(float[N,4,6,6] x) => (float[N,4,6,6] y)"
CONV = "a = Conv <pads = [1,1,1,1]> (x, w)\n"

NUMBERS = {
    "zero": np.array(0, np.float32),
    "three": np.array(3, np.float32),
    "six": np.array([6], np.float32),
    "sixth": np.array(1 / 6, np.float32),
    "low": np.array(-0.5, np.float32),
    "high": np.array(2.5, np.float32),
}

CASES = [
    ("y = Relu (a)", {"act": "relu"}),
    ("y = Clip (a, zero, six)", {"act": "clip", "act_low": 0.0, "act_high": 6.0}),
    ("y = Clip (a, low, high)", {"act": "clip", "act_low": -0.5, "act_high": 2.5}),
    ("y = Clip (a, , high)", {"act": "clip", "act_high": 2.5}),
    ("y = Clip (a, zero)", {"act": "relu"}),
    ("r = Relu (a)\n y = Min (r, six)", {"act": "clip", "act_low": 0.0, "act_high": 6.0}),
    ("r = Max (low, a)\n y = Clip (r, , high)", {"act": "clip", "act_low": -0.5, "act_high": 2.5}),
    ("y = LeakyRelu <alpha = 0.125> (a)", {"act": "leaky_relu", "act_alpha": 0.125}),
    ("y = LeakyRelu (a)", {"act": "leaky_relu", "act_alpha": 0.01}),
    ("y = HardSigmoid <alpha = 0.25> (a)", {"act": "hard_sigmoid", "act_alpha": 0.25, "act_beta": 0.5}),
    ("y = Sigmoid (a)", {"act": "sigmoid"}),
    ("y = Tanh (a)", {"act": "tanh"}),
    ("y = HardSwish (a)", {"act": "hard_swish"}),
    ("s = Sigmoid (a)\n y = Mul (a, s)", {"act": "silu"}),
    ("s = Sigmoid (a)\n y = Mul (s, a)", {"act": "silu"}),
    ("s = HardSigmoid <alpha = 0.16666667, beta = 0.5> (a)\n y = Mul (a, s)", {"act": "hard_swish"}),
    ("t = Add (a, three)\n c = Clip (t, zero, six)\n m = Mul (a, c)\n y = Div (m, six)", {"act": "hard_swish"}),
    ("t = Add (three, a)\n c = Clip (t, zero, six)\n m = Mul (c, a)\n y = Mul (sixth, m)", {"act": "hard_swish"}),
    ("t = Add (a, three)\n c = Clip (t, zero, six)\n d = Div (c, six)\n y = Mul (a, d)", {"act": "hard_swish"}),
    ("t = Add (a, three)\n r = Relu (t)\n c = Min (r, six)\n d = Mul (c, sixth)\n y = Mul (d, a)", {"act": "hard_swish"}),
    ("t = Add (a, three)\n c = Clip (t, zero, six)\n y = Div (c, six)", {"act": "hard_sigmoid", "act_alpha": 1 / 6, "act_beta": 0.5}),
]


@pytest.mark.parametrize(("body", "expected"), CASES)
def test_into_a_conv(lab: Any, body: str, expected: dict[str, Any]) -> None:
    numbers = {name: value for name, value in NUMBERS.items() if name in body}
    before = lab.graph(SQUARE, CONV + body, w=lab.counting(4, 4, 3, 3), **numbers)
    after = fuse_activations(before)
    lab.same(before, after)
    (op,) = after.ops
    assert {key: value for key, value in op.attrs.items() if key.startswith("act")} == pytest.approx(expected)
    assert (op.kind, op.result) == ("conv", "y")
    assert set(op.loc.names) == {name for o in before.ops for name in o.loc.names}
    assert [c.name for c in after.consts] == ["w"]


@pytest.mark.parametrize(
    ("head", "node", "consts"),
    [
        ("(float[N,4,6,6] x) => (float[N,2,13,13] y)", "ConvTranspose <strides = [2, 2]> (x, w)", {"w": (4, 2, 3, 3)}),
        ("(float[N,3] x) => (float[N,5] y)", "Gemm (x, w)", {"w": (3, 5)}),
        ("(float[N,2,3] x) => (float[N,2,5] y)", "MatMul (x, w)", {"w": (3, 5)}),
        ("(float[N,4] x) => (float[N,4] y)", "Add (x, w)", {"w": (4,)}),
        ("(float[N,4] x) => (float[N,4] y)", "Mul (x, x)", {}),
    ],
)
def test_into_other_ops(lab: Any, head: str, node: str, consts: dict[str, tuple[int, ...]]) -> None:
    before = lab.graph(head, f"a = {node}\n y = Sigmoid (a)", **{name: lab.counting(*shape) for name, shape in consts.items()})
    after = fuse_activations(before)
    assert [op.attrs["act"] for op in after.ops] == ["sigmoid"]
    lab.same(before, after)


def test_a_value_that_is_read_twice_is_not_fused(lab: Any) -> None:
    before = lab.graph(SQUARE, CONV + "r = Relu (a)\n y = Add (a, r)", w=lab.counting(4, 4, 3, 3))
    assert fuse_activations(before) is before


def test_a_value_that_is_an_output_is_not_fused(lab: Any) -> None:
    head = "(float[N,4,6,6] x) => (float[N,4,6,6] a, float[N,4,6,6] y)"
    before = lab.graph(head, CONV + "y = Relu (a)", w=lab.counting(4, 4, 3, 3))
    assert fuse_activations(before) is before


def test_a_gate_that_is_read_elsewhere_is_no_silu(lab: Any) -> None:
    before = lab.graph(SQUARE, CONV + "s = Sigmoid (a)\n m = Mul (a, s)\n y = Sub (m, s)", w=lab.counting(4, 4, 3, 3))
    assert fuse_activations(before) is before


def test_one_op_takes_one_activation(lab: Any) -> None:
    before = lab.graph(SQUARE, CONV + "s = Sigmoid (a)\n y = Tanh (s)", w=lab.counting(4, 4, 3, 3))
    after = fuse_activations(before)
    assert lab.kinds(after) == {"conv+sigmoid": 1, "tanh": 1}
    lab.same(before, after)


def test_after_an_op_that_takes_none_it_becomes_one_op(lab: Any) -> None:
    body = "p = MaxPool <kernel_shape = [1, 1]> (x)\n s = Sigmoid (p)\n m = Mul (p, s)\n t = Add (m, three)\n c = Clip (t, zero, six)\n"
    before = lab.graph(SQUARE, body + "d = Div (c, six)\n y = Mul (m, d)", **{k: NUMBERS[k] for k in ("three", "zero", "six")})
    after = fuse_activations(before)
    assert lab.kinds(after) == {"max_pool": 1, "silu": 1, "hard_swish": 1}
    lab.same(before, after)


def test_a_number_that_broadcasts_to_another_shape_is_none(lab: Any) -> None:
    head = "(float[4] x) => (float[1,4] y)"
    before = lab.graph(head, "a = Mul (x, x)\n y = Max (a, wide)", wide=np.array([[0.5]], np.float32))
    assert fuse_activations(before) is before


@pytest.mark.parametrize("body", ["y = Clip (a, x1)", "y = Clip (a, high, low)", "y = Clip (a, nan)"])
def test_bounds_that_are_none(lab: Any, body: str) -> None:
    numbers = {"low": NUMBERS["low"], "high": NUMBERS["high"], "nan": np.array(np.nan, np.float32)}
    used = {name: value for name, value in numbers.items() if name in body}
    before = lab.graph("(float[N,4] x, float x1) => (float[N,4] y)", f"a = Mul (x, x)\n {body}", **used)
    after = fuse_activations(before)
    assert after is before


def test_integers_are_left_alone(lab: Any) -> None:
    before = lab.graph("(int32[4] x) => (int32[4] y)", "a = Mul (x, x)\n y = Relu (a)")
    assert fuse_activations(before) is before


def test_text(lab: Any, golden: Any) -> None:
    body = CONV + "c = Clip (a, zero, six)\n b = Conv <pads = [1,1,1,1]> (c, w)\n s = Sigmoid (b)\n m = Mul (b, s)\n y = Add (m, x)"
    before = lab.graph(SQUARE, body, w=lab.counting(4, 4, 3, 3), zero=NUMBERS["zero"], six=NUMBERS["six"])
    golden(print_module(Module((fuse_activations(before),))))
