"""A valid lower bound on the latency of an instance, and the values with which it can be met."""

from __future__ import annotations

from .instance import FORBIDDEN, Instance, Linear, Overlapped, Pair, Pick
from .problem import NONE

Domains = list[list[int]]
"""For every variable of an instance the indices of its bits that are still possible."""


def all_values(instance: Instance) -> Domains:
    """Return the domains of an instance without the values that forbidden pairs exclude; none may be empty for there to be a plan."""
    domains = [list(range(len(var.bits))) for var in instance.vars]
    while any(_keep_supported(domains, p, p.cells()) for p in instance.pairs):
        pass
    return domains


def meeting_bound(instance: Instance, domains: Domains) -> tuple[int, Domains | None]:
    """Return a lower bound on latency and the values that an assignment which meets it must choose among.

    The bound is every term of the latency at its least over `domains`. None where the values show that no assignment meets it.
    """
    domains = [list(domain) for domain in domains]
    bound = instance.latency.low()
    tight: list[tuple[Pair, list[tuple[int, int]]]] = []
    for pair in instance.pairs:
        least = min(pair.ns[i][j] for i, j in pair.cells())
        tight.append((pair, [(i, j) for i, j in pair.cells() if pair.ns[i][j] == least]))
        bound += least
    for v, table in instance.latency.terms:
        least = min(table[k] for k in domains[v])
        bound += least - min(table)
        domains[v] = [k for k in domains[v] if table[k] == least]
    lows = [o.low() for o in instance.overlapped]
    bound += sum(lows)
    packets = instance.packets
    fewest = 0 if packets is None else packets.count(packets.nbytes.low())
    bound += 0 if packets is None else fewest * packets.ns
    changed = True
    while changed and all(domains):
        changed = any(_keep_supported(domains, pair, cells) for pair, cells in tight)
        changed |= any(_keep_within(domains, o, low) for o, low in zip(instance.overlapped, lows, strict=True))
        changed |= packets is not None and _keep_below(domains, packets.nbytes, fewest * packets.capacity_bytes)
    return bound, domains if all(domains) else None


def _keep_supported(domains: Domains, pair: Pair, cells: list[tuple[int, int]]) -> bool:
    """Drop the values of both variables that stand in no cell; say whether there were any."""
    live = [(i, j) for i, j in cells if i in domains[pair.first] and j in domains[pair.second]]
    first, second = sorted({i for i, _ in live}), sorted({j for _, j in live})
    changed = first != domains[pair.first] or second != domains[pair.second]
    domains[pair.first], domains[pair.second] = first, second
    return changed


def _keep_within(domains: Domains, op: Overlapped, limit: int) -> bool:
    """Drop the values with which an op cannot be as quick as `limit`, whatever the others are; say whether there were any."""
    before = {v: list(domains[v]) for v in {op.first, op.second} - {NONE}}
    rows = domains[op.first] if op.first != NONE else [0]
    columns = domains[op.second] if op.second != NONE else [0]
    cells = [(i, j) for i in rows for j in columns if op.compute[i][j] <= limit]
    if op.first != NONE:
        domains[op.first] = sorted({i for i, _ in cells})
    if op.second != NONE:
        domains[op.second] = sorted({j for _, j in cells})
    changed = any(domains[v] != kept for v, kept in before.items())
    return _keep_below(domains, op.traffic, limit) or changed


def _keep_below(domains: Domains, total: Linear, limit: int) -> bool:
    """Drop the values with which a sum exceeds `limit`, whatever the others are; say whether there were any."""
    least = {v: min((table[k] for k in domains[v]), default=limit + 1) for v, table in total.terms}
    spare = limit - total.const - sum(least.values())
    changed = False
    for v, table in total.terms:
        kept = [k for k in domains[v] if table[k] - least[v] <= spare]
        changed |= len(kept) < len(domains[v])
        domains[v] = kept
    return changed


def least_error(instance: Instance, domains: Domains) -> list[int]:
    """Return the pick of least error among `domains`, fewest bits first where it ties.

    Exact: errors are sums over single variables and over pairs that join a wire to one activation group. Domains must be consistent with
    the forbidden pairs.
    """
    own = dict(instance.error.terms)
    pick = [min(domain, key=lambda k, v=v: own[v][k] if v in own else 0) for v, domain in enumerate(domains)]
    wires: dict[int, list[Pair]] = {}
    for pair in instance.pairs:
        if any(map(any, pair.error)):
            wires.setdefault(pair.first, []).append(pair)
    for act, pairs in wires.items():

        def cost(k: int, act: int = act, pairs: list[Pair] = pairs) -> int:
            return (own[act][k] if act in own else 0) + sum(
                min(p.error[k][j] for j in domains[p.second] if p.error[k][j] != FORBIDDEN) for p in pairs
            )

        possible = [k for k in domains[act] if all(any(p.error[k][j] != FORBIDDEN for j in domains[p.second]) for p in pairs)]
        pick[act] = min(possible, key=cost)
        for p in pairs:
            row = p.error[pick[act]]
            pick[p.second] = min((j for j in domains[p.second] if row[j] != FORBIDDEN), key=lambda j, row=row: row[j])
    return pick


def least_size(instance: Instance, domains: Domains) -> list[int]:
    """Return a pick of fewest bits among `domains`: the least of each, then for every wire the least that its activation admits."""
    pick = [domain[0] for domain in domains]
    for pair in instance.pairs:
        row = pair.error[pick[pair.first]]
        if row[pick[pair.second]] == FORBIDDEN:
            pick[pair.second] = next((j for j in domains[pair.second] if row[j] != FORBIDDEN), pick[pair.second])
    return pick


def meets(instance: Instance, pick: Pick, bound: int) -> bool:
    """Whether a pick keeps all limits at a latency of `bound`."""
    return instance.latency_at(pick) == bound and instance.keeps_limits(pick)
