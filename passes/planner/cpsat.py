"""The instance as a CP-SAT model (OR-Tools): one Boolean a value, sums as linear constraints, products of two variables linearised.

One worker, a fixed seed and a limit in deterministic time: the same input gives the same answer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from .bounds import Domains
from .instance import FORBIDDEN, Instance, Linear, Overlapped, Packets, Pair, Pick
from .problem import NONE

if TYPE_CHECKING:
    from ortools.sat.python.cp_model import CpModel, CpSolver, CpSolverStatus, IntVar, LinearExpr

MOST_CELLS = 64
"""Combinations of values up to which an overlapped op is laid out one by one: three variables of four widths."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How far to go: deterministic seconds of the solver, and its seed."""

    limit_s: float = 60.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Solved:
    """What the solver says of one objective. proven: the pick is the best, or there is none. bound: of the objective."""

    pick: tuple[int, ...] | None
    proven: bool
    bound: int
    spent_s: float


@dataclass
class _Sum:
    """A linear expression in the making: a constant, variables, coefficients."""

    const: int
    vars: list[IntVar]
    coefs: list[int]

    def add(self, terms: Iterable[tuple[IntVar, int]]) -> None:
        for var, coef in terms:
            if coef:
                self.vars.append(var)
                self.coefs.append(coef)


def minimise_latency(instance: Instance, domains: Domains, effort: Effort, cutoff_ns: int | None, known: Pick | None) -> Solved:
    """Return the pick of least latency in ns, less than `cutoff_ns`, within the instance's limits. known: a pick to begin with.

    Domains must not leave out values of the picks that are asked for; where one is empty there are none.
    """
    if not all(domains):
        return Solved(None, True, cutoff_ns or 0, 0.0)
    model = _Model(instance, domains)
    if cutoff_ns is not None:
        model.at_most(model.latency, cutoff_ns - 1)
    return model.minimise(model.latency, effort, known)


def minimise_error(instance: Instance, domains: Domains, effort: Effort, known: Pick) -> Solved:
    """Return the pick of least error in units that is no slower than `known`, within the instance's limits."""
    model = _Model(instance, domains)
    model.at_most(model.latency, instance.latency_at(known))
    return model.minimise(model.error, effort, known)


def minimise_error_within(instance: Instance, domains: Domains, effort: Effort, amounts: Iterable[tuple[Linear, int]]) -> Solved:
    """Return the pick of least error in units within the instance's limits, with each of some further sums at or below its own."""
    model = _Model(instance, domains)
    for linear, limit in amounts:
        model.at_most(model.linear(linear), limit)
    return model.minimise(model.error, effort, None)


class _Model:
    """The variables and constraints of an instance."""

    def __init__(self, instance: Instance, domains: Domains) -> None:
        from ortools.sat.python import cp_model

        self.instance = instance
        self.domains = domains
        self.model: CpModel = cp_model.CpModel()
        self.has: list[dict[int, IntVar]] = [{k: self.model.new_bool_var("") for k in domain} for domain in domains]
        for values in self.has:
            self.model.add_exactly_one(values.values())
        self.latency = self.linear(instance.latency)
        self.error = self.linear(instance.error)
        for pair in instance.pairs:
            self._add_pair(pair)
        for op in instance.overlapped:
            if math.prod(len(domains[v]) for v in op.vars) <= MOST_CELLS:
                self._add_cell_by_cell(op)
            else:
                self._add_greater_of_two(op)
        if instance.packets is not None:
            self._add_packets(instance.packets)
        if instance.limits.error is not None:
            self.at_most(self.error, instance.limits.error)
        if instance.limits.storage_bits is not None:
            self.at_most(self.linear(instance.storage), instance.limits.storage_bits)
        self._limit_ram(instance.limits.ram_bits)

    def linear(self, linear: Linear) -> _Sum:
        """Return a sum over the values that are taken."""
        found = _Sum(linear.const, [], [])
        for v, table in linear.terms:
            found.add((self.has[v][k], table[k]) for k in self.domains[v])
        return found

    def _limit_ram(self, limit: int) -> None:
        """Hold constants and the largest step at or below a limit, without steps that are never the largest or can never break it."""
        resident = self.instance.resident
        largest_low = max(step.low() for step in self.instance.steps)
        steps = [s for s in self.instance.steps if s.high() >= largest_low and resident.high() + s.high() > limit]
        if steps:
            peak = self.model.new_int_var(0, max(0, limit - resident.low()), "")
            for step in steps:
                self.model.add(_weighted(self.linear(step)) <= peak)
            total = self.linear(resident)
            total.add([(peak, 1)])
            self.at_most(total, limit)

    def _products(self, first: int, second: int, cells: Iterable[tuple[int, int]]) -> dict[tuple[int, int], IntVar]:
        """Return a variable for each cell that says whether both values hold; their sums over rows and columns are the values."""
        cell = {(i, j): self.model.new_bool_var("") for i, j in cells if i in self.has[first] and j in self.has[second]}
        for i, value in self.has[first].items():
            self._equal(value, [x for (a, _), x in cell.items() if a == i])
        for j, value in self.has[second].items():
            self._equal(value, [x for (_, b), x in cell.items() if b == j])
        return cell

    def _equal(self, value: IntVar, parts: list[IntVar]) -> None:
        self.model.add_linear_constraint(_weighted(_Sum(0, [*parts, value], [1] * len(parts) + [-1])), 0, 0)

    def _add_pair(self, pair: Pair) -> None:
        cell = self._products(pair.first, pair.second, pair.cells())
        self.latency.add((x, pair.ns[i][j]) for (i, j), x in cell.items())
        self.error.add((x, pair.error[i][j]) for (i, j), x in cell.items() if pair.error[i][j] != FORBIDDEN)

    def _add_cell_by_cell(self, op: Overlapped) -> None:
        """Add an op with a variable for every combination of values: the relaxation is then as tight as it can be.

        Where the first two variables settle the time (compute exceeds any transfer), the others are left out.
        """
        first, second, *others = op.vars
        cells = self._products(first, second, product(self.has[first], self.has[second]))
        tails = list(product(*(self.has[v] for v in others)))
        open_cells: dict[tuple[int, ...], IntVar] = {}
        for (i, j), x in cells.items():
            times = [op.at({first: i, second: j, **dict(zip(others, tail, strict=True))}) for tail in tails]
            if len(set(times)) == 1:
                self.latency.add([(x, times[0])])
                continue
            parts = {tail: self.model.new_bool_var("") for tail in tails}
            self._equal(x, list(parts.values()))
            self.latency.add(zip(parts.values(), times, strict=True))
            open_cells.update(((i, j, *tail), part) for tail, part in parts.items())
        for place, v in enumerate(others, 2):
            for k, value in self.has[v].items():
                self._at_most_one([x for cell, x in open_cells.items() if cell[place] == k], value)

    def _at_most_one(self, parts: list[IntVar], value: IntVar) -> None:
        """Let a part hold only where the value does."""
        self.at_most(_Sum(0, [*parts, value], [1] * len(parts) + [-1]), 0)

    def _add_greater_of_two(self, op: Overlapped) -> None:
        """Add an op's time as no less than its transfers, and no less than its compute and what it moves at least meanwhile."""
        moved = dict(op.traffic.terms)
        others = sum(min(table[k] for k in self.has[v]) for v, table in op.traffic.terms if v not in (op.first, op.second))

        def least(i: int, j: int) -> int:
            own = (moved[v][k] for v, k in ((op.first, i), (op.second, j)) if v in moved)
            return max(op.compute[i][j], op.traffic.const + others + sum(own))

        computing = _Sum(0, [], [])
        if op.first != NONE and op.second != NONE:
            cells = list(product(self.has[op.first], self.has[op.second]))
            computing.add((x, least(i, j)) for (i, j), x in self._products(op.first, op.second, cells).items())
        elif op.first != NONE:
            computing.add((x, least(i, 0)) for i, x in self.has[op.first].items())
        elif op.second != NONE:
            computing.add((x, least(0, j)) for j, x in self.has[op.second].items())
        else:
            computing.const = least(0, 0)
        longest = max(max(map(max, op.compute)), op.traffic.high())
        time = self.model.new_int_var(op.low(), longest, "")
        for part in (computing, self.linear(op.traffic)):
            self.model.add(time >= _weighted(part))
        self.latency.add([(time, 1)])

    def _add_packets(self, packets: Packets) -> None:
        count = self.model.new_int_var(packets.count(packets.nbytes.low()), packets.count(packets.nbytes.high()), "")
        held = self.linear(packets.nbytes)
        held.add([(count, -packets.capacity_bytes)])
        self.at_most(held, 0)
        self.latency.add([(count, packets.ns)])

    def at_most(self, total: _Sum, limit: int) -> None:
        """Hold a sum at or below a limit."""
        self.model.add(_weighted(total) <= limit)

    def minimise(self, total: _Sum, effort: Effort, hint: Pick | None) -> Solved:
        """Minimise a sum."""
        from ortools.sat.python import cp_model

        self.model.minimize(_weighted(total))
        if hint is not None:
            for values, k in zip(self.has, hint, strict=True):
                for other, var in values.items():
                    self.model.add_hint(var, other == k)
        solver = cp_model.CpSolver()
        solver.parameters.num_workers = 1
        solver.parameters.random_seed = effort.seed
        solver.parameters.linearization_level = 2
        solver.parameters.max_deterministic_time = effort.limit_s
        solver.parameters.catch_sigint_signal = False
        status = _interruptible(solver, self.model)
        spent = solver.response_proto.deterministic_time
        if status in (cp_model.FEASIBLE, cp_model.UNKNOWN) and spent < 0.9 * effort.limit_s:
            raise KeyboardInterrupt  # CP-SAT takes Ctrl-C for itself: it ends the search early and says nothing
        if status in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            pick = tuple(next(k for k, x in values.items() if solver.boolean_value(x)) for values in self.has)
            return Solved(pick, status == cp_model.OPTIMAL, round(solver.best_objective_bound), spent)
        return Solved(None, status == cp_model.INFEASIBLE, total.const, spent)


def _interruptible(solver: CpSolver, model: CpModel) -> CpSolverStatus:
    """Solve in a thread of its own, so that Ctrl-C reaches Python at once and ends the search; on its own the solver would swallow it."""
    with ThreadPoolExecutor(1) as pool:
        try:
            return pool.submit(solver.solve, model).result()
        except KeyboardInterrupt:
            solver.stop_search()
            raise


def _weighted(total: _Sum) -> LinearExpr:
    from ortools.sat.python import cp_model

    return cp_model.LinearExpr.weighted_sum(total.vars, total.coefs) + total.const
