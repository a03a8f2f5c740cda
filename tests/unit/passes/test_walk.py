"""walk: values of both worlds on the way, against the whole model in ONNX Runtime and against quantisers applied by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from autosplitc.ir import Attrs, Const, Graph, Op, TensorType, Value, blob_from_array, dtype_of
from autosplitc.passes import Affine
from autosplitc.passes.execute import load
from autosplitc.passes.walk import Codes, Inputs, Rounds, runs_that_fit, spread_feeds, walk

RNG = np.random.default_rng(11)
PICTURES = RNG.standard_normal((6, 3, 5, 5)).astype(np.float32)
SHAPES = {"w0": (4, 3, 1, 1), "w1": (4, 4, 1, 1), "w2": (2, 4, 1, 1)}
W = {name: RNG.standard_normal(shape).astype(np.float32) for name, shape in SHAPES.items()}
HALF = Affine(0.5, 128, 8)


def const(name: str, array: NDArray[Any]) -> Const:
    return Const(name, TensorType(dtype_of(array), array.shape), blob_from_array(array))


def value_type(channels: int) -> TensorType:
    return TensorType(dtype_of(PICTURES), ("N", channels, 5, 5))


def graph() -> Graph:
    """Graph: x -> conv a (relu) -> conv b (leaky_relu) -> a + b = s -> conv c."""
    ops = (
        Op(("a",), "conv", ("x", "w0"), Attrs.of(act="relu"), (value_type(4),)),
        Op(("b",), "conv", ("a", "w1"), Attrs.of(act="leaky_relu", act_alpha=0.25), (value_type(4),)),
        Op(("s",), "add", ("a", "b"), types=(value_type(4),)),
        Op(("c",), "conv", ("s", "w2"), types=(value_type(2),)),
    )
    consts = tuple(const(name, array) for name, array in W.items())
    return Graph("main", (("", 21),), (Value("x", value_type(3)),), consts, ops, ("c",))


def feeds() -> list[dict[str, NDArray[Any]]]:
    return [{"x": PICTURES[i : i + 1]} for i in range(len(PICTURES))]


class Seen:
    """Keeps what layers were given; `rounds` is what each answers."""

    def __init__(self, rounds: Rounds | None = None) -> None:
        self.inputs: dict[str, Inputs] = {}
        self.rounds = rounds

    def __call__(self, op: Op, inputs: Inputs) -> Rounds | None:
        self.inputs[op.name] = inputs
        return self.rounds


def product(x: NDArray[Any], name: str) -> NDArray[Any]:
    return np.tensordot(x, W[name][:, :, 0, 0], (1, 1)).transpose(0, 3, 1, 2)


def test_without_codes_both_worlds_are_the_float_model() -> None:
    look = Seen()
    walk(graph(), feeds(), Codes({}, {}), {"a": look, "c": look})
    seen = look.inputs
    expected = load(graph(), ("s",))
    for feed, exact, held in zip(feeds(), seen["c"].exact, seen["c"].held, strict=True):
        assert held is exact
        np.testing.assert_allclose(exact, expected.run(feed)["s"], rtol=1e-5, atol=1e-5)
    assert len(seen["a"].exact) == 6


def test_the_edge_sees_codes_rounded_weights_and_the_quantiser_before_an_activation() -> None:
    look = Seen()
    doubled = Seen(Rounds(2 * W["w1"], np.arange(4, dtype=np.float32)))
    walk(graph(), feeds(), Codes({"a": HALF, "s": HALF}, {"b": HALF}), {"b": doubled, "c": look})
    seen = look.inputs

    def coded(v: NDArray[Any]) -> NDArray[Any]:
        return np.clip(np.rint(v / 0.5), -128, 127) * 0.5

    for feed, exact, held in zip(feeds(), seen["c"].exact, seen["c"].held, strict=True):
        a = np.maximum(product(feed["x"], "w0"), 0)
        b = product(a, "w1")
        np.testing.assert_allclose(exact, a + np.where(b < 0, 0.25 * b, b), rtol=1e-5, atol=1e-5)
        inner = coded(2 * product(coded(a), "w1") + np.arange(4).reshape(1, 4, 1, 1))
        np.testing.assert_allclose(held, coded(coded(a) + np.where(inner < 0, 0.25 * inner, inner)), rtol=1e-5, atol=1e-5)


def test_only_the_ops_up_to_the_last_layer_run() -> None:
    broken = graph()
    tail = Op(("d",), "onnx.nowhere.Op", ("c",), types=(value_type(2),))
    longer = Graph("main", broken.opset, broken.inputs, broken.consts, (*broken.ops, tail), ("d",))
    look = Seen()
    walk(longer, feeds(), Codes({}, {}), {"b": look})
    assert list(look.inputs) == ["b"]


class Rows:
    """Pictures in batches."""

    sha256 = ""
    samples = 6

    def batches(self) -> Any:
        yield {"x": PICTURES[:4]}
        yield {"x": PICTURES[4:]}

    def labels(self) -> None:
        """There are none."""


@pytest.mark.parametrize(("wanted", "rows"), [(3, [0, 2, 4]), (6, [0, 1, 2, 3, 4, 5]), (99, [0, 1, 2, 3, 4, 5]), (1, [0])])
def test_runs_are_spread_evenly(wanted: int, rows: list[int]) -> None:
    found = spread_feeds(graph(), Rows(), wanted)
    assert [[np.array_equal(picture, feed["x"][0]) for picture in PICTURES].index(True) for feed in found] == rows


def test_memory_bounds_the_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    live = (4 + 4 + 4) * 25 * 4
    monkeypatch.setattr("autosplitc.passes.walk.LIVE_BYTES", 2 * live * 5)
    assert runs_that_fit(graph(), 100) == 5
    assert runs_that_fit(graph(), 3) == 3
