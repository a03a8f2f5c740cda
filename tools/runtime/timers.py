"""Deadlines that are moved much more often than they are missed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Timers:
    """Deadlines by name, of one event loop.

    Setting one anew only notes the moment: the loop's timer that is there already looks at it when it goes off.
    """

    def __init__(self, on_late: Callable[[str], None]) -> None:
        """Begin without deadlines; on_late: told what was said with the deadline that passed."""
        self._on_late = on_late
        self._loop = asyncio.get_running_loop()
        self._due: dict[str, tuple[float, str]] = {}
        self._handles: dict[str, asyncio.TimerHandle] = {}

    def __contains__(self, name: str) -> bool:
        """Return whether a deadline is set."""
        return name in self._due

    def set(self, name: str, seconds: float, what: str) -> None:
        """Set a deadline so many seconds from now."""
        due_s = self._loop.time() + seconds
        self._due[name] = due_s, what
        handle = self._handles.get(name)
        if handle is not None and handle.when() <= due_s:
            return
        if handle is not None:
            handle.cancel()
        self._handles[name] = self._loop.call_at(due_s, self._look, name)

    def clear(self, *names: str) -> None:
        """Drop deadlines, if they are set."""
        for name in names:
            self._due.pop(name, None)

    def end(self) -> None:
        """Drop everything."""
        self._due.clear()
        for handle in self._handles.values():
            handle.cancel()
        self._handles.clear()

    def _look(self, name: str) -> None:
        del self._handles[name]
        if name not in self._due:
            return
        due_s, what = self._due[name]
        if due_s > self._loop.time():
            self._handles[name] = self._loop.call_at(due_s, self._look, name)
            return
        del self._due[name]
        self._on_late(what)
