"""Graphs for the tests of `simplify`, and the check that a pass keeps the numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from autosplitc.ir import BlobStore, Graph, Module, export_onnx, import_model, numpy_dtype, parse_module, print_module, verify
from autosplitc.passes import Env
from autosplitc.targets import load_target, parse_network


@dataclass(frozen=True, slots=True)
class Lab:
    """Builds graphs and compares them."""

    def graph(self, head: str, body: str, /, **consts: NDArray[Any]) -> Graph:
        """Return the graph of an ONNX text at opset 21: `head` is `(inputs) => (outputs)`, `consts` are initializers."""
        from onnx import numpy_helper, parser

        model = parser.parse_model(f'<ir_version: 10, opset_import: ["" : 21]>\ng {head} {{\n{body}\n}}')
        model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in consts.items())
        return import_model(model)

    def counting(self, *shape: int, start: float = -1.0) -> NDArray[np.float32]:
        """Return different eighths: exact numbers, the same on every machine."""
        return ((np.arange(np.prod(shape)) * 5 % 23) / 8 + start).astype(np.float32).reshape(shape)

    def kinds(self, graph: Graph) -> dict[str, int]:
        """Count the ops by kind; a fused activation stands behind a `+`."""
        return dict(Counter(op.kind + (f"+{op.attrs['act']}" if "act" in op.attrs else "") for op in graph.ops))

    def run(self, graph: Graph, feed: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run a graph in ONNX Runtime, without its optimisations."""
        from onnxruntime import GraphOptimizationLevel, InferenceSession, SessionOptions

        options = SessionOptions()
        options.graph_optimization_level = GraphOptimizationLevel.ORT_DISABLE_ALL
        options.intra_op_num_threads = 1
        session = InferenceSession(export_onnx(graph).SerializeToString(), options, ["CPUExecutionProvider"])
        return dict(zip(graph.outputs, session.run(None, feed), strict=True))

    def same(self, before: Graph, after: Graph, rtol: float = 1e-5) -> None:
        """Assert that a rewritten graph is valid, has the same interface, reads back from its text, and gives the same numbers."""
        assert verify(after) == ()
        assert after.inputs == before.inputs
        assert after.outputs == before.outputs
        assert [after.types[name] for name in after.outputs] == [before.types[name] for name in before.outputs]
        module = Module((after,))
        assert parse_module(print_module(module), blobs=BlobStore.of(module), fact_types=()) == module
        generator = np.random.default_rng(0)
        feed: dict[str, NDArray[Any]] = {}
        for value in before.inputs:
            shape = [size if isinstance(size, int) else 2 for size in value.type.shape or ()]
            feed[value.name] = np.asarray(generator.standard_normal(shape) * 4, numpy_dtype(value.type.dtype))
        first, second = self.run(before, feed), self.run(after, feed)
        for name, expected in first.items():
            assert np.ptp(expected) > 0
            np.testing.assert_allclose(second[name], expected, rtol=rtol, atol=rtol * float(np.abs(expected).max()))


@pytest.fixture
def lab() -> Lab:
    """Return what the tests of `simplify` build and compare graphs with."""
    return Lab()


@pytest.fixture
def env() -> Env:
    """Return an environment; the passes of `simplify` look at nothing in it."""
    return Env(load_target("eyeriss"), load_target("tpu"), parse_network("3mbps"))
