"""A holder's cost as terms of a minimum cut, nowhere above what it really is.

With bits chosen for each way of parting alone the cost is no sum over ops. It is replaced by the greatest sum of such terms that this
procedure finds: so much for each op, so much as soon as any but the root is on the edge, and so much for each value that crosses. All on
the edge and the root alone, which is how most holders stand, keep their cost as far as they can.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from .holders import Holder, Way
from .problem import NONE


@dataclass
class Terms:
    """ops: cost of each op of the holder; always: cost of the holder whatever the cut; joined: cost where an op but the root is there.

    crossing: cost of each value where it crosses; no `joined` and no `crossing` is below 0.
    """

    ops: dict[int, float]
    crossing: dict[int, float]
    always: float = 0.0
    joined: float = 0.0

    def at(self, way: Way, root: int) -> float:
        """Return the cost of a way of parting."""
        joined = self.joined if any(i != root for i in way.inside) else 0.0
        sent = sum(self.crossing.get(v, 0.0) for v in way.crossing)
        return self.always + joined + sent + sum(self.ops[i] for i in way.inside)


def terms_of(holder: Holder, exact: list[float], rows: Mapping[int, float]) -> Terms:
    """Return terms for the cost of each way. rows: time of each op where the bits are those of the last way, all ops on the edge."""
    root, ways = holder.root, holder.ways
    whole, alone = len(ways) - 1, next(k for k, way in enumerate(ways) if way.inside == frozenset({root} - {NONE}))
    found = Terms(dict(rows), {})
    rest = [cost - sum(rows[i] for i in way.inside) for way, cost in zip(ways, exact, strict=True)]
    finite = [rest[k] for k in (whole, alone) if not math.isinf(rest[k])]
    base = min(finite, default=0.0)
    if len(finite) == 2:
        found.joined = rest[whole] - base if whole != alone else 0.0
        found.crossing.update((v, rest[alone] - base) for v in ways[alone].crossing[:1])
    if root == NONE:
        found.always = base
    else:
        found.ops[root] += base
    for k, way in enumerate(ways):
        new = [v for v in way.crossing if v not in found.crossing]
        if new and not math.isinf(exact[k]):
            short = exact[k] - found.at(way, root)
            found.crossing.update((v, max(short, 0.0) if v == new[0] else 0.0) for v in new)
    _shift(holder, found, exact)
    _lower(holder, found, exact)
    return found


def _shift(holder: Holder, found: Terms, exact: list[float]) -> None:
    """Where the terms are too high for part of the ops, move cost from one of them to one that comes later."""
    for way, cost in zip(holder.ways[:-1], exact, strict=False):
        over = found.at(way, holder.root) - cost
        inner = [i for i in way.inside if i != holder.root]
        later = [i for i in holder.ops if i not in way.inside and i != holder.root]
        if over > 0 and inner and later:
            found.ops[max(inner)] -= over
            found.ops[later[0]] += over


def _lower(holder: Holder, found: Terms, exact: list[float]) -> None:
    """Lower the terms of every way that they are still too high for: those of crossing values first, the holder's own last."""
    root = holder.root
    for way, cost in zip(holder.ways, exact, strict=True):
        if not way.inside and root != NONE:
            continue
        over = found.at(way, root) - cost
        for v in sorted(way.crossing, key=lambda v: (-found.crossing.get(v, 0.0), v)):
            if over > 0:
                part = min(over, found.crossing.get(v, 0.0))
                found.crossing[v] = found.crossing.get(v, 0.0) - part
                over -= part
        if over > 0 and any(i != root for i in way.inside):
            part = min(over, found.joined)
            found.joined -= part
            over -= part
        if over > 0 and root == NONE:
            found.always -= over
        elif over > 0:
            found.ops[root] -= over
