"""A small residual network with facts made by hand, so that every figure of the planner can be checked on paper."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from autosplitc.ir import ArrayRef, Attrs, Const, Diagnostic, DType, Graph, Module, Op, TensorType, Value, blob_from_array
from autosplitc.passes import Env, Request, Sensitivity, TensorError
from autosplitc.passes.enumerate_splits import EnumerateSplits
from autosplitc.passes.estimate_cost import EstimateCost
from autosplitc.passes.liveness import ComputeLiveness
from autosplitc.passes.planner import Problem, build
from autosplitc.targets import ROWS, Network, OpCost, OpView, Residency, constant_table


@dataclass(frozen=True)
class Stub:
    """A target on which an op takes `op_s` plus its operands' bytes, at their bits, over 1 MB/s; float moves 32 bits.

    Packing and unpacking take `packing_s` for every bit of a code, nothing where that is 0. measured: rows that count as measured.
    """

    op_s: float = 1e-3
    name: str = "stub"
    source: str = "made up"
    weight_bits: tuple[int, ...] = (2, 4, 8)
    act_bits: tuple[int, ...] = (4, 8)
    float_bits: int = 32
    ram_bytes: int = 10**9
    storage_bytes: int | None = None
    resident: Residency = "packed"
    max_opset: int = 25
    refuses: str = ""
    overlap: bool = False
    packing_s: float = 0.0
    measured: frozenset[int] = frozenset()

    def cost(self, op: OpView) -> OpCost | None:
        """Return the cost; None for the kind that it refuses."""
        if op.kind == self.refuses or (op.kind in ("pack", "unpack") and not self.packing_s):
            return None
        if op.kind in ("pack", "unpack"):
            compute_s = self.packing_s * np.repeat(np.arange(1.0, ROWS + 1), ROWS).reshape(ROWS, ROWS)
            return OpCost(compute_s, (np.zeros(ROWS), np.zeros(ROWS)), 1e6, self.overlap, self.measured)
        bits = np.array([1, 2, 3, 4, 5, 6, 7, 8, 32], np.float64)
        traffic = tuple((t.elements or 0) * bits / 8 for t in (*op.inputs, *op.results))
        return OpCost(constant_table(self.op_s), traffic, 1e6, self.overlap, self.measured)


@dataclass(frozen=True)
class Toy:
    """The network `x -> c1 -> c2, add(c1, c2) -> flat -> y` on stub targets; sending a byte takes 1 ms, a message 20 ms.

    Elements: x 32, c1, c2, sum and flat 64, y 10; weights w1 72, w2 144, w3 640; b1 4.
    """

    edge: Stub = field(default_factory=Stub)
    cloud: Stub = field(default_factory=lambda: Stub(op_s=1e-4))
    network: Network = field(default_factory=lambda: Network("test", 8e3, rtt_s=0.01, overhead_bytes=10))
    warnings: list[Diagnostic] = field(default_factory=list[Diagnostic])

    def env(self) -> Env:
        """Return what passes use."""
        return Env(self.edge, self.cloud, self.network, warn=self.warnings.append)

    def module(self, **request: Any) -> Module:
        """Return the module up to `enumerate-splits`."""
        asked = replace(Request("", "toy.onnx", "0" * 64, "stub", "stub", "test"), **request)
        module = Module((toy_graph(),), (asked, sensitivity(toy_graph())))
        for pass_ in (ComputeLiveness(), EstimateCost(), EnumerateSplits()):
            module = pass_.apply(module, self.env())
        return module

    def problem(self, **request: Any) -> Problem:
        """Return the planning problem."""
        return build(self.module(**request), self.env())


def toy_graph() -> Graph:
    """Return the network."""

    def f32(*dims: int) -> TensorType:
        return TensorType(DType.F32, dims)

    def const(name: str, *dims: int) -> Const:
        return Const(name, f32(*dims), blob_from_array(np.ones(dims, np.float32)))

    pads = Attrs.of(pads=(1, 1, 1, 1))
    ops = (
        Op(("c1",), "conv", ("x", "w1", "b1"), pads, (f32(1, 4, 4, 4),)),
        Op(("c2",), "conv", ("c1", "w2"), pads, (f32(1, 4, 4, 4),)),
        Op(("sum",), "add", ("c1", "c2"), Attrs(), (f32(1, 4, 4, 4),)),
        Op(("flat",), "flatten", ("sum",), Attrs(), (f32(1, 64),)),
        Op(("y",), "gemm", ("flat", "w3"), Attrs(), (f32(1, 10),)),
    )
    consts = (const("w1", 4, 2, 3, 3), const("b1", 4), const("w2", 4, 4, 3, 3), const("w3", 64, 10))
    return Graph("main", (("", 21),), (Value("x", TensorType(DType.F32, ("N", 2, 4, 4))),), consts, ops, ("y",))


def sensitivity(graph: Graph) -> Sensitivity:
    """Return errors of 4^-b for weights, 2 x 4^-b for activations, and of a wire what its bits add to them."""
    weight = tuple(4.0**-b for b in range(1, 9))
    act = tuple(2 * e for e in weight)
    names = ("x", "c1", "c2", "sum", "flat", "y")
    one = np.array([[max(w - a, 0.0) for w in act] for a in (*act, 0.0)])
    wires = np.stack([one] * len(names))
    assert wires.shape[1:] == (ROWS, 8)
    return Sensitivity(
        graph.name,
        tuple(TensorError(w, weight, weight) for w in ("w1", "w2", "w3")),
        tuple(TensorError(a, act, act) for a in names),
        ArrayRef(TensorType(DType.F64, wires.shape), blob_from_array(wires)),
    )


@pytest.fixture
def toy() -> Toy:
    """Return the network on its targets."""
    return Toy()


@pytest.fixture
def no_relaxation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave all proofs but the simplest to the solver."""
    monkeypatch.setattr("autosplitc.passes.planner.ascent.ROUNDS", 1)
    monkeypatch.setattr("autosplitc.passes.planner.ascent.BRANCHES", 0)


@pytest.fixture
def make_toy() -> Callable[..., Toy]:
    """Return a function that makes a toy with another edge: `make_toy(ram_bytes=100)`."""

    def make(**edge: Any) -> Toy:
        return Toy(edge=Stub(**edge))

    return make
