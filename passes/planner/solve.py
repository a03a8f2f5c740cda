"""Finds the fastest assignment of bits for one cut and proves it: by a bound that is met where one is, else with CP-SAT.

The bounds come first: they are quick, settle what is too slow to be of use, and leave the solver fewer values.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from .ascent import Relaxed, ascended, branched, reduced
from .bounds import Domains, all_values, least_error, least_size, meeting_bound, meets
from .cpsat import Effort, minimise_error, minimise_latency
from .instance import Instance
from .relax import Relaxation

Status: TypeAlias = Literal["optimal", "feasible", "infeasible", "unknown"]


TIE_BREAK_S = 0.2
"""Deterministic seconds for finding the least error among the fastest assignments of a cut; an easy one takes 0.01."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of one solve.

    `infeasible` means that no assignment keeps the limits and is faster than the cutoff; `unknown` that none was found in time.
    pick: the best found (None without any). bound_ns: no assignment is faster. spent_s: deterministic seconds used.
    """

    status: Status
    pick: tuple[int, ...] | None
    bound_ns: int
    spent_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Opening:
    """What is known of an instance without the solver: no pick within the limits is faster than `bound_ns`.

    domains: values that a pick may have. pick: the fastest met so far within the limits. best: whether it is the one of least error among
    those of least latency. done: whether `deepened` finds no more.
    """

    instance: Instance
    domains: Domains
    bound_ns: int
    relaxation: Relaxation | None
    relaxed: Relaxed | None
    pick: tuple[int, ...] | None
    best: bool = False
    done: bool = True


def begin(instance: Instance, target_ns: int | None = None) -> Opening | None:
    """Return what is known of an instance without the solver, or None where no assignment keeps the limits.

    No bound above `target_ns` is looked for.
    """
    domains = all_values(instance)
    if not all(domains) or out_of_reach(instance, domains):
        return None
    bound, tight = meeting_bound(instance, domains)
    for least, best in ((least_error, True), (least_size, False)) if tight is not None else ():
        pick = least(instance, tight or [])
        if meets(instance, pick, bound):
            return Opening(instance, tight or [], bound, None, None, tuple(pick), best)
    relaxation = Relaxation(instance, domains)
    relaxed = ascended(relaxation, target_ns)
    return Opening(instance, domains, max(bound, relaxed.bound_ns), relaxation, relaxed, relaxed.pick, done=False)


def deepened(opening: Opening, target_ns: int | None = None) -> Opening:
    """Return what is known after some more work; no bound above `target_ns` is looked for."""
    if opening.done or opening.relaxation is None or opening.relaxed is None:
        return opening
    relaxed = branched(opening.relaxation, opening.relaxed, target_ns)
    return replace(opening, bound_ns=max(opening.bound_ns, relaxed.bound_ns), relaxed=relaxed, pick=relaxed.pick, done=True)


def solve(instance: Instance, effort: Effort, cutoff_ns: int | None = None) -> Outcome:
    """Return the assignment of least latency, of least error among those, that keeps the limits on RAM, storage and error.

    With `cutoff_ns` only faster ones count. The latency is what is proven: where errors of equally fast assignments are not compared to the
    end within `TIE_BREAK_S`, the best so far stands.
    """
    opening = begin(instance, cutoff_ns)
    return Outcome("infeasible", None, 0) if opening is None else conclude(deepened(opening, cutoff_ns), effort, cutoff_ns)


def conclude(opening: Opening, effort: Effort, cutoff_ns: int | None = None) -> Outcome:
    """Return what `solve` does, from what is known already."""
    instance, bound = opening.instance, opening.bound_ns
    if cutoff_ns is not None and bound >= cutoff_ns:
        return Outcome("infeasible", None, bound)
    if opening.pick is not None and opening.best:
        return Outcome("optimal", opening.pick, bound)
    known = opening.pick
    if known is not None and cutoff_ns is not None and instance.latency_at(known) >= cutoff_ns:
        known = None
    if known is not None and instance.latency_at(known) == bound:
        return _refined(opening, Outcome("optimal", known, bound), effort)
    below = cutoff_ns if known is None else instance.latency_at(known) + 1
    found = minimise_latency(instance, _reduced(opening, below), effort, below, known)
    pick = found.pick or known
    bound = max(bound, found.bound)
    if pick is None:
        return Outcome("infeasible" if found.proven else "unknown", None, bound, found.spent_s)
    latency = instance.latency_at(pick)
    if not found.proven and latency > bound:
        return Outcome("feasible", pick, bound, found.spent_s)
    return _refined(opening, Outcome("optimal", pick, latency, found.spent_s), effort)


def _reduced(opening: Opening, below_ns: int | None) -> Domains:
    """Return the values that a pick faster than `below_ns` may have."""
    if opening.relaxation is None or opening.relaxed is None or below_ns is None:
        return opening.domains
    return reduced(opening.relaxation, opening.relaxed, below_ns)


def _refined(opening: Opening, known: Outcome, effort: Effort) -> Outcome:
    """Return the assignment of least error at the latency that `known` has proven."""
    left = replace(effort, limit_s=min(max(effort.limit_s - known.spent_s, 0.0), TIE_BREAK_S))
    if known.pick is None or left.limit_s == 0:
        return known
    found = minimise_error(opening.instance, _reduced(opening, known.bound_ns + 1), left, known.pick)
    return Outcome("optimal", found.pick or known.pick, known.bound_ns, known.spent_s + found.spent_s)


def out_of_reach(instance: Instance, domains: Domains) -> dict[str, int]:
    """Return limits that no assignment keeps, by how much: `ram` and `storage` in bits, `error` in units."""
    limits = instance.limits
    least = instance.error_at(least_error(instance, domains)) or 0
    lows = {
        "ram": (instance.ram_low(), limits.ram_bits),
        "storage": (instance.storage.low(), limits.storage_bits),
        "error": (least, limits.error),
    }
    return {name: low - limit for name, (low, limit) in lows.items() if limit is not None and low > limit}
