"""The best bound of a relaxation: multipliers by subgradient ascent, then a few branches on what they cannot settle.

A relaxation may take a fraction of a value. That is far from any whole one where single values weigh much (what a wire takes at 2 or at 4
bits), so those variables are branched on: the bound is the least over one relaxation for each of their values.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush

import numpy as np

from .bounds import Domains
from .relax import IMPOSSIBLE, MOST, Floats, Ints, Relaxation

WORK = 40_000
"""Variables x steps of an ascent, at most; there are ROUNDS steps up to 500 variables, and FEWEST_ROUNDS from 4,000 on."""
ROUNDS, FEWEST_ROUNDS = 80, 10

BRANCHES = 24
"""Branches after which no further variable is branched on; variables x branches are 2,000 at most."""

PATIENCE = 5
"""Steps without a better bound after which they get half as long."""

NO_TARGET = 1 << 62
"""A latency above all others."""


@dataclass(frozen=True, slots=True)
class _Branch:
    """Some values of the variables, and the best bound that was found for them."""

    possible: Ints
    bound_ns: int
    multipliers: Floats


@dataclass(frozen=True, slots=True)
class Relaxed:
    """No pick within the limits is faster than `bound_ns`. pick: the fastest of those that were met. branches: together all values."""

    bound_ns: int
    pick: tuple[int, ...] | None
    branches: tuple[_Branch, ...]


def ascended(relaxation: Relaxation, target_ns: int | None) -> Relaxed:
    """Return the best bound without branches; none above `target_ns` is looked for."""
    search = _Search(relaxation, target_ns, None)
    search.ascend(relaxation.possible, relaxation.start())
    return search.relaxed()


def branched(relaxation: Relaxation, relaxed: Relaxed, target_ns: int | None) -> Relaxed:
    """Return the best bound with branches; none above `target_ns` is looked for."""
    search = _Search(relaxation, target_ns, relaxed.pick)
    for branch in relaxed.branches:
        search.add(branch)
    most = min(BRANCHES, 2_000 // max(len(relaxation.domains), 1))
    while search.taken <= most and search.branches[0][0] < search.target_ns:
        if not search.branch():
            break
    return search.relaxed()


def reduced(relaxation: Relaxation, relaxed: Relaxed, below_ns: int) -> Domains:
    """Return the domains without values that no pick within the limits and faster than `below_ns` has."""
    kept = np.zeros(relaxation.possible.shape, np.bool_)
    for branch in relaxed.branches:
        if branch.bound_ns < below_ns:
            bounds = relaxation.bounds(relaxation.at(branch.multipliers, branch.possible))
            kept |= (branch.possible == 0) & (bounds < below_ns)
    return [np.flatnonzero(row).tolist() for row in kept]


class _Search:
    """Branches in the order of their bounds, and the fastest pick within the limits that was met."""

    def __init__(self, relaxation: Relaxation, target_ns: int | None, pick: tuple[int, ...] | None) -> None:
        self.relaxation = relaxation
        known_ns = NO_TARGET if pick is None else relaxation.instance.latency_at(pick)
        self.target_ns = known_ns if target_ns is None else min(known_ns, target_ns)
        self.rounds = min(ROUNDS, max(FEWEST_ROUNDS, WORK // max(len(relaxation.domains), 1)))
        self.pick = pick
        self.branches: list[tuple[int, int, _Branch]] = []
        self.taken = 0

    def relaxed(self) -> Relaxed:
        """Return what was found."""
        return Relaxed(self.branches[0][0], self.pick, tuple(branch for _, _, branch in self.branches))

    def add(self, branch: _Branch) -> None:
        """Add a branch."""
        heappush(self.branches, (branch.bound_ns, self.taken, branch))
        self.taken += 1

    def branch(self) -> bool:
        """Part the branch of the least bound by the values of one variable; say whether there is one that promises a better bound.

        It is the one of which some other value is the farthest from what was picked in time for what it is away from the bound.
        """
        bound, _, branch = self.branches[0]
        relaxation = self.relaxation
        point = relaxation.at(branch.multipliers, branch.possible)
        bounds = relaxation.bounds(point)
        picked = relaxation.latency[np.arange(len(point.pick)), point.pick]
        swing = np.abs(relaxation.latency - picked[:, np.newaxis]) - (bounds - point.total)
        swing[(branch.possible != 0) | (bounds >= self.target_ns)] = 0
        if swing.max(initial=0) <= 0:
            return False
        widest = int(swing.max(axis=1).argmax())
        heappop(self.branches)
        for k in np.flatnonzero(branch.possible[widest] == 0).tolist():
            possible = branch.possible.copy()
            possible[widest] = IMPOSSIBLE
            possible[widest, k] = 0
            self.ascend(possible, branch.multipliers, bound)
        return True

    def ascend(self, possible: Ints, start: Floats, least_ns: int = -MOST) -> None:
        """Add a branch with the best bound that is found from given multipliers on, `least_ns` being one."""
        relaxation, limits = self.relaxation, len(self.relaxation.limits)
        multipliers = best_at = start
        best = -MOST
        length, idle = 1.0, 0
        for _ in range(self.rounds):
            point = relaxation.at(multipliers, possible)
            idle += 1
            if point.total > best:
                best, best_at, idle = point.total, multipliers, 0
            excess = relaxation.excess(point.pick)
            if (excess[:limits] <= 0).all():
                self._meet(tuple(point.pick.tolist()))
            if idle == PATIENCE:
                multipliers, length, idle = best_at, length / 2, 0
                continue
            stuck = ((multipliers <= 0) & (excess < 0)) | ((multipliers >= relaxation.most) & (excess > 0))
            slope = np.where(stuck, 0.0, excess)
            steepness = float((slope**2).sum())
            if best >= self.target_ns or steepness == 0:
                break
            aim = min(self.target_ns, 2 * best + 1)
            multipliers = (multipliers + length * max(aim - point.total, 1) / steepness * slope).clip(0.0, relaxation.most)
        bound = max(best, least_ns)
        self.add(_Branch(possible, bound, best_at))

    def _meet(self, pick: tuple[int, ...]) -> None:
        """Remember a pick if it is the fastest so far within the limits: nothing slower is looked for then."""
        instance = self.relaxation.instance
        latency = instance.latency_at(pick)
        known = None if self.pick is None else instance.latency_at(self.pick)
        if (known is None or latency < known) and instance.keeps_limits(pick):
            self.pick = pick
            self.target_ns = min(self.target_ns, latency)
