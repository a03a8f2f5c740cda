"""First and last use of values, shared memory, and the peak of the working set."""

from __future__ import annotations

from numpy import ones, zeros

from autosplitc.ir import Attrs, Const, DType, Graph, Op, TensorType, Value, blob_from_array
from autosplitc.passes import LiveRange
from autosplitc.passes.liveness import liveness_of

F16 = TensorType(DType.F32, (1, 16))


def graph(ops: tuple[Op, ...], outputs: tuple[str, ...], inputs: tuple[Value, ...] = (Value("x", F16),)) -> Graph:
    weights = Const("w", TensorType(DType.F32, (16, 16)), blob_from_array(ones((16, 16), "float32")))
    axes = Const("axes", TensorType(DType.I64, (1,)), blob_from_array(zeros(1, "int64")))
    return Graph("main", (("", 21),), inputs, (weights, axes), ops, outputs)


def op(name: str, kind: str, *inputs: str, type_: TensorType = F16) -> Op:
    return Op((name,), kind, inputs, Attrs(), (type_,))


def test_lives_run_from_the_making_to_the_last_reader() -> None:
    fact = liveness_of(graph((op("a", "gemm", "x", "w"), op("b", "relu", "a"), op("y", "add", "b", "a")), ("y",)))
    assert fact.values == (
        LiveRange("x", -1, 0, 16, ""),
        LiveRange("a", 0, 2, 16, ""),
        LiveRange("b", 1, 2, 16, ""),
        LiveRange("y", 2, 3, 16, ""),
    )
    assert [(s.op, s.working_set_bytes) for s in fact.steps] == [("a", 32), ("b", 32), ("y", 48)]
    assert (fact.peak_bytes, fact.peak_op) == (48, "y")


def test_reshapes_share_memory_with_the_first_of_their_chain() -> None:
    shaped = TensorType(DType.F32, (4, 4))
    ops = (
        op("a", "gemm", "x", "w"),
        op("r", "unsqueeze", "a", "axes", type_=shaped),
        op("s", "flatten", "r"),
        op("y", "gemm", "s", "w"),
    )
    fact = liveness_of(graph(ops, ("y",)))
    assert {v.value: v.alias_of for v in fact.values} == {"x": "", "a": "", "r": "a", "s": "a", "y": ""}
    assert [s.working_set_bytes for s in fact.steps] == [32, 16, 16, 32]


def test_parallel_edges_and_unread_results_count_once() -> None:
    both = Op(("l", "r"), "split", ("x",), Attrs(), (F16, F16))
    fact = liveness_of(graph((both, op("y", "mul", "l", "l")), ("y",)))
    assert [s.working_set_bytes for s in fact.steps] == [48, 32]
    assert next(v for v in fact.values if v.value == "r").last == 0


def test_values_that_are_no_codes_count_at_their_own_width() -> None:
    ids = TensorType(DType.I64, (1, 4))
    fact = liveness_of(graph((op("a", "onnx.Gather", "w", "ids"), op("y", "onnx.Exp", "a")), ("y",), (Value("ids", ids),)))
    assert [s.working_set_bytes for s in fact.steps] == [4 * 8 + 16 * 4, 2 * 16 * 4]


def test_a_dynamic_batch_counts_as_one_and_an_unknown_size_as_nothing() -> None:
    batch = TensorType(DType.F32, ("N", 16))
    unknown = TensorType(DType.F32, (None, 16))
    ops = (op("a", "gemm", "x", "w", type_=batch), op("y", "onnx.NonZero", "a", type_=unknown))
    fact = liveness_of(graph(ops, ("y",), (Value("x", batch),)))
    assert [v.elements for v in fact.values] == [16, 16, None]
    assert [s.working_set_bytes for s in fact.steps] == [32, 16]


def test_a_graph_without_ops_has_an_empty_fact() -> None:
    fact = liveness_of(graph((), ("x",)))
    assert (fact.values, fact.steps, fact.peak_bytes, fact.peak_op) == ((), (), 0, "")
