"""Time to make cost tables: every op at every pair of bit-widths, of ResNet-50 and of a graph of 2,000 ops, on each kind of target.

Run with `python -m autosplitc.bench.costs`. The goals: 50 ms and 500 ms. `tables` is what the edge's cost tables take, `pass` all of
estimate-cost: both targets' tables and their checks, packing and unpacking of every value.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable

import click
import numpy as np

import autosplitc
from autosplitc.ir import Attrs, AttrValue, BlobRef, Const, DType, Graph, Op, TensorType, Value
from autosplitc.passes.estimate_cost import estimate
from autosplitc.targets import Curve, TableTarget, Target, load_target, view

from .table import table

MODEL = "zoo:light-resnet50"
GOAL_MS = {MODEL: 50.0, "2,000 ops": 500.0}
RUNS = 7
SYNTHETIC_OPS = 2_000


def edge_targets() -> tuple[Target, ...]:
    """Return one target of each model: systolic, roofline, bit-serial, and a table with round figures."""
    columns = {"float": (1e-4, 1e-3, 1e-2), "8": (5e-5, 5e-4, 5e-3), "4": (3e-5, 3e-4, 3e-3)}
    curves = tuple(Curve(kinds=kinds, work=(1e6, 1e7, 1e8), seconds=columns) for kinds in (("conv",), ("gemm", "matmul"), ("*",)))
    tabled = TableTarget(name="a table", source="round figures", weight_bits=(4, 8), act_bits=(4, 8), curves=curves, ram_bytes=2**30)
    return (*map(load_target, ("eyeriss", "raspberry-pi-4", "bit-fusion")), tabled)


def synthetic_graph(ops: int = SYNTHETIC_OPS, seed: int = 0) -> Graph:
    """Return a graph of residual blocks in which hardly two convolutions have the same shape, so that no cache of shapes helps."""
    r = random.Random(seed)
    consts: list[Const] = []
    found: list[Op] = []

    def weights(*shape: int) -> str:
        name = f"w{len(consts)}"
        type_ = TensorType(DType.F32, shape)
        nbytes = 4 * (type_.elements or 0)
        consts.append(Const(name, type_, BlobRef(hashlib.sha256(name.encode()).hexdigest(), nbytes, lambda: np.zeros(nbytes, np.uint8))))
        return name

    def add(kind: str, inputs: tuple[str, ...], shape: tuple[int, ...], **attrs: AttrValue) -> str:
        name = f"{kind}{len(found)}"
        found.append(Op((name,), kind, inputs, Attrs.of(attrs), (TensorType(DType.F32, shape),)))
        return name

    channels, value = 3, "x"
    while len(found) < ops - 3:
        height, width, filters = r.randint(7, 112), r.randint(7, 112), r.randint(8, 512)
        image = (1, filters, height, width)
        value = add("resize", (value,), (1, channels, height, width), mode="nearest")
        skip = add("conv", (value, weights(filters, channels, 1, 1), weights(filters)), image)
        value = add("conv", (value, weights(filters, channels, 3, 3), weights(filters)), image, pads=(1, 1, 1, 1))
        value = add("conv", (value, weights(filters, 1, 3, 3)), image, group=filters, pads=(1, 1, 1, 1))
        value = add("add", (value, skip), image)
        value = add("relu", (value,), image)
        channels = filters
    value = add("global_average_pool", (value,), (1, channels, 1, 1))
    value = add("flatten", (value,), (1, channels))
    value = add("gemm", (value, weights(channels, 1000), weights(1000)), (1, 1000))
    return Graph("main", (("", 21),), (Value("x", TensorType(DType.F32, (1, 3, 224, 224))),), tuple(consts), tuple(found), (value,))


@click.command()
def costs() -> None:
    """Time cost tables; fails where one takes longer than its goal."""
    module = autosplitc.compile(MODEL, network="3mbps", passes="simplify").module
    cloud = load_target("tpu")
    rows: list[tuple[str, ...]] = []
    slow: list[str] = []
    for name, graph in ((MODEL, module.main), ("2,000 ops", synthetic_graph())):
        views = [view(graph, op) for op in graph.ops]
        for edge in edge_targets():
            tables_ms = _least_ms(lambda edge=edge, views=views: [edge.cost(op) for op in views])
            pass_ms = _least_ms(lambda edge=edge, graph=graph: estimate(graph, edge, cloud, {}))
            rows.append((f"{name} on {edge.name}", str(len(graph.ops)), f"{tables_ms:.1f}", f"{pass_ms:.1f}", f"{GOAL_MS[name]:.0f}"))
            if pass_ms > GOAL_MS[name]:
                slow.append(rows[-1][0])
    click.echo(table(("", "ops", "tables ms", "pass ms", "goal ms"), rows))
    if slow:
        raise click.ClickException(f"slower than the goal: {', '.join(slow)}")


def _least_ms(run: Callable[[], object]) -> float:
    """Return the least time of several runs: what else the machine does only adds to it."""
    found: list[float] = []
    for _ in range(RUNS):
        started_s = time.perf_counter()
        run()
        found.append(time.perf_counter() - started_s)
    return 1e3 * min(found)


if __name__ == "__main__":
    costs()
