"""Digests: the same for the same things, different for anything that a result depends on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from autosplitc.ir import Attrs, Const, DType, Graph, Loc, Op, TensorType, Value, blob_from_array
from autosplitc.passes import Affine
from autosplitc.passes.cache_keys import digest_of

F32 = TensorType(DType.F32, (2,))


def graph(weights: float = 1.0, act: str = "relu", where: str = "") -> Graph:
    """An activation of x * w."""
    const = Const("w", F32, blob_from_array(np.full(2, weights, np.float32)), Loc((where,)))
    op = Op(("y",), "mul", ("x", "w"), Attrs.of(act=act), (F32,), Loc((where,)))
    return Graph("main", (("", 21),), (Value("x", F32),), (const,), (op,), ("y",))


@dataclass(frozen=True)
class Other:
    """As an affine, by another name."""

    scale: float
    zero_point: int
    bits: int


ROW = np.arange(6, dtype=np.float32)
DIFFERENT = [
    (), (None,), (0,), (1,), (True,), (1.0,), (-1.0,), ("1",), (b"1",), ("a", "bc"), ("ab", "c"), (("a", "b"), "c"), ("a", ("b", "c")),
    ("",), (ROW,), (ROW.reshape(2, 3),), (ROW.astype(np.float64),), (ROW.reshape(2, 3).T,), (ROW.tolist(),), ({"a": 1},), ({"a": 2},),
    (Affine(1.0, 0, 8),), (Affine(1.0, 0, 4),), (Other(1.0, 0, 8),),
    (graph(),), (graph(2.0),), (graph(act="tanh"),), (replace(graph(), outputs=("x",)),), (DType.F32,), (np.array(["a"], object),),
]  # fmt: skip


def test_different_parts_differ() -> None:
    assert len({digest_of(*parts) for parts in DIFFERENT}) == len(DIFFERENT)


def test_equal_parts_agree() -> None:
    assert digest_of(graph(where="a")) == digest_of(replace(graph(where="b"), metadata=(("author", "me"),)))
    assert digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
    assert digest_of(ROW[::2]) == digest_of(ROW[::2].copy()) == digest_of(ROW[::2].astype(">f4"))
    assert digest_of(np.float64(0.5), np.int32(3)) == digest_of(0.5, 3)


def test_a_digest_is_the_same_in_every_process() -> None:
    assert digest_of("a", 1, 0.5, None) == "fa34d060aa263f2886e1dd1319e9e824cf5134130733c49a7a957816c78d28d2"


def test_anything_else_is_refused() -> None:
    with pytest.raises(TypeError, match="set"):
        digest_of({1, 2})
