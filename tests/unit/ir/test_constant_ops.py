"""Ops on constants alone: which they are, and that they come to stand before their first reader."""

from __future__ import annotations

import numpy as np
from onnx import parser

from autosplitc.ir import (
    Attrs,
    Const,
    DType,
    Graph,
    Op,
    TensorType,
    Value,
    blob_from_array,
    constant_makers,
    constant_values,
    constants_near_readers,
    export_onnx,
    import_model,
)

T = TensorType(DType.F32, (2,))


def op(name: str, kind: str, *inputs: str) -> Op:
    return Op((name,), kind, inputs, Attrs(), (T,))


def graph(*ops: Op, outputs: tuple[str, ...] = ("y",)) -> Graph:
    consts = tuple(Const(name, T, blob_from_array(np.zeros(2, np.float32))) for name in ("c", "d"))
    return Graph("g", (("", 21),), (Value("x", T),), consts, ops, outputs)


def names(found: Graph) -> list[str]:
    return [o.name for o in found.ops]


def test_constants_alone_directly_and_through_each_other() -> None:
    found = graph(op("a", "dequantize_linear", "c", "d"), op("b", "relu", "a"), op("h", "add", "x", "b"), op("y", "add", "h", "c"))
    assert constant_values(found) == {"a", "b"}
    assert constant_makers(found, ["b", "h", "c"], {"a", "b"}) == {"a", "b"}
    assert constant_makers(found, ["a"], {"a", "b"}) == {"a"}


def test_what_may_differ_from_run_to_run_does_not_count() -> None:
    found = graph(op("r", "onnx.RandomNormal"), op("s", "onnx.RandomUniformLike", "c"), op("t", "relu", "s"), op("y", "add", "r", "t"))
    assert constant_values(found) == set()
    assert constants_near_readers(found) is found


def test_each_stands_before_its_first_reader_and_all_else_in_its_order() -> None:
    found = graph(
        op("w2", "relu", "c"),
        op("w1", "relu", "d"),
        op("b1", "relu", "d"),
        op("t1", "transpose", "w1"),
        op("h", "add", "x", "x"),
        op("k", "onnx.Three", "h", "t1", "b1"),
        op("m", "add", "k", "w2"),
        op("n", "add", "m", "t1"),
        op("unread", "relu", "c"),
        op("y", "add", "n", "w2"),
    )
    moved = constants_near_readers(found)
    assert names(moved) == ["h", "w1", "b1", "t1", "k", "w2", "m", "n", "unread", "y"]
    assert constants_near_readers(moved) is moved


def test_imported_weights_are_dequantised_where_they_are_read() -> None:
    body = """
        <ir_version: 10, opset_import: ["" : 21]>
        g (float[N, 2] x) => (float[N, 2] y) {
            u = DequantizeLinear(q, s)
            v = DequantizeLinear(q, s)
            h = MatMul(x, v)
            y = MatMul(h, u)
        }
    """
    model = parser.parse_model(body)
    from onnx import numpy_helper

    for name, array in {"q": np.array([[1, 2], [3, 4]], np.int8), "s": np.array(0.5, np.float32)}.items():
        model.graph.initializer.append(numpy_helper.from_array(array, name))
    found = import_model(model)
    assert names(found) == ["v", "h", "u", "y"]
    assert [node.output[0] for node in export_onnx(found).graph.node] == ["v", "h", "u", "y"]
