"""Models for end-to-end tests, and plans made by hand, so that every cut and every bit-width can be asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from autosplitc.check import check_bundle
from autosplitc.codegen import write_side
from autosplitc.ir import Diagnostic, Graph, Module, import_model, verify
from autosplitc.measure import measure_quality
from autosplitc.passes import Choice, Env, NamedBits, Plan, Request, Roles, Solutions, expand, pass_class, roles
from autosplitc.targets import load_target, parse_network

if TYPE_CHECKING:
    from onnx import ModelProto

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Bits:
    """Bits that a hand-made plan hands out: `weights` in turn, the others to all; without `wire` everything crosses at full width."""

    weights: tuple[int, ...] = (8,)
    acts: int = 8
    wire: int | None = 8


@dataclass(frozen=True)
class Bench:
    """Makes modules, plans and bundles."""

    folder: Path
    env: Env
    warned: list[Diagnostic]

    def model(self, body: str, consts: Mapping[str, Array]) -> ModelProto:
        """Return the model of an ONNX text: `body` is `g (inputs) => (outputs) { nodes }`, `consts` are initializers."""
        from onnx import numpy_helper, parser

        model = parser.parse_model(f'<ir_version: 10, opset_import: ["" : 21]>\n{body}')
        model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in consts.items())
        return model

    def module(self, body: str, consts: Mapping[str, Array], *, names: Mapping[str, str] | None = None) -> Module:
        """Return the simplified and calibrated module of an ONNX text; `names` renames values, since the text takes no dots."""
        model = self.model(body, consts)
        _rename(model, names or {})
        return self.module_of(model)

    def module_of(self, model: ModelProto) -> Module:
        """Return the simplified and calibrated module of a model."""
        module = Module((import_model(model),), (Request("", "model.onnx", "0", "eyeriss", "tpu", "3mbps", seed=self.env.seed),))
        for name in (*expand("simplify"), "calibrate"):
            module = pass_class(name)().apply(module, self.env)
        return module

    def plan(self, graph: Graph, position: int, bits: Bits) -> Plan:
        """Return a plan for the cut after `position` ops; the raw input has 8 bits."""
        found = roles(graph)
        edge = graph.ops[:position]
        weights = [name for name in found.weight_axis if any(name in op.inputs for op in edge)]
        acts = _held(graph, found, position)
        crossing = _crossing(graph, position)
        wires = [
            NamedBits(name, 8 if name in graph.input else min(bits.wire, bits.acts))
            for name in crossing
            if bits.wire is not None and graph.type_of(name).dtype.is_float
        ]
        kind = "cloud-only" if position == 0 else "edge-only" if position == len(graph.ops) else "split"
        after = graph.ops[position - 1].name if position else ""
        return Plan(
            kind,
            position,
            after,
            *(0.0, 0.0, 0.0, 0, 0, 0, 0.0, "optimal", 0.0),
            feasible=True,
            violations=(),
            weight_bits=tuple(NamedBits(name, bits.weights[i % len(bits.weights)]) for i, name in enumerate(weights)),
            act_bits=tuple(NamedBits(name, 8 if name in graph.input else bits.acts) for name in acts),
            wire_bits=tuple(wires),
        )

    def lowered(self, module: Module, position: int, weights: tuple[int, ...] = (8,), acts: int = 8, wire: int | None = 8) -> Module:
        """Return the module with its edge, cloud and whole graphs, verified; `weights` bits are handed out in turn."""
        plan = self.plan(module.main, position, Bits(weights, acts, wire))
        planned = module.with_fact(Solutions("main", (plan,)), Choice("main", 0, "made by hand"))
        made = pass_class("partition")().apply(planned, self.env)
        assert verify(made) == ()
        return made

    def lowered_set(self, module: Module, edge: frozenset[str], weights: tuple[int, ...], acts: int, wire: int) -> Module:
        """Return the same for any set of ops on the edge that is closed under predecessors."""
        main = module.main
        ordered = replace(main, ops=tuple(sorted(main.ops, key=lambda op: op.name not in edge)))
        names = tuple(op.name for op in ordered.ops[: len(edge)])
        plan = replace(self.plan(ordered, len(edge), Bits(weights, acts, wire)), edge_ops=names)
        planned = module.with_fact(Solutions("main", (plan,)), Choice("main", 0, "made by hand"))
        made = pass_class("partition")().apply(planned, self.env)
        assert verify(made) == ()
        return made

    def bundle(self, module: Module) -> Path:
        """Write the halves and return their folder."""
        for side in ("edge", "cloud"):
            path = self.folder / f"{side}.onnx"
            path.unlink(missing_ok=True)
            if module.has_graph(side):
                write_side(module.graph(side), path)
        return self.folder

    def checked(self, module: Module) -> dict[str, Any]:
        """Write and check a bundle, bit for bit."""
        report = check_bundle(module, self.bundle(module), self.env)
        assert report["halves_equal_whole"]
        return report

    def quality(self, module: Module) -> dict[str, Any]:
        """Return the measured quality of the bundle that was written last."""
        return measure_quality(module, self.folder, self.env, None)["quality"]


def _rename(model: ModelProto, names: Mapping[str, str]) -> None:
    graph = model.graph
    for item in (*graph.input, *graph.output, *graph.initializer):
        item.name = names.get(item.name, item.name)
    for node in graph.node:
        inputs, outputs = list(node.input), list(node.output)
        del node.input[:]
        del node.output[:]
        node.input.extend(names.get(name, name) for name in inputs)
        node.output.extend(names.get(name, name) for name in outputs)


def _held(graph: Graph, found: Roles, position: int) -> Sequence[str]:
    """Roots of values that are codes on the edge: made or read by an op on codes, unless only the wire reads them."""
    edge = {op.name for op in graph.ops[:position]}
    on_codes = edge & found.quantised
    acts: dict[str, None] = {}
    for value, root in found.root.items():
        maker = graph.producer.get(value)
        readers = {op.name for op in graph.users.get(value, ())}
        made = maker is not None and maker.name in on_codes
        if maker is not None and maker.name not in edge:
            continue
        if made and not readers & edge and value not in graph.outputs and value == root:
            continue
        if made or readers & on_codes:
            acts[root] = None
    return list(acts)


def _crossing(graph: Graph, position: int) -> list[str]:
    present = [*graph.input, *(r for op in graph.ops[:position] for r in op.results if r)]
    read = {name for op in graph.ops[position:] for name in op.inputs}
    return [name for name in present if name in read]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Make modules, plans and bundles in a folder of the test's own."""
    warned: list[Diagnostic] = []
    env = Env(load_target("eyeriss"), load_target("tpu"), parse_network("3mbps"), seed=3, warn=warned.append)
    return Bench(tmp_path, env, warned)


@pytest.fixture
def residual(bench: Bench, residual_model: ModelProto) -> Module:
    """Return the small residual network, simplified and calibrated."""
    return bench.module_of(residual_model)


@pytest.fixture
def residual_model(bench: Bench) -> ModelProto:
    """Return a small residual network with a free batch, of most ops that convolutional networks are made of."""
    random = np.random.default_rng(0)

    def conv(name: str, outputs: int, inputs: int, size: int = 3) -> dict[str, Array]:
        spread = np.sqrt(2 / (inputs * size * size))
        return {
            f"{name}w": random.normal(0, spread, (outputs, inputs, size, size)).astype(np.float32),
            f"{name}b": random.normal(0, 0.1, outputs).astype(np.float32),
        }

    def norm(name: str, channels: int) -> dict[str, Array]:
        values = {"s": random.uniform(0.5, 1.5, channels), "o": random.normal(0, 0.2, channels), "m": random.normal(0, 0.2, channels)}
        values["v"] = random.uniform(0.5, 1.5, channels)
        return {f"{name}{key}": value.astype(np.float32) for key, value in values.items()}

    consts = {
        **conv("c1", 8, 3),
        **norm("n1", 8),
        **conv("c2", 8, 8),
        **conv("c3", 8, 8),
        **conv("c4", 8, 8),
        **conv("c5", 8, 8),
        **conv("c6", 12, 16, 1),
        "fw": random.normal(0, 0.4, (10, 12)).astype(np.float32),
        "fb": random.normal(0, 0.4, 10).astype(np.float32),
        "zero": np.array(0, np.float32),
        "six": np.array(6, np.float32),
        "twice": np.array([1, 1, 2, 2], np.float32),
        "flat": np.array([0, -1], np.int64),
    }
    body = """
        g (float[N, 3, 16, 16] x) => (float[N, 10] y) {
            c1 = Conv<pads = [1, 1, 1, 1]>(x, c1w, c1b)
            n1 = BatchNormalization(c1, n1s, n1o, n1m, n1v)
            r1 = Relu(n1)
            c2 = Conv<pads = [1, 1, 1, 1]>(r1, c2w, c2b)
            r2 = Relu(c2)
            c3 = Conv<pads = [1, 1, 1, 1]>(r2, c3w, c3b)
            s1 = Add(c3, r1)
            r3 = Relu(s1)
            p1 = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(r3)
            c4 = Conv<pads = [1, 1, 1, 1]>(p1, c4w, c4b)
            l1 = LeakyRelu<alpha = 0.1>(c4)
            c5 = Conv<pads = [1, 1, 1, 1]>(p1, c5w, c5b)
            h1 = HardSwish(c5)
            k1 = Concat<axis = 1>(l1, h1)
            c6 = Conv(k1, c6w, c6b)
            r6 = Clip(c6, zero, six)
            u1 = Resize<mode = "nearest">(r6, , twice)
            g1 = GlobalAveragePool(u1)
            f1 = Reshape(g1, flat)
            y = Gemm<transB = 1>(f1, fw, fb)
        }
    """
    return bench.model(body, consts)
