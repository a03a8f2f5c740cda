"""Random planning problems, small enough for exhaustive search.

They have skip connections, shared weights, parallel edges, aliases, several results, cost tables over two operands, refusals, values that
the model holds as codes of its own, values made of constants alone, packing that takes time, and packets.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace

from autosplitc.passes.planner import (
    NONE,
    Cut,
    Figures,
    FixedConst,
    Group,
    Limits,
    Link,
    Operand,
    OpItem,
    Problem,
    Value,
    Weight,
    assignments,
    evaluate,
    prefix,
)

WIDTHS = ((2, 4), (2, 8), (4, 8), (2, 4, 8), (2, 6, 8), (4,))
WIRE_WIDTHS = ((2, 4), (1, 4), (4, 8), (2, 8), (1, 2, 8), (8,))
ROWS = 9
CONTAINERS = (2, 2, 4, 4, 8, 6, 8, 8)
FREE = ((0,) * ROWS,) * ROWS


def random_problem(seed: int, ops: int = 4, *, fewest: int = 2, pairwise: bool | None = None) -> Problem:
    """Return a problem of `fewest` to `ops` ops whose limits are loose; see `tightened`.

    pairwise: whether compute times depend on the widths of two operands, None: at times.
    """
    r = random.Random(seed)
    weights = tuple(
        Weight(f"w{i}", r.randint(1, 300), r.choice(WIDTHS), errors(r), 32 * r.randint(1, 4), CONTAINERS, r.randint(0, 300))
        for i in range(r.randint(1, 3))
    )
    constants = tuple(FixedConst(f"c{i}", 32 * r.randint(1, 20)) for i in range(2))
    values = [Value(f"x{i}", r.randint(1, r.choice((200, 2000))), 32, is_input=True) for i in range(r.choice((1, 1, 2)))]
    drawn = r.random() < 0.4
    pairwise = drawn if pairwise is None else pairwise
    items = [random_op(r, i, values, len(weights), pairwise=pairwise) for i in range(r.randint(fewest, ops))]
    values, groups = with_groups(r, values, items)
    values, items = with_given_codes(r, values, items)
    values = with_codec(r, with_packing(r, values))
    read = {v for op in items for v in op.reads}
    outputs = {i for i, v in enumerate(values) if i not in read or (not v.is_input and r.random() < 0.1)}
    values = [replace(v, is_output=i in outputs and not v.is_input) for i, v in enumerate(values)]
    limits = Limits(10**9, None, None, r.choice((None, 10**5)))
    return Problem(
        values=tuple(values),
        groups=groups,
        weights=weights,
        constants=constants,
        ops=tuple(items),
        link=random_link(r),
        limits=limits,
        overlap=r.random() < 0.4,
        packed=r.random() < 0.7,
        return_result=r.random() < 0.3,
        wire_exempt=r.random() < 0.2,
        constants_in_storage=r.random() < 0.2,
    )


def random_link(r: random.Random) -> Link:
    """Return a link with or without packets; some are so small that the payload fills many, some so that it fills one or two."""
    rate, fixed = r.choice((10**6, 10**7, 10**8)), r.choice((0, 50_000))
    if r.random() < 0.4:
        return Link(rate, fixed)
    return Link(rate, fixed, r.choice((1, 7, 20, 64, 150, 400)), r.choice((0, 3, 40)), r.choice((0, 1_000, 20_000, 300_000)))


def with_packing(r: random.Random, values: list[Value]) -> list[Value]:
    """Let what crosses as codes take time to pack and unpack, at times not even growing with the bits."""

    def times() -> tuple[int, ...]:
        base = r.choice((500, 20_000, 400_000))
        shape = r.random()
        if shape < 0.4:
            return ()
        return tuple(r.randint(0, base) if shape < 0.7 else base * (b + 1) // 8 for b in range(8))

    if r.random() < 0.3:
        return values
    return [replace(v, pack_ns=times(), unpack_ns=times()) for v in values]


def with_codec(r: random.Random, values: list[Value]) -> list[Value]:
    """Let some of what crosses as codes take fewer bytes through a codec, not always growing with the bits."""

    def sizes(value: Value) -> tuple[int, ...]:
        packed = [((value.elements or 0) * b + 7) // 8 for b in range(1, 9)]
        return tuple(max(1, r.randint(0, n)) for n in packed) if value.elements and value.wire_bits and r.random() < 0.6 else ()

    if r.random() < 0.6:
        return values
    return [replace(v, sent_bytes=sizes(v)) for v in values]


def errors(r: random.Random) -> tuple[int, ...]:
    """Return errors that fall with the bits, not always strictly."""
    top = r.randint(10, 10**6)
    return tuple(top // r.choice((3, 4)) ** b + r.randint(0, 3) for b in range(8))


def random_op(r: random.Random, number: int, values: list[Value], weights: int, *, pairwise: bool) -> OpItem:
    """Return an op that reads earlier values; what it makes is added to `values`. Its kind stands in `on_codes` and its name."""
    kind = r.choice(("mac", "mac", "mac", "mac", "product", "add", "same", "alias", "float"))
    reads = [r.randrange(max(0, len(values) - 3), len(values)) for _ in range(2 if kind in ("product", "add") else 1)]
    results = 2 if kind in ("same", "float") and r.random() < 0.3 else 1
    first = len(values)
    for j in range(results):
        source = values[reads[0]]
        is_number = source.width_bits if kind in ("same", "alias") else 64 if kind == "float" and r.random() < 0.2 else 32
        elements = source.elements if kind == "alias" else None if kind == "float" and r.random() < 0.05 else r.randint(1, 200)
        owner = source.alias_of if source.alias_of != NONE else reads[0]
        values.append(Value(f"v{number}.{j}", elements, is_number, alias_of=owner if kind == "alias" else NONE))
    numbers = all(values[v].width_bits == 32 for v in (*reads, first))
    on_codes = kind in ("mac", "product", "add") and numbers
    inputs = [Operand(v) for v in reads] + ([Operand(weight=r.randrange(weights)), Operand()] if kind == "mac" else [])
    made = tuple(Operand(first + j) for j in range(results))
    free = kind == "alias" and r.random() < 0.7
    mac = (0, 1) if on_codes and kind in ("mac", "product") else (0, NONE) if on_codes or kind in ("same", "alias") else (NONE, NONE)
    return OpItem(
        name=f"{kind}.{number}",
        inputs=tuple(inputs),
        results=made,
        on_codes=on_codes,
        mac=mac,
        compute_ns=FREE if free else compute_table(r, pairwise=pairwise),
        traffic_ns=tuple(FREE[0] if free else traffic_row(r) for _ in range(len(inputs) + results)),
        cloud_ns=0 if free else r.randint(0, r.choice((5_000, 200_000))),
        constants=(r.randrange(2),) if r.random() < 0.5 else (),
        refusal="no" if r.random() < 0.02 else "",
        file_bits=r.randint(0, 500),
    )


def compute_table(r: random.Random, *, pairwise: bool) -> tuple[tuple[int, ...], ...]:
    """Return a constant table, or one that depends on both widths, at times not even growing with them."""
    base = r.randint(0, 30_000)
    if not pairwise:
        return ((base,) * ROWS,) * ROWS
    if r.random() < 0.3:
        return tuple(tuple(r.randint(0, base) for _ in range(ROWS)) for _ in range(ROWS))
    return tuple(tuple(base * (i + 1) * (j + 1) // 64 for j in range(ROWS)) for i in range(ROWS))


def traffic_row(r: random.Random) -> tuple[int, ...]:
    """Return times that grow with the bits, or any times at all."""
    base = r.randint(0, 3_000)
    return tuple(r.randint(0, base) if base % 5 == 0 else base * (b + 1) for b in range(ROWS))


def with_groups(r: random.Random, values: list[Value], items: Iterable[OpItem]) -> tuple[list[Value], tuple[Group, ...]]:
    """Give values their quantisers as roles do: made or wanted by an op on codes; ops that pass codes through share the source's."""
    ops = list(items)
    wanted: set[int] = set()
    for op in reversed(ops):
        if op.on_codes:
            wanted.update(op.reads)
        elif op.name.startswith(("same", "alias")) and any(v in wanted for v in op.makes):
            wanted.add(op.reads[0])
    root: dict[int, int] = {i: i for i, v in enumerate(values) if v.is_input and i in wanted}
    for op in ops:
        source = op.reads[0]
        passes = op.name.startswith(("same", "alias")) and source in root
        for v in op.makes:
            if values[v].width_bits != 32:
                continue
            if passes:
                root[v] = root[source]
            elif op.on_codes or v in wanted:
                root[v] = v
    roots = tuple(dict.fromkeys(root.values()))
    groups = tuple(
        Group(values[g].name, (8,), (0,) * 8) if values[g].is_input else Group(values[g].name, r.choice(WIDTHS), errors(r)) for g in roots
    )
    found: list[Value] = []
    for i, v in enumerate(values):
        raw = v.width_bits == 32 and values[v.alias_of if v.alias_of != NONE else i].is_input
        crosses = v.width_bits == 32 and r.random() < 0.9
        noise = tuple(tuple(0 if a == w else r.randint(0, 10**6 // 3**w) for w in range(8)) for a in range(ROWS))
        wire_bits = (8,) if raw else r.choice(WIRE_WIDTHS) if crosses else ()
        group = roots.index(root[i]) if i in root else NONE
        found.append(replace(v, group=group, raw=raw, wire_bits=wire_bits, wire_error=() if raw else noise))
    return found, groups


def with_given_codes(r: random.Random, values: list[Value], items: list[OpItem]) -> tuple[list[Value], list[OpItem]]:
    """Let some values without a quantiser of ours be codes of the model, with own memory or none, and some not depend on inputs."""
    share = r.choice((0.0, 0.5, 1.0))
    found: list[Value] = []
    for value in values:
        constant = not value.is_input and r.random() < 0.3 * share
        if value.group == NONE and value.width_bits == 32 and r.random() < share:
            bits = r.choice((2, 4, 8))
            value = replace(value, given_bits=bits, memory_bits=r.choice((0, bits, bits)))
        found.append(replace(value, constant=constant))
    ops: list[OpItem] = []
    for op in items:
        given = [i if o.value != NONE and found[o.value].given_bits else NONE for i, o in enumerate(op.inputs[:2])]
        first, second = (*given, NONE)[:2]
        ops.append(op if op.on_codes or op.mac != (NONE, NONE) else replace(op, mac=(first, second)))
    return found, ops


def _some_figures(problem: Problem, cuts: Iterable[Cut], r: random.Random) -> list[Figures]:
    """Return the figures of some assignments of cuts."""
    found: list[Figures] = []
    for cut in cuts:
        some = [] if cut.refusal else list(assignments(problem, cut))
        found += [evaluate(problem, cut, r.choice(some)) for _ in range(5) if some]
    return found


def tightened(problem: Problem, seed: int, cuts: Iterable[Cut] | None = None) -> Problem:
    """Return the problem with limits taken from random plans of cuts, so that they bind: tight, loose or none for each of the three.

    cuts: all prefixes unless given.
    """
    r = random.Random(seed)
    some = _some_figures(problem, (prefix(problem, p) for p in range(len(problem.ops) + 1)) if cuts is None else cuts, r)
    if not some or r.random() < 0.25:
        return problem

    def level(values: list[int]) -> int:
        low, high = min(values), max(values)
        return low + int((high - low) * r.choice((0.0, 0.2, 0.4, 0.7, 1.0)))

    tensor = problem.limits.tensor_error
    ram = level([f.ram_bits for f in some])
    storage = level([f.storage_bits for f in some]) if r.random() < 0.3 else None
    error = level([f.error for f in some]) if tensor is None and r.random() < 0.8 else None
    return replace(problem, limits=Limits(ram, storage, error, tensor))
