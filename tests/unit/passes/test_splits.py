"""Crossing sets, formula (6), reasons, and the positions that `--cut` means."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from autosplitc.ir import Attrs, CompileError, Const, DType, Graph, Module, Op, TensorType, Value, blob_from_array
from autosplitc.passes import Env, Request, Split, Splits
from autosplitc.passes.enumerate_splits import EnumerateSplits, positions_of_cut
from autosplitc.passes.estimate_cost import EstimateCost
from autosplitc.passes.fewest_bits import crossing_sets
from autosplitc.passes.liveness import ComputeLiveness
from autosplitc.targets import ROWS, Network, OpCost, OpView, Residency, constant_table


@dataclass(frozen=True)
class Device:
    """A target that runs all but one kind of op."""

    refuses: str = ""
    ram_bytes: int = 10**6
    name: str = "device"
    source: str = "made up"
    weight_bits: tuple[int, ...] = (2, 8)
    act_bits: tuple[int, ...] = (4, 8)
    float_bits: int = 32
    storage_bytes: int | None = None
    resident: Residency = "packed"
    max_opset: int = 25

    def cost(self, op: OpView) -> OpCost | None:
        """Return the cost."""
        rows = tuple(np.zeros(ROWS) for _ in (*op.inputs, *op.results))
        return None if op.kind == self.refuses else OpCost(constant_table(1e-3), rows, 1e6, overlap=False)


def f32(*dims: int | str | None) -> TensorType:
    return TensorType(DType.F32, dims)


def op(name: str, kind: str, *inputs: str, type_: TensorType) -> Op:
    return Op((name,), kind, inputs, Attrs(), (type_,))


def graph() -> Graph:
    """Return x[20] -> a[60] -> b[8], c = a + tile(b), ids[4]: a crosses until c, ids until the end."""
    ops = (
        op("a", "gemm", "x", "w", type_=f32("N", 60)),
        op("b", "onnx.ReduceL1", "a", type_=f32("N", 8)),
        op("c", "onnx.Combine", "a", "b", type_=f32("N", 60)),
        op("y", "onnx.Gather", "c", "ids", type_=f32("N", 4)),
    )
    weights = Const("w", f32(20, 60), blob_from_array(np.ones((20, 60), np.float32)))
    inputs = (Value("x", f32("N", 20)), Value("ids", TensorType(DType.I32, ("N", 4))))
    return Graph("main", (("", 21),), inputs, (weights,), ops, ("y",))


def splits_of(main: Graph, edge: Device | None = None, input_bits: int = 8) -> tuple[Split, ...]:
    env = Env(edge or Device(), Device(), Network("net", 1e6))
    module = Module((main,), (Request("", "m.onnx", "0" * 64, "device", "device", "net", input_bits=input_bits),))
    for pass_ in (ComputeLiveness(), EstimateCost(), EnumerateSplits()):
        module = pass_.apply(module, env)
    return module.fact(Splits).splits


def test_crossing_sets_have_every_skip_connection() -> None:
    assert crossing_sets(graph()) == [("x", "ids"), ("ids", "a"), ("ids", "a", "b"), ("ids", "c"), ()]


def test_transfer_is_at_the_fewest_bits_and_the_input_at_its_own() -> None:
    assert [s.transfer_bytes for s in splits_of(graph(), input_bits=6)] == [15 + 16, 16 + 30, 16 + 30 + 4, 16 + 30, 0]


def test_memory_is_the_weights_and_the_largest_working_set_at_the_fewest_bits() -> None:
    weights = 20 * 60 * 2 // 8
    assert [s.memory_bytes for s in splits_of(graph())] == [
        20 + 16,
        weights + 20 + 16 + 30,
        weights + 20 + 16 + 30,
        weights + 16 + 30 + 4 + 30,
        weights + 16 + 30 + 4 + 30,
    ]


def test_formula_6_looks_at_transfer_and_memory() -> None:
    assert [s.potential for s in splits_of(graph())] == [True, False, False, False, True]
    assert [s.potential for s in splits_of(graph(), Device(ram_bytes=100))] == [True, False, False, False, False]


def test_names_of_the_last_edge_op() -> None:
    assert [(s.position, s.after) for s in splits_of(graph())] == [(0, ""), (1, "a"), (2, "b"), (3, "c"), (4, "y")]


def test_an_op_that_the_edge_refuses_bars_every_later_cut() -> None:
    reasons = [s.reason for s in splits_of(graph(), Device(refuses="onnx.Combine"))]
    assert reasons == ["", "", "", *["op 'c' (onnx.Combine) cannot run on the edge"] * 2]


def test_an_unknown_size_may_not_be_made_nor_cross() -> None:
    main = graph()
    late = Graph("main", main.opset, main.inputs, main.consts, (*main.ops[:3], op("y", "onnx.Any", "c", "ids", type_=f32(None))), ("y",))
    assert [s.reason for s in splits_of(late)] == ["", "", "", "", "the size of 'y', made on the edge, is not known"]
    words = Value("ids", TensorType(DType.STRING, (4,)))
    crossing = Graph("main", main.opset, (main.inputs[0], words), main.consts, main.ops, ("y",))
    assert splits_of(crossing)[1].reason == "'ids', of type string, cannot be sent"


def test_a_type_that_cannot_be_sent_bars_the_cuts_that_it_crosses() -> None:
    main = graph()
    ops = tuple(replace(o, types=(TensorType(DType.C64, ("N", 8)),)) if o.name == "b" else o for o in main.ops)
    reasons = [s.reason for s in splits_of(replace(main, ops=ops))]
    assert reasons == ["", "", "'b', of type c64, cannot be sent", "", ""]


def test_a_cut_that_nothing_crosses_is_none() -> None:
    alone = (op("a", "relu", "x", type_=f32(20)), op("y", "onnx.RandomNormal", type_=f32(3)))
    main = Graph("main", (("", 21),), (Value("x", f32(20)),), (), alone, ("a", "y"))
    assert [s.reason for s in splits_of(main)] == ["", "nothing crosses", ""]


def test_cut_finds_the_position_by_its_tensors_in_any_order() -> None:
    splits = splits_of(graph())
    assert positions_of_cut((), splits) == ()
    assert positions_of_cut(("a", "ids"), splits) == (1,)
    assert positions_of_cut(("x", "ids"), splits) == (0,)


def test_an_unknown_cut_names_the_nearest() -> None:
    with pytest.raises(CompileError) as caught:
        positions_of_cut(("ids", "cc"), splits_of(graph()))
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.code, caught.value.exit_code) == ("AS152", 2)
    assert diagnostic.message == "no cut of the graph is crossed by exactly 'ids', 'cc'"
    assert diagnostic.hint == '--cut "ids,c"'
    assert diagnostic.notes[0] == "a cut: ids,c"
