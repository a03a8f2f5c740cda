"""The cuts to choose among, in the order of a lower bound on the latency of their plans."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Protocol

from .prefix_bounds import prefix_bounds
from .problem import Problem


@dataclass(frozen=True, slots=True, order=True)
class Candidate:
    """A cut to look into: no plan with these ops (ascending) on the edge is faster than `bound_ns` within the limits.

    rest: it stands for all further cuts of the space, which are too many to look into.
    """

    bound_ns: int
    ops: tuple[int, ...]
    rest: bool = False


class Space(Protocol):
    """A set of cuts."""

    def candidates(self, problem: Problem) -> Iterator[Candidate]:
        """Yield the cuts, each once, in ascending order of their bounds; refused ones may be among them."""
        ...


@dataclass(frozen=True)
class Linear:
    """The cuts after the first so many ops, for each of `positions`."""

    positions: Collection[int]

    def candidates(self, problem: Problem) -> Iterator[Candidate]:
        """Yield the prefixes."""
        bounds = prefix_bounds(problem)
        yield from sorted(Candidate(bounds[p], tuple(range(p))) for p in set(self.positions))


@dataclass(frozen=True)
class Only:
    """A single cut."""

    ops: tuple[int, ...]

    def candidates(self, problem: Problem) -> Iterator[Candidate]:
        """Yield it, with no bound."""
        del problem
        yield Candidate(0, self.ops)
