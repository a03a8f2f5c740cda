"""What a connection sends: from its event loop, or straight from the thread that made an answer."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from .frames import Buffer


class Sender:
    """Sends frames over a transport, each whole before the next.

    A thread that hands an answer to the event loop waits until that wakes; where nothing else is on its way out, and without TLS, it may
    write to the socket itself.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        """Begin with a transport that has sent nothing."""
        self._transport = transport
        self._lock = threading.Lock()
        self._owed: list[memoryview] = []
        self._clear = True
        end = transport.get_extra_info("socket")
        direct = transport.get_extra_info("sslcontext") is None and hasattr(os, "writev")
        self._descriptor = end.fileno() if direct and end is not None else -1

    def send(self, parts: Sequence[Buffer]) -> None:
        """Send a frame, behind what `send_now` left; nothing more than that without parts. For the event loop alone."""
        with self._lock:
            if self._owed or parts:
                self._transport.writelines([*self._owed, *parts])
                self._owed = []
            self._clear = not self._transport.get_write_buffer_size()

    def send_now(self, parts: Sequence[Buffer]) -> bool:
        """Send a frame from any thread without waiting; False where that cannot be: then nothing of it was sent.

        What the system did not take of it goes with the next `send`, which must follow.
        """
        with self._lock:
            if self._descriptor < 0 or not self._clear:
                return False
            try:
                taken = os.writev(self._descriptor, parts)
            except OSError:  # the event loop finds out, and why
                return False
            for view in (memoryview(part).cast("B") for part in parts):
                if taken < len(view):
                    self._owed.append(view[taken:])
                taken = max(0, taken - len(view))
            self._clear = not self._owed
            return True

    @property
    def owes(self) -> bool:
        """Whether the next `send` must bring the rest of a frame."""
        return bool(self._owed)

    def end(self) -> None:
        """Let no other thread send any more: the descriptor may soon be another connection's."""
        with self._lock:
            self._descriptor = -1
