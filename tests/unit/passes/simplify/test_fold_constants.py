"""fold-constants: weights that nodes make, shape arithmetic, and what must stay."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autosplitc.ir import Module
from autosplitc.passes.fold_constants import FoldConstants, fold_constants

LIMIT = 1 << 20


def i64(*values: int) -> Any:
    return np.array(values, np.int64)


def test_constant_of_shape_weights(lab: Any) -> None:
    before = lab.graph(
        "(float[N,3,8,8] x) => (float[N,4,8,8] y)",
        "w = ConstantOfShape <value = float[1] {0.5}> (s)\n y = Conv <pads = [1,1,1,1]> (x, w)",
        s=i64(4, 3, 3, 3),
    )
    after = fold_constants(before, 0)
    assert lab.kinds(after) == {"conv": 1}
    assert after.const["w"].array().tolist() == np.full((4, 3, 3, 3), 0.5).tolist()
    assert after.const["w"].loc.names
    lab.same(before, after, 0)


def test_weights_that_are_huge_fold_behind_a_reshape(lab: Any) -> None:
    before = lab.graph(
        "(float[N,256] x) => (float[N,256] y)",
        "a = ConstantOfShape <value = float[1] {0.5}> (s)\n w = Reshape (a, t)\n y = MatMul (x, w)",
        s=i64(65536),
        t=i64(256, 256),
    )
    assert lab.kinds(fold_constants(before, 0)) == {"matmul": 1}


@pytest.mark.parametrize("node", ["c = Expand (k, s)", "c = Tile (k, s)", "c = ConstantOfShape <value = float[1] {2.0}> (s)"])
def test_what_would_grow_stays(lab: Any, node: str) -> None:
    before = lab.graph("(float[64,64] x) => (float[64,64] y)", f"{node}\n y = Add (x, c)", s=i64(64, 64), k=np.full((1, 1), 2, np.float32))
    assert fold_constants(before, 64 * 64 * 4 - 100) is before
    after = fold_constants(before, LIMIT)
    assert lab.kinds(after) == {"add": 1}
    lab.same(before, after, 0)


def test_flatten_as_exporters_write_it(lab: Any) -> None:
    """The batch is not known, so the target becomes [0 or -1, ...]."""
    body = """s = Shape (x)
    g = Gather <axis = 0> (s, zero)
    u = Unsqueeze (g, axes)
    t = Concat <axis = 0> (u, minus)
    y = Reshape (x, t)"""
    before = lab.graph("(float[N,3,4] x) => (float[N,12] y)", body, zero=np.array(0, np.int64), axes=i64(0), minus=i64(-1))
    after = fold_constants(before, LIMIT)
    assert lab.kinds(after) == {"reshape": 1}
    assert after.const[after.ops[0].inputs[1]].array().tolist() == [0, -1]
    lab.same(before, after, 0)


def test_sizes_that_are_known_fold_through_arithmetic(lab: Any) -> None:
    body = """s = Shape (x)
    c = Gather (s, one)
    h = Gather (s, two)
    p = Mul (c, h)
    v = Unsqueeze (p, axes)
    t = Concat <axis = 0> (minus, v)
    y = Reshape (x, t)"""
    consts = {"one": np.array(1, np.int64), "two": np.array(2, np.int64), "axes": i64(0), "minus": i64(-1)}
    before = lab.graph("(float[N,3,4] x) => (float[N,12] y)", body, **consts)
    after = fold_constants(before, LIMIT)
    assert lab.kinds(after) == {"reshape": 1}
    lab.same(before, after, 0)


def test_two_open_sizes_stay(lab: Any) -> None:
    body = "s = Shape (x)\n a = Slice (s, first, second)\n b = Slice (s, second, third)\n t = Concat <axis = 0> (b, a)\n y = Reshape (x, t)"
    before = lab.graph("(float[N,M] x) => (float[P,Q] y)", body, first=i64(0), second=i64(1), third=i64(2))
    assert fold_constants(before, LIMIT) is before


def test_types_are_found_again(lab: Any) -> None:
    """Inference does not see through the Mod; when it is a constant, the size of the result is known."""
    body = "m = Mod (a, b)\n t = Concat <axis = 0> (minus, m)\n y = Reshape (x, t)\n z = Relu (y)"
    before = lab.graph("(float[N,12] x) => (float[?,?] z)", body, a=i64(10), b=i64(7), minus=i64(-1))
    after = fold_constants(before, LIMIT)
    assert after.types["z"].shape is not None
    assert after.types["z"].shape[1] == 3


def test_identities_of_constants_share_them(lab: Any) -> None:
    before = lab.graph(
        "(float[2,4] x) => (float[2,4] y)", "v = Identity (w)\n a = MatMul (x, w)\n y = MatMul (a, v)", w=lab.counting(4, 4)
    )
    after = fold_constants(before, LIMIT)
    assert [op.inputs[1] for op in after.ops] == ["w", "w"]
    assert [c.name for c in after.consts] == ["w"]
    lab.same(before, after, 0)


def test_a_reshaped_constant_keeps_its_blob(lab: Any) -> None:
    before = lab.graph("(float[2,4] x) => (float[2,4] y)", "v = Reshape (w, s)\n y = MatMul (x, v)", w=lab.counting(16), s=i64(4, 4))
    after = fold_constants(before, LIMIT)
    assert after.const["v"].blob is before.const["w"].blob
    assert after.const["v"].loc.names == ("w", *before.producer["v"].loc.names)


def test_a_graph_output_may_become_a_constant(lab: Any) -> None:
    before = lab.graph("(float[2] x) => (float[2] y, float[4] z)", "y = Relu (x)\n z = Neg (w)", w=lab.counting(4))
    after = fold_constants(before, LIMIT)
    assert lab.kinds(after) == {"relu": 1}
    assert after.is_const("z")
    lab.same(before, after, 0)


def test_several_results(lab: Any) -> None:
    before = lab.graph(
        "(float[2] x) => (float[2] y)", "a, b = Split <num_outputs = 2> (w)\n c = Add (x, a)\n y = Mul (c, b)", w=lab.counting(4)
    )
    after = fold_constants(before, LIMIT)
    assert lab.kinds(after) == {"add": 1, "mul": 1}
    lab.same(before, after, 0)


@pytest.mark.parametrize(
    "body",
    [
        "r = RandomNormal <shape = [2], seed = 1.0> ()\n y = Add (x, r)",
        "d = DequantizeLinear (q, k)\n y = Add (x, d)",
        "a = QuantizeLinear (k2, k)\n d = DequantizeLinear (a, k)\n y = Add (x, d)",
        "i = If <then_branch = t () => (float[2] o) { o = Identity (k2) }, else_branch = e () => (float[2] p) { p = Neg (k2) }> (b)\n"
        "y = Add (x, i)",
    ],
)
def test_what_is_left_alone(lab: Any, body: str) -> None:
    consts = {"q": np.array([1, 2], np.int8), "k": np.array(0.5, np.float32), "k2": np.array([1, 2], np.float32), "b": np.array(True)}
    used = {name: array for name, array in consts.items() if f"({name}" in body or f", {name}" in body}
    before = lab.graph("(float[2] x) => (float[2] y)", body, **used)
    assert fold_constants(before, LIMIT) is before


def test_an_op_that_fails_stays_and_others_fold(lab: Any) -> None:
    body = "a = Gather (w, far)\n b = Neg (w)\n c = Add (x, a)\n y = Add (c, b)"
    before = lab.graph("(float[4] x) => (float[4] y)", body, w=lab.counting(4), far=np.array(2**40, np.int64))
    after = fold_constants(before, LIMIT)
    assert lab.kinds(after) == {"gather": 1, "add": 2}
    assert after.is_const("b")


def test_the_pass_keeps_a_graph_without_constants(lab: Any, env: Any) -> None:
    module = Module((lab.graph("(float[2] x) => (float[2] y)", "y = Relu (x)"),))
    assert FoldConstants().apply(module, env) is module
