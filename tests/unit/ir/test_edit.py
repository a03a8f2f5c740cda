"""Helpers that edit graphs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from onnx import parser

from autosplitc.ir import (
    Attrs,
    Const,
    DType,
    Graph,
    Op,
    TensorType,
    Value,
    all_names,
    blob_from_array,
    free_names,
    fresh_name,
    import_model,
    map_ops,
    prune_consts,
    redirect,
    remove_dead,
    replace_ops,
    sub_graphs,
    toposort,
    verify,
)
from autosplitc.ir.edit import rename_free, rename_made

T = TensorType(DType.F32, (2,))


def op(name: str, *inputs: str, kind: str = "onnx.Op") -> Op:
    return Op((name,), kind, inputs, Attrs(), (T,))


def const(name: str) -> Const:
    return Const(name, T, blob_from_array(np.zeros(2, np.float32)))


def graph(*ops: Op, consts: tuple[str, ...] = (), outputs: tuple[str, ...] = ("y",)) -> Graph:
    return Graph("g", (("", 21),), (Value("x", T),), tuple(map(const, consts)), ops, outputs)


def names(found: Graph) -> list[str]:
    return [o.name for o in found.ops]


def test_fresh_name() -> None:
    assert fresh_name({"a", "a.2", "a.4"}, "a") == "a.3"
    assert fresh_name(graph(op("y", "x")).types, "z") == "z"


def test_redirect_follows_chains_and_leaves_results() -> None:
    found = redirect(graph(op("a", "x"), op("b", "a"), op("y", "b", "a", "")), {"b": "a", "a": "x"})
    assert [o.inputs for o in found.ops] == [("x",), ("x",), ("x", "x", "")]
    assert found.outputs == ("y",)
    with pytest.raises(ValueError, match="redirected to itself"):
        redirect(found, {"a": "b", "b": "a"})


def test_replace_ops_sorts_and_adds_constants() -> None:
    before = graph(op("a", "x"), op("b", "a"), op("y", "b"))
    found = replace_ops(before, {"a": (op("a", "t", "k"), op("t", "x")), "b": (), "y": (op("y", "a"),)}, (const("k"),))
    assert names(found) == ["t", "a", "y"]
    assert verify(found) == ()


def test_toposort_keeps_an_order_and_finds_cycles() -> None:
    ordered = graph(op("b", "x"), op("a", "x"), op("y", "a", "b"))
    assert toposort(ordered) is ordered
    assert names(toposort(replace(ordered, ops=ordered.ops[::-1]))) == ["a", "b", "y"]
    with pytest.raises(ValueError, match="cycle"):
        toposort(graph(op("a", "y"), op("y", "a")))


def test_remove_dead() -> None:
    found = remove_dead(graph(op("a", "x", "k"), op("dead", "a", "j"), op("y", "a"), consts=("k", "j", "out"), outputs=("y", "out")))
    assert names(found) == ["a", "y"]
    assert [c.name for c in found.consts] == ["k", "out"]
    assert remove_dead(found) is found
    assert prune_consts(found) is found


def test_an_op_with_one_live_result_stays() -> None:
    split = Op(("a", "b"), "onnx.Split", ("x",), Attrs(), (T, T))
    assert names(remove_dead(graph(split, op("y", "b")))) == ["a", "y"]


def test_map_ops() -> None:
    assert [o.kind for o in map_ops(graph(op("y", "x")), lambda o: replace(o, kind="relu")).ops] == ["relu"]


NESTED = """<ir_version: 10, opset_import: ["" : 21]> g (float[2] x, bool c) => (float[2] y) {
    a = Exp (x)
    y = If (c) <
        then_branch = t () => (float[2] o) {
            p = Neg (a)
            o = If (c) <
                then_branch = u () => (float[2] r) { m = Neg (p) r = Add (m, a) },
                else_branch = v () => (float[2] s) { s = Sub (p, x) }
            >
        },
        else_branch = e () => (float[2] q) { q = Exp (a) }
    >
}"""


def nested() -> tuple[Graph, Graph]:
    found = import_model(parser.parse_model(NESTED))
    branch = found.ops[-1].attrs["then_branch"]
    assert isinstance(branch, Graph)
    return found, branch


def test_names_of_sub_graphs() -> None:
    found, branch = nested()
    assert free_names(branch) == ("a", "c", "x")
    assert all_names(found) == {"x", "c", "a", "y", "p", "o", "m", "r", "s", "q"}
    assert len(list(sub_graphs(found.ops[-1]))) == 2
    assert list(sub_graphs(found.ops[0])) == []


def captured_by(branch: Graph) -> Mapping[str, str]:
    inner = branch.ops[-1]
    captures = inner.attrs["captures"]
    assert isinstance(captures, tuple)
    return {str(name): outer for name, outer in zip(captures, inner.inputs[1:], strict=True)}


def test_dead_values_are_seen_through_captures() -> None:
    found, _ = nested()
    assert remove_dead(found) is found


def test_rename_free_moves_clashing_names_out_of_the_way() -> None:
    _, branch = nested()
    renamed = rename_free(branch, {"a": "m", "x": "p"})
    assert free_names(renamed) == ("m", "c", "p")
    assert renamed.ops[0].results == ("p.inner",)
    assert captured_by(renamed) == {"p": "p.inner", "a": "m", "x": "p"}
    assert "m" not in {n for sub in sub_graphs(renamed.ops[-1]) for n in sub.types}
    assert rename_free(branch, {"elsewhere": "b"}) is branch


def test_rename_made_reaches_every_depth() -> None:
    _, branch = nested()
    renamed = rename_made(branch, {"p", "s", "o"})
    assert not {"p", "s", "o"} & all_names(renamed)
    assert captured_by(renamed)["p"] == "p.inner"
    assert renamed.outputs == ("o.inner",)
