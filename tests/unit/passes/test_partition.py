"""partition: what the three graphs hold, for plans made by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from autosplitc.ir import Attrs, Const, DType, Graph, Loc, Module, Op, TensorType, Value, blob_from_array, verify
from autosplitc.passes import Choice, Env, NamedBits, Plan, Ranges, Request, Solutions, ValueRange, WireLayout, affine_of_range
from autosplitc.passes.partition import Partition
from autosplitc.targets import load_target, parse_network

F32 = TensorType(DType.F32, ("N", 4, 6, 6))
W = TensorType(DType.F32, (4, 4, 1, 1))
PADS = Attrs.of(kernel_shape=(1, 1))


def const(name: str, *shape: int) -> Const:
    values = np.linspace(-1, 1, int(np.prod(shape)), dtype=np.float32).reshape(shape)
    return Const(name, TensorType(DType.F32, shape), blob_from_array(values))


def conv(result: str, source: str, act: str = "", **more: float) -> Op:
    attrs = Attrs.of(dict(PADS), **({"act": act, **more} if act else {}))
    return Op((result,), "conv", (source, f"{result}.w", f"{result}.b"), attrs, (F32,), Loc((f"Conv_{result}", f"Act_{result}")))


def chain(*ops: Op, outputs: tuple[str, ...] = ("y",)) -> Graph:
    consts = tuple(c for op in ops if op.kind == "conv" for c in (const(op.inputs[1], 4, 4, 1, 1), const(op.inputs[2], 4)))
    return Graph("main", (("", 21),), (Value("x", F32),), consts, ops, outputs)


def pool(result: str, source: str) -> Op:
    type_ = TensorType(DType.F32, ("N", 4, 3, 3))
    return Op((result,), "max_pool", (source,), Attrs.of(kernel_shape=(2, 2), strides=(2, 2)), (type_,))


A = conv("a", "x", "relu")
B = conv("b", "a")
Y = Op(("y",), "sigmoid", ("b",), types=(F32,))
CHAIN = chain(A, B, Y)
ENV = Env(load_target("eyeriss"), load_target("tpu"), parse_network("3mbps"))


def lowered(
    graph: Graph,
    position: int,
    acts: Mapping[str, int],
    wires: Mapping[str, int],
    ranges: Mapping[str, ValueRange] | None = None,
    weights: int = 8,
) -> Module:
    """Return the module of a plan with these bits; ranges are [0, 2] unless given."""
    kind = "cloud-only" if position == 0 else "edge-only" if position == len(graph.ops) else "split"
    edge = graph.ops[:position]
    named = tuple(NamedBits(op.inputs[1], weights) for op in edge if op.kind == "conv")
    plan = Plan(
        *(kind, position, "", 0.0, 0.0, 0.0, 0, 0, 0, 0.0, "optimal", 0.0),
        feasible=True,
        violations=(),
        weight_bits=named,
        act_bits=tuple(NamedBits(n, b) for n, b in acts.items()),
        wire_bits=tuple(NamedBits(n, b) for n, b in wires.items()),
    )
    given = ranges or {}
    values = tuple(given.get(name, ValueRange(name, 0.0, 2.0, -3.0, 2.0)) for name in graph.types if not graph.is_const(name))
    facts = (
        Request("", "m.onnx", "0", "eyeriss", "tpu", "3mbps"),
        Ranges("main", calibrated=True, samples=1, values=values),
        Solutions("main", (plan,)),
        Choice("main", 0, ""),
    )
    module = Partition().apply(Module((graph,), facts), ENV)
    assert verify(module) == ()
    assert module.main is graph
    return module


def lines(graph: Graph) -> list[str]:
    """The ops as `result = kind(inputs)`."""
    return [f"{' '.join(op.results)} = {op.kind}({', '.join(op.inputs)})" for op in graph.ops]


def test_equal_bits_send_the_codes_that_the_edge_reads() -> None:
    module = lowered(chain(A, B, conv("c", "a"), Op(("y",), "add", ("b", "c"), types=(F32,))), 2, {"x": 8, "a": 4}, {"a": 4, "b": 6})
    edge = module.graph("edge")
    assert lines(edge) == [
        "x.q = quantize(x)",
        "x.dq = dequantize(x.q)",
        "a.w.dq = dequantize(a.w.q, a.w.scale)",
        "a.b.dq = dequantize(a.b.q, a.b.scale)",
        "a = conv(x.dq, a.w.dq, a.b.dq)",
        "a.q = quantize(a)",
        "a.dq = dequantize(a.q)",
        "b.w.dq = dequantize(b.w.q, b.w.scale)",
        "b.b.dq = dequantize(b.b.q, b.b.scale)",
        "b = conv(a.dq, b.w.dq, b.b.dq)",
        "b.wire = quantize(b)",
        "payload = pack(a.q, b.wire)",
    ]
    assert lines(module.graph("cloud")) == [
        "a.q = unpack(payload)",
        "b.wire = unpack(payload)",
        "a.rx = dequantize(a.q)",
        "b.rx = dequantize(b.wire)",
        "c = conv(a.rx, c.w, c.b)",
        "y = add(b.rx, c)",
    ]
    whole = module.graph("whole")
    assert whole.ops == (*edge.ops[:-1], *module.graph("cloud").ops[2:])
    assert [edge.type_of(n).dtype for n in ("a.q", "b.wire", "a.w.q", "a.b.q")] == [DType.U4, DType.U6, DType.I8, DType.I32]


def test_fewer_bits_quantise_what_the_edge_dequantised() -> None:
    module = lowered(chain(A, B, conv("y", "a")), 2, {"x": 8, "a": 8}, {"a": 2, "b": 8})
    assert "a.wire = quantize(a.dq)" in lines(module.graph("edge"))
    tensors = {t.name: t for t in module.fact(WireLayout).tensors}
    expected = affine_of_range(0.0, 2.0, 2)
    assert (tensors["a"].bits, tensors["a"].scale, tensors["a"].zero_point) == (2, expected.scale, expected.zero_point)


def test_the_layout_of_the_payload() -> None:
    module = lowered(chain(A, B, Op(("y",), "add", ("b", "a"), types=(F32,))), 2, {"x": 8, "a": 3}, {"a": 3, "b": 8})
    layout = module.fact(WireLayout)
    assert [(t.name, t.dtype, t.shape, t.bits, t.offset_bytes, t.nbytes) for t in layout.tensors] == [
        ("a", "u3", (1, 4, 6, 6), 3, 0, 54),
        ("b", "u8", (1, 4, 6, 6), 8, 54, 144),
    ]
    assert layout.nbytes == 198
    assert module.graph("edge").type_of("payload") == TensorType(DType.U8, ("N", layout.nbytes))
    assert module.graph("cloud").inputs == (Value("payload", TensorType(DType.U8, ("N", layout.nbytes))),)


def test_cloud_only_sends_the_input() -> None:
    module = lowered(CHAIN, 0, {}, {"x": 8})
    assert lines(module.graph("edge")) == ["x.wire = quantize(x)", "payload = pack(x.wire)"]
    assert module.graph("edge").consts == ()
    assert lines(module.graph("cloud"))[:2] == ["x.wire = unpack(payload)", "x.rx = dequantize(x.wire)"]
    assert module.graph("cloud").const == CHAIN.const


def test_edge_only_has_no_payload() -> None:
    module = lowered(CHAIN, 3, {"x": 8, "a": 8, "b": 8}, {})
    assert not module.has_graph("cloud")
    assert module.fact(WireLayout).payload == ""
    assert module.graph("edge").outputs == ("y",)
    assert module.graph("edge").ops == module.graph("whole").ops


def test_a_model_output_on_the_edge_keeps_its_name() -> None:
    """The raw result moves aside; what the model returns is what the next layer reads."""
    module = lowered(chain(A, B, Y, outputs=("a", "y")), 2, {"x": 8, "a": 4}, {"b": 8})
    edge = module.graph("edge")
    assert edge.outputs == ("payload", "a")
    assert {"a.raw = conv(x.dq, a.w.dq, a.b.dq)", "a.q = quantize(a.raw)", "a = dequantize(a.q)"} <= set(lines(edge))
    assert [(p.output, p.side) for p in module.fact(WireLayout).outputs] == [("a", "edge"), ("y", "cloud")]


def test_an_output_without_activation_bits_stays_float() -> None:
    module = lowered(chain(A, B, Y, outputs=("b", "y")), 2, {"x": 8, "a": 8}, {"b": 2})
    assert {"b = conv(a.dq, b.w.dq, b.b.dq)", "b.wire = quantize(b)"} <= set(lines(module.graph("edge")))


def test_pooling_works_on_codes() -> None:
    pooled = pool("p", "a")
    module = lowered(chain(A, pooled, replace(Y, inputs=("p",), types=pooled.types)), 2, {"x": 8, "a": 4}, {"p": 4})
    assert lines(module.graph("edge"))[-3:] == ["a.q = quantize(a)", "p.q = max_pool(a.q)", "payload = pack(p.q)"]
    assert module.graph("edge").type_of("p.q").dtype is DType.U4


def test_relu_stays_in_the_layer_and_others_follow_a_quantiser() -> None:
    module = lowered(chain(conv("a", "x", "leaky_relu", act_alpha=0.25), B, Y), 2, {"x": 8, "a": 6}, {"b": 8})
    edge = module.graph("edge")
    assert [line for line in lines(edge) if "inner" in line] == [
        "a.inner = conv(x.dq, a.w.dq, a.b.dq)",
        "a.inner.q = quantize(a.inner)",
        "a.inner.dq = dequantize(a.inner.q)",
        "a = leaky_relu(a.inner.dq)",
    ]
    inner, act = edge.producer["a.inner.q"], edge.producer["a"]
    affine = affine_of_range(-3.0, 2.0, 8)
    assert (inner.attrs["scale"], inner.attrs["zero_point"], inner.attrs["bits"]) == (affine.scale, affine.zero_point, 8)
    assert dict(act.attrs) == {"alpha": 0.25}
    assert (edge.producer["a.inner"].loc.names, act.loc.names) == (("Conv_a", "Act_a"), ("Act_a",))
    relu = lowered(CHAIN, 2, {"x": 8, "a": 6}, {"b": 8}).graph("edge")
    assert relu.producer["a"].attrs["act"] == "relu"


@pytest.mark.parametrize(("high", "kept"), [(2.0, False), (1.5, False), (3.0, True)])
def test_a_clip_goes_where_the_codes_cut_off_the_same(high: float, kept: bool) -> None:
    """A range that reaches beyond the clip's bound cannot be seen in calibration; then the clip stays."""
    clipped = chain(conv("a", "x", "clip", act_low=0.0, act_high=2.0), B, Y)
    module = lowered(clipped, 2, {"x": 8, "a": 4}, {"b": 8}, {"a": ValueRange("a", 0.0, high, -3.0, 9.0)})
    assert ("act" in module.graph("edge").producer["a"].attrs) == kept


def test_a_float_op_reads_numbers() -> None:
    softmax = Op(("s",), "softmax", ("a",), Attrs.of(axis=1), (F32,))
    module = lowered(chain(A, softmax, conv("y", "s")), 2, {"x": 8, "a": 8}, {"s": 4})
    last = lines(module.graph("edge"))[-4:]
    assert last == ["a.dq = dequantize(a.q)", "s = softmax(a.dq)", "s.wire = quantize(s)", "payload = pack(s.wire)"]


def test_the_batch_is_fixed_where_a_sample_is_no_row() -> None:
    turned = Op(("t",), "transpose", ("a",), Attrs.of(perm=(1, 0, 2, 3)), (TensorType(DType.F32, (4, "N", 6, 6)),))
    module = lowered(chain(A, turned, replace(Y, inputs=("t",), types=turned.types)), 2, {"x": 8, "a": 8}, {"t": 8})
    assert str(module.graph("edge").inputs[0].type) == "f32[1, 4, 6, 6]"
    assert module.graph("edge").type_of("payload").shape == (1, 144)
    assert module.fact(WireLayout).tensors[0].shape == (4, 1, 6, 6)


def test_a_batch_times_k_stays_free() -> None:
    rows = Op(("t",), "reshape", ("a", "shape"), types=(TensorType(DType.F32, ("4*N", 36)),))
    graph = chain(A, rows, replace(Y, inputs=("t",), types=rows.types))
    shape = Const("shape", TensorType(DType.I64, (2,)), blob_from_array(np.array([-1, 36])))
    module = lowered(replace(graph, consts=(*graph.consts, shape)), 2, {"x": 8, "a": 4}, {"t": 4})
    assert module.graph("edge").type_of("payload").shape == ("N", 72)
    assert module.fact(WireLayout).tensors[0].shape == (4, 36)


def test_graphs_of_an_earlier_plan_go() -> None:
    first = lowered(CHAIN, 1, {"x": 8}, {"a": 8})
    plan = replace(first.fact(Solutions).plans[0], kind="edge-only", position=3, wire_bits=())
    plan = replace(plan, weight_bits=(NamedBits("a.w", 8), NamedBits("b.w", 8)), act_bits=tuple(NamedBits(n, 8) for n in ("x", "a", "b")))
    second = Partition().apply(first.with_fact(Solutions("main", (plan,))), ENV)
    assert [g.name for g in second.graphs] == ["main", "edge", "whole"]
    assert second.fact(WireLayout).payload == ""


def test_what_cannot_cross_is_refused() -> None:
    complex_ = Op(("a",), "onnx.DFT", ("x",), types=(TensorType(DType.C64, ("N", 4)),))
    with pytest.raises(ValueError, match="'a' of type c64"):
        lowered(chain(complex_, replace(Y, inputs=("a",))), 1, {}, {})
