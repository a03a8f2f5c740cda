"""A cut with its bits and what they cost: what every method of placing a network yields."""

from __future__ import annotations

from dataclasses import dataclass

from ..cut import Cut
from ..evaluate import Figures, evaluate
from ..problem import Assignment, Problem


@dataclass(frozen=True, slots=True)
class Placed:
    """The answer of a method."""

    cut: Cut
    bits: Assignment
    figures: Figures


def placed(problem: Problem, cut: Cut, bits: Assignment) -> Placed:
    """Return a cut and its bits with what they cost."""
    return Placed(cut, bits, evaluate(problem, cut, bits))
