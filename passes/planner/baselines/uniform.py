"""One bit-width for all weights and activations of a cut's edge part: U2, U4, U6, U8, and QDMP_E + U4 (Auto-Split, section 5)."""

from __future__ import annotations

from collections.abc import Sequence

from ..cut import Cut, wire_choices
from ..problem import NONE, Assignment, Problem
from .placed import Placed, placed


def uniform(problem: Problem, cut: Cut, bits: int) -> Placed | None:
    """Return a cut with everything at `bits`, or as near to it as the tensor may have; None where the cut is refused.

    The raw input and the network's outputs have one width each. What crosses has the bits that the edge's readers see, or fewer.
    """
    if cut.refusal:
        return None
    weights = {w: nearest(problem.weights[w].bits, bits) for w in cut.weights}
    acts = {g: nearest(problem.groups[g].bits, bits) for g in cut.acts}
    return with_wires(problem, cut, weights, acts, bits)


def with_wires(problem: Problem, cut: Cut, weights: dict[int, int], acts: dict[int, int], bits: int) -> Placed | None:
    """Return a cut whose weights and activations have bits, the wires as near to `bits` as those let them; None where one lets none."""
    wires: dict[int, int] = {}
    for wire in cut.wires:
        held = acts[wire.act] if wire.act != NONE else 0
        possible = [w for a, w in wire_choices(problem, wire) if a == held]
        if not possible:
            return None
        wires[wire.value] = nearest(possible, held or bits)
    return placed(problem, cut, Assignment(weights, acts, wires))


def nearest(choices: Sequence[int], bits: int) -> int:
    """Return the choice nearest to `bits`, the wider of two."""
    return min(choices, key=lambda b: (abs(b - bits), -b))
