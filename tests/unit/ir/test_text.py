"""The text form: spelling of names, types and attributes, and what is read back."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import pytest

from autosplitc.ir import (
    UNKNOWN_TYPE,
    ArrayRef,
    Attrs,
    AttrValue,
    BlobRef,
    BlobStore,
    Const,
    DType,
    EmptyList,
    Fact,
    Graph,
    Loc,
    Module,
    Op,
    TensorType,
    Value,
    blob_from_array,
    blob_from_bytes,
    parse_module,
    print_graph,
    print_module,
)

X = TensorType(DType.F32, ("N", 3))


def one_op(attrs: dict[str, AttrValue], kind: str = "onnx.Foo") -> Graph:
    return Graph("main", (("", 21),), (Value("x", X),), (), (Op(("y",), kind, ("x",), Attrs.of(attrs), (X,)),), ("y",))


def again(module: Module, *fact_types: type[Fact]) -> Module:
    return parse_module(print_module(module), blobs=BlobStore.of(module), fact_types=fact_types)


def again_graph(graph: Graph) -> Graph:
    return again(Module((graph,))).main


def op_line(graph: Graph) -> str:
    (line,) = (line.strip() for line in print_graph(graph).splitlines() if " = " in line and line.startswith("  "))
    return line


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        (TensorType(DType.F32, ()), "f32[]"),
        (TensorType(DType.F32, None), "f32[*]"),
        (TensorType(DType.U4, (1, "N", "4*N", None)), "u4[1, N, 4*N, ?]"),
        (TensorType(DType.F32, ("N + 1", "3", "?", "", 'a"]\\')), 'f32["N + 1", "3", "?", "", "a\\"]\\\\"]'),
        (TensorType(DType.I64, (2,), ("seq", "opt")), "seq<opt<i64[2]>>"),
        (TensorType(DType.STRING, None, ("map.i64",)), "map.i64<string[*]>"),
        (TensorType(DType.F8E4M3FN, (0,)), "f8e4m3fn[0]"),
    ],
)
def test_types(type_: TensorType, text: str) -> None:
    graph = Graph("main", (), (Value("x", type_),), (), (), ("x",))
    assert f"input %x : {text}\n" in print_graph(graph)
    assert again_graph(graph).inputs[0].type == type_


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"),
        (-(2**63), "-9223372036854775808"),
        (0.1, "0.1"),
        (-0.0, "-0.0"),
        (1e-05, "1e-05"),
        (1e300, "1e+300"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
        (math.nan, "nan"),
        ("relu", "relu"),
        ("inf", '"inf"'),
        ("graph", '"graph"'),
        ("two words", '"two words"'),
        ("a\nb\u2028\u00e9\u202e\t\"\\", '"a\\nb\\u2028\u00e9\\u202e\\t\\"\\\\"'),
        ("", '""'),
        (b"\x00\xff", 'hex"00ff"'),
        (b"", 'hex""'),
        (TensorType(DType.F32, ("N", None)), "f32[N, ?]"),
        ((1, 2, 3), "[1, 2, 3]"),
        ((1.0, math.inf, -0.0), "[1.0, inf, -0.0]"),
        (("VALID", "nan"), '[VALID, "nan"]'),
        ((), "[]"),
        (EmptyList("ints"), "[] : ints"),
        ((TensorType(DType.F32), b"a"), '[f32[*], hex"61"]'),
    ],
)
def test_attribute_values(value: AttrValue, text: str) -> None:
    graph = one_op({"a": value})
    assert op_line(graph) == f"%y : f32[N, 3] = onnx.Foo(%x) {{a = {text}}}"
    found = again_graph(graph)
    assert found == graph
    parsed = found.ops[0].attrs["a"]
    assert type(parsed) is type(value)
    assert repr(parsed) == repr(value)


def test_an_array_attribute_is_a_digest() -> None:
    blob = blob_from_array(np.arange(6, dtype=np.float32))
    graph = one_op({"value": ArrayRef(TensorType(DType.F32, (2, 3)), blob), "many": (ArrayRef(TensorType(DType.F32, (6,)), blob),)})
    assert f"value = f32[2, 3] blob sha256:{blob.sha256}}}" in op_line(graph)
    found = again_graph(graph).ops[0].attrs["value"]
    assert isinstance(found, ArrayRef)
    assert found.blob.read().tobytes() == np.arange(6, dtype=np.float32).tobytes()


def test_a_size_that_does_not_follow_from_the_type_is_printed() -> None:
    strings = Const("s", TensorType(DType.STRING, (2,)), blob_from_bytes(b"ab\x00c"))
    graph = Graph("main", (), (), (strings,), (), ("s",))
    assert print_graph(graph).splitlines()[1].endswith(f"blob sha256:{strings.blob.sha256} bytes 4")
    assert again_graph(graph) == graph


def test_codes_below_eight_bits_imply_packed_bytes() -> None:
    const = Const("w", TensorType(DType.I4, (3,)), blob_from_bytes(b"\x21\x03"))
    graph = Graph("main", (), (), (const,), (), ("w",))
    assert "bytes" not in print_graph(graph)
    assert again_graph(graph) == graph


def test_sub_graphs_nest() -> None:
    inner = Graph("then", (("", 21),), (), (), (Op(("z",), "relu", ("x",), Attrs(), (X,), Loc(("inner",))),), ("z",))
    outer = one_op({"then_branch": inner, "else_branch": inner, "all": (inner, inner)}, "onnx.If")
    deep = one_op({"body": outer}, "onnx.Loop")
    assert again_graph(deep) == deep
    assert "      %z : f32[N, 3] = relu(%x) loc(\"inner\")\n" in print_graph(deep)


def test_absent_results_and_inputs() -> None:
    types = (X, UNKNOWN_TYPE, TensorType(DType.F32), UNKNOWN_TYPE)
    op = Op(("y", "", "h", ""), "lstm", ("x", "", "w"), Attrs(), types)
    graph = Graph("main", (), (Value("x", X), Value("w", X)), (), (op,), ("y", "h", "y"))
    assert op_line(graph) == "%y : f32[N, 3], _, %h : f32[*], _ = lstm(%x, _, %w)"
    assert again_graph(graph) == graph


def test_an_absent_result_may_have_a_type() -> None:
    op = Op(("", "y"), "onnx.Foo", (), Attrs(), (X, X))
    graph = Graph("main", (), (), (), (op,), ("y",))
    assert again_graph(graph) == graph


NAMES = ["a", "0", "a.b_c", "_", "a/b:0", " ", "%", "\u00e9\u4e2d\U0001f600", '"', "\\", "\\u0041", "a\x00b\r\n\u0085", "//x", "\ud800"]


@pytest.mark.parametrize("name", NAMES)
def test_any_name(name: str) -> None:
    graph = Graph(name, ((name, 1),), (Value(name, X, Loc((name, ""))),), (), (), (name,), ((name, name), (name, "")))
    text = print_graph(graph)
    assert text.isprintable() or text.replace("\n", "").isprintable()
    assert again(Module((graph,))).graphs == (graph,)


def test_odd_kinds_are_quoted() -> None:
    graph = one_op({}, "onnx.my domain.Op-3")
    assert op_line(graph) == '%y : f32[N, 3] = "onnx.my domain.Op-3"(%x)'
    assert again_graph(graph) == graph


def test_macs_stand_in_a_comment() -> None:
    weights = Const("w", TensorType(DType.F32, (8, 3, 1, 1)), blob_from_array(np.zeros((8, 3, 1, 1), np.float32)))
    image, result = TensorType(DType.F32, ("N", 3, 10, 10)), TensorType(DType.F32, ("N", 8, 10, 10))
    graph = Graph("main", (), (Value("x", image),), (weights,), (Op(("y",), "conv", ("x", "w"), Attrs(), (result,)),), ("y",))
    assert print_graph(graph).splitlines()[3].endswith("= conv(%x, %w)  // 2,400 MACs")
    assert again_graph(graph) == graph


def test_free_layout_and_comments() -> None:
    text = """// a comment
    autosplitc ir 1 graph @main opset { "" = 21 } {
      output %y  output %x
      %y : f32[ N,3 ]
        = relu( %x )  { a = [ 1 , 2 ], b = [1,2] } // why
      input %x : f32[N, 3]
    }"""
    found = parse_module(text, blobs=BlobStore(), fact_types=()).main
    relu = Op(("y",), "relu", ("x",), Attrs.of(a=(1, 2), b=(1, 2)), (X,))
    assert found == Graph("main", (("", 21),), (Value("x", X),), (), (relu,), ("y", "x"))


@dataclass(frozen=True, slots=True)
class Inner:
    name: str
    bits: int


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    size: int | None
    ratio: float
    ok: bool
    inner: tuple[Inner, ...] = ()
    pair: tuple[int, str] | None = None
    table: ArrayRef | None = None
    blob: BlobRef | None = None


@dataclass(frozen=True)
class Sample(Fact):
    name: ClassVar[str] = "sample-fact"
    scale: float
    side: Literal["edge", "cloud"]
    type: TensorType
    rows: tuple[Row, ...] = ()
    names: tuple[str, ...] = ()
    inner: Inner | None = None
    array: ArrayRef | None = None
    blob: BlobRef | None = None
    more: tuple[Inner, ...] | None = None


ARRAY = ArrayRef(TensorType(DType.F64, (3,)), blob_from_array(np.zeros(3)))
ROWS = (
    Row("a\u2028b", None, math.inf, True),
    Row('{"//', -1, math.nan, False, (Inner("x", 1), Inner("y", 2)), (1, "z"), ARRAY, ARRAY.blob),
)
FULL = Sample("main", -0.0, "edge", X, ROWS, ("null", "b c"), Inner("i", 3), ARRAY, ARRAY.blob, (Inner("m", 4),))


def test_facts() -> None:
    module = Module((), (FULL, Sample("", 1, "cloud", X)))
    found = again(module, Sample)
    assert found == module
    assert print_module(found) == print_module(module)
    lines = print_module(Module((), (FULL,))).splitlines()
    head = 'fact sample-fact @main {scale = -0.0, side = "edge", type = "f32[N, 3]", names = ["null", "b c"], inner = ["i", 3], '
    assert lines[1].startswith(head)
    row = '  rows {"name": "a\\u2028b", "size": null, "ratio": Infinity, "ok": true, '
    assert lines[2] == f'{row}"inner": [], "pair": null, "table": null, "blob": null}}'
    assert len(lines) == 5


def test_fields_with_a_default_may_be_left_out() -> None:
    head = 'autosplitc ir 1 fact sample-fact {type = f32[N, 3], scale = 2, side = "edge"}'
    text = head + ' [\nrows {"name": "a", "ok": true, "size": 1, "ratio": 3}\n]'
    (fact,) = parse_module(text, blobs=BlobStore(), fact_types=(Sample,)).facts
    assert fact == Sample("", 2.0, "edge", X, (Row("a", 1, 3.0, True),))
    assert isinstance(fact, Sample)
    assert type(fact.scale) is float


def test_order_of_facts_is_kept() -> None:
    graph = one_op({})
    module = Module((graph,), (dataclasses.replace(FULL, graph=""), FULL, dataclasses.replace(FULL, graph="", scale=3.0)))
    assert again(module, Sample) == module
    assert print_module(module).index("graph @main") > print_module(module).index("fact sample-fact {")


def test_a_field_type_without_spelling_is_an_error() -> None:
    @dataclass(frozen=True)
    class Odd(Fact):
        name: ClassVar[str] = "odd"
        what: dict[str, int]

    with pytest.raises(TypeError, match="no spelling for fields of type dict"):
        print_module(Module((), (Odd("", {}),)))
