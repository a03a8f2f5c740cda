"""What if: the fastest plan at other limits and at another rate of the link, for those who ask what a limit costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from .cpsat import Effort
from .cut import Cut
from .evaluate import Figures
from .problem import Group, Link, Problem, Weight
from .search import Solution, best_effort, search
from .spaces import Space


class OutOfTimeError(Exception):
    """The time for further solves is used up."""


@dataclass(frozen=True, slots=True)
class Best:
    """The fastest plan within the limits (None: there is none) and whether that is proven."""

    solution: Solution | None
    proven: bool


@dataclass
class WhatIf:
    """Solves problems that differ in their limits or their link, over one space of cuts, until `deadline_s` of the clock.

    effort: of a single solve. solves: how many were made. proven: whether all of them ended with a proof.
    """

    space: Space
    effort: Effort
    clock: Callable[[], float]
    deadline_s: float
    solves: int = 0
    proven: bool = True

    def fastest(self, problem: Problem, below_ns: int | None = None) -> Best:
        """Return the fastest plan of all cuts; with `below_ns` only faster ones count. The limit on latency is not looked at.

        Raises OutOfTimeError before a solve that would begin behind the deadline.
        """
        self._count()
        found = search(problem, self.space, self.effort, 1, None if below_ns is None else below_ns - 1)
        best = next(iter(found.solutions), None)
        if best is not None and below_ns is not None and best.figures.latency_ns >= below_ns:
            best = None
        reach_ns = below_ns if best is None else best.figures.latency_ns
        proven = found.open_ns is None or (reach_ns is not None and found.open_ns >= reach_ns)
        self.proven = self.proven and proven
        return Best(best, proven)

    def best_of(self, problem: Problem, cut: Cut) -> Solution | None:
        """Return the best plan for one cut, which may break limits; None where the cut is refused. Raises OutOfTimeError."""
        self._count()
        return best_effort(problem, cut, self.effort)

    def _count(self) -> None:
        if self.clock() >= self.deadline_s:
            raise OutOfTimeError
        self.solves += 1


def link_at(link: Link, rate_bps: int) -> Link:
    """Return a link at another rate: overhead and headers take their bits, the round trip stays."""
    header_bits = round(link.packet_ns * link.rate_bps / 1e9)
    moved = replace(link, rate_bps=rate_bps, packet_ns=round(header_bits * 1e9 / rate_bps))
    return replace(moved, fixed_ns=round_trip_ns(link) + moved.bytes_ns(link.overhead_bytes))


def round_trip_ns(link: Link) -> int:
    """Return what a message takes at any rate."""
    return max(0, link.fixed_ns - link.bytes_ns(link.overhead_bytes))


def message_bits(link: Link, payload_bytes: int) -> int:
    """Return the bits that a message takes on the link: payload, overhead and headers of packets; 0 for nothing to send."""
    if not payload_bytes:
        return 0
    return 8 * (payload_bytes + link.overhead_bytes) + link.packets(payload_bytes) * round(link.packet_ns * link.rate_bps / 1e9)


def fixed_ns(link: Link, figures: Figures) -> int:
    """Return the part of a plan's latency that does not depend on the rate."""
    return figures.edge_ns + figures.cloud_ns + (round_trip_ns(link) if figures.payload_bytes else 0)


def all_ram_bits(problem: Problem) -> int:
    """Return memory that no plan exceeds: all values and constants at once, as wide as they may be."""
    values = sum((v.elements or 0) * max(v.own_bits, 8) for v in problem.values)
    weights = sum(w.elements * 8 + w.scale_bits for w in problem.weights)
    return 2 * values + weights + sum(c.memory_bits for c in problem.constants)


def all_storage_bits(problem: Problem) -> int:
    """Return a size of the model file that no plan exceeds."""
    weights = sum(w.elements * max(w.container_bits, default=0) + w.file_bits for w in problem.weights)
    return weights + sum(c.memory_bits for c in problem.constants) + sum(op.file_bits for op in problem.ops)


def all_error(problem: Problem) -> int:
    """Return an error, in units, that no plan exceeds."""
    tables = (item.error for item in (*problem.weights, *problem.groups))
    wires = (max(row, default=0) for v in problem.values for row in v.wire_error)
    return sum(max(table, default=0) for table in tables) + sum(wires)


def tolerant(problem: Problem, factor: float) -> Problem | None:
    """Return a problem in which the limit on each tensor's noise is `factor` times as large; None where the problem cannot tell.

    Widths come back that missed the limit by no more than that, of those that other tensors of the same kind have. Tensors that belong to
    the model's outputs keep theirs. It cannot tell without such a limit, nor where errors are summed in another measure than noise.
    """
    limit = problem.limits.tensor_error
    if limit is None:
        return None
    most = int(limit * factor)
    outputs = frozenset(v.group for v in problem.values if v.is_output)
    free = [i for i, g in enumerate(problem.groups) if i not in outputs and any(g.error)]
    for_weights = frozenset(b for w in problem.weights for b in w.bits)
    for_groups = frozenset(b for i in free for b in problem.groups[i].bits)
    sides: tuple[tuple[Sequence[Weight | Group], frozenset[int]], ...] = (
        ([w for w in problem.weights if w.bits], for_weights),
        ([problem.groups[i] for i in free if problem.groups[i].bits], for_groups),
    )
    if not all(_in_noise(item, known, limit) for items, known in sides for item in items):
        return None

    def widths(item: Weight | Group, known: frozenset[int]) -> tuple[int, ...]:
        return tuple(sorted({*item.bits, *(b for b in known if limit < item.error[b - 1] <= most)})) if item.bits else ()

    return replace(
        problem,
        weights=tuple(replace(w, bits=widths(w, for_weights)) for w in problem.weights),
        groups=tuple(replace(g, bits=widths(g, for_groups)) if i in free else g for i, g in enumerate(problem.groups)),
        limits=replace(problem.limits, tensor_error=most),
    )


def _in_noise(item: Weight | Group, known: frozenset[int], limit: int) -> bool:
    """Whether the widths that a tensor lacks are those whose error is over the limit: then errors are noise in units of it."""
    kept = len(item.bits) == 1 or all(item.error[b - 1] <= limit for b in item.bits)
    return kept and all(item.error[b - 1] > limit for b in known - frozenset(item.bits))


def least_amount(enough: Callable[[int], int | None], low: int, high: int, step: int) -> tuple[int, int]:
    """Return (not enough, enough) amounts no further apart than `step`, by bisection between such a pair.

    enough: returns None where an amount is not enough, else an amount no greater that is enough too. A pair `step` or less apart comes back
    as it is; where `enough` raises OutOfTimeError the pair known so far does.
    """
    try:
        while high - low > step:
            middle = (low + high) // 2
            found = enough(middle)
            if found is None:
                low = middle
            else:
                high = max(min(found, middle), low + 1)
    except OutOfTimeError:
        pass
    return low, high
