"""Working set over time: which values share memory at every step of a sequence of ops."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Life:
    """Steps between which something is in memory, both included. `first` is -1 for what is there before the first op."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Sequential:
    """What runs: for every step the values read and the values made; the values that are there before; those that stay to the end."""

    reads: Sequence[Collection[int]]
    makes: Sequence[Collection[int]]
    inputs: Collection[int]
    kept: Collection[int]


def lifetimes(run: Sequential) -> dict[int, Life]:
    """Return the life of every value: from its making to its last reader; a kept value lives to the step after the last op.

    Inputs that nobody reads or keeps are missing; a value made and never read lives while its op runs.
    """
    end = len(run.reads)
    first = dict.fromkeys(run.inputs, -1)
    last: dict[int, int] = {}
    for step, (read, made) in enumerate(zip(run.reads, run.makes, strict=True)):
        for value in read:
            last[value] = step
        for value in made:
            first[value] = step
            last[value] = step
    last.update((value, end) for value in run.kept)
    return {value: Life(born, last[value]) for value, born in first.items() if value in last}


def buffers(lives: Mapping[int, Life], memory_of: Mapping[int, int]) -> dict[int, Life]:
    """Join the lives of values that share memory. `memory_of` gives the value whose memory a value lives in; others live in their own."""
    joined: dict[int, Life] = {}
    for value, life in lives.items():
        owner = memory_of.get(value, value)
        known = joined.get(owner, life)
        joined[owner] = Life(min(known.first, life.first), max(known.last, life.last))
    return joined


def live_sets(lives: Mapping[int, Life], steps: int) -> list[tuple[int, ...]]:
    """Return what is in memory at each of `steps` steps and, last, after them."""
    born: list[list[int]] = [[] for _ in range(steps + 1)]
    for value, life in lives.items():
        born[max(life.first, 0)].append(value)
    found: list[tuple[int, ...]] = []
    alive: list[int] = []
    for step in range(steps + 1):
        alive = [value for value in alive if lives[value].last >= step] + born[step]
        found.append(tuple(sorted(alive)))
    return found


def undominated(sets: Sequence[Collection[int]], always: Iterable[int] = ()) -> list[int]:
    """Return the steps whose set is contained in no other step's, and the steps `always`.

    A value lives without a gap, so a set contained in any other is contained in a neighbour: looking at neighbours is enough.
    """
    forced = set(always)
    found: list[int] = []
    for step, here in enumerate(sets):
        following = step + 1 < len(sets) and set(here) <= set(sets[step + 1])
        before = step > 0 and set(here) < set(sets[step - 1])
        if step in forced or not (following or before):
            found.append(step)
    return found
