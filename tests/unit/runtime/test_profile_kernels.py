"""Which op each kernel of onnxruntime works for, and how long it took."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper, parser

from autosplitc.runtime.profile_kernels import Node, makers, owners, read_nodes, runs_of

PROGRAM = sorted((Path(__file__).resolve().parents[3] / "tools" / "runtime").glob("profile*.py"))


def node(name: str, inputs: str, outputs: str, op_type: str = "Op") -> Node:
    return Node(name, op_type, inputs.split(), outputs.split())


def owners_of(nodes: list[Node], values: dict[str, str], names: dict[str, str] | None = None) -> list[str]:
    return owners(nodes, makers(nodes, values, names or {}))


def test_kernels_of_a_residual_block() -> None:
    """What quantises the input works for its first reader; the dequantised output for who makes it."""
    nodes = [
        node("q", "x", "x.q"),
        node("c1", "x.q w1", "a.q"),
        node("c2", "a.q w2", "b.q"),
        node("pad", "b.q", "b.padded"),
        node("add", "b.padded a.q", "y.q"),
        node("dq", "y.q", "y.numbers"),
    ]
    assert owners_of(nodes, {"a.q": "a", "b.q": "b", "y.q": "y"}) == ["a", "a", "b", "y", "y", "y"]


def test_the_nearest_op_downstream_counts_and_the_first_of_equals() -> None:
    nodes = [
        node("near1", "x", "r"),
        node("to far", "r", "t"),
        node("f", "t", "far"),
        node("n2", "r", "near2"),
        node("n1", "r", "near1"),
    ]
    assert owners_of(nodes, {"far": "far", "near1": "near1", "near2": "near2"}) == ["near2", "far", "far", "near2", "near1"]


def test_what_is_no_op_s_work_belongs_to_nobody() -> None:
    nodes = [node("c", "x", "a"), node("q", "a", "a.codes"), node("p", "a.codes", "payload")]
    assert owners_of(nodes, {"a": "a", "payload": ""}) == ["a", "", ""]
    assert owners_of([node("c", "x", "a")], {}) == [""]


def test_names_tell_where_layouts_took_the_values_away() -> None:
    """Levels that change the layout keep the names of nodes, or of the values that they made, and add to them."""
    nodes = [
        node("", "x", "t0", "ReorderInput"),
        node("c1_nchwc", "t0 w1", "t1"),
        node("b_nchwc", "t1 w2", "t2"),
        node("c3_token_27", "t2 w3", "c3"),
        node("c4_nhwc_token_3", "c3", "t4"),
        node("ReorderOutput_token_1", "t4", "d"),
    ]
    names = {"c1": "a", "c3": "c", "c4": "d"}
    assert makers(nodes, {"a": "a", "b": "b", "d": "d"}, names) == {1: "a", 2: "b", 3: "c", 4: "d", 5: "d"}
    assert owners_of(nodes, {"a": "a", "b": "b", "d": "d"}, names) == ["a", "a", "b", "c", "d", "d"]


def event(name: str, op_type: str, start: int, duration: int) -> dict[str, Any]:
    return {"cat": "Node", "name": f"{name}_kernel_time", "ts": start, "dur": duration, "args": {"op_name": op_type}}


RUN = {"cat": "Session", "name": "model_run", "ts": 0, "dur": 99}


def test_times_go_to_nodes_by_type_and_name() -> None:
    nodes = [node("b", "", "b", "Add"), node("a", "", "a", "Add"), node("", "", "c", "Mul"), node("", "", "d", "Mul")]
    events = [event("a", "Add", 1, 10), event("Mul_7", "Mul", 11, 1), event("b", "Add", 12, 20), event("Mul_9", "Mul", 32, 2), RUN]
    loading = {"cat": "Session", "name": "session_initialization", "ts": 0, "dur": 5}
    unfinished = [event("a", "Add", 90, 1)]
    assert runs_of([loading, *events, *events, *unfinished], nodes) == [[20, 10, 1, 2]] * 2
    with pytest.raises(LookupError, match=r"kernel s \(Sub\)"):
        runs_of([event("s", "Sub", 0, 1), RUN], nodes)


def test_kernels_of_sub_graphs_count_in_their_node() -> None:
    nodes = [node("loop", "", "y", "Loop"), node("tail", "y", "z", "Add")]
    inner = [event("body", "Add", start, 4) for start in (10, 15, 20)]
    assert runs_of([*inner, event("loop", "Loop", 9, 20), event("tail", "Add", 30, 3), RUN], nodes) == [[20, 3]]


def model() -> ModelProto:
    body = parser.parse_model("""
        <ir_version: 10, opset_import: ["" : 21]>
        g (float[N, 4] x, bool c) => (float[N, 4] y) {
            a = Add(x, w)
            [branch] y = If (c) <
                then_branch = t () => (float[N, 4] t1) { t1 = Mul(a, w) },
                else_branch = e () => (float[N, 4] e1) { e1 = Sub(a, x) }
            >
        }
    """)
    body.graph.initializer.append(numpy_helper.from_array(np.ones((1, 4), np.float32), "w"))
    return body


def test_an_onnx_file_is_read_without_onnx(tmp_path: Path) -> None:
    """Numbers of many digits, floats, lists and unknown parts are skipped; sub-graphs tell what they read from outside."""
    made = model()
    made.graph.node[0].attribute.append(helper.make_attribute("list", [1, 2**40, -1]))
    made.graph.node[0].attribute.append(helper.make_attribute("float", 0.5))
    big = helper.make_tensor("big", TensorProto.FLOAT, [70_000], np.zeros(70_000, np.float32).tobytes(), raw=True)
    made.graph.initializer.append(big)
    path = tmp_path / "m.onnx"
    path.write_bytes(made.SerializeToString())
    first, branch = read_nodes(path)
    assert (first.op_type, list(first.inputs), list(first.outputs)) == ("Add", ["x", "w"], ["a"])
    assert (branch.name, branch.op_type, list(branch.outputs)) == ("branch", "If", ["y"])
    assert set(branch.inputs) == {"c", "a", "w", "x"}


def test_a_kernel_that_only_a_sub_graph_reads_works_for_that_op(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(model().SerializeToString())
    assert owners_of(read_nodes(path), {"y": "y"}) == ["y", "y"]


@pytest.mark.parametrize("path", PROGRAM, ids=lambda path: path.name)
def test_the_program_is_python_3_8_and_imports_little(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 8))
    assert not [n for n in ast.walk(tree) if isinstance(n, ast.Call) and any(k.arg == "strict" for k in n.keywords)]
    later = {"removesuffix", "removeprefix", "pairwise", "is_relative_to", "hardlink_to", "with_stem"}
    assert not later & {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    imported = {a.name.partition(".")[0] for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    imported |= {str(n.module).partition(".")[0] for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    own = {p.stem for p in PROGRAM}
    standard = {"__future__", "argparse", "collections", "ctypes", "json", "mmap", "os", "pathlib", "platform", "re", "resource"}
    assert imported - own <= standard | {"statistics", "sys", "tempfile", "time", "typing", "numpy", "onnxruntime"}
