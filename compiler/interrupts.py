"""Ctrl-C that is not lost: libraries in C++ may swallow the exception, or turn it into one of their own."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass(slots=True)
class Interrupts:
    """Remembers that the user pressed Ctrl-C. settled: a step broke off then, and its part is kept."""

    seen: bool = False
    settled: bool = False

    def check(self) -> None:
        """Raise KeyboardInterrupt where one was seen before."""
        if self.seen:
            raise KeyboardInterrupt

    def settle(self) -> None:
        """Go on with the part that is known; the next Ctrl-C ends the run."""
        self.seen, self.settled = False, True


@contextmanager
def remembered_interrupts() -> Generator[Interrupts]:
    """Raise KeyboardInterrupt on Ctrl-C as usual, and remember it; outside the main thread nothing changes.

    While a module is imported it is remembered alone: extension modules crash when their start is broken off.
    """
    found = Interrupts()
    if threading.current_thread() is not threading.main_thread():
        yield found
        return

    def on_interrupt(number: int, frame: FrameType | None) -> None:
        del number
        found.seen = True
        if not _importing(frame):
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield found
    finally:
        signal.signal(signal.SIGINT, before)


def _importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
