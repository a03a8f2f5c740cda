"""Who may go on: a bound on the samples that a server holds at once, first come, first served."""

from __future__ import annotations

import asyncio
from collections import deque


class Gate:
    """Lets in as many samples as fit; the others wait in line. Of one event loop."""

    def __init__(self, limit: int) -> None:
        """Take the most samples that may be inside; a request of more may be there alone."""
        self.limit = limit
        self.inside = 0
        self._line: deque[tuple[int, asyncio.Future[None]]] = deque()

    def enter_now(self, samples: int) -> bool:
        """Come in where there is room and nobody waits; return whether so. Who came in must `leave`."""
        if self._line or not self._fits(samples):
            return False
        self.inside += samples
        return True

    async def enter(self, samples: int, patience_s: float) -> bool:
        """Wait for room, at most so long; return whether there is. Who came in must `leave`."""
        if self.enter_now(samples):
            return True
        if patience_s <= 0:
            return False
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        place = (samples, turn)
        self._line.append(place)
        try:
            await asyncio.wait((turn,), timeout=patience_s)
        except asyncio.CancelledError:
            if turn.done():
                self.leave(samples)
            raise
        finally:
            if not turn.done():
                self._line.remove(place)
                self._let_in()
        return turn.done()

    def leave(self, samples: int) -> None:
        """Make room."""
        self.inside -= samples
        self._let_in()

    def _fits(self, samples: int) -> bool:
        return not self.inside or self.inside + samples <= self.limit

    def _let_in(self) -> None:
        while self._line and self._fits(self._line[0][0]):
            samples, turn = self._line.popleft()
            self.inside += samples
            turn.set_result(None)
