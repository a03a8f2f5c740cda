"""The working set over time against a simulation that allocates and frees one buffer after the other, on random small graphs."""

from __future__ import annotations

import random
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from autosplitc.ir import Attrs, DType, Graph, Op, TensorType, Value
from autosplitc.passes.liveness import liveness_of
from autosplitc.passes.planner import (
    NONE,
    Limits,
    Link,
    Operand,
    OpItem,
    Problem,
    Sequential,
    buffers,
    lifetimes,
    live_sets,
    live_values,
    prefix,
    undominated,
)
from autosplitc.passes.planner import Value as PlanValue

SEEDS = st.integers(0, 10**9)


@dataclass(frozen=True)
class Run:
    """A random program: what every op reads and makes, inputs, outputs, and the value whose memory a value shares (NONE: its own)."""

    reads: tuple[tuple[int, ...], ...]
    makes: tuple[tuple[int, ...], ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    alias: tuple[int, ...]
    sizes: tuple[int, ...]


def random_run(seed: int) -> Run:
    """Return a program with parallel edges, several results, aliases of aliases, values that nobody reads and inputs that nobody reads."""
    r = random.Random(seed)
    alias = [NONE] * r.randint(1, 3)
    inputs = tuple(range(len(alias)))
    reads: list[tuple[int, ...]] = []
    makes: list[tuple[int, ...]] = []
    sizes = [r.randint(1, 50) for _ in alias]
    for _ in range(r.randint(1, 8)):
        source = r.randrange(len(alias))
        if r.random() < 0.3:
            reads.append((source,))
            makes.append((len(alias),))
            alias.append(source)
            sizes.append(sizes[source])
            continue
        read = (source, source) if r.random() < 0.2 else (source, *(r.randrange(len(alias)) for _ in range(r.randint(0, 2))))
        reads.append(read)
        made = tuple(range(len(alias), len(alias) + r.choice((1, 1, 2))))
        makes.append(made)
        alias += [NONE] * len(made)
        sizes += [r.randint(1, 50) for _ in made]
    count = len(alias)
    outputs = tuple(v for v in range(len(inputs), count) if r.random() < 0.2)
    return Run(tuple(reads), tuple(makes), inputs, outputs, tuple(alias), tuple(sizes))


def simulated(run: Run, position: int) -> list[int]:
    """Return the memory in use while each of the first `position` ops runs and, last, after them, with a reference count a buffer.

    What ops behind `position` read, and outputs made before, stays.
    """
    used_later = {v for read in run.reads[position:] for v in read}
    made = {v for group in run.makes[:position] for v in group} | set(run.inputs)

    def buffer(v: int) -> int:
        return v if run.alias[v] == NONE else buffer(run.alias[v])

    count: dict[int, int] = {}
    for v in made:
        uses = sum(v in read for read in run.reads[:position]) + (v in used_later) + (v in run.outputs)
        count[buffer(v)] = count.get(buffer(v), 0) + uses
    held = {buffer(v) for v in run.inputs if count[buffer(v)]}
    found: list[int] = []
    for read, group in zip(run.reads[:position], run.makes[:position], strict=True):
        held |= {buffer(v) for v in group}
        found.append(sum(run.sizes[b] for b in held))
        for v in set(read):
            count[buffer(v)] -= 1
        held = {b for b in held if count[b]}
    return [*found, sum(run.sizes[b] for b in held)]


def owners(run: Run) -> dict[int, int]:
    """Return for every alias the value at the end of its chain."""
    found: dict[int, int] = {}
    for v, source in enumerate(run.alias):
        if source != NONE:
            found[v] = found.get(source, source)
    return found


def problem_of(run: Run) -> Problem:
    """Return a problem of float ops with these values, one bit an element, so that the working set is a sum of sizes."""
    owner = owners(run)
    values = tuple(
        PlanValue(f"v{i}", size, 1, alias_of=owner.get(i, NONE), is_input=i in run.inputs, is_output=i in run.outputs)
        for i, size in enumerate(run.sizes)
    )
    table = ((0,) * 9,) * 9
    ops = tuple(
        OpItem(str(i), tuple(map(Operand, read)), tuple(map(Operand, made)), on_codes=False, mac=(NONE, NONE), compute_ns=table,
               traffic_ns=table[: len(read) + len(made)], cloud_ns=0)
        for i, (read, made) in enumerate(zip(run.reads, run.makes, strict=True))
    )
    return Problem(values, (), (), (), ops, Link(1, 0), Limits(0), overlap=False, packed=True)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(seed=SEEDS)
def test_every_prefix_holds_what_the_simulation_holds(seed: int) -> None:
    run = random_run(seed)
    problem = problem_of(run)
    for position in range(len(run.reads) + 1):
        live = live_values(problem, prefix(problem, position))
        assert [sum(run.sizes[v] for v in step) for step in live] == simulated(run, position)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(seed=SEEDS)
def test_undominated_steps_have_the_peak_whatever_the_sizes(seed: int) -> None:
    run = random_run(seed)
    r = random.Random(seed + 1)
    sequence = Sequential(run.reads, run.makes, run.inputs, run.outputs)
    sets = live_sets(buffers(lifetimes(sequence), owners(run)), len(run.reads))
    kept = undominated(sets)
    for _ in range(5):
        sizes = [r.randint(0, 50) for _ in run.sizes]
        totals = [sum(sizes[v] for v in live) for live in sets]
        assert max(totals[step] for step in kept) == max(totals)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(seed=SEEDS)
def test_the_fact_has_the_working_set_of_the_whole_graph(seed: int) -> None:
    run = random_run(seed)
    graph = graph_of(run)
    fact = liveness_of(graph)
    whole = simulated(run, len(run.reads))[:-1]
    assert [step.working_set_bytes for step in fact.steps] == whole
    assert (fact.peak_bytes, fact.peak_op) == (max(whole), graph.ops[whole.index(max(whole))].name)


def graph_of(run: Run) -> Graph:
    """Return a graph of bytes with this flow: `identity` where memory is shared, a node of no known kind elsewhere."""
    types = [TensorType(DType.U8, (size,)) for size in run.sizes]
    ops = tuple(
        Op(
            tuple(f"v{v}" for v in made),
            "onnx.test.Any" if run.alias[made[0]] == NONE else "identity",
            tuple(f"v{v}" for v in read),
            Attrs(),
            tuple(types[v] for v in made),
        )
        for read, made in zip(run.reads, run.makes, strict=True)
    )
    inputs = tuple(Value(f"v{v}", types[v]) for v in run.inputs)
    return Graph("main", (("", 21),), inputs, (), ops, tuple(f"v{v}" for v in run.outputs))
