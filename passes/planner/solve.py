"""Finds the fastest assignment of bits for one cut and proves it: by a bound that is met where one is, else with CP-SAT."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from .bounds import Domains, all_values, least_error, least_size, meeting_bound, meets
from .cpsat import Effort, minimise_error, minimise_latency
from .instance import Instance

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


def solve(instance: Instance, effort: Effort, cutoff_ns: int | None = None) -> Outcome:
    """Return the assignment of least latency, of least error among those, that keeps the limits on RAM, storage and error.

    With `cutoff_ns` only faster ones count. The latency is what is proven: where errors of equally fast assignments are not compared to the
    end within `TIE_BREAK_S`, the best so far stands.
    """
    domains = all_values(instance)
    if not all(domains) or out_of_reach(instance, domains):
        return Outcome("infeasible", None, 0)
    bound, tight = meeting_bound(instance, domains)
    if cutoff_ns is not None and bound >= cutoff_ns:
        return Outcome("infeasible", None, bound)
    if tight is not None:
        pick = least_error(instance, tight)
        if meets(instance, pick, bound):
            return Outcome("optimal", tuple(pick), bound)
        pick = least_size(instance, tight)
        if meets(instance, pick, bound):
            return _refined(instance, tight, Outcome("optimal", tuple(pick), bound), effort)
    found = minimise_latency(instance, domains, effort, cutoff_ns)
    if found.pick is None:
        return Outcome("infeasible" if found.proven else "unknown", None, max(bound, found.bound), found.spent_s)
    latency = instance.latency_at(found.pick)
    if not found.proven and latency > max(bound, found.bound):
        return Outcome("feasible", found.pick, max(bound, found.bound), found.spent_s)
    return _refined(instance, domains, Outcome("optimal", found.pick, latency, found.spent_s), effort)


def _refined(instance: Instance, domains: Domains, known: Outcome, effort: Effort) -> Outcome:
    """Return the assignment of least error at the latency that `known` has proven."""
    left = Effort(min(max(effort.limit_s - known.spent_s, 0.0), TIE_BREAK_S), effort.seed)
    if known.pick is None or left.limit_s == 0:
        return known
    found = minimise_error(instance, domains, left, known.pick)
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
