"""`autosplitc bench exact`: random planning problems, the planner's answer beside that of exhaustive search.

Run with `python -m autosplitc.bench.exact`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Literal

import click

from autosplitc.passes.planner import (
    ClosedSpace,
    Cut,
    Effort,
    LinearSpace,
    Problem,
    Space,
    assignment_count,
    closed_sets,
    cut_of,
    exhaustive,
    prefix,
    search,
)

from .random_problems import random_problem, tightened
from .table import table

FEWEST, MOST = 4, 9
"""Ops of a problem."""

MOST_PLANS = 200_000
"""Plans of a problem; larger ones are passed over, since exhaustive search takes a minute for them."""

EFFORT = Effort(limit_s=20.0)


@dataclass(frozen=True, slots=True)
class Kind:
    """What an instance is like: its cuts, whether times depend on pairs of widths, whether limits bind."""

    space: Literal["linear", "dag"]
    pairwise: bool
    tight: bool

    @property
    def names(self) -> tuple[str, str, str]:
        """For the table."""
        return self.space, "pairwise" if self.pairwise else "separable", "tight" if self.tight else "loose"

    def cuts(self, problem: Problem) -> list[Cut]:
        """Return all cuts to choose among."""
        if self.space == "linear":
            return [prefix(problem, p) for p in range(len(problem.ops) + 1)]
        return [cut_of(problem, ops) for ops in closed_sets(problem)]

    def solver_space(self, problem: Problem) -> Space:
        """Return the same cuts for the planner."""
        return LinearSpace(range(len(problem.ops) + 1)) if self.space == "linear" else ClosedSpace(ends=True)


KINDS = tuple(Kind(space, pairwise, tight) for space, pairwise, tight in product(("linear", "dag"), (False, True), (False, True)))


@dataclass(slots=True)
class Tally:
    """Instances of a kind. branched: those whose best cut is no prefix."""

    instances: int = 0
    agreed: int = 0
    feasible: int = 0
    branched: int = 0
    solved_s: float = 0.0
    tried_s: float = 0.0


@click.command()
@click.option("--instances", type=click.IntRange(min=1), default=1_000, show_default=True, help="Problems in all.")
@click.option("--seed", default=0, show_default=True, help="Of the problems.")
def exact(instances: int, seed: int) -> None:
    """Compare the planner with exhaustive search on random problems of 4 to 9 ops.

    Both spaces of cuts, times with and without pairs of widths, limits that bind and none.

    Exits with 1 where they differ in latency or error in any.
    """
    tallies = {kind: Tally() for kind in KINDS}
    apart: list[str] = []
    for number in range(instances):
        kind = KINDS[number % len(KINDS)]
        problem_seed, problem = next(_problems(kind, seed + 1_000_003 * number))
        if not _compare(kind, problem, tallies[kind]):
            apart.append(f"{' '.join(kind.names)}, seed {problem_seed}")
    heading = ("cuts", "costs", "limits", "instances", "agreed", "feasible", "best cut is no prefix", "planner s", "exhaustive s")
    click.echo(table(heading, [(*kind.names, *_cells(tally)) for kind, tally in tallies.items()]))
    click.echo(f"\n{instances - len(apart):,} of {instances:,} agree in latency and error")
    if apart:
        sys.exit("\n".join(apart))


def _problems(kind: Kind, seed: int) -> Iterator[tuple[int, Problem]]:
    """Yield problems of a kind, from a seed on, that are small enough."""
    while True:
        problem = random_problem(seed, MOST, fewest=FEWEST, pairwise=kind.pairwise)
        cuts = kind.cuts(problem)
        if sum(assignment_count(problem, cut) for cut in cuts) <= MOST_PLANS:
            yield seed, tightened(problem, seed, cuts) if kind.tight else problem
        seed += 1


def _compare(kind: Kind, problem: Problem, tally: Tally) -> bool:
    """Solve a problem both ways; say whether the answers have the same latency and error, and the planner's is proven."""
    started_s = time.perf_counter()
    found = search(problem, kind.solver_space(problem), EFFORT)
    solved_s = time.perf_counter()
    truth = exhaustive(problem, kind.cuts(problem))
    tally.solved_s += solved_s - started_s
    tally.tried_s += time.perf_counter() - solved_s
    best = next(iter(found.solutions), None)
    if best is None or truth is None:
        same = best is None and truth is None
    else:
        told = (best.figures.latency_ns, best.figures.error)
        same = told == (truth.figures.latency_ns, truth.figures.error) and best.proven and found.open_ns is None
    tally.instances += 1
    tally.agreed += same
    tally.feasible += truth is not None
    tally.branched += best is not None and best.cut.ops != tuple(range(best.position))
    return same


def _cells(tally: Tally) -> tuple[str, ...]:
    counts = (tally.instances, tally.agreed, tally.feasible, tally.branched)
    return (*(f"{count:,}" for count in counts), f"{tally.solved_s:.1f}", f"{tally.tried_s:.1f}")


if __name__ == "__main__":
    exact()
