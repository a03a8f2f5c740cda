"""Neurosurgeon (Kang et al. 2017, ASPLOS): a network is a chain; the best of its prefixes runs on the edge, in float."""

from __future__ import annotations

from ..cut import prefix
from ..problem import Problem
from .floats import sent_raw
from .placed import Placed, placed


def neurosurgeon(problem: Problem) -> Placed | None:
    """Return the fastest prefix of a float problem, None where every one is refused. A DAG is taken in its topological order.

    The method knows no memory: what the answer needs is among its figures. Ties break for fewer ops on the edge.
    """
    cuts = (prefix(problem, position) for position in range(len(problem.ops) + 1))
    found = (placed(problem, cut, sent_raw(problem, cut)) for cut in cuts if not cut.refusal)
    return min(found, key=lambda p: p.figures.latency_ns, default=None)
