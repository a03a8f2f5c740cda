"""drop-identities: what changes nothing goes, names of inputs and outputs stay."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autosplitc.ir import Module, print_module
from autosplitc.passes.drop_identities import drop_identities


def i64(*values: int) -> Any:
    return np.array(values, np.int64)


SAME = "(float[N,2,3] x) => (float[N,2,3] y)"
CONSTS = {
    "target": i64(0, 2, 3),
    "flat": i64(0, 6),
    "ones": i64(1, 1, 1),
    "zero": i64(0),
    "one": i64(1),
    "three": i64(3),
    "minus": i64(-1),
    "far": i64(2**60),
    "pads": i64(0, 0, 0, 0, 0, 0),
    "ratio": np.array(0.5, np.float32),
}


def build(lab: Any, head: str, body: str) -> Any:
    words = {word.strip("(),") for word in body.split()}
    return lab.graph(head, body, **{name: array for name, array in CONSTS.items() if name in words})


@pytest.mark.parametrize(
    "body",
    [
        "b = Identity (a)",
        "b = Dropout (a, ratio)",
        "b = Reshape (a, target)",
        "b = Cast <to = 1> (a)",
        "d = Cast <to = 11> (a)\n b = Cast <to = 1> (d)",
        "b = Transpose <perm = [0,1,2]> (a)",
        "t = Transpose <perm = [2,0,1]> (a)\n b = Transpose <perm = [1,2,0]> (t)",
        "r = Reshape (a, flat)\n i = Identity (r)\n b = Reshape (i, target)",
        "u = Unsqueeze (a, zero)\n b = Squeeze (u, zero)",
        "b = Slice (a, zero, far, one)",
        "b = Pad (a, pads)",
        "b = Concat <axis = 1> (a)",
        "b = Max (a)",
        "b = Expand (a, ones)",
        "b = Tile (a, ones)",
        "i = Identity (a)\n d = Identity (i)\n b = Identity (d)",
    ],
)
def test_dropped(lab: Any, body: str) -> None:
    before = build(lab, SAME, f"a = Relu (x)\n {body}\n y = Neg (b)")
    after = drop_identities(before)
    assert [op.kind for op in after.ops] == ["relu", "onnx.Neg"]
    assert after.consts == ()
    lab.same(before, after, 0)


@pytest.mark.parametrize(
    "body",
    [
        "b = Slice (a, zero, two, zero)",
        "b = Slice (a, minus, least, one, minus)",
        "d = Cast <to = 6> (a)\n b = Cast <to = 1> (d)",
        "t = Transpose <perm = [0,2,1]> (a)\n n = Neg (t)\n b = Transpose <perm = [0,2,1]> (n)",
        "b = Pad <mode = \"edge\"> (a, shift)",
    ],
)
def test_kept(lab: Any, body: str) -> None:
    """Cutting off all but two samples; reversing; rounding; an op in between; moving."""
    words = {word.strip("(),") for word in body.split()}
    consts = {**CONSTS, "least": i64(-(2**60)), "two": i64(2), "shift": i64(0, 1, 0, 0, -1, 0)}
    before = lab.graph(SAME, f"a = Relu (x)\n {body}\n y = Neg (b)", **{n: c for n, c in consts.items() if n in words})
    assert drop_identities(before) is before


def test_transposes_become_one(lab: Any) -> None:
    body = "t = Transpose <perm = [2,0,1]> (x)\n u = Transpose <perm = [1,0,2]> (t)\n y = Neg (u)"
    before = lab.graph("(float[N,2,3] x) => (float[N,3,2] y)", body)
    after = drop_identities(before)
    assert lab.kinds(after) == {"transpose": 1, "onnx.Neg": 1}
    assert after.ops[0].attrs["perm"] == (0, 2, 1)
    lab.same(before, after, 0)


def test_a_transpose_that_is_read_twice_stays_beside_the_merged_one(lab: Any) -> None:
    body = "t = Transpose <perm = [2,0,1]> (x)\n u = Transpose <perm = [1,0,2]> (t)\n v = Transpose <perm = [1,2,0]> (t)\n"
    body += "y = Neg (v)\n z = Neg (u)"
    before = lab.graph("(float[N,2,3] x) => (float[N,2,3] y, float[N,3,2] z)", body)
    after = drop_identities(before)
    assert lab.kinds(after) == {"transpose": 1, "onnx.Neg": 2}
    lab.same(before, after, 0)


def test_from_input_to_output_it_stays(lab: Any) -> None:
    before = lab.graph(SAME, "y = Identity (x)")
    assert drop_identities(before) is before


def test_a_constant_output_stays(lab: Any) -> None:
    before = lab.graph("(float[2] x) => (float[2] y, float[3] z)", "y = Neg (x)\n z = Identity (w)", w=lab.counting(3))
    assert drop_identities(before) is before


def test_the_producer_takes_the_name_of_the_output(lab: Any) -> None:
    before = lab.graph("(float[4] x) => (float[4] y, float[4] z)", "a = Relu (x)\n y = Identity (a)\n z = Neg (a)")
    after = drop_identities(before)
    assert [(op.kind, op.result, op.inputs) for op in after.ops] == [("relu", "y", ("x",)), ("onnx.Neg", "z", ("y",))]
    lab.same(before, after, 0)


def test_two_outputs_of_one_value(lab: Any) -> None:
    before = lab.graph("(float[4] x) => (float[4] y, float[4] z)", "a = Relu (x)\n y = Identity (a)\n z = Identity (a)")
    after = drop_identities(before)
    assert [(op.kind, op.result, op.inputs) for op in after.ops] == [("relu", "y", ("x",)), ("identity", "z", ("y",))]
    lab.same(before, after, 0)


def test_an_output_that_is_handed_on_to_an_output(lab: Any) -> None:
    before = lab.graph("(float[4] x) => (float[4] y, float[4] z)", "y = Relu (x)\n z = Identity (y)")
    assert drop_identities(before) is before


def test_what_a_sub_graph_captures(lab: Any) -> None:
    branches = "then_branch = t () => (float[4] p) { p = Neg (b) }, else_branch = e () => (float[4] q) { q = Relu (b) }"
    before = lab.graph("(float[4] x, bool c) => (float[4] y)", f"a = Tanh (x)\n b = Identity (a)\n y = If <{branches}> (c)")
    after = drop_identities(before)
    assert [op.kind for op in after.ops] == ["tanh", "onnx.If"]
    lab.same(before, after, 0)


def test_ops_and_constants_that_nothing_reads_go(lab: Any) -> None:
    before = lab.graph("(float[4] x) => (float[4] y)", "y = Relu (x)\n z = Add (x, w)", w=lab.counting(4))
    after = drop_identities(before)
    assert lab.kinds(after) == {"relu": 1}
    assert after.consts == ()


def test_text(lab: Any, golden: Any) -> None:
    body = "a = Relu (x)\n i = Identity (a)\n t = Transpose <perm = [0,2,1]> (i)\n u = Transpose <perm = [0,2,1]> (t)\n y = Identity (u)"
    golden(print_module(Module((drop_identities(lab.graph(SAME, body)),))))
