"""Layered drawing of a graph from top to bottom, after K. Sugiyama, S. Tagawa and M. Toda, IEEE Trans. SMC 11(2), 1981.

The edge's nodes come first and the cloud's start a layer below the last of them, so a straight line is the cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

SWEEPS = 6
"""Times that layers are ordered anew by their neighbours, down and up."""


@dataclass(frozen=True, slots=True)
class Placed:
    """Where nodes are: `x` in units of a node's width from the left, `layer` from the top. bends: by arc the points it goes through.

    cut: the layer above which the edge's nodes are; width: the units across; height: layers.
    """

    x: tuple[float, ...]
    layer: tuple[int, ...]
    bends: dict[tuple[int, int], tuple[tuple[float, int], ...]]
    cut: int
    width: float
    height: int


def place(arcs: Sequence[tuple[int, int]], below: Sequence[bool]) -> Placed:
    """Return a layered drawing. arcs: from a node to a later one. below: whether a node is in the cloud; none leads back from there."""
    count = len(below)
    layer, cut = _layers(arcs, below)
    chains, slots = _with_bends(arcs, layer)
    ups: list[list[int]] = [[] for _ in slots]
    downs: list[list[int]] = [[] for _ in slots]
    for chain in chains.values():
        for first, second in pairwise(chain):
            downs[first].append(second)
            ups[second].append(first)
    rows: list[list[int]] = [[] for _ in range(max(slots, default=-1) + 1)]
    for node, own in enumerate(slots):
        rows[own].append(node)
    _order(rows, ups, downs)
    x = _spread(rows, ups, downs, count)
    least = min(x, default=0.0)
    x = [value - least for value in x]
    bends = {arc: tuple((round(x[node], 3), slots[node]) for node in chain[1:-1]) for arc, chain in chains.items()}
    return Placed(tuple(round(v, 3) for v in x[:count]), tuple(layer), bends, cut, round(max(x, default=0.0) + 1, 3), len(rows))


def _layers(arcs: Sequence[tuple[int, int]], below: Sequence[bool]) -> tuple[list[int], int]:
    """Return the longest way to each node, the cloud's counted from below the edge's; and the first layer of the cloud."""
    ups: list[list[int]] = [[] for _ in below]
    for first, second in arcs:
        ups[second].append(first)
    layer = [0] * len(below)
    cut = 0
    for side in (False, True):
        for node, own in enumerate(below):
            if own == side:
                layer[node] = max([cut if side else 0, *(layer[up] + 1 for up in ups[node])])
        if not side:
            cut = max((layer[node] + 1 for node, own in enumerate(below) if not own), default=0)
    return layer, cut


def _with_bends(arcs: Sequence[tuple[int, int]], layer: Sequence[int]) -> tuple[dict[tuple[int, int], list[int]], list[int]]:
    """Return every arc as nodes of neighbouring layers, with the nodes that this takes, and the layers of all nodes."""
    slots = list(layer)
    shared: dict[tuple[int, int], int] = {}
    chains: dict[tuple[int, int], list[int]] = {}
    for first, second in arcs:
        chain = [first]
        for own in range(layer[first] + 1, layer[second]):
            if (first, own) not in shared:
                shared[first, own] = len(slots)
                slots.append(own)
            chain.append(shared[first, own])
        chains[first, second] = [*chain, second]
    return chains, slots


def _order(rows: list[list[int]], ups: Sequence[Sequence[int]], downs: Sequence[Sequence[int]]) -> None:
    """Order every row by the mean place of its neighbours above, then below, and so on."""
    for sweep in range(SWEEPS):
        falling = sweep % 2 == 0
        near = ups if falling else downs
        place_of = {node: i for row in rows for i, node in enumerate(row)}
        for row in rows if falling else reversed(rows):
            means = {node: sum(place_of[n] for n in near[node]) / len(near[node]) if near[node] else place_of[node] for node in row}
            row.sort(key=lambda node: (means[node], place_of[node]))
            place_of.update((node, i) for i, node in enumerate(row))


def _spread(rows: list[list[int]], ups: Sequence[Sequence[int]], downs: Sequence[Sequence[int]], real: int) -> list[float]:
    """Return the place across of every node: near its neighbours, in the order of its row, and with room to the next."""
    x = [0.0] * sum(map(len, rows))
    for row in rows:
        for i, node in enumerate(row):
            x[node] = i - (len(row) - 1) / 2
    for sweep in range(2 * SWEEPS + 1):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            near = ups if sweep % 2 == 0 else downs
            wanted = [_mean([x[n] for n in near[node]], x[node]) for node in row]
            _apart(row, wanted, x, real)
    return x


def _mean(values: Sequence[float], default: float) -> float:
    return sum(values) / len(values) if values else default


def _apart(row: Sequence[int], wanted: Sequence[float], x: list[float], real: int) -> None:
    """Give nodes of a row the places they want as far as each keeps its distance: the mean of pushing from the left and from the right."""
    gaps = [1.0 if first < real and second < real else 0.7 if first < real or second < real else 0.25 for first, second in pairwise(row)]
    left, right = list(wanted), list(wanted)
    for i in range(1, len(row)):
        left[i] = max(left[i], left[i - 1] + gaps[i - 1])
    for i in range(len(row) - 2, -1, -1):
        right[i] = min(right[i], right[i + 1] - gaps[i])
    for i, node in enumerate(row):
        x[node] = (left[i] + right[i]) / 2
