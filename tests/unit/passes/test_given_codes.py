"""Values that a model holds as codes of its own: their bits, their memory, and what the planner makes of them."""

from __future__ import annotations

import numpy as np

from autosplitc.ir import Attrs, Const, DType, Graph, Op, TensorType, Value, blob_from_array
from autosplitc.passes.given_codes import dequantised, given_codes
from autosplitc.passes.liveness import liveness_of
from autosplitc.passes.roles import roles

F = TensorType(DType.F32, (1, 16))
U8, I8, U4, I16, I32 = (TensorType(t, (1, 16)) for t in (DType.U8, DType.I8, DType.U4, DType.I16, DType.I32))


def op(name: str, kind: str, *inputs: str, type_: TensorType = F) -> Op:
    return Op((name,), kind, inputs, Attrs(), (type_,))


def graph(*ops: Op, outputs: tuple[str, ...] = ("y",)) -> Graph:
    consts = (
        Const("s", TensorType(DType.F32, ()), blob_from_array(np.array(0.5, np.float32))),
        Const("w8", TensorType(DType.I8, (16, 16)), blob_from_array(np.ones((16, 16), np.int8))),
        Const("b32", TensorType(DType.I32, (16,)), blob_from_array(np.ones(16, np.int32))),
    )
    return Graph("main", (("", 21),), (Value("x", F),), consts, ops, outputs)


def quantised_layer() -> Graph:
    """Return x -> Q -> DQ -> gemm with dequantised weights and bias -> Q -> DQ -> relu."""
    return graph(
        op("xq", "quantize_linear", "x", "s", type_=U8),
        op("xd", "dequantize_linear", "xq", "s"),
        op("w", "dequantize_linear", "w8", "s", type_=TensorType(DType.F32, (16, 16))),
        op("b", "dequantize_linear", "b32", "s", type_=TensorType(DType.F32, (16,))),
        op("h", "gemm", "xd", "w", "b"),
        op("hq", "quantize_linear", "h", "s", type_=U4),
        op("hd", "dequantize_linear", "hq", "s"),
        op("y", "relu", "hd"),
    )


def test_values_around_quantisers_have_the_bits_of_their_codes() -> None:
    found = given_codes(quantised_layer(), ())
    assert found.bits == {"x": 8, "xd": 8, "w": 8, "h": 4, "hd": 4}
    assert found.memory_bits == {"x": 8, "xd": 8, "w": 0, "h": 4, "hd": 4}
    assert found.memory_of == {"xq": "x", "xd": "xq", "hq": "h", "hd": "hq"}
    assert found.fused == {"xq", "xd", "w", "hq", "hd"}


def test_the_working_set_has_no_copies_in_float() -> None:
    fact = liveness_of(quantised_layer())
    owners = {v.value: v.alias_of for v in fact.values}
    assert owners == {"x": "", "xq": "x", "xd": "x", "w": "", "b": "", "h": "", "hq": "h", "hd": "h", "y": ""}
    assert [step.working_set_bytes for step in fact.steps] == [16, 16, 16, 16 + 64, 16 + 64 + 8, 8, 8, 8 + 64]


def test_who_needs_floats_gets_them() -> None:
    unknown = graph(op("q", "quantize_linear", "x", "s", type_=U8), op("d", "dequantize_linear", "q", "s"), op("y", "onnx.Any", "d"))
    assert given_codes(unknown, ()).bits == {"x": 8}
    output = graph(op("q", "quantize_linear", "x", "s", type_=U8), op("y", "dequantize_linear", "q", "s"))
    assert given_codes(output, ()).bits == {"x": 8}
    behind = graph(
        op("q", "quantize_linear", "x", "s", type_=U8),
        op("d", "dequantize_linear", "q", "s"),
        op("r", "flatten", "d"),
        op("y", "onnx.Any", "r"),
    )
    assert given_codes(behind, ()).bits == {"x": 8}


def test_ops_that_pass_codes_on_keep_them() -> None:
    found = given_codes(
        graph(
            op("q", "quantize_linear", "x", "s", type_=U8),
            op("d", "dequantize_linear", "q", "s"),
            op("r", "flatten", "d"),
            op("a", "relu", "r"),
            op("p", "transpose", "a"),
            op("t", "quantize_linear", "p", "s", type_=I8),
            op("y", "dequantize_linear", "t", "s"),
        ),
        (),
    )
    assert found.bits == {"x": 8, "d": 8, "r": 8, "a": 8, "p": 8}
    assert found.fused == {"q", "d", "t"}


def test_wide_codes_several_readers_and_codes_of_ours_are_not_held() -> None:
    wide = graph(op("q", "quantize_linear", "x", "s", type_=I16), op("d", "dequantize_linear", "q", "s"), op("y", "relu", "d"))
    assert given_codes(wide, ()).bits == {}
    two = graph(op("q", "quantize_linear", "x", "s", type_=U8), op("h", "relu", "x"), op("y", "onnx.Two", "q", "h"))
    assert given_codes(two, ()).bits == {}
    one = graph(op("q", "quantize_linear", "x", "s", type_=U8), op("y", "onnx.One", "q"))
    assert given_codes(one, ()).bits == {"x": 8}
    assert given_codes(one, {"x"}).bits == {}


def test_ops_on_dequantised_values_are_left_to_the_model() -> None:
    found = graph(
        op("q", "quantize_linear", "x", "s", type_=U8),
        op("d", "dequantize_linear", "q", "s"),
        op("r", "flatten", "d"),
        op("y", "relu", "r"),
    )
    assert dequantised(found) == {"d", "r"}
    assert roles(found).quantised == frozenset()
    assert roles(found).coded == frozenset()
