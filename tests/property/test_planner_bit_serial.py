"""Arrays whose speed depends on pairs of bit-widths: the solver against exhaustive search, on problems that the real passes build."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autosplitc.ir import Attrs, Const, DType, Graph, Module, Op, TensorType, Value, blob_from_array, verify
from autosplitc.passes import Env, Request, pass_class
from autosplitc.passes.planner import Effort, ExhaustiveFound, LinearSpace, Problem, Solution, build, exhaustive, formulate, prefix, search
from autosplitc.targets import BitMode, BitSerialTarget, load_target, parse_network

CHANNELS, SIZE = 4, 6
WIDTHS = ((2, 8), (4, 8), (2, 4), (2, 6))
EFFORT = Effort(limit_s=20.0)


def device(r: random.Random, mode: BitMode) -> BitSerialTarget:
    """Return a small array, at times bound by compute, at times by memory."""
    return BitSerialTarget(
        name="array",
        source="random",
        mode=mode,
        weight_step_bits=r.choice((1, 2, 4)),
        input_step_bits=r.choice((1, 2, 4)),
        lanes=r.choice((1, 3)),
        rows=r.choice((2, 5)),
        cols=r.choice((1, 4)),
        dataflow=r.choice(("os", "ws", "is")),
        cycles=r.choice(("scalesim-v1", "scalesim-v3")),
        clock_hz=r.choice((3e5, 1e6, 3e6)),
        vector_bytes_per_s=r.choice((1e6, 1e7)),
        input_buffer_bytes=r.choice((64, 4096)),
        weight_buffer_bytes=r.choice((64, 4096)),
        output_buffer_bytes=r.choice((64, 4096)),
        bandwidth_bytes_per_s=r.choice((1e5, 1e6)),
        overlap=r.random() < 0.5,
        ram_bytes=10**9,
        resident=r.choice(("packed", "int8")),
        weight_bits=r.choice(WIDTHS),
        act_bits=r.choice(WIDTHS),
    )


class Builder:
    """A graph under construction; every value is [1, 4, 6, 6]."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.numbers = np.random.default_rng(seed)
        self.consts: list[Const] = []
        self.ops: list[Op] = []
        self.values = ["x"]

    def weights(self, *shape: int) -> str:
        """Return a constant; at times one that there is already."""
        shared = [c.name for c in self.consts if c.type.shape == shape]
        if shared and self.random.random() < 0.2:
            return shared[-1]
        array = self.numbers.normal(0, 0.5, shape).astype(np.float32)
        self.consts.append(Const(f"w{len(self.consts)}", TensorType(DType.F32, shape), blob_from_array(array)))
        return self.consts[-1].name

    def add(self, kind: str, inputs: tuple[str, ...], attrs: Attrs, channels: int = CHANNELS) -> str:
        """Add an op and return its result."""
        name = f"{kind}{len(self.ops)}"
        self.ops.append(Op((name,), kind, inputs, attrs, (TensorType(DType.F32, (1, channels, SIZE, SIZE)),)))
        return name

    def step(self) -> None:
        """Add a layer that reads one of the last values, or two."""
        kind = self.random.choice(("conv", "conv", "conv", "conv", "depthwise", "matmul", "add", "concat", "max_pool", "relu"))
        first, second = (self.values[-self.random.choice((1, 1, 1, 2)) :][0] for _ in range(2))
        same = Attrs.of(pads=(1, 1, 1, 1), kernel_shape=(3, 3))
        if kind == "conv":
            made = self.add("conv", (first, self.weights(CHANNELS, CHANNELS, 3, 3)), same)
        elif kind == "depthwise":
            made = self.add("conv", (first, self.weights(CHANNELS, 1, 3, 3)), same.with_(group=CHANNELS))
        elif kind == "concat":
            joined = self.add("concat", (first, second), Attrs.of(axis=1), 2 * CHANNELS)
            made = self.add("conv", (joined, self.weights(CHANNELS, 2 * CHANNELS, 1, 1)), Attrs.of(kernel_shape=(1, 1)))
        elif kind == "max_pool":
            made = self.add("max_pool", (first,), same)
        else:
            made = self.add(kind, (first,) if kind == "relu" else (first, second), Attrs())
        self.values.append(made)

    def graph(self, layers: int) -> Graph:
        """Return the graph; what nothing reads is an output."""
        for _ in range(layers):
            self.step()
        read = {name for op in self.ops for name in op.inputs}
        outputs = tuple(op.name for op in self.ops if op.name not in read)
        value = Value("x", TensorType(DType.F32, (1, CHANNELS, SIZE, SIZE)))
        used = tuple(c for c in self.consts if c.name in read)
        return Graph("main", (("", 21),), (value,), used, tuple(self.ops), outputs)


def planning_problem(graph: Graph, edge: BitSerialTarget, net: str) -> Problem:
    """Return what the passes make of a graph; every width is offered."""
    env = Env(edge, load_target("eyeriss:clock=300kHz,bandwidth=1MB/s,vector=1MB/s"), parse_network(net), seed=1)
    module = Module((graph,), (Request("", "model.onnx", "0" * 64, "array", "eyeriss", net, seed=1, max_error=1.0),))
    for name in ("calibrate", "measure-sensitivity", "liveness", "estimate-cost", "enumerate-splits"):
        module = pass_class(name)().apply(module, env)
    assert verify(module) == ()
    return build(module, env)


def merit(found: Solution | ExhaustiveFound | None) -> tuple[int, int] | None:
    return None if found is None else (found.figures.latency_ns, found.figures.error)


def assert_exact(problem: Problem) -> ExhaustiveFound | None:
    """Compare the search with every cut and every assignment; return the best of them."""
    positions = range(len(problem.ops) + 1)
    found = search(problem, LinearSpace(positions), EFFORT, keep=len(positions))
    assert found.open_ns is None
    by_position = {s.position: s for s in found.solutions}
    best: ExhaustiveFound | None = None
    for position in positions:
        truth = exhaustive(problem, [prefix(problem, position)])
        assert merit(by_position.get(position)) == merit(truth), position
        best = min((f for f in (best, truth) if f is not None), key=lambda f: (f.figures.latency_ns, f.figures.error), default=None)
    assert merit(best) == merit(next(iter(search(problem, LinearSpace(positions), EFFORT).solutions), None))
    return best


@pytest.mark.parametrize("mode", ["serial", "fused"])
@settings(max_examples=80, derandomize=True, deadline=None)
@given(seed=st.integers(0, 10**9))
def test_the_fastest_plan_is_found_also_where_limits_bind(mode: BitMode, seed: int) -> None:
    r = random.Random(seed)
    problem = planning_problem(Builder(seed).graph(r.randint(2, 5)), device(r, mode), r.choice(("30kbps", "100kbps", "1mbps")))
    free = replace(problem, limits=replace(problem.limits, error=None))
    best = assert_exact(free)
    assert best is not None
    tighter = r.choice(({"ram_bits": best.figures.ram_bits - 1}, {"error": max(best.figures.error - 1, 0)}))
    assert_exact(replace(free, limits=replace(free.limits, **tighter)))
    assert_exact(problem)


@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize("mode", ["serial", "fused"])
def test_times_of_pairs_reach_the_solver(mode: BitMode, overlap: bool) -> None:
    """Where neither operand decides alone, the instance holds a table over both: of the op as a whole, where nothing else matters."""
    edge = replace(
        device(random.Random(0), mode), weight_step_bits=2, input_step_bits=2, lanes=1, rows=2, cols=1, dataflow="ws", clock_hz=1e5,
        bandwidth_bytes_per_s=5e4, overlap=overlap, weight_bits=(2, 4, 8), act_bits=(2, 4, 8),
    )  # fmt: skip
    builder = Builder(0)
    for source in ("x", "conv0"):
        builder.add("conv", (source, builder.weights(CHANNELS, CHANNELS, 3, 3)), Attrs.of(pads=(1, 1, 1, 1), kernel_shape=(3, 3)))
    problem = planning_problem(builder.graph(0), edge, "1mbps")
    instance = formulate(problem, prefix(problem, 2))
    second = problem.ops[1].compute_ns
    assert second[1][1] < second[1][3] == second[3][1] < second[3][3] < second[7][7]
    assert instance.pairs or (overlap and instance.overlapped)
    assert_exact(replace(problem, limits=replace(problem.limits, error=None)))
