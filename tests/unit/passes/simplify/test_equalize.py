"""equalize: channels come to similar ranges, the numbers stay; what cannot take factors stays as it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from autosplitc.ir import (
    ACT_GAIN,
    ACT_LIFT,
    ArrayRef,
    CompileError,
    DType,
    Graph,
    Module,
    TensorType,
    blob_from_array,
    export_onnx,
    pre_activation,
    verify,
)
from autosplitc.passes import Env, Ranges, Request, pass_class
from autosplitc.passes.equalize import Equalize, inner_factors
from autosplitc.passes.equalize_groups import channel_groups
from autosplitc.targets import load_target, parse_network

HEAD = "(float[1,3,6,6] x) => (float[1,4,6,6] y)"
SPREAD = np.array([8.0, 1.0, 1 / 8, 1 / 64], np.float32)
"""Ranges of the channels of the value in the middle, more or less."""


@dataclass(frozen=True)
class Samples:
    """Eight samples of noise for input `x`."""

    shape: tuple[int, ...] = (3, 6, 6)
    samples: int = 8
    sha256: str = "0" * 64

    def batches(self) -> Iterator[Mapping[str, NDArray[Any]]]:
        """Yield two batches."""
        noise = np.random.default_rng(3).standard_normal((self.samples, *self.shape)).astype(np.float32)
        yield {"x": noise[:3]}
        yield {"x": noise[3:]}

    def labels(self) -> None:
        """There are none."""


def noise(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def uneven(*shape: int) -> NDArray[np.float32]:
    """Weights that make channels of very different ranges."""
    return noise(*shape) * SPREAD.reshape(-1, *(1,) * (len(shape) - 1))


CONSTS: dict[str, NDArray[Any]] = {
    "w": uneven(4, 3, 1, 1),
    "b": 0.1 * SPREAD,
    "v": noise(4, 4, 1, 1, seed=1),
    "u": noise(4, 4, 3, 3, seed=2),
    "depth": noise(4, 1, 3, 3, seed=3),
    "pairs": noise(4, 2, 1, 1, seed=4),
    "q": uneven(4, 4, 1, 1),
    "out": noise(4, 4, 1, 1, seed=5),
    "wide": noise(4, 8, 1, 1, seed=6),
    "zero": np.array(0, np.float32),
    "six": np.array(6, np.float32),
    "slope": np.full((4, 1, 1), 0.25, np.float32),
    "term": noise(4, 1, 1, seed=7),
    "rows": noise(5, 144, seed=8),
    "axes": np.array([2, 3], np.int64),
    "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64),
    "twice": np.array([1, 1, 2, 2], np.float32),
    "flat": np.array([1, -1], np.int64),
}


def build(lab: Any, body: str, head: str = HEAD) -> Graph:
    words = {word.strip("(),") for word in body.replace("\n", " ").split()}
    return lab.graph(head, body, **{name: array for name, array in CONSTS.items() if name in words})


def prepared(graph: Graph) -> Module:
    """Return a graph with its activations fused, as the pass meets it."""
    return pass_class("fuse-activations")().apply(Module((graph,)), env())


def env(data: Samples | None = None) -> Env:
    return Env(load_target("eyeriss"), load_target("tpu"), parse_network("3mbps"), calib=data)


def equalized(graph: Graph, options: Mapping[str, Any] | None = None) -> tuple[Graph, Graph]:
    """Return the graph with its activations fused, before and after the pass."""
    before = prepared(replace(graph, name="main"))
    return before.main, Equalize(**(options or {})).apply(before, env(Samples())).main


def spread(graph: Graph, name: str) -> float:
    """Return the ratio of the largest to the smallest range of a value's channels."""
    from onnxruntime import InferenceSession

    session = InferenceSession(export_onnx(graph, extra_outputs=[name]).SerializeToString(), providers=["CPUExecutionProvider"])
    (value,) = session.run([name], {"x": noise(1, *(int(d) for d in graph.inputs[0].type.dims[1:]))})
    ends = np.abs(value).max(axis=tuple(a for a in range(value.ndim) if a != 1))
    return float(ends.max() / ends.min())


def with_consts(graph: Graph, **arrays: NDArray[np.float32]) -> Graph:
    """Return the graph with other numbers in some of its constants."""
    return replace(graph, consts=tuple(replace(c, blob=blob_from_array(arrays[c.name])) if c.name in arrays else c for c in graph.consts))


FIRST = "m = Conv (x, w, b)\n"


@pytest.mark.parametrize(
    ("body", "middle"),
    [
        ("a = Relu (m)\n y = Conv (a, v)", "a"),
        ("a = LeakyRelu <alpha = 0.1> (m)\n y = Conv (a, v)", "a"),
        ("a = PRelu (m, slope)\n y = Conv (a, v)", "a"),
        ("y = Conv <group = 4, pads = [1,1,1,1]> (m, depth)", "m"),
        ("y = Conv <group = 2> (m, pairs)", "m"),
        ("y = ConvTranspose (m, v)", "m"),
        ("a = Conv <group = 4, pads = [1,1,1,1]> (m, depth)\n r = Relu (a)\n y = Conv (r, v)", "m"),
        ("a = MaxPool <kernel_shape = [3,3], pads = [1,1,1,1]> (m)\n y = Conv (a, v)", "a"),
        ("a = AveragePool <kernel_shape = [3,3], pads = [1,1,1,1]> (m)\n y = Conv (a, v)", "a"),
        ("a = Pad (m, pads, zero)\n y = Conv (a, u)", "m"),
        ("r = Relu (m)\n n = Conv (r, q)\n a = Add (n, r)\n y = Conv (a, out)", "r"),
        ("a = Add (m, term)\n y = Conv (a, v)", "m"),
        ("a = Sub (term, m)\n y = Conv (a, v)", "m"),
        ("a = Mul (m, slope)\n y = Conv (a, v)", "m"),
        ("a = Div (m, slope)\n y = Conv (a, v)", "m"),
        ("g = GlobalAveragePool (m)\n h = Conv (g, v)\n s = Sigmoid (h)\n a = Mul (s, m)\n y = Conv (a, out)", "a"),
        ("n = Conv (x, w)\n c = Concat <axis = 1> (n, m)\n y = Conv (c, wide)", "c"),
        ("h = HardSwish (m)\n y = Conv (h, v)", "h"),
        ("s = Sigmoid (m)\n h = Mul (m, s)\n y = Conv (h, v)", "h"),
        ("t = Add (m, m)\n h = HardSwish (t)\n y = Conv (h, v)", "h"),
    ],
)
def test_ranges_come_together_and_the_numbers_stay(lab: Any, body: str, middle: str) -> None:
    before, after = equalized(build(lab, FIRST + body))
    lab.same(before, after)
    assert spread(after, middle) < 0.4 * spread(before, middle)


@pytest.mark.parametrize(
    "body",
    [
        "p = MaxPool <kernel_shape = [1,1]> (m)\n f = Flatten <axis = 1> (p)\n y = Gemm <transB = 1> (f, rows)",
        'p = GlobalMaxPool (m)\n r = Resize <mode = "nearest"> (m, , twice)\n h = ReduceMean <keepdims = 1> (r, axes)\n'
        " d = MaxPool <kernel_shape = [1,1]> (m)\n k = Add (d, h)\n f = Reshape (k, flat)\n y = Gemm <transB = 1> (f, rows)",
    ],
)
def test_a_channel_spreads_over_the_columns_of_a_gemm(lab: Any, body: str) -> None:
    before, after = equalized(build(lab, FIRST + body, "(float[1,3,6,6] x) => (float[1,5] y)"))
    lab.same(before, after)
    assert spread(after, "m") < 0.4 * spread(before, "m")


@pytest.mark.parametrize(
    "body",
    [
        "a = Clip (m, zero, six)\n y = Conv (a, v)",
        "a = Relu (m)\n s = Softmax <axis = 1> (a)\n y = Conv (s, v)",
        "a = Abs (m)\n y = Conv (a, v)",
        "a = Mul (m, m)\n y = Conv (a, v)",
        "a = Div (m, m)\n y = Conv (a, v)",
    ],
)
def test_what_cannot_take_factors_is_left_alone(lab: Any, body: str) -> None:
    before, after = equalized(build(lab, FIRST + body))
    assert after is before


def test_an_output_keeps_its_range_although_a_layer_reads_it(lab: Any) -> None:
    graph = build(lab, FIRST + "y = Conv (m, v)", "(float[1,3,6,6] x) => (float[1,4,6,6] y, float[1,4,6,6] m)")
    before, after = equalized(graph)
    assert after is before


def test_weights_that_two_layers_share_are_copied(lab: Any) -> None:
    before, after = equalized(build(lab, FIRST + "r = Relu (m)\n n = Conv (r, v)\n a = Relu (n)\n y = Conv (a, v)"))
    lab.same(before, after)
    first, second = (after.producer[name].inputs[1] for name in ("a", "y"))
    assert first != second


def test_a_dead_channel_stays_as_it_is(lab: Any) -> None:
    graph = build(lab, FIRST + "a = Relu (m)\n y = Conv (a, v)")
    weights, bias = uneven(4, 3, 1, 1), 0.1 * SPREAD
    weights[2], bias[2] = 0, -1
    before, after = equalized(with_consts(graph, w=weights, b=bias))
    assert np.array_equal(before.const["v"].array()[:, 2], after.const["v"].array()[:, 2])
    assert not np.array_equal(before.const["v"].array()[:, 3], after.const["v"].array()[:, 3])


def test_without_data_nothing_changes(lab: Any) -> None:
    module = prepared(replace(build(lab, FIRST + "y = Conv (m, v)"), name="main"))
    assert Equalize().apply(module, env()) is module


def test_a_second_time_changes_next_to_nothing(lab: Any) -> None:
    _, once = equalized(build(lab, FIRST + "a = Relu (m)\n y = Conv (a, v)"))
    twice = Equalize().apply(Module((once,)), env(Samples())).main
    np.testing.assert_allclose(twice.const["v"].array(), once.const["v"].array(), rtol=1e-5)


@pytest.mark.parametrize(("option", "value"), [("strength", 1.5), ("strength", -0.1), ("limit", 0.5), ("runs", 0)])
def test_options_out_of_range(lab: Any, option: str, value: float) -> None:
    with pytest.raises(CompileError) as caught:
        equalized(build(lab, FIRST + "y = Conv (m, v)"), {option: value})
    assert caught.value.diagnostics[0].code == "AS154"


def test_an_activation_that_is_not_homogeneous_gets_factors_on_both_sides(lab: Any) -> None:
    before, after = equalized(build(lab, FIRST + "h = HardSwish (m)\n y = Conv (h, v)"))
    lab.same(before, after)
    op = after.producer["h"]
    assert {ACT_GAIN, ACT_LIFT} <= set(op.attrs)
    inner = pre_activation(after, op)
    assert spread(after, inner) < 0.4 * spread(before, inner)


def test_the_range_before_an_activation_ends_where_every_channel_is_flat(lab: Any) -> None:
    """Below -3 HardSwish is 0: with a bias of -40 a channel goes far below, and no resolution is spent there."""
    graph = build(lab, FIRST + "h = HardSwish (m)\n y = Conv (h, v)")
    _, after = equalized(with_consts(graph, b=0.1 * SPREAD - np.array([40, 0, 0, 0], np.float32)))
    request = Request("", "m.onnx", "0" * 64, "eyeriss", "tpu", "3mbps")
    ranges = pass_class("calibrate")().apply(Module((after,)).with_fact(request), env(Samples())).fact(Ranges)
    found = next(v for v in ranges.values if v.value == "h")
    lift = after.producer["h"].attrs[ACT_LIFT]
    assert isinstance(lift, ArrayRef)
    assert found.inner_low is not None
    assert found.inner_low >= -3.01 / float(lift.blob.read().view("<f4").min())


def test_inner_factors_give_every_channel_the_range_of_the_largest() -> None:
    low, high = np.array([-3.0, -3.0, -0.5]), np.array([30.0, 3.0, 0.5])
    factors = inner_factors(low, high, 1024.0)
    assert factors.max() == 1.0
    ends = np.maximum(high / factors, -low / factors)
    assert ends.max() / ends.min() < 1.5


def test_channels_that_are_joined_have_one_class(lab: Any) -> None:
    body = "n = Conv (x, w)\n c = Concat <axis = 1> (n, m)\n z = Conv (c, wide)\n a = Add (z, m)\n y = Conv (a, v)"
    before, _ = equalized(build(lab, FIRST + body))
    found = channel_groups(before)
    assert np.array_equal(found.ids["z"], found.ids["m"])
    assert np.array_equal(found.ids["c"], np.concatenate([found.ids["n"], found.ids["m"]]))
    assert set(found.ids["n"].tolist()).isdisjoint(found.ids["m"].tolist())
    assert found.fixed[found.ids["x"]].all()
    assert not found.is_free("y")


def test_factors_that_do_not_fit_the_channels_are_found(lab: Any) -> None:
    _, after = equalized(build(lab, FIRST + "h = HardSwish (m)\n y = Conv (h, v)"))
    short = ArrayRef(TensorType(DType.F32, (3,)), blob_from_array(np.ones(3, np.float32)))
    for name, value in ((ACT_GAIN, short), (ACT_LIFT, 1.0)):
        ops = tuple(replace(op, attrs=op.attrs.with_(**{name: value})) if op.result == "h" else op for op in after.ops)
        assert [d.message for d in verify(replace(after, ops=ops)) if name in d.message]
