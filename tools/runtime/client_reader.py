"""Who reads from a connection: a thread of its own, or a caller that waits for an answer anyway, whom nobody need wake then."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from .client_wire import Wire
    from .frames import Header

LULL_S = 0.05
"""How long the thread rests after a caller has read: the next one may soon."""

STEP_S = 0.02
"""How often a caller that reads looks whether its request has ended in another way."""


class Reader:
    """Takes in messages, one reader at a time. turn: held by the one who reads, and by who takes a connection away."""

    def __init__(self, on_message: Callable[[Header, bytearray], None], limit_bytes: int) -> None:
        """Read results of at most `limit_bytes`."""
        self.turn = threading.Lock()
        self._on_message = on_message
        self._limit_bytes = limit_bytes
        self._changed = threading.Condition(threading.Lock())
        self._shares = False
        self._caller = False
        self._rests_until_s = 0.0

    def run(self, wire: Wire) -> None:
        """Take in what comes on a connection until it ends. Raises OSError, and LinkError as `Wire.receive` and `on_message` do."""
        while True:
            if self._shares:
                self._rest()
                wire.wait_readable()
            if self.turn.acquire(blocking=False):
                try:
                    self._on_message(*wire.receive(self._limit_bytes))
                finally:
                    self.turn.release()

    def attend(self, wire: Wire, future: Future[Any]) -> None:
        """Read from this thread until a future is done, if nobody else does. Raises as `run` does."""
        self._shares = self._shares or wire.is_shared
        if not (wire.is_shared and self.turn.acquire(blocking=False)):
            return
        self._caller = True
        try:
            while wire.is_open and not future.done():
                message = wire.receive_until(self._limit_bytes, time.monotonic() + STEP_S)
                if message is not None:
                    self._on_message(*message)
        finally:
            self.turn.release()
            with self._changed:
                self._caller, self._rests_until_s = False, time.monotonic() + LULL_S

    def wake(self) -> None:
        """Let the thread read: somebody else waits for an answer, or the connection ends."""
        if self._rests_until_s:
            with self._changed:
                self._rests_until_s = 0.0
                self._changed.notify_all()

    def _rest(self) -> None:
        with self._changed:
            while self._caller or time.monotonic() < self._rests_until_s:
                self._changed.wait(LULL_S)
