"""Random modules: what is printed parses back equal, and prints again the same."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from autosplitc.ir import (
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
    Shape,
    TensorType,
    Value,
    blob_from_bytes,
    parse_module,
    print_module,
    storage_bytes,
)


@dataclass(frozen=True, slots=True)
class Pair:
    key: str
    size: int


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    size: int | None
    ratio: float
    ok: bool
    pairs: tuple[Pair, ...]
    errors: tuple[float, ...]
    table: ArrayRef | None


@dataclass(frozen=True)
class First(Fact):
    name: ClassVar[str] = "first"
    count: int
    ratio: float
    word: str
    maybe: float | None
    words: tuple[str, ...]
    pair: Pair
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Second(Fact):
    name: ClassVar[str] = "second-one"
    array: ArrayRef
    rows: tuple[Row, ...] = ()
    pairs: tuple[Pair, ...] = ()


_TRICKY = ["x", "a.b", "_", '"', "//", "%", "nan", "{", "}\n"]
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(_TRICKY)
names = texts.filter(bool)
floats = st.floats(allow_nan=False) | st.just(math.nan)
integers = st.integers(-(2**63), 2**64 - 1)
dims = st.integers(0, 9) | st.none() | st.sampled_from(["N", "4*N", "N + 1"]) | texts
locs = st.builds(Loc, st.lists(texts, max_size=3).map(tuple))


def tuples(items: st.SearchStrategy[object], most: int = 3) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(items, max_size=most).map(tuple)


@st.composite
def tensor_types(draw: st.DrawFn) -> TensorType:
    shape: Shape | None = draw(st.none() | st.lists(dims, max_size=3).map(tuple))
    wraps = draw(st.lists(st.sampled_from(["seq", "opt", "sparse", "map.i64"]), max_size=2))
    return TensorType(draw(st.sampled_from(DType)), shape, tuple(wraps))


@st.composite
def blobs(draw: st.DrawFn, type_: TensorType) -> BlobRef:
    """A blob of the size that follows from the type, or, where none does, of any."""
    if type_.is_static and type_.dtype.bits:
        return blob_from_bytes(np.full(storage_bytes(type_), draw(st.integers(0, 255)), np.uint8))
    return blob_from_bytes(draw(st.binary(max_size=9)))


@st.composite
def arrays(draw: st.DrawFn) -> ArrayRef:
    type_ = draw(tensor_types())
    return ArrayRef(type_, draw(blobs(type_)))


scalars = integers | floats | texts | st.binary(max_size=4) | tensor_types() | arrays()
empties = st.sampled_from(["ints", "floats", "strings", "tensors", "graphs", "types"]).map(EmptyList)


@st.composite
def attributes(draw: st.DrawFn, depth: int) -> Attrs:
    values = scalars | st.lists(scalars, max_size=3).map(tuple) | st.lists(integers, min_size=1, max_size=4).map(tuple) | empties
    found: dict[str, AttrValue] = draw(st.dictionaries(names, values, max_size=3))
    if depth and draw(st.booleans()):
        found["body"] = draw(graphs(depth - 1))
        found["bodies"] = (draw(graphs(depth - 1)), 1)
    return Attrs.of(found)


@st.composite
def ops(draw: st.DrawFn, depth: int) -> Op:
    results = draw(st.lists(texts, min_size=1, max_size=3))
    types = draw(st.lists(tensor_types(), min_size=len(results), max_size=len(results)))
    kind = draw(st.sampled_from(["conv", "gemm", "matmul", "lstm", "onnx.com.microsoft.Gelu", "blob"]) | names)
    return Op(tuple(results), kind, tuple(draw(st.lists(texts, max_size=3))), draw(attributes(depth)), tuple(types), draw(locs))


@st.composite
def graphs(draw: st.DrawFn, depth: int = 1) -> Graph:
    inputs = [Value(n, draw(tensor_types()), draw(locs)) for n in draw(st.lists(names, max_size=2))]
    types = [(n, draw(tensor_types())) for n in draw(st.lists(names, max_size=2))]
    consts = [Const(n, t, draw(blobs(t)), draw(locs)) for n, t in types]
    opset = draw(st.lists(st.tuples(texts, st.integers(0, 30)), max_size=2))
    metadata = draw(st.lists(st.tuples(texts, texts), max_size=2))
    many = draw(st.lists(ops(depth), max_size=3))
    outputs = draw(st.lists(names, max_size=2))
    return Graph(draw(names), tuple(opset), tuple(inputs), tuple(consts), tuple(many), tuple(outputs), tuple(metadata))


pairs = st.builds(Pair, texts, integers)
rows = st.builds(Row, texts, st.none() | integers, floats, st.booleans(), tuples(pairs), tuples(floats), st.none() | arrays())
firsts = st.builds(First, texts, integers, floats, texts, st.none() | floats, tuples(texts), pairs, tuples(rows))
seconds = st.builds(Second, texts, arrays(), tuples(rows), tuples(pairs))
modules = st.builds(Module, st.lists(graphs(), max_size=2).map(tuple), st.lists(firsts | seconds, max_size=3).map(tuple))


@given(modules)
@settings(max_examples=100, deadline=None)
def test_print_then_parse(module: Module) -> None:
    text = print_module(module)
    found = parse_module(text, blobs=BlobStore.of(module), fact_types=(First, Second))
    assert found == module
    assert print_module(found) == text
    assert all(c.isprintable() or c == "\n" for c in text)
