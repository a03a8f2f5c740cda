"""The requests that a client has not ended yet: what waits, what is in flight, and when each is due."""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from .errors import LinkError
from .frames import CodecId
from .tensors import ServerTimes

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from .frames import Buffer


class Reply(NamedTuple):
    """What the cloud answered: the outputs it makes; its own times; seconds before the request was sent, and from then to the answer."""

    outputs: dict[str, NDArray[Any]]
    times: ServerTimes
    wait_s: float
    round_trip_s: float


@dataclass(eq=False)
class Request:
    """A request that has not ended. number: its place in the order of submission. wire_id: its id on the link, 0 before it was sent.

    until_s: the moment after which nobody waits for its answer, None for never. not_before_s: the moment until which it is not sent again.
    """

    number: int
    body: list[Buffer]
    nbytes: int
    codec: CodecId
    until_s: float | None
    future: Future[Reply] = field(default_factory=Future)
    wire_id: int = 0
    sends: int = 0
    since_s: float = field(default_factory=time.monotonic)
    sent_s: float = 0.0
    not_before_s: float = 0.0


@dataclass
class Counts:
    """What happened on the link so far."""

    sent: int = 0
    resent: int = 0
    answered: int = 0
    failed: int = 0
    strays: int = 0
    connections: int = 0
    most_in_flight: int = 0


class Requests:
    """Requests by where they are. Each ends once, with a reply or an error, whoever comes first; all methods may be called by any thread.

    Ids grow on every connection. A request keeps its id over connections; it gets another only where the connection is already past it.
    draining: set where nothing more is to be sent on this connection.
    """

    def __init__(self, capacity: int) -> None:
        """Begin with none; at most `capacity` are taken at once."""
        self.changed = threading.Condition()
        self.counts = Counts()
        self.end: LinkError | None = None
        self._capacity = capacity
        self._waiting: deque[Request] = deque()
        self._flying: dict[int, Request] = {}
        self._numbers = 0
        self._blocked = 0
        self.draining = False
        self._ids = 0
        self._last_id = 0

    @property
    def unfinished(self) -> int:
        """How many have not ended."""
        return len(self._waiting) + len(self._flying)

    @property
    def in_flight(self) -> int:
        """How many were sent on this connection and are not answered."""
        return len(self._flying)

    def add(self, make: Callable[[int], Request], *, block: bool) -> Request:
        """Take the request that `make` gives for a number; nobody is woken. Raises LinkError: AS836 where there is no room without `block`.

        Where none are taken any more, the request ends at once.
        """
        with self.changed:
            while self.end is None and self.unfinished >= self._capacity:
                if not block:
                    raise LinkError("AS836", f"{self.unfinished:,} requests wait already", hint="--window or --queue, or send fewer")
                self._blocked += 1
                self.changed.wait()
                self._blocked -= 1
            self._numbers += 1
            request = make(self._numbers)
            request.future.set_running_or_notify_cancel()
            if self.end is None:
                self._waiting.append(request)
                return request
            self.counts.failed += 1
        request.future.set_exception(self.end)
        return request

    def next(self, window: int, now_s: float) -> Request | None:
        """Return the request to send now, from here on in flight, or None."""
        if len(self._flying) >= window:
            return None
        for place, request in enumerate(self._waiting):
            if request.not_before_s <= now_s:
                del self._waiting[place]
                if request.wire_id <= self._last_id:
                    self._ids += 1
                    request.wire_id = self._ids
                self._last_id = request.wire_id
                request.sends += 1
                request.sent_s = now_s
                self._flying[request.wire_id] = request
                self.counts.sent += 1
                self.counts.resent += request.sends > 1
                self.counts.most_in_flight = max(self.counts.most_in_flight, len(self._flying))
                return request
        return None

    def next_moment_s(self) -> float | None:
        """Return when the first request that was put off may be sent again."""
        return min((request.not_before_s for request in self._waiting), default=None)

    def answered(self, wire_id: int) -> Request | None:
        """Take the request that an answer belongs to out of flight; None for one that has ended, or never was."""
        with self.changed:
            request = self._flying.pop(wire_id, None)
            if request is None:
                self.counts.strays += 1
            return request

    def put_off(self, request: Request, not_before_s: float) -> None:
        """Take back a request that the server refused for now."""
        with self.changed:
            end = self.end
            if end is None:
                request.not_before_s = not_before_s
                self._insert(request)
            self.changed.notify_all()
        if end is not None:
            self.finish(request, end)

    def disconnected(self) -> None:
        """Take back what was in flight on a connection that ended."""
        with self.changed:
            for request in self._flying.values():
                self._insert(request)
            self._flying.clear()
            self._last_id = 0
            self.changed.notify_all()

    def finish(self, request: Request, outcome: Reply | LinkError) -> None:
        """End a request that was taken out."""
        with self.changed:
            if isinstance(outcome, Reply):
                self.counts.answered += 1
            else:
                self.counts.failed += 1
        if isinstance(outcome, Reply):
            request.future.set_result(outcome)
        else:
            request.future.set_exception(outcome)
        with self.changed:
            if self._blocked or self._waiting or self.draining:
                self.changed.notify_all()

    def take(self, chosen: Callable[[Request], bool]) -> list[Request]:
        """Take the requests out that are chosen, in order of submission."""
        with self.changed:
            found = sorted((r for r in (*self._waiting, *self._flying.values()) if chosen(r)), key=lambda r: r.number)
            for request in found:
                if self._flying.get(request.wire_id) is request:
                    del self._flying[request.wire_id]
                else:
                    self._waiting.remove(request)
            self.changed.notify_all()
            return found

    def take_due(self, now_s: float) -> list[Request]:
        """Take those out that nobody waits for any more."""
        return self.take(lambda request: request.until_s is not None and request.until_s <= now_s)

    def close(self, end: LinkError) -> None:
        """Take no more; end all that are there."""
        with self.changed:
            self.end = self.end or end
            self.changed.notify_all()
        for request in self.take(lambda _: True):
            self.finish(request, end)

    def earliest_s(self) -> float | None:
        """Return the first moment at which a request is due, None where none is."""
        with self.changed:
            return min((r.until_s for r in (*self._waiting, *self._flying.values()) if r.until_s is not None), default=None)

    def oldest_flying_s(self) -> float | None:
        """Return when the oldest of the requests in flight was sent."""
        with self.changed:
            return min((r.sent_s for r in self._flying.values()), default=None)

    def _insert(self, request: Request) -> None:
        """Put a request back among the waiting, in order of submission."""
        place = len(self._waiting)
        while place and self._waiting[place - 1].number > request.number:
            place -= 1
        self._waiting.insert(place, request)
