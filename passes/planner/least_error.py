"""The plan of least error for one cut, within memory and, where asked for, within a number of bits for all weights together."""

from __future__ import annotations

import math
from dataclasses import dataclass

from autosplitc.ir import Module

from ..base import Env
from ..facts import Plan, Request
from .bounds import all_values, least_error
from .build import build
from .cpsat import Effort, minimise_error_within
from .cut import Cut, prefix
from .formulate import formulate
from .instance import Instance, Linear
from .plans import plan_of
from .problem import Problem
from .search import Solution, solution_of


@dataclass(frozen=True, slots=True)
class MostAccurate:
    """A plan, the units of error that no plan for its cut within the same bounds is below, and deterministic seconds of the solver."""

    solution: Solution
    bound: int
    spent_s: float = 0.0

    @property
    def proven(self) -> bool:
        """Whether no plan for the cut within the bounds has less error."""
        return self.solution.figures.error <= self.bound


def most_accurate(problem: Problem, cut: Cut, effort: Effort, weight_bits: int | None = None) -> MostAccurate | None:
    """Return the plan of least error for a cut, None where none is within the limits or found in time.

    weight_bits: bits that all weights on the edge take together, at most: elements x width, summed. The limits on RAM, storage and error
    hold, that on latency is not looked at.
    """
    instance = None if cut.refusal else formulate(problem, cut)
    domains = [] if instance is None else all_values(instance)
    if instance is None or not all(domains):
        return None
    total = weight_bits_of(problem, instance)
    pick = tuple(least_error(instance, domains))
    bound, spent_s = instance.error_at(pick) or 0, 0.0
    if not instance.keeps_limits(pick) or (weight_bits is not None and total.at(pick) > weight_bits):
        amounts = [] if weight_bits is None else [(total, weight_bits)]
        found = minimise_error_within(instance, domains, effort, amounts)
        if found.pick is None:
            return None
        pick, bound, spent_s = found.pick, max(found.bound, bound), found.spent_s
    return MostAccurate(solution_of(problem, cut, instance, pick, instance.latency_low()), bound, spent_s)


def weight_bits_of(problem: Problem, instance: Instance) -> Linear:
    """Return what all weights of an instance take: elements x width."""
    weights = ((v, var) for v, var in enumerate(instance.vars) if var.kind == "weight")
    return Linear(0, tuple((v, tuple(problem.weights[var.index].elements * b for b in var.bits)) for v, var in weights))


def plan_at_mean_bits(module: Module, env: Env, mean_weight_bits: float, limit_s: float = 10.0) -> tuple[Plan, bool] | None:
    """Return the Edge-Only plan of least error whose weights have at most so many bits in the mean over their elements, and its proof.

    None where the edge cannot hold the model in so many bits. limit_s: deterministic seconds of the solver. Widths are the request's; with
    `min_sqnr_db` in force (neither `max_drop` nor `max_error` is given) each tensor keeps that as well. The plan's own `proof` is about
    its latency.
    """
    problem = build(module, env)
    elements = sum(w.elements for w in problem.weights)
    effort, whole = Effort(limit_s, module.fact(Request).seed), prefix(problem, len(problem.ops))
    found = most_accurate(problem, whole, effort, math.floor(mean_weight_bits * elements))
    if found is None:
        return None
    return plan_of(problem, found.solution, [op.name for op in module.main.ops]), found.proven
