"""Random small graphs, cut anywhere, with any bits: the halves must equal the whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autosplitc.ir import Attrs, AttrValue, Const, DType, Graph, Module, Op, TensorType, Value, blob_from_array, verify
from autosplitc.passes import Request, pass_class

CHANNELS = 4
ACTS: dict[str, dict[str, AttrValue]] = {
    "": {},
    "relu": {},
    "clip": {"act_low": 0.0, "act_high": 1.5},
    "leaky_relu": {"act_alpha": 0.2},
    "hard_swish": {},
    "sigmoid": {},
    "silu": {},
}
NONE = Attrs()


def conv_attrs(act: str) -> Attrs:
    """Attributes of a 1x1 convolution with a fused activation."""
    return Attrs.of(ACTS[act], kernel_shape=(1, 1), **({"act": act} if act else {}))


@dataclass
class Builder:
    """A graph under construction; values of one size have the type [N, 4, size, size]."""

    draw: Callable[[Any], Any]
    ops: list[Op] = field(default_factory=list[Op])
    consts: list[Const] = field(default_factory=list[Const])
    sizes: dict[str, int] = field(default_factory=lambda: {"x": 6})
    read: set[str] = field(default_factory=set[str])

    def pick(self, size: int | None = None) -> str:
        names = [name for name, own in self.sizes.items() if size in (None, own)]
        name = self.draw(st.sampled_from(names))
        self.read.add(name)
        return name

    def const(self, *shape: int) -> str:
        seed = self.draw(st.integers(0, 999))
        values = np.random.default_rng(seed).normal(0, 0.4, shape).astype(np.float32)
        name = f"const{len(self.consts)}"
        self.consts.append(Const(name, TensorType(DType.F32, shape), blob_from_array(values)))
        return name

    def add(self, kind: str, inputs: tuple[str, ...], size: int, attrs: Attrs = NONE, channels: int = CHANNELS) -> str:
        name = f"v{len(self.ops)}"
        self.ops.append(Op((name,), kind, inputs, attrs, (TensorType(DType.F32, ("N", channels, size, size)),)))
        if channels == CHANNELS:
            self.sizes[name] = size
        return name

    def conv(self, source: str, size: int, channels: int = CHANNELS) -> None:
        act = self.draw(st.sampled_from(sorted(ACTS)))
        self.add("conv", (source, self.const(CHANNELS, channels, 1, 1), self.const(CHANNELS)), size, conv_attrs(act))

    def step(self) -> None:
        """Add one op, or a concat and the conv that brings its channels back."""
        source = self.pick()
        size = self.sizes[source]
        kind = self.draw(st.sampled_from(["conv", "conv", "add", "mul", "max_pool", "concat", "sigmoid", "softmax", "identity"]))
        if kind == "conv":
            self.conv(source, size)
        elif kind in ("add", "mul"):
            self.add(kind, (source, self.pick(size)), size)
        elif kind == "concat":
            joined = self.add("concat", (source, self.pick(size)), size, Attrs.of(axis=1), 2 * CHANNELS)
            self.conv(joined, size, 2 * CHANNELS)
        elif kind == "max_pool" and size % 2 == 0:
            self.add(kind, (source,), size // 2, Attrs.of(kernel_shape=(2, 2), strides=(2, 2)))
        elif kind == "softmax":
            self.add(kind, (source,), size, Attrs.of(axis=1))
        else:
            self.add("identity" if kind == "max_pool" else kind, (source,), size)

    def graph(self) -> Graph:
        """Return the graph; its outputs are what nothing reads, and perhaps something else."""
        last = [name for name in self.sizes if name not in self.read and name != "x"]
        more = self.draw(st.sampled_from([name for name in self.sizes if name != "x"]))
        outputs = tuple(dict.fromkeys([*last, more]))
        value = Value("x", TensorType(DType.F32, ("N", CHANNELS, 6, 6)))
        return Graph("main", (("", 21),), (value,), tuple(self.consts), tuple(self.ops), outputs)


@st.composite
def graphs(draw: Callable[[Any], Any]) -> Graph:
    builder = Builder(draw)
    for _ in range(draw(st.integers(1, 8))):
        builder.step()
    return builder.graph()


WEIGHTS = st.lists(st.integers(2, 8), min_size=1, max_size=3).map(tuple)
BITS = st.integers(1, 8)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(graph=graphs(), cut=st.floats(0, 1), weights=WEIGHTS, acts=st.integers(2, 8), wire=BITS)
def test_halves_equal_the_whole(bench: Any, graph: Graph, cut: float, weights: tuple[int, ...], acts: int, wire: int) -> None:
    request = Request("", "model.onnx", "0", "eyeriss", "tpu", "3mbps", seed=1)
    module = Module((graph,), (request,))
    assert verify(module) == ()
    module = pass_class("calibrate")().apply(module, bench.env)
    lowered = bench.lowered(module, round(cut * len(graph.ops)), weights, acts, wire)
    report = bench.checked(lowered)
    assert report["batch"] == 3
    assert set(lowered.graph("whole").outputs) == set(graph.outputs)


@pytest.mark.parametrize("act", sorted(ACTS))
def test_every_activation_is_emitted(bench: Any, act: str) -> None:
    """A layer with each fused activation at 8 bits stays close to the float layer."""
    random = np.random.default_rng(0)
    consts = tuple(
        Const(name, TensorType(DType.F32, shape), blob_from_array(random.normal(0, 0.4, shape).astype(np.float32)))
        for name, shape in (("w", (4, 4, 1, 1)), ("b", (4,)))
    )
    type_ = TensorType(DType.F32, ("N", 4, 6, 6))
    layer = Op(("y",), "conv", ("x", "w", "b"), conv_attrs(act), (type_,))
    graph = Graph("main", (("", 21),), (Value("x", type_),), consts, (layer,), ("y",))
    module = Module((graph,), (Request("", "model.onnx", "0", "eyeriss", "tpu", "3mbps", seed=1),))
    lowered = bench.lowered(pass_class("calibrate")().apply(module, bench.env), 1)
    bench.checked(lowered)
    assert bench.quality(lowered)["sqnr_db"] > 30
