"""What shares a quantiser, and every way in which the ops that touch it can be parted between edge and cloud.

A holder is an activation group, or a value in none. Which of its bits cost what depends on the cut only through the ops that make or read
its values, and those are few; so its cost can be tabulated over all closed sets of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .prefix_bounds import op_parts
from .problem import NONE, Operand, Problem

COLUMNS = 9
"""Columns over bit-widths: 1..8 bits, and float."""

FLOAT = COLUMNS - 1

MOST_WAYS = 256
"""Ways to part the ops of a holder; where there are more, it is bounded piece by piece."""

Row = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Way:
    """One way of parting: the ops of the holder on the edge, and what its cost is made of.

    columns: widths that the quantiser may have, FLOAT alone where there is none. rows: times of the edge's ops at each width. wired:
    values that cross and are held by the quantiser; sent: values whose one quantiser is the wire. raw_ns: what crosses at no choice.
    crossing: all values that cross.
    """

    inside: frozenset[int]
    active: bool
    columns: tuple[int, ...]
    rows: Row
    wired: tuple[int, ...]
    sent: tuple[int, ...]
    raw: tuple[int, ...]
    crossing: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Holder:
    """A group (`index`) or, where that is NONE, the value `members` names. ops: those that touch it, in order. rows: their times by width.
    making: for each member that an op makes the time that it takes for that.

    root: the op without which nothing of it is on the edge, NONE where a graph input is a member. ways: all ways, by ascending number of
    ops, the last with all of them; empty where there are too many.
    """

    index: int
    members: tuple[int, ...]
    ops: tuple[int, ...]
    root: int
    rows: Mapping[int, Row]
    making: Mapping[int, Row]
    ways: tuple[Way, ...]


def holders(problem: Problem, before: Sequence[int], barred: int) -> list[Holder]:
    """Return the holders of all values that ops touch. before: for each op the mask of those it depends on. barred: mask of the cloud's."""
    members: dict[tuple[str, int], list[int]] = {}
    for v, value in enumerate(problem.values):
        if v in problem.producer or (value.is_input and problem.readers[v]):
            members.setdefault(("value", v) if value.group == NONE else ("group", value.group), []).append(v)
    times = _times(problem)
    return [
        _holder(problem, index if kind == "group" else NONE, values, times, before, barred) for (kind, index), values in members.items()
    ]


def _times(problem: Problem) -> dict[tuple[int, int], Row]:
    """Return the time of each op by the width of each value that it touches."""
    found: dict[tuple[int, int], Row] = {}
    for i, op in enumerate(problem.ops):
        for operand, row in op_parts(problem, op):
            if operand.value != NONE:
                known = found.get((i, operand.value), (0,) * COLUMNS)
                found[i, operand.value] = tuple(a + b for a, b in zip(known, row, strict=True))
    return found


def _holder(
    problem: Problem, index: int, members: list[int], times: Mapping[tuple[int, int], Row], before: Sequence[int], barred: int
) -> Holder:
    makers = {problem.producer[v] for v in members if v in problem.producer}
    touching = sorted(makers | {r for v in members for r in problem.readers[v]})
    ops = tuple(i for i in touching if not barred >> i & 1)
    rows = {i: _added([times.get((i, v), (0,) * COLUMNS) for v in members]) for i in ops}
    given = any(v not in problem.producer for v in members)
    sets = _closed_subsets(ops, before)
    root = NONE if given or not ops or ops[0] not in makers or any(s and ops[0] not in s for s in sets or ()) else ops[0]
    shape = (problem, index, tuple(members), times)
    ways = tuple(_way(*shape, frozenset(s)) for s in sets) if sets is not None and (given or root != NONE) else ()
    making = {v: times[problem.producer[v], v] for v in members if (problem.producer.get(v, NONE), v) in times}
    return Holder(index, tuple(members), ops, root, rows, making, ways)


def _closed_subsets(ops: tuple[int, ...], before: Sequence[int]) -> list[tuple[int, ...]] | None:
    """Return the subsets of `ops` that hold what their ops depend on, by size; None where there are too many."""
    found: list[tuple[int, ...]] = [()]
    for i in ops:
        needs = frozenset(j for j in ops if before[i] >> j & 1)
        found += [(*s, i) for s in found if needs.issubset(s)]
        if len(found) > MOST_WAYS:
            return None
    return sorted(found, key=lambda s: (len(s), s))


def _way(problem: Problem, index: int, members: tuple[int, ...], times: Mapping[tuple[int, int], Row], inside: frozenset[int]) -> Way:
    present = [v for v in members if v not in problem.producer or problem.producer[v] in inside]
    values = problem.values
    crossing = [v for v in present if not values[v].constant and any(r not in inside for r in problem.readers[v])]
    sent = [v for v in crossing if _only_sent(problem, v, inside)]
    held = [v for v in present if v not in sent]
    active = index != NONE and any(_on_codes(problem, v, inside) for v in held)
    columns = tuple(b - 1 for b in problem.groups[index].bits) if active else (FLOAT,)
    if active:
        rows = _added([times.get((i, v), (0,) * COLUMNS) for i in inside for v in held])
    else:
        fixed = sum(times[i, v][values[v].given_bits - 1] for i in inside for v in held if (i, v) in times)
        rows = (fixed,) * COLUMNS
    wired = [v for v in crossing if v not in sent and values[v].wire_bits]
    raw = [v for v in crossing if not values[v].wire_bits]
    return Way(inside, active, columns, rows, tuple(wired), tuple(sent), tuple(raw), tuple(crossing))


def _only_sent(problem: Problem, value: int, inside: frozenset[int]) -> bool:
    """Whether a crossing value is made as codes that nothing on the edge looks at: its one quantiser has wire bits (see `cut`)."""
    item, maker = problem.values[value], problem.producer.get(value)
    born_as_codes = maker is None or problem.ops[maker].on_codes
    return bool(item.wire_bits) and born_as_codes and not item.is_output and not any(r in inside for r in problem.readers[value])


def _on_codes(problem: Problem, value: int, inside: frozenset[int]) -> bool:
    maker = problem.producer.get(value)
    made = maker is not None and problem.ops[maker].on_codes
    return made or any(r in inside and problem.ops[r].on_codes for r in problem.readers[value])


def _added(rows: Sequence[Row]) -> Row:
    return tuple(map(sum, zip(*rows, strict=True))) if rows else (0,) * COLUMNS


def least_bits(problem: Problem, value: int) -> int:
    """Return the fewest bits that an element of a value takes in memory on any cut."""
    item = problem.values[value]
    group = problem.groups[item.group].bits if item.group != NONE else ()
    return min([item.own_bits, *(problem.resident_bits(b) for b in (*group, *item.wire_bits))])


def weight_parts(problem: Problem) -> list[tuple[int, int, Row]]:
    """Return (op, weight, times of the op by the weight's width)."""
    found: dict[tuple[int, int], Row] = {}
    for i, op in enumerate(problem.ops):
        found.update({(i, w): (0,) * COLUMNS for w in op.weights})
        for operand, row in op_parts(problem, op):
            if operand.weight != NONE:
                found[i, operand.weight] = tuple(a + b for a, b in zip(found[i, operand.weight], row, strict=True))
    return [(i, w, row) for (i, w), row in found.items()]


def fixed_parts(problem: Problem) -> list[int]:
    """Return the time of each op on the edge that depends on no bits."""
    return [sum(row[FLOAT] for operand, row in op_parts(problem, op) if operand == Operand()) for op in problem.ops]
