"""Progress on the terminal: what runs now, for anything that takes over a second. Nothing is shown where stderr is not a terminal."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

T = TypeVar("T")

SHOW_AFTER_S = 1.0


class ConsoleProgress:
    """A spinner for the running step, with a bar while the step counts something. It vanishes when the step ends."""

    def __init__(self) -> None:
        """Draw on stderr, if that is a terminal."""
        self._console = Console(stderr=True)
        self._bars: Progress | None = None
        self._task: TaskID | None = None

    @contextmanager
    def working(self, description: str) -> Generator[None]:
        """Show that `description` runs, from a second after it began until it ends."""
        if not self._console.is_terminal:
            yield
            return
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        bars = Progress(*columns, console=self._console, transient=True)
        self._bars, self._task = bars, bars.add_task(description, total=None)
        timer = threading.Timer(SHOW_AFTER_S, bars.start)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()
            bars.stop()
            self._bars = self._task = None

    def track(self, items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
        """Yield `items`, counting them beside the running step."""
        bars, task = self._bars, self._task
        if bars is None or task is None:
            yield from items
            return
        bars.reset(task, description=description, total=total)
        for item in items:
            yield item
            bars.advance(task)
