"""equalize: random nets compute the same afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from autosplitc.ir import Attrs, Const, DType, Graph, Loc, Module, Op, TensorType, Value, blob_from_array, verify
from autosplitc.passes import Env
from autosplitc.passes.equalize import Equalize
from autosplitc.passes.execute import load
from autosplitc.targets import load_target, parse_network

SIDE = 4
ACTS = ("", "relu", "leaky_relu", "clip", "hard_swish", "silu", "hard_sigmoid")
STEPS = ("conv", "depthwise", "grouped", "add", "concat", "max_pool", "average_pool", "relu", "gate", "scale", "add_constant", "sigmoid")


@dataclass(frozen=True)
class Samples:
    """Three samples for input `x`."""

    seed: int
    samples: int = 3
    sha256: str = "0" * 64

    def batches(self) -> Iterator[Mapping[str, NDArray[Any]]]:
        """Yield one batch."""
        yield {"x": np.random.default_rng(self.seed).standard_normal((3, 3, SIDE, SIDE)).astype(np.float32)}

    def labels(self) -> None:
        """There are none."""


class Net:
    """A net that grows op by op; weights have rows of very different sizes."""

    def __init__(self, seed: int) -> None:
        """Start with an input of three channels."""
        self.rng = np.random.default_rng(seed)
        self.consts: list[Const] = []
        self.ops: list[Op] = []
        self.channels = {"x": 3}

    def const(self, *shape: int) -> str:
        """Add a constant and return its name."""
        rows = np.exp(self.rng.uniform(-4, 1, shape[0])).reshape(-1, *(1,) * (len(shape) - 1))
        array = (self.rng.standard_normal(shape) * rows).astype(np.float32)
        name = f"c{len(self.consts)}"
        self.consts.append(Const(name, TensorType(DType.F32, shape), blob_from_array(array)))
        return name

    def op(self, kind: str, inputs: tuple[str, ...], channels: int, side: int = SIDE, /, **attrs: Any) -> str:
        """Add an op and return its result."""
        name = f"v{len(self.ops)}"
        self.ops.append(Op((name,), kind, inputs, Attrs.of(attrs), (TensorType(DType.F32, (1, channels, side, side)),), Loc((name,))))
        if side == SIDE:
            self.channels[name] = channels
        return name

    def layer(self, source: str, made: int, groups: int, act: str, side: int = SIDE) -> str:
        """Add a convolution with bias and activation."""
        given: dict[str, Any] = {"act": act} if act else {}
        given.update({"clip": {"act_low": 0.0, "act_high": 1.0}, "leaky_relu": {"act_alpha": 0.1}}.get(act, {}))
        size = 3 if side == SIDE else 1
        pads = (size // 2,) * 4
        weights = self.const(made, self.channels.get(source, made) // groups, size, size)
        return self.op("conv", (source, weights, self.const(made)), made, side, group=groups, pads=pads, **given)

    def grow(self, step: str, act: str, pick: int) -> None:
        """Add what a step says to one of the values there are."""
        names = list(self.channels)
        source = names[pick % len(names)]
        count = self.channels[source]
        twins = [n for n in names if self.channels[n] == count]
        other = twins[pick // 3 % len(twins)]
        relu: dict[str, Any] = {"act": "relu"} if act == "relu" else {}
        match step:
            case "conv":
                self.layer(source, 2 + pick % 4, 1, act)
            case "depthwise":
                self.layer(source, count, count, act)
            case "grouped":
                self.layer(source, 4, 2 if count % 2 == 0 else 1, act)
            case "add":
                self.op("add", (source, other), count, **relu)
            case "concat":
                self.op("concat", (source, other), 2 * count, axis=1)
            case "max_pool" | "average_pool":
                self.op(step, (source,), count, kernel_shape=(3, 3), pads=(1, 1, 1, 1))
            case "gate":
                pooled = self.op("global_average_pool", (source,), count, 1)
                gate = self.layer(pooled, count, 1, "hard_sigmoid", 1)
                self.op("mul", (gate, source) if pick % 2 else (source, gate), count)
            case "scale" | "add_constant":
                self.op("mul" if step == "scale" else "add", (source, self.const(count, 1, 1)), count)
            case _:
                self.op(step, (source,), count)

    def graph(self) -> Graph:
        """Return the net; the last value is the output."""
        inputs = (Value("x", TensorType(DType.F32, (1, 3, SIDE, SIDE))),)
        return Graph("main", (("", 21),), inputs, tuple(self.consts), tuple(self.ops), (self.ops[-1].result,))


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**16),
    st.lists(st.tuples(st.sampled_from(STEPS), st.sampled_from(ACTS), st.integers(0, 50)), min_size=1, max_size=8),
)
def test_the_same_numbers(seed: int, steps: list[tuple[str, str, int]]) -> None:
    net = Net(seed)
    net.layer("x", 4, 1, "relu")
    for step in steps:
        net.grow(*step)
    net.layer(net.ops[-1].result, 3, 1, "")
    before = Module((net.graph(),))
    samples = Samples(seed)
    env = Env(load_target("eyeriss"), load_target("tpu"), parse_network("3mbps"), calib=samples)
    after = Equalize().apply(before, env)
    assert verify(after.main) == ()
    (batch,) = samples.batches()
    for sample in batch["x"]:
        (first,), (second,) = (
            tuple(load(m.main, m.main.outputs).run({"x": sample[None]}).values()) for m in (before, after)
        )
        np.testing.assert_allclose(second, first, rtol=1e-5, atol=1e-5 * float(np.abs(first).max()))
