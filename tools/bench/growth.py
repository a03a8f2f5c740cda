"""`autosplitc bench growth`: how the planner's time grows with the number of ops, on made-up chains and residual nets."""

from __future__ import annotations

import sys
import time
from dataclasses import replace

import click

from autosplitc.passes import ClosedSpace, Effort, LinearSpace, Problem, Seeker, Space, search

from .synthetic import Shape, synthetic
from .table import table

_SHAPES: tuple[Shape, ...] = ("chain", "residual")
_PREFERRED_SHARE = 0.02
"""The limit on the error of the one plan: this share of the error of the fastest plan without one."""


@click.command("growth", short_help="Planner time against the number of ops.")
@click.option("--ops", multiple=True, type=click.IntRange(min=2), default=(50, 200, 800, 2000), show_default=True, help="Sizes.")
@click.option("--space", type=click.Choice(("linear", "dag")), default="linear", show_default=True, help="Cuts to choose among.")
@click.option("--time-limit", "limit_s", type=float, default=60.0, show_default=True, help="Deterministic seconds of the solver.")
@click.option("--no-front", is_flag=True, help="One plan alone.")
def growth(ops: tuple[int, ...], space: str, limit_s: float, no_front: bool) -> None:
    """Print seconds for one plan and for the front of 16 x 4 cells on seeded nets."""
    rows: list[tuple[object, ...]] = []
    for shape in _SHAPES:
        for count in ops:
            problem = synthetic(count, shape)
            one = one_plan(problem, _space(problem, space), limit_s)
            front = ("-", "-", "-") if no_front else whole_front(problem, _space(problem, space), limit_s)
            rows.append((f"{shape} {count}", *one, *front))
            print(table(("net", "plan s", "proven", "front s", "cells proven", "points"), rows[-1:]), flush=True)
    print()
    print(table(("net", "plan s", "proven", "front s", "cells proven", "points"), rows))


def one_plan(problem: Problem, space: Space, limit_s: float) -> tuple[object, ...]:
    """Return the seconds of one search under a limit on the error that binds, and whether its answer is proven."""
    free = next(iter(search(problem, space, Effort(limit_s)).solutions))
    limits = replace(problem.limits, error=int(free.figures.error * _PREFERRED_SHARE))
    started_s = time.perf_counter()
    found = search(replace(problem, limits=limits), space, Effort(limit_s))
    return f"{time.perf_counter() - started_s:.2f}", "yes" if found.solutions and found.open_ns is None else "no"


def whole_front(problem: Problem, space: Space, limit_s: float) -> tuple[object, ...]:
    """Return the seconds of a front, how many of its cells are proven, and how many plans it has."""
    started_s = time.perf_counter()
    cells = list(Seeker(problem, space, Effort(limit_s)).front(16, 4))
    seconds = time.perf_counter() - started_s
    plans = {c.solution.figures for c in cells if c.solution is not None}
    return f"{seconds:.1f}", f"{sum(c.proven for c in cells)} of {len(cells)}", len(plans)


def _space(problem: Problem, name: str) -> Space:
    return LinearSpace(range(1, len(problem.ops))) if name == "linear" else ClosedSpace()


if __name__ == "__main__":
    sys.exit(growth.main(standalone_mode=False))
