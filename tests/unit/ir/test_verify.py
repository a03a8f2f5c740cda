"""Every rule of verification finds what it is for, and says nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest
from onnx import parser

from autosplitc.ir import (
    Attrs,
    Const,
    DType,
    Fact,
    Graph,
    Loc,
    Module,
    Op,
    TensorType,
    Value,
    blob_from_array,
    blob_from_bytes,
    import_model,
    verify,
)
from autosplitc.ir.verify import LENGTH_RULE
from autosplitc.ir.verify_rules import CONST_RULES, GRAPH_RULES, OP_RULES

F32 = DType.F32


def tensor(*shape: int | str | None, dtype: DType = F32) -> TensorType:
    return TensorType(dtype, shape)


def sound() -> Graph:
    """Conv with a fused Relu, flatten, gemm, one verbatim op; the batch is dynamic."""
    weights = Const("w", tensor(4, 2, 3, 3), blob_from_array(np.zeros((4, 2, 3, 3), np.float32)))
    full = Const("fc", tensor(5, 64), blob_from_array(np.zeros((5, 64), np.float32)))
    ops = (
        Op(("c",), "conv", ("x", "w"), Attrs.of(pads=(1, 1, 1, 1), act="relu"), (tensor("N", 4, 4, 4),), Loc(("Conv_0", "Relu_1"))),
        Op(("f",), "flatten", ("c",), Attrs.of(axis=1), (tensor("N", 64),)),
        Op(("g",), "gemm", ("f", "fc"), Attrs.of(transB=1), (tensor("N", 5),)),
        Op(("v", "i"), "onnx.TopK", ("g", "k"), Attrs.of(largest=1), (tensor("N", 2), tensor("N", 2, dtype=DType.I64))),
    )
    k = Const("k", tensor(1, dtype=DType.I64), blob_from_array(np.array([2])))
    return Graph("main", (("", 21),), (Value("x", tensor("N", 2, 4, 4)),), (weights, full, k), ops, ("v", "i"))


def with_op(graph: Graph, name: str, **changes: Any) -> Graph:
    return replace(graph, ops=tuple(replace(op, **changes) if op.name == name else op for op in graph.ops))


def with_attrs(graph: Graph, name: str, **changes: Any) -> Graph:
    return replace(graph, ops=tuple(replace(op, attrs=op.attrs.with_(**changes)) if op.name == name else op for op in graph.ops))


def coded(**changes: Any) -> Graph:
    """quantize, pack, unpack, dequantize."""
    given: dict[str, Any] = {"scale": 0.1, "zero_point": 3, "bits": 4, "packed": 8, "codes": DType.U4, **changes}
    attrs = Attrs.of({key: given[key] for key in ("scale", "zero_point", "bits")})
    ops = (
        Op(("q",), "quantize", ("x",), attrs, (tensor("N", 16, dtype=given["codes"]),)),
        Op(("p",), "pack", ("q",), Attrs.of(), (tensor("N", given["packed"], dtype=DType.U8),)),
        Op(("u",), "unpack", ("p",), Attrs.of(offset=0), (tensor("N", 16, dtype=DType.U4),)),
        Op(("y",), "dequantize", ("u",), Attrs.of(scale=0.1, zero_point=3), (tensor("N", 16),)),
    )
    return Graph("edge", (("", 21),), (Value("x", tensor("N", 16)),), (), ops, ("y",))


def looped() -> Graph:
    text = """<ir_version: 10, opset_import: ["" : 21]> g (float[2] x, bool c) => (float[2] y) {
        a = Exp (x)
        y = If (c) <then_branch = t () => (float[2] p) { p = Add (a, x) }, else_branch = e () => (float[2] q) { q = Neg (a) }>
    }"""
    return import_model(parser.parse_model(text))


def in_branch(graph: Graph, change: Callable[[Graph], Graph]) -> Graph:
    op = graph.ops[-1]
    branch = op.attrs["then_branch"]
    assert isinstance(branch, Graph)
    return with_attrs(graph, op.name, then_branch=change(branch))


def broken_const(graph: Graph, **changes: Any) -> Graph:
    return replace(graph, consts=(replace(graph.consts[0], **changes), *graph.consts[1:]))


@pytest.mark.parametrize("graph", [sound(), coded(), looped(), Graph("empty", (("", 21),), (), (), (), ())], ids=lambda g: g.name)
def test_sound_graphs(graph: Graph) -> None:
    assert verify(graph) == ()


BROKEN: list[tuple[str, str, Graph]] = [
    ("AS950", "no opset for ONNX itself", replace(sound(), opset=())),
    ("AS950", 'no opset for domain "my"', with_op(sound(), "v", kind="onnx.my.Odd")),
    ("AS951", "'x' is made more than once", with_op(sound(), "g", results=("x",))),
    ("AS951", "'fc' is made more than once", broken_const(sound(), name="fc")),
    ("AS951", "makes 'a', which the graph around it makes too", in_branch(looped(), lambda g: with_op(g, "p", results=("a",)))),
    ("AS952", "'c' reads 'w2', which nothing makes", with_op(sound(), "c", inputs=("x", "w2"))),
    ("AS952", "'f' reads 'g' before it is made", with_op(sound(), "f", inputs=("g",))),
    ("AS952", "'p' reads 'p' before it is made", in_branch(looped(), lambda g: with_op(g, "p", inputs=("a", "p")))),
    ("AS953", "nothing makes output 'z'", replace(sound(), outputs=("v", "z"))),
    ("AS953", "twice", replace(sound(), outputs=("v", "v"))),
    ("AS954", "3 inputs, where 1 are needed", with_op(sound(), "f", inputs=("c", "c", "c"))),
    ("AS954", "the first input is absent", with_op(sound(), "f", inputs=("",))),
    ("AS954", "2 results, where 1 are made", with_op(sound(), "f", results=("f", "f2"), types=(tensor("N", 64),) * 2)),
    ("AS961", "1 results, but 0 types", with_op(sound(), "v", results=("v",), types=())),
    ("AS954", "no result", with_op(sound(), "v", results=("",), types=(tensor(),))),
    ("AS954", "kind 'konv' is not known", with_op(sound(), "c", kind="konv")),
    ("AS955", "'slope' is not known", with_attrs(sound(), "c", slope=1)),
    ("AS955", "'pads' is no ints", with_attrs(sound(), "c", pads=1)),
    ("AS955", "'group' is no int: 1.0", with_attrs(sound(), "c", group=1.0)),
    ("AS955", "activation 'gelu' is not known", with_attrs(sound(), "c", act="gelu")),
    ("AS955", "'act' is not known", with_attrs(sound(), "f", act="relu")),
    ("AS955", "'act_low' is not known", with_attrs(sound(), "c", act_low=0.0)),
    ("AS955", "act_low is not a number", with_attrs(sound(), "c", act="clip", act_low="0")),
    ("AS956", "'c' is f16[N, 4, 4, 4], but the op makes f32", with_op(sound(), "c", types=(tensor("N", 4, 4, 4, dtype=DType.F16),))),
    ("AS956", "'c' is f32[N, 4, 4, 5], but the op makes f32[N, 4, 4, 4]", with_op(sound(), "c", types=(tensor("N", 4, 4, 5),))),
    ("AS956", "'f' is f32[N, 64, 1]", with_op(sound(), "f", types=(tensor("N", 64, 1),))),
    ("AS956", "inner sizes 64 and 5 differ", with_attrs(sound(), "g", transB=0)),
    ("AS956", "2 input channels, but weights for 2 x 2 groups", with_attrs(sound(), "c", group=2)),
    ("AS956", "but the op makes u8[N, 8]", coded(packed=9)),
    ("AS956", "but the op makes u4[N, 16]", coded(codes=DType.U8, packed=16)),
    ("AS957", "see 'later'", in_branch(looped(), lambda g: with_op(g, "p", inputs=("later", "x")))),
    ("AS957", "'a'", with_attrs(looped(), "y", captures=("x",))),
    ("AS958", "the scale is not a positive number: 0.0", coded(scale=0.0)),
    ("AS958", "the scale is not a positive number: nan", coded(scale=float("nan"))),
    ("AS958", "the zero point 16 does not fit into 4 bits", coded(zero_point=16)),
    ("AS958", "bits are not 1 to 8: 9", coded(bits=9)),
    ("AS958", "the zero point is not an integer: None", with_attrs(coded(), "y", zero_point=None)),
    ("AS958", "there is no offset", with_attrs(coded(), "u", offset=None)),
    ("AS958", "the input has no codes: f32[N, 16]", with_op(coded(), "y", inputs=("x",))),
    ("AS958", "a scale a channel, but no axis", with_op(coded(), "y", inputs=("u", "x"))),
    ("AS959", "3 bytes of data, where f32[4, 2, 3, 3] takes 288", broken_const(sound(), blob=blob_from_bytes(b"123"))),
    ("AS959", "its type is not static", broken_const(sound(), type=tensor("N", 2, 3, 3))),
]


@pytest.mark.parametrize(("code", "text", "graph"), BROKEN, ids=[f"{code}-{i}" for i, (code, _, _) in enumerate(BROKEN)])
def test_broken_graphs(code: str, text: str, graph: Graph) -> None:
    found = verify(graph)
    assert any(d.code == code and text in d.message for d in found), [d.render() for d in found]


def test_every_rule_has_a_case() -> None:
    rules = {f"AS9{rule.number}" for table in (GRAPH_RULES, OP_RULES, CONST_RULES) for rule in table}
    assert {code for code, _, _ in BROKEN} == rules | {f"AS9{LENGTH_RULE}"}


def test_all_findings_are_collected_and_located() -> None:
    graph = with_attrs(with_attrs(sound(), "c", slope=1), "g", depth=2)
    first, second = verify(graph, "2")
    assert first.code == second.code == "AS255"
    assert first.location == 'graph "main": op %c = conv (Conv_0 + Relu_1)'
    assert second.location == 'graph "main": op %g = gemm'


@dataclass(frozen=True)
class About(Fact):
    """A fact that names values."""

    name: ClassVar[str] = "about"
    keys: tuple[str, ...] = ()

    def speaks_of(self) -> tuple[str, ...]:
        """The names."""
        return self.keys


def test_facts_speak_of_what_is_there() -> None:
    assert verify(Module((sound(), coded()), (About("edge", ("q", "x")),))) == ()
    (missing,) = verify(Module((sound(),), (About("main", ("q", "x")),)))
    assert (missing.code, "no value 'q'" in missing.message) == ("AS960", True)
    (nowhere,) = verify(Module((sound(),), (About("edge"),)))
    assert "no graph 'edge'" in nowhere.message


def test_attributes_that_do_not_fit_the_inputs_are_a_finding() -> None:
    image, weights = TensorType(DType.F32, (1, 2, 4, 4)), TensorType(DType.F32, (2, 2, 1, 1))
    conv = Op(("y",), "conv", ("x", "w"), Attrs.of(strides=(1,)), (image,))
    graph = Graph("main", (("", 21),), (Value("x", image), Value("w", weights)), (), (conv,), ("y",))
    assert any("attributes do not fit" in finding.message for finding in verify(graph))
