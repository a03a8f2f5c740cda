"""Deadlines that are moved, dropped and missed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from autosplitc.runtime.timers import Timers


def late(script: Callable[[Timers], None], wait_s: float) -> list[str]:
    """Run a script and wait; return what passed, in order."""
    passed: list[str] = []

    async def run() -> None:
        timers = Timers(passed.append)
        script(timers)
        await asyncio.sleep(wait_s)
        timers.end()

    asyncio.run(run())
    return passed


def test_deadlines_pass_once_in_order() -> None:
    def script(timers: Timers) -> None:
        timers.set("b", 0.04, "second")
        timers.set("a", 0.01, "first")
        assert "a" in timers
        assert "c" not in timers

    assert late(script, 0.2) == ["first", "second"]


def test_a_deadline_that_is_moved_passes_when_it_was_moved_to() -> None:
    def later(timers: Timers) -> None:
        timers.set("a", 0.01, "early")
        timers.set("a", 60.0, "late")

    def sooner(timers: Timers) -> None:
        timers.set("a", 60.0, "late")
        timers.set("a", 0.01, "early")

    def back_and_forth(timers: Timers) -> None:
        timers.set("a", 0.02, "one")
        timers.clear("a")
        timers.set("a", 0.06, "two")
        timers.set("a", 0.04, "three")

    assert late(later, 0.1) == []
    assert late(sooner, 0.1) == ["early"]
    assert late(back_and_forth, 0.3) == ["three"]


def test_dropped_deadlines_never_pass() -> None:
    def cleared(timers: Timers) -> None:
        timers.set("a", 0.01, "a")
        timers.set("b", 0.01, "b")
        timers.clear("a", "b", "never set")
        assert "a" not in timers

    def ended(timers: Timers) -> None:
        timers.set("a", 0.01, "a")
        timers.end()

    assert late(cleared, 0.1) == late(ended, 0.1) == []
