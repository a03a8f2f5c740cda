"""`autosplitc bench exhaustive FILE.json`: every cut and every assignment of a dumped planning problem, beside the solver's answer.

The two share the definition of what a plan costs (docs/problem.md) and nothing else.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import click

from autosplitc.ir import CompileError, Diagnostic
from autosplitc.passes import (
    Assignment,
    ClosedSpace,
    Cut,
    Effort,
    Figures,
    LinearSpace,
    Problem,
    Space,
    assignment_count,
    cut_of,
    read_problem,
    search,
)
from autosplitc.passes import exhaustive as best_of_all

from .table import table

MOST = 2_000_000
"""Assignments that are tried without being told to; some 20,000 take a second."""

MOST_CUTS = 100_000
"""Closed sets beyond which they are not even counted."""


@click.command("exhaustive", short_help="Every plan of a small dumped problem, beside the solver's answer.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--space", type=click.Choice(("linear", "dag")), help="Cuts to choose among.  [default: as the dump has it]")
@click.option("--most", type=click.IntRange(min=1), default=MOST, show_default=True, help="Assignments to try at most.")
def exhaustive(file: Path, space: str | None, most: int) -> int:
    """Try every plan of FILE, a problem that --dump-problem wrote or problem.json of a bundle, and print the best and the solver's."""
    problem, dumped = read_problem(file)
    chosen = space or dumped.get("about", {}).get("space", "linear")
    cuts = cuts_of(problem, chosen, str(file))
    check_small(problem, cuts, most, str(file))
    started_s = time.perf_counter()
    best = best_of_all(problem, cuts)
    tried_s = time.perf_counter() - started_s
    started_s = time.perf_counter()
    found = search(problem, solver_space(problem, chosen), Effort(60.0))
    solved_s = time.perf_counter() - started_s
    solution = next(iter(found.solutions), None)
    rows = [_row(f"exhaustive, {tried_s:.2f} s", problem, None if best is None else (best.cut, best.bits, best.figures))]
    rows.append(_row(f"solver, {solved_s:.2f} s", problem, None if solution is None else (solution.cut, solution.bits, solution.figures)))
    count = sum(assignment_count(problem, cut) for cut in cuts)
    print(f"{len(cuts):,} cuts, {count:,} assignments, space {chosen}")
    print(table(("", "ns", "error", "edge ns", "link ns", "cloud ns", "ops on the edge", "RAM bits"), rows))
    for name, plan in (("exhaustive", best), ("solver", solution)):
        if plan is not None:
            print(f"{name}: {bits_text(problem, plan.bits)}")
    merits = [None if plan is None else (plan.figures.latency_ns, plan.figures.error) for plan in (best, solution)]
    print("equal" if merits[0] == merits[1] else "NOT EQUAL")
    return 0 if merits[0] == merits[1] else 1


def cuts_of(problem: Problem, space: str, location: str) -> list[Cut]:
    """Return the cuts of a space that can be taken. Raises CompileError (AS644) where there are too many to count."""
    sets = (frozenset(range(n)) for n in range(len(problem.ops) + 1)) if space == "linear" else closed_sets(problem)
    listed = list(islice(sets, MOST_CUTS + 1))
    if len(listed) > MOST_CUTS:
        message = f"there are more than {MOST_CUTS:,} cuts"
        raise CompileError(Diagnostic("AS644", message, location, hint="--space linear, or a smaller problem"))
    return [cut for ops in listed if not (cut := cut_of(problem, ops)).refusal]


def closed_sets(problem: Problem) -> Iterator[frozenset[int]]:
    """Yield every set of ops that holds the makers of all that its ops read, each once."""
    before = [frozenset(problem.producer[v] for v in op.reads if v in problem.producer) for op in problem.ops]

    def grown(ops: frozenset[int], first: int) -> Iterator[frozenset[int]]:
        yield ops
        for i in range(first, len(before)):
            if before[i] <= ops:
                yield from grown(ops | {i}, i + 1)

    yield from grown(frozenset(), 0)


def check_small(problem: Problem, cuts: list[Cut], most: int, location: str) -> None:
    """Check that all assignments can be tried. Raises CompileError (AS644)."""
    count = sum(assignment_count(problem, cut) for cut in cuts)
    if count > most:
        number = f"{count:,}" if count < 10**12 else f"about 10^{int(math.log10(count))}"
        message = f"the problem has {number} assignments; at most {most:,} are tried"
        notes = ("the most are of the cut with the most ops: fewer bits to choose from leave fewer",)
        raise CompileError(Diagnostic("AS644", message, location, notes, "--weight-bits 4,8 --act-bits 8, a smaller model, or --most"))


def solver_space(problem: Problem, space: str) -> Space:
    """Return the space for the solver, both ends among it."""
    return LinearSpace(range(len(problem.ops) + 1)) if space == "linear" else ClosedSpace(ends=True)


def bits_text(problem: Problem, bits: Assignment) -> str:
    """Return chosen bits by name."""
    parts = [f"{problem.weights[w].name}=W{b}" for w, b in bits.weights.items()]
    parts += [f"{problem.groups[g].name}=A{b}" for g, b in bits.acts.items()]
    parts += [f"{problem.values[v].name}=T{b}" for v, b in bits.wires.items()]
    return " ".join(parts) or "no bits to choose"


def _row(name: str, problem: Problem, plan: tuple[Cut, Assignment, Figures] | None) -> tuple[object, ...]:
    if plan is None:
        return (name, *("-",) * 7)
    cut, _, f = plan
    return (name, f.latency_ns, f.error, f.edge_ns, f.link_ns, f.cloud_ns, f"{len(cut.ops)} of {len(problem.ops)}", f.ram_bits)


if __name__ == "__main__":
    sys.exit(exhaustive.main(standalone_mode=False))
