"""Walks a graph op by op over samples, with every value as the float model has it and as a quantised edge holds it.

Passes that round weights look at each layer's inputs on the way and say what its weights become. Values are dropped after their last
reader, so memory holds what is alive at one place; `runs_that_fit` says for how many runs that is enough.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import Attrs, Const, Graph, Op, TensorType, Value, at_batch_one, blob_from_array, fresh_name, pre_activation

from .base import Data, Progress, Silent
from .execute import load
from .feeds import Feed, feeds_of
from .quantize.affine import Affine, fake_quantize

Runs: TypeAlias = list[NDArray[Any]]
"""A value in every run."""

SILENT = Silent()

LIVE_BYTES = 1 << 30
"""Values that are alive at one place of a walk take at most so many bytes."""


@dataclass(frozen=True, slots=True)
class Codes:
    """How the edge holds values: quantiser of a value's own codes by name, and that before a fused activation by op."""

    affine: Mapping[str, Affine]
    inner: Mapping[str, Affine]


@dataclass(frozen=True, slots=True, eq=False)
class Rounds:
    """What an op's weights and bias become: arrays in the constants' shapes; `bias` None leaves it as it is."""

    weights: NDArray[np.float32]
    bias: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True)
class Inputs:
    """The first input of an op in every run: of the float model, and as the edge holds it."""

    exact: Runs
    held: Runs


OnLayer: TypeAlias = Callable[[Op, Inputs], "Rounds | None"]
"""Looks at a layer on the way; what it returns is what the edge computes with from here on."""


@dataclass
class _State:
    """Values that are alive. `held` lacks those that are the same as in the float model."""

    exact: dict[str, Runs] = field(default_factory=dict[str, Runs])
    held: dict[str, Runs] = field(default_factory=dict[str, Runs])

    def of_edge(self, name: str) -> Runs:
        return self.held.get(name) or self.exact[name]

    def drop(self, name: str) -> None:
        self.exact.pop(name, None)
        self.held.pop(name, None)


def walk(
    graph: Graph,
    feeds: Sequence[Feed],
    codes: Codes,
    layers: Mapping[str, OnLayer],
    progress: Progress = SILENT,
    ops: Sequence[Op] | None = None,
) -> None:
    """Walk the ops of a graph, or the first of them, up to the last of `layers`, and call each layer's function with its inputs.

    Raises CompileError AS323, AS324 where an op does not run.
    """
    order = list(graph.ops if ops is None else ops)
    last = max((i for i, op in enumerate(order) if op.name in layers), default=-1)
    order = order[: last + 1]
    readers = Counter(name for op in order for name in dict.fromkeys(op.inputs))
    state = _State()
    for name in graph.input:
        if readers[name]:
            state.exact[name] = [np.asarray(feed[name]) for feed in feeds]
            _hold(state, name, state.exact[name], codes)
    for op in progress.track(order, "round weights", len(order)):
        rounds = layers[op.name](op, _inputs(state, op)) if op.name in layers else None
        _step(graph, op, state, codes, rounds, len(feeds))
        for name in dict.fromkeys(op.inputs):
            readers[name] -= 1
            if not readers[name]:
                state.drop(name)
        for name in op.results:
            if not readers[name]:
                state.drop(name)


def _inputs(state: _State, op: Op) -> Inputs:
    return Inputs(state.exact[op.inputs[0]], state.of_edge(op.inputs[0]))


def _step(graph: Graph, op: Op, state: _State, codes: Codes, rounds: Rounds | None, count: int) -> None:
    """Compute an op's results in both worlds; one is enough where nothing before it or in it is quantised."""
    names = [r for r in op.results if r]
    inputs = [name for name in dict.fromkeys(op.inputs) if name and not graph.is_const(name)]
    exact = _run(graph, op, names, [{name: state.exact[name][i] for name in inputs} for i in range(count)])
    state.exact.update(exact)
    if rounds is None and op.name not in codes.inner and not any(name in state.held for name in inputs):
        held = exact
    else:
        feeds = [{name: state.of_edge(name)[i] for name in inputs} for i in range(count)]
        held = _run_on_edge(graph, op, names, feeds, codes, rounds)
        state.held.update(held)
    for name in names:
        _hold(state, name, held[name], codes)


def _hold(state: _State, name: str, values: Runs, codes: Codes) -> None:
    if name in codes.affine:
        state.held[name] = [fake_quantize(value, codes.affine[name]) for value in values]


def _run_on_edge(graph: Graph, op: Op, names: list[str], feeds: Sequence[Feed], codes: Codes, rounds: Rounds | None) -> dict[str, Runs]:
    local, changed = _with_rounds(graph, op, rounds)
    if op.name not in codes.inner:
        return _run(local, changed, names, feeds)
    before = pre_activation(local, changed)
    plain = _run(local, changed, [before], feeds)[before]
    inner = [{before: fake_quantize(value, codes.inner[op.name])} for value in plain]
    return _activate(graph, op, before, inner)


def _activate(graph: Graph, op: Op, before: str, feeds: Sequence[Feed]) -> dict[str, Runs]:
    """Apply an op's fused activation alone: that of an addition of zero."""
    zero = Const(fresh_name({before, op.result}, "zero"), TensorType(op.type.dtype, ()), blob_from_array(np.zeros((), np.float32)))
    act = Attrs.of({k: v for k, v in op.attrs.items() if k.startswith("act")})
    alone = Op(op.results, "add", (before, zero.name), act, op.types, op.loc)
    local = replace(graph, inputs=(Value(before, op.type),), consts=(zero,), ops=(alone,), outputs=(op.result,))
    return _run(local, alone, [op.result], feeds)


def _with_rounds(graph: Graph, op: Op, rounds: Rounds | None) -> tuple[Graph, Op]:
    """Return the graph and op with rounded weights and bias in place of the model's."""
    if rounds is None:
        return graph, op
    new = {op.inputs[1]: rounds.weights}
    inputs = op.inputs
    if rounds.bias is not None:
        if len(inputs) < 3 or not inputs[2]:
            inputs = (*inputs[:2], fresh_name(graph.types, f"{op.name}.bias"))
        new[inputs[2]] = rounds.bias
    made = tuple(Const(name, TensorType(op.type.dtype, a.shape), blob_from_array(a.astype(np.float32))) for name, a in new.items())
    kept = tuple(c for c in graph.consts if c.name not in new)
    return replace(graph, consts=(*kept, *made)), replace(op, inputs=inputs)


def _run(graph: Graph, op: Op, names: list[str], feeds: Sequence[Feed]) -> dict[str, Runs]:
    """Run one op alone on every feed."""
    read = set(op.inputs)
    inputs = tuple(Value(name, graph.type_of(name)) for name in dict.fromkeys(op.inputs) if name and not graph.is_const(name))
    consts = tuple(c for c in graph.consts if c.name in read)
    outputs = tuple(r for r in op.results if r)
    local = replace(graph, inputs=inputs, consts=consts, ops=(op,), outputs=outputs)
    execution = load(local, names)
    found: dict[str, Runs] = {name: [] for name in names}
    for feed in feeds:
        for name, value in execution.run(feed).items():
            found[name].append(value)
    return found


def runs_that_fit(graph: Graph, most: int) -> int:
    """Return how many runs a walk can hold in both worlds: at least one, at most `most`."""
    last = {name: i for i, op in enumerate(graph.ops) for name in op.inputs}
    size = {name: (at_batch_one(t).elements or 0) * t.dtype.bits // 8 for name, t in graph.types.items() if not graph.is_const(name)}
    live = sum(size[name] for name in graph.input)
    peak = live
    for i, op in enumerate(graph.ops):
        live += sum(size[r] for r in op.results if r)
        peak = max(peak, live)
        live -= sum(size[name] for name in {*op.inputs, *op.results} if name in size and last.get(name, i) == i)
    return max(1, min(most, LIVE_BYTES // max(1, 2 * peak)))


def spread_feeds(graph: Graph, data: Data, wanted: int) -> list[Feed]:
    """Return at most `wanted` runs of the data, evenly spaced."""
    batch = max((v.type.shape[0] for v in graph.inputs if v.type.shape and isinstance(v.type.shape[0], int)), default=1)
    runs = max(1, data.samples // max(1, batch))
    return list(islice(_every(feeds_of(graph, data.batches()), runs, min(wanted, runs)), wanted))


def _every(feeds: Iterator[Feed], runs: int, wanted: int) -> Iterator[Feed]:
    taken = 0
    for run, feed in enumerate(feeds):
        if run * wanted >= taken * runs:
            taken += 1
            yield {name: np.array(array) for name, array in feed.items()}
