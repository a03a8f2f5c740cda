"""Whether a pass did what it says: gives what it promises, keeps what it preserves, and leaves nothing stale behind."""

from __future__ import annotations

from collections.abc import Iterator

from autosplitc.ir import Fact, Module
from autosplitc.passes import Pass, Request


def broken_claims(pass_: Pass, before: Module, after: Module) -> Iterator[str]:
    """Yield, in words, each promise of the pass that its result breaks."""
    held = {type(f): f for f in before.facts}
    holds = {type(f): f for f in after.facts}
    for fact in pass_.gives:
        if fact not in holds:
            yield f"it says that it gives {fact.name!r} and does not"
    for fact, value in holds.items():
        if fact not in pass_.gives and (fact not in held or held[fact] != value):
            yield f"it changed {fact.name!r}, which is not among what it gives"
    if Request in held and Request not in holds:
        yield "it dropped 'request'"
    for fact in pass_.preserves:
        if fact in held and fact not in holds:
            yield f"it says that it preserves {fact.name!r} and dropped it"
    yield from (f"it left {f.name!r} behind, which speaks of a graph that it rewrote" for f in _stale(pass_, before, after))


def _stale(pass_: Pass, before: Module, after: Module) -> Iterator[Fact]:
    rewritten = {g.name for g in before.graphs if not after.has_graph(g.name) or after.graph(g.name) is not g}
    for fact in after.facts:
        if fact.graph in rewritten and not isinstance(fact, (*pass_.gives, *pass_.preserves)):
            yield fact
