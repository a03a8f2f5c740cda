"""fold-constants writes a Sum of two as Add, and leaves other Sums."""

from __future__ import annotations

from onnx import TensorProto, helper

from autosplitc.ir import import_model
from autosplitc.passes.fold_constants import fold_constants


def test_sum_of_two_becomes_add() -> None:
    nodes = [helper.make_node("Sum", ["x", "z"], ["a"]), helper.make_node("Sum", ["a", "x", "z"], ["y"])]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in ("x", "z", "y")]
    graph = helper.make_graph(nodes, "g", values[:2], values[2:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    folded = fold_constants(import_model(model), 0)
    assert [op.kind for op in folded.ops] == ["add", "onnx.Sum"]
    assert folded.ops[0].inputs == ("x", "z")
