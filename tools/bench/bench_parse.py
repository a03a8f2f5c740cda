"""Times printing and parsing of a text with 1,000 ops and every fact filled.

Run with `python -m autosplitc.bench.bench_parse [ops] [plans]`; prints medians of five runs in seconds. The goal is 1.5 s for parsing.
"""

from __future__ import annotations

import random
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

from autosplitc.ir import (
    ArrayRef,
    Attrs,
    BlobStore,
    Const,
    DType,
    Fact,
    Graph,
    Loc,
    Module,
    Op,
    TensorType,
    Value,
    blob_from_array,
    parse_module,
    print_module,
)
from autosplitc.passes import (
    FACT_TYPES,
    Choice,
    Costs,
    Liveness,
    LiveRange,
    NamedBits,
    OpCosts,
    OutputPlace,
    Plan,
    Ranges,
    Request,
    SeenSize,
    Sensitivity,
    Solutions,
    Split,
    Splits,
    Step,
    TensorError,
    ValueRange,
    WireLayout,
    WireTensor,
)

_FEATURES = TensorType(DType.F32, ("N", 64, 56, 56))
_WEIGHTS = TensorType(DType.F32, (64, 64, 3, 3))


def main() -> None:
    """Print the figures."""
    ops = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    plans = int(sys.argv[2]) if len(sys.argv) > 2 else 66
    module = sample_module(ops, plans)
    text = print_module(module)
    blobs = BlobStore.of(module)
    print(f"{ops} ops, {len(module.facts)} facts, {plans} plans: {text.count(chr(10))} lines, {len(text) / 1e6:.2f} MB")
    print(f"print        {_median_s(lambda: print_module(module)):.3f} s")
    first_s = _once_s(lambda: parse_module("autosplitc ir 1", blobs=blobs, fact_types=FACT_TYPES))
    print(f"load grammar {first_s:.3f} s (once a process)")
    print(f"parse        {_median_s(lambda: parse_module(text, blobs=blobs, fact_types=FACT_TYPES)):.3f} s")
    without = print_module(Module(module.graphs))
    print(f"  graph only {_median_s(lambda: parse_module(without, blobs=blobs, fact_types=FACT_TYPES)):.3f} s")
    if parse_module(text, blobs=blobs, fact_types=FACT_TYPES) != module:
        sys.exit("what was parsed differs from what was printed")


def _once_s(action: Callable[[], object]) -> float:
    start_s = time.perf_counter()
    action()
    return time.perf_counter() - start_s


def _median_s(action: Callable[[], object]) -> float:
    return statistics.median(_once_s(action) for _ in range(5))


def sample_module(ops: int, plans: int) -> Module:
    """Return a module with a chain of `ops` ops, half of them convolutions with weights and bias, and one fact of every type."""
    graph = _graph(ops)
    rng = random.Random(0)
    return Module((graph,), tuple(_facts(graph, plans, rng)))


def _graph(count: int) -> Graph:
    consts: list[Const] = []
    ops: list[Op] = []
    last = "images"
    for i in range(count):
        name, loc = f"backbone/stage{i % 4}/block{i}/Output:0", Loc((f"/backbone/block{i}/Conv",))
        if i % 2:
            ops.append(Op((name,), "add", (last, ops[-2].name if i > 2 else last), Attrs.of(act="relu"), (_FEATURES,), loc))
        else:
            weights, bias = f"backbone.{i}.weight", f"backbone.{i}.bias"
            consts.append(Const(weights, _WEIGHTS, blob_from_array(np.full((64, 64, 3, 3), i, np.float32)), Loc((weights,))))
            consts.append(Const(bias, TensorType(DType.F32, (64,)), blob_from_array(np.full(64, i, np.float32)), Loc((bias,))))
            attrs = Attrs.of(act="relu", dilations=(1, 1), group=1, kernel_shape=(3, 3), pads=(1, 1, 1, 1), strides=(1, 1))
            ops.append(Op((name,), "conv", (last, weights, bias), attrs, (_FEATURES,), loc))
        last = name
    return Graph("main", (("", 21),), (Value("images", _FEATURES),), tuple(consts), tuple(ops), (last,))


def _facts(graph: Graph, plans: int, rng: random.Random) -> list[Fact]:
    main, values = graph.name, ["images", *(op.name for op in graph.ops)]
    weights = [c.name for c in graph.consts if c.name.endswith("weight")]
    errors = [TensorError(n, tuple(rng.random() for _ in range(8)), tuple(rng.random() for _ in range(8))) for n in (*weights, *values)]
    table = ArrayRef(TensorType(DType.F64, (len(values), 64)), blob_from_array(np.zeros((len(values), 64))))
    live = tuple(LiveRange(v, i - 1, i + 1, 200704, "") for i, v in enumerate(values))
    steps = tuple(Step(op.name, rng.randrange(10**7)) for op in graph.ops)
    costs = tuple(OpCosts(op.name, rng.randrange(10**9), True, rng.random() / 1e3, "compute", 3 * i, 3) for i, op in enumerate(graph.ops))
    splits = tuple(Split(i, v, (v,), rng.randrange(10**6), rng.randrange(10**7), i % 2 == 0) for i, v in enumerate(values))
    solutions = tuple(_plan(rng, weights, values, i, plans) for i in range(plans))
    wire = WireTensor(values[-1], "u4", (1, 64, 56, 56), 4, 0.02, 7, 0, 100352)
    return [
        Request("", "zoo:sample", "0" * 64, "eyeriss", "tpu", "3mbps"),
        Ranges(main, True, 256, tuple(ValueRange(v, -rng.random(), rng.random(), -1.0, 1.0, i) for i, v in enumerate(values)),
               (SeenSize(values[0], 9),), table),
        Sensitivity(main, tuple(errors[: len(weights)]), tuple(errors[len(weights) :]), table),
        Liveness(main, live, steps, 10**7, values[1]),
        Costs(main, 1e9, False, costs, table, table),
        Splits(main, splits),
        Solutions(main, solutions),
        Choice(main, 1, "the fastest plan that meets every constraint"),
        WireLayout(main, "payload", 100352, (wire,), (OutputPlace(values[-1], "cloud", values[-1]),)),
    ]


def _plan(rng: random.Random, weights: list[str], values: list[str], index: int, plans: int) -> Plan:
    """A plan whose cut lies at `index / plans` of the graph."""
    position = len(values) * index // plans
    edge_weights = tuple(NamedBits(n, rng.choice((2, 4, 8))) for n in weights[: position // 2])
    edge_values = tuple(NamedBits(n, rng.choice((2, 4, 8))) for n in values[:position])
    return Plan("split", position, values[position], rng.random(), rng.random(), rng.random(), rng.randrange(10**6), 10**6, 10**6,
                rng.random(), "optimal", 0.0, True, (), edge_weights, edge_values, edge_values[-1:])


if __name__ == "__main__":
    main()
