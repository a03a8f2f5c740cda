"""estimate-cost: the fact it gives, sizes seen in calibration, and targets that misbehave."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from autosplitc.ir import ArrayRef, Attrs, CompileError, Const, DType, Graph, Module, Op, TensorType, Value, blob_from_array
from autosplitc.passes import Costs, Env, Ranges, SeenSize, pass_class
from autosplitc.passes.estimate_cost import EstimateCost, estimate
from autosplitc.targets import FLOAT_ROW, ROWS, OpCost, OpView, SystolicTarget, constant_table, load_target, parse_network, view

Tables = tuple[NDArray[np.float64], NDArray[np.float64]]


def built_in(name: str) -> SystolicTarget:
    target = load_target(name)
    assert isinstance(target, SystolicTarget)
    return target


eyeriss, tpu = built_in("eyeriss"), built_in("tpu")


def f32(*shape: int | str | None) -> TensorType:
    return TensorType(DType.F32, shape)


def constant(name: str, *shape: int) -> Const:
    return Const(name, f32(*shape), blob_from_array(np.zeros(shape, np.float32)))


def network() -> Graph:
    ops = (
        Op(("a",), "conv", ("x", "w", "b"), Attrs.of(pads=(1, 1, 1, 1)), (f32("N", 16, 8, 8),)),
        Op(("p",), "max_pool", ("a",), Attrs.of(kernel_shape=(2, 2), strides=(2, 2)), (f32("N", 16, 4, 4),)),
        Op(("s",), "add", ("p", "p"), Attrs(), (f32("N", 16, 4, 4),)),
        Op(("f",), "flatten", ("s",), Attrs(), (f32("N", 256),)),
        Op(("n", ""), "onnx.TopK", ("f",), Attrs(), (f32("N", None), TensorType(DType.UNKNOWN))),
    )
    consts = (constant("w", 16, 3, 3, 3), constant("b", 16))
    return Graph("main", (("", 21),), (Value("x", f32("N", 3, 8, 8)),), consts, ops, ("n",))


def array(ref: ArrayRef) -> NDArray[np.float64]:
    return ref.blob.read().view(np.float64).reshape(ref.type.dims)


def tables(costs: Costs) -> Tables:
    return array(costs.compute_s), array(costs.traffic_bytes)


@dataclass(frozen=True)
class Odd:
    """A target that costs what its function says."""

    answer: Callable[[OpView], Any]
    name: str = "odd"
    source: str = "test"
    weight_bits: tuple[int, ...] = (8,)
    act_bits: tuple[int, ...] = (8,)
    float_bits: int = 32
    ram_bytes: int = 1000
    storage_bytes: int | None = None
    resident: Literal["packed", "int8"] = "int8"
    max_opset: int = 21
    unused: tuple[int, ...] = field(default=())

    def cost(self, op: OpView) -> OpCost | None:
        return self.answer(op)


def plain(op: OpView) -> OpCost:
    return OpCost(constant_table(1e-6), (np.zeros(ROWS),) * (len(op.inputs) + len(op.results)), 1e9, False)


def test_the_pass_is_registered_and_gives_costs() -> None:
    assert pass_class("estimate-cost") is EstimateCost
    env = Env(load_target("eyeriss"), load_target("tpu"), parse_network("3mbps"))
    module = EstimateCost().apply(Module((network(),)), env)
    costs = module.fact(Costs)
    assert costs == estimate(network(), eyeriss, tpu, {})
    assert list(costs.speaks_of()) == ["a", "p", "s", "f", "n"]
    assert (costs.edge_bandwidth_bytes_per_s, costs.edge_overlap) == (1e9, False)


def test_every_op_has_its_rows_in_the_tables() -> None:
    graph = network()
    costs = estimate(graph, eyeriss, tpu, {})
    compute_s, traffic_bytes = tables(costs)
    assert compute_s.shape == (5, ROWS, ROWS)
    assert [(o.first_traffic, o.operands) for o in costs.ops] == [(0, 4), (4, 2), (6, 3), (9, 2), (11, 3)]
    assert traffic_bytes.shape == (14, ROWS)
    for index, (op, record) in enumerate(zip(graph.ops, costs.ops, strict=True)):
        expected = eyeriss.cost(view(graph, op))
        assert expected is not None
        assert np.array_equal(compute_s[index], expected.compute_s)
        assert np.array_equal(traffic_bytes[record.first_traffic :][: record.operands], np.stack(expected.traffic_bytes))
        assert record.edge_ok
    assert traffic_bytes[0, 7] == 3 * 64
    assert traffic_bytes[1, 7] == 16 * 27
    assert costs.ops[0].macs == 16 * 64 * 27


def test_the_cloud_is_costed_in_float_and_told_what_binds_it() -> None:
    graph = network()
    costs = estimate(graph, eyeriss, tpu, {})
    expected = tpu.cost(view(graph, graph.ops[0]))
    assert expected is not None
    rows = (FLOAT_ROW,) * 4
    assert costs.ops[0].cloud_s == expected.latency_s(rows, (FLOAT_ROW, FLOAT_ROW))
    assert costs.ops[3].cloud_s == 0
    fast_memory = replace(tpu, bandwidth_bytes_per_s=1e15)
    slow_memory = replace(tpu, bandwidth_bytes_per_s=1e3)
    assert estimate(graph, eyeriss, fast_memory, {}).ops[0].cloud_bound_by == "compute"
    assert estimate(graph, eyeriss, slow_memory, {}).ops[0].cloud_bound_by == "traffic"


def test_a_size_seen_in_calibration_counts_where_the_graph_does_not_know_it() -> None:
    graph = network()
    unseen = estimate(graph, eyeriss, tpu, {}).ops[4].cloud_s
    ranges = Ranges("main", True, 1, (), (SeenSize("n", 10_000),))
    env = Env(eyeriss, tpu, parse_network("3mbps"))
    seen = EstimateCost().apply(Module((graph,), (ranges,)), env).fact(Costs).ops[4].cloud_s
    made_s = 10_000 * 2 / 13e9
    assert math.isclose(seen - unseen, made_s + (10_000 - 256) * 2 / tpu.vector_bytes_per_s)


def test_a_convolution_of_seen_size_has_its_products() -> None:
    ops = (
        Op(("c",), "onnx.Compress", ("x",), Attrs(), (f32(1, 3, None, 8),)),
        Op(("a",), "conv", ("c", "w"), Attrs(), (f32(1, 16, None, 6),)),
    )
    graph = Graph("main", (("", 21),), (Value("x", f32(1, 3, 8, 8)),), (constant("w", 16, 3, 3, 3),), ops, ("a",))
    assert estimate(graph, eyeriss, tpu, {}).ops[1].macs == 0
    assert estimate(graph, eyeriss, tpu, {"c": 3 * 64, "a": 16 * 36}).ops[1].macs == 16 * 36 * 27


def test_an_op_that_the_edge_cannot_run_has_empty_rows() -> None:
    costs = estimate(network(), replace(eyeriss, unsupported=("add",)), tpu, {})
    compute_s, traffic_bytes = tables(costs)
    assert [o.edge_ok for o in costs.ops] == [True, True, False, True, True]
    assert not compute_s[2].any()
    assert not traffic_bytes[6:9].any()
    assert costs.ops[2].cloud_s > 0


def test_an_edge_that_runs_nothing_still_gives_costs() -> None:
    costs = estimate(network(), Odd(lambda _: None), tpu, {})
    assert not any(o.edge_ok for o in costs.ops)
    assert costs.edge_bandwidth_bytes_per_s > 0


def test_ops_that_the_cloud_cannot_run_are_all_named() -> None:
    with pytest.raises(CompileError) as caught:
        estimate(network(), eyeriss, replace(tpu, unsupported=("add", "onnx.TopK")), {})
    assert [d.code for d in caught.value.diagnostics] == ["AS421", "AS421"]
    assert caught.value.diagnostics[0].message == "cloud target 'tpu' cannot run add"
    assert caught.value.diagnostics[1].location == 'op "n" (?)'
    assert caught.value.exit_code == 1


def broken_at(kind: str, make: Callable[[OpView], Any]) -> Odd:
    return Odd(lambda op: make(op) if op.kind == kind else plain(op))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"compute_s": constant_table(float("nan"))}, "compute_s holds nan"),
        ({"compute_s": constant_table(float("inf"))}, "compute_s holds inf"),
        ({"compute_s": constant_table(-1.0)}, "compute_s holds -1.0"),
        ({"compute_s": np.zeros(ROWS)}, "compute_s has shape (9,), not (9, 9)"),
        ({"traffic_bytes": (np.zeros(ROWS),)}, "traffic_bytes has 1 arrays for 3 inputs and results"),
        ({"traffic_bytes": (np.zeros(3),) * 3}, "an array of traffic_bytes is not of shape (9,)"),
        ({"traffic_bytes": (np.full(ROWS, -2.0),) * 3}, "traffic_bytes holds -2.0"),
        ({"bandwidth_bytes_per_s": 0.0}, "bandwidth_bytes_per_s is 0.0"),
    ],
)
def test_a_cost_that_makes_no_sense_names_target_and_op(change: dict[str, Any], problem: str) -> None:
    assert refusal(broken_at("add", lambda op: replace(plain(op), **change))) == problem


def test_a_cost_method_that_fails_names_target_and_op() -> None:
    def fails(op: OpView) -> OpCost:
        raise ZeroDivisionError(op.kind)

    assert refusal(broken_at("add", lambda _: 3.0)) == "its cost method returned a float, not an OpCost or None"
    assert refusal(broken_at("add", fails)) == "its cost method raised an exception"


def refusal(edge: Odd) -> str:
    with pytest.raises(CompileError) as caught:
        estimate(network(), edge, tpu, {})
    (found,) = caught.value.diagnostics
    assert (found.code, found.location, caught.value.exit_code) == ("AS420", 'op "s"', 1)
    start = "target 'odd' gives no usable cost for add: "
    assert found.message.startswith(start)
    return found.message.removeprefix(start)


def test_an_edge_has_one_memory() -> None:
    with pytest.raises(CompileError) as caught:
        estimate(network(), broken_at("add", lambda op: replace(plain(op), overlap=True)), tpu, {})
    assert [d.code for d in caught.value.diagnostics] == ["AS422"]


def packing(op: OpView) -> OpCost | None:
    """Packing takes 1 s + a byte/s of what is read and written at their bits; four elements are measured at 8 bits and in float."""
    if op.kind not in ("pack", "unpack"):
        return plain(op)
    elements = op.inputs[0].elements or 0
    bits = np.array([1, 2, 3, 4, 5, 6, 7, 8, 32], np.float64)
    compute_s = np.arange(ROWS * ROWS, dtype=np.float64).reshape(ROWS, ROWS)
    measured = frozenset({7, FLOAT_ROW}) if op.inputs[0].dims == (1, 16, 4, 4) else frozenset[int]()
    return OpCost(compute_s, (elements * bits / 8, elements * bits / 8), 1.0, False, measured)


def test_packing_and_unpacking_stand_at_every_width_of_the_wire() -> None:
    costs = estimate(network(), Odd(packing), Odd(lambda op: None if op.kind == "unpack" else plain(op)), {})
    wires = {w.value: w for w in costs.wires}
    assert list(wires) == ["x", "a", "p", "s", "f"]
    for b in range(1, 9):
        assert wires["x"].pack_s[b - 1] == 9 * (b - 1) + 8 + 2 * (3 * 64 * b / 8)
    assert wires["x"].unpack_s == (0.0,) * 8
    assert (wires["p"].pack_measured, wires["a"].pack_measured, wires["p"].unpack_measured) == ((8,), (), ())
    cloud = estimate(network(), eyeriss, Odd(packing), {}).wires[0]
    assert cloud.pack_s == (0.0,) * 8
    for b in range(1, 9):
        assert cloud.unpack_s[b - 1] == 9 * (b - 1) + 8 + 3 * 64 * b / 8 + 3 * 64 * 4


def test_what_takes_no_time_to_pack_has_no_record() -> None:
    assert estimate(network(), eyeriss, tpu, {}).wires == ()
    assert estimate(network(), Odd(lambda op: None if "pack" in op.kind else plain(op)), tpu, {}).wires == ()


def packed_types(keep_float: str) -> list[TensorType]:
    asked: list[TensorType] = []

    def counting(op: OpView) -> OpCost | None:
        asked.extend(op.inputs if op.kind == "pack" else ())
        return plain(op)

    estimate(network(), Odd(counting), tpu, {}, keep_float)
    return asked


def test_values_of_one_type_are_asked_for_once() -> None:
    """What ops on codes make is packed as it is; numbers, as the input and what ops in float make, are quantised first."""
    codes = [f32(1, *sizes).with_dtype(DType.U8) for sizes in ((16, 8, 8), (16, 4, 4), (256,))]
    assert packed_types("") == [f32(1, 3, 8, 8), *codes]
    assert packed_types("a") == [f32(1, 3, 8, 8), f32(1, 16, 8, 8), f32(1, 16, 4, 4), *codes[1:]]


def test_a_packing_that_makes_no_sense_names_the_first_value() -> None:
    with pytest.raises(CompileError) as caught:
        estimate(network(), eyeriss, broken_at("unpack", lambda _: 3.0), {})
    assert [(d.code, d.location, d.notes) for d in caught.value.diagnostics] == [("AS420", 'op "x"', ("and 3 more alike",))]
    assert "gives no usable cost for unpack: its cost method returned a float" in caught.value.diagnostics[0].message


def test_constants_and_unknown_sizes_never_cross() -> None:
    ops = (
        Op(("c",), "relu", ("w",), Attrs(), (f32(4),)),
        Op(("d",), "add", ("x", "c"), Attrs(), (f32(1, 4),)),
        Op(("u",), "onnx.Compress", ("d",), Attrs(), (f32(None),)),
        Op(("y",), "relu", ("u",), Attrs(), (f32(None),)),
    )
    graph = Graph("main", (("", 21),), (Value("x", f32(1, 4)),), (constant("w", 4),), ops, ("y",))
    assert [w.value for w in estimate(graph, Odd(packing), tpu, {}).wires] == ["x", "d"]


def test_the_rows_that_were_measured_are_named() -> None:
    edge = Odd(lambda op: replace(plain(op), measured_rows=frozenset({FLOAT_ROW, 3}) if op.kind == "conv" else frozenset()))
    cloud = Odd(lambda op: replace(plain(op), measured_rows=frozenset({FLOAT_ROW if op.kind == "add" else 7})))
    costs = estimate(network(), edge, cloud, {})
    assert [o.edge_measured for o in costs.ops] == [(3, FLOAT_ROW), (), (), (), ()]
    assert [o.cloud_measured for o in costs.ops] == [False, False, True, False, False]


def test_packing_may_have_another_memory() -> None:
    edge = Odd(lambda op: replace(plain(op), overlap=op.kind == "pack", bandwidth_bytes_per_s=3.0 if op.kind == "pack" else 1e9))
    assert estimate(network(), edge, tpu, {}).edge_bandwidth_bytes_per_s == 1e9
