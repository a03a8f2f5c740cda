"""Cuts that are no prefix of the order: every one of a small network made by hand, and a network whose best cut is one, compiled."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import autosplitc
from autosplitc.ir import BlobStore, CompileError, Graph, Module, parse_module, print_module
from autosplitc.passes import FACT_TYPES, WireLayout, crossing_of
from autosplitc.summary import summary

if TYPE_CHECKING:
    from onnx import ModelProto


def closed_sets(graph: Graph) -> Iterator[frozenset[str]]:
    """Yield the sets of ops that hold the makers of all that they read and are no prefix."""
    found: list[frozenset[str]] = [frozenset()]
    for op in graph.ops:
        needed = {graph.producer[name].name for name in op.inputs if name in graph.producer}
        found += [ops | {op.name} for ops in found if needed <= ops]
    names = [op.name for op in graph.ops]
    yield from (ops for ops in found if ops != frozenset(names[: len(ops)]))


@pytest.fixture
def two_heads(bench: Any) -> ModelProto:
    """Return a network of two heads on one trunk: the first in the order is quick on the edge and leaves little, the second is neither.

    The trunk's result is larger than the first head's; the second head's weights do not fit.
    """
    random = np.random.default_rng(1)

    def weights(*shape: int) -> Any:
        return random.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape).astype(np.float32)

    consts = {
        "tw": weights(16, 3, 3, 3), "aw": weights(64, 16, 3, 3), "av": weights(512, 64, 1, 1), "bw": weights(4, 16, 3, 3),
        "bv": weights(8, 4, 3, 3), "cw": weights(1024, 512, 1, 1),
    }  # fmt: skip
    body = """
        g (float[N, 3, 32, 32] x) => (float[N, 1024, 1, 1] y, float[N, 8, 4, 4] z) {
            t = Conv<pads = [1, 1, 1, 1], strides = [2, 2]>(x, tw)
            tr = Relu(t)
            a = Conv<pads = [1, 1, 1, 1], strides = [2, 2]>(tr, aw)
            ar = Relu(a)
            a2 = Conv<strides = [2, 2]>(ar, av)
            g1 = GlobalAveragePool(a2)
            y = Conv(g1, cw)
            b = Conv<pads = [1, 1, 1, 1], strides = [2, 2]>(tr, bw)
            br = Relu(b)
            z = Conv<pads = [1, 1, 1, 1], strides = [2, 2]>(br, bv)
        }
    """
    return bench.model(body, consts)


@pytest.mark.parametrize(("weights", "acts", "wire"), [((8,), 8, 8), ((4, 6, 2), 6, 3)])
def test_halves_equal_the_whole_at_every_closed_set(
    bench: Any, residual: Module, two_heads: ModelProto, weights: tuple[int, ...], acts: int, wire: int
) -> None:
    modules = (residual, bench.module_of(two_heads))
    sets = [(module, edge) for module in modules for edge in closed_sets(module.main)]
    assert len(sets) >= 6
    for module, edge in sets:
        made: Module = bench.lowered_set(module, edge, weights, acts, wire)
        assert made.main == module.main
        assert parse_module(print_module(made), blobs=BlobStore.of(made), fact_types=FACT_TYPES) == made
        assert [t.name for t in made.fact(WireLayout).tensors] == list(crossing_of(module.main, edge))
        bench.checked(made)


OPTIONS: dict[str, Any] = {"network": "100kbps", "edge_memory": "300KB", "seed": 3}


def test_the_best_cut_is_no_prefix(two_heads: ModelProto, tmp_path: Path) -> None:
    plan_only: dict[str, Any] = {**OPTIONS, "passes": "simplify,analyze,plan"}
    linear, dag = (autosplitc.compile(two_heads, space=space, **plan_only).best for space in ("linear", "dag"))
    assert dag.latency_s < linear.latency_s
    made = autosplitc.compile(two_heads, output=tmp_path / "out", space="dag", **OPTIONS)
    plan = made.best
    assert (plan.kind, plan.proof, plan.latency_s) == ("split", "optimal", dag.latency_s)
    assert len(plan.edge_ops) == plan.position
    assert made.measurements["check"]["halves_equal_whole"]
    assert made.manifest["decision"]["edge_ops"] == list(plan.edge_ops)
    crossing = [t["name"] for t in made.manifest["wire"]["tensors"]]
    rows = list(csv.DictReader((tmp_path / "out" / "solutions.csv").open()))
    assert [row["crossing"] for row in rows if row["chosen"] == "1"] == [" ".join(crossing)]
    layers = list(csv.DictReader((tmp_path / "out" / "layers.csv").open()))
    on_edge = [row for row in layers if row["side"] == "edge"]
    assert [row["node"] for row in on_edge] == list(plan.edge_ops)
    assert sum(float(row["latency_ms"]) for row in on_edge) == pytest.approx(plan.edge_s * 1e3)
    assert max(int(row["ram_bytes"]) for row in on_edge) <= plan.ram_bytes
    assert f"({plan.position} ops)" in summary(made)
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["options"]["space"] == "dag"
    again = autosplitc.compile(two_heads, space="dag", cut=tuple(crossing), **plan_only).best
    assert again == plan


def test_a_named_cut_may_be_no_prefix(two_heads: ModelProto, tmp_path: Path) -> None:
    made = autosplitc.compile(two_heads, output=tmp_path / "out", space="dag", cut=("ar", "br"), network="1kbps", seed=3)
    assert {t["name"] for t in made.manifest["wire"]["tensors"]} == {"ar", "br"}
    assert made.measurements["check"]["halves_equal_whole"]
    for space in ("linear", "dag"):
        with pytest.raises(CompileError, match="no cut of the graph is crossed by exactly"):
            autosplitc.compile(two_heads, space=space, cut=("ar", "t", "x"), passes="simplify,analyze,plan")
    with pytest.raises(CompileError, match="no cut of the graph is crossed by exactly"):
        autosplitc.compile(two_heads, cut=("ar", "br"), passes="simplify,analyze,plan")


def test_dag_is_never_slower_than_linear(residual_model: ModelProto) -> None:
    for network, memory in (("1mbps", "1MB"), ("300kbps", "20KB"), ("100kbps", "12KB"), ("ble", "16KB")):
        plans = [
            autosplitc.compile(residual_model, space=space, network=network, edge_memory=memory, passes="simplify,analyze,plan").best
            for space in ("linear", "dag")
        ]
        assert plans[1].latency_s <= plans[0].latency_s
        assert plans[1].proof == "optimal"
