"""The client's side of the link: requests go out while there is room in flight, answers come back by their ids, connections are made anew.

Threads connect and send, receive, and look at the clock; a caller does it where that saves waking them. A request that a broken connection
left without an answer may be sent again, for results do not depend on what else runs; whichever way it ends, it ends once.
"""

from __future__ import annotations

import random
import threading
import time
from typing import TYPE_CHECKING

from .client_reader import Reader
from .client_requests import Reply, Request, Requests
from .client_settings import DEFAULTS, client_tls
from .client_wire import Hello, Welcome, Wire, connect
from .errors import LinkError, again
from .frames import CodecId, Kind, error_of, frame
from .tensors import read_result, request_body

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future

    from .client_settings import ClientSettings
    from .frames import Buffer, Header

FATAL = ("AS811", "AS822", "AS823", "AS824", "AS832")
"""Refusals that trying again does not mend."""

NOT_NOW = ("AS840", "AS842")
"""Refusals of one request that may be sent again: the server has not begun with it."""


class Link:
    """A link to a server that is kept up.

    fails_fast: requests end with an error as soon as the server cannot be reached, rather than at their deadline.
    Raises LinkError as `client_tls` does.
    """

    def __init__(self, address: tuple[str, int], hello: Hello, settings: ClientSettings = DEFAULTS, *, fails_fast: bool = False) -> None:
        """Begin to connect."""
        self.address = address
        self.hello = hello
        self.settings = settings
        self.fails_fast = fails_fast
        self.requests = Requests(settings.window + (settings.queue if settings.keeps else 0))
        self.trouble: LinkError | None = None
        self._reader = Reader(self._on_message, settings.max_result_bytes)
        self._tls = client_tls(address[0], settings)
        self._random = random.Random()
        self._wire: Wire | None = None
        self._welcome: Welcome | None = None
        self._sending = threading.Lock()
        self._left: list[memoryview] = []
        self._pongs: list[int] = []
        self._pinged_s = 0.0
        self._closing = threading.Event()
        work = {"sender": self._keep_up, "clock": self._watch}
        self._threads = [threading.Thread(target=work[what], name=f"link {what}", daemon=True) for what in work]
        for thread in self._threads:
            thread.start()

    @property
    def is_down(self) -> bool:
        """Whether the last attempt to connect failed."""
        return self._wire is None and self.trouble is not None

    def submit(self, samples: Sequence[Buffer], codec: CodecId = CodecId.NONE, *, block: bool = True) -> Future[Reply]:
        """Send samples of the payload; return what will hold the reply, or the LinkError that the request ends with.

        Waits for room where as many are under way as may be. Raises LinkError: AS836 there without `block`.
        """
        future = self._begin(samples, codec, block=block)
        self._reader.wake()
        return future

    def ask(self, samples: Sequence[Buffer], codec: CodecId = CodecId.NONE) -> Future[Reply]:
        """As `submit`, for a caller that waits: reads from this thread until the request has ended, unless another thread is at it."""
        future = self._begin(samples, codec, block=True)
        wire = self._wire
        if wire is not None:
            try:
                self._reader.attend(wire, future)
            except (LinkError, OSError) as error:
                self._broken(wire, error)
            if self.requests.unfinished:
                self._reader.wake()
        return future

    def _begin(self, samples: Sequence[Buffer], codec: CodecId, *, block: bool) -> Future[Reply]:
        body = request_body(samples)
        nbytes = sum(memoryview(part).nbytes for part in body)

        def made(number: int) -> Request:
            until_s = None if self.settings.keeps else time.monotonic() + self.settings.deadline_s
            return Request(number, body, nbytes, codec, until_s)

        request = self.requests.add(made, block=block)
        if not self._send_now():
            with self.requests.changed:
                self.requests.changed.notify_all()
        if self.fails_fast and self.is_down:
            self._fail_all()
        return request.future

    def close(self) -> None:
        """End the link; requests without an answer end with AS835."""
        self._closing.set()
        self.requests.close(LinkError("AS835", "the client was closed before the answer came"))
        if self._wire is not None:
            self._wire.close()
        self._reader.wake()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(self.settings.connect_s + 1)

    def _keep_up(self) -> None:
        """Connect, send until the connection ends, pause, and again."""
        failures = 0
        while not self._closing.is_set():
            try:
                wire, welcome = connect(self.address, self.hello, self.settings, self._tls)
            except LinkError as error:
                failures += 1
                self._on_trouble(error)
            else:
                before = self.requests.counts.answered
                self._use(wire, welcome)
                failures = 0 if self.requests.counts.answered > before else failures + 1
            self._closing.wait(self._pause_s(failures))

    def _use(self, wire: Wire, welcome: Welcome) -> None:
        """Send and receive on a connection until it ends."""
        with self._sending, self.requests.changed:
            self._wire, self._welcome, self.requests.draining, self._pinged_s = wire, welcome, False, 0.0
            self._left = []
            self._pongs.clear()
            self.trouble = None
            self.requests.counts.connections += 1
        if self._closing.is_set():
            wire.close()
        receiver = threading.Thread(target=self._receive, args=(wire,), name="link receiver", daemon=True)
        receiver.start()
        try:
            while self._send_next(wire, welcome):
                pass
        except OSError as error:
            self._broken(wire, error)
        wire.close()
        receiver.join()
        with self._reader.turn, self._sending, self.requests.changed:
            self._wire = None
            wire.release()
        self.requests.disconnected()
        self._give_up_often_sent()

    def _send_next(self, wire: Wire, welcome: Welcome) -> bool:
        """Send the next message, or wait for one; False once the connection has ended. Raises OSError."""
        with self._sending:
            parts, counts = self._left or self._next_message(wire, welcome), True
            self._left = []
            if not parts:
                parts, counts = self._next_control(wire), False
            if parts:
                wire.send(parts, counts=counts)
                return True
        requests = self.requests
        with requests.changed:
            if self._wire is not wire or self._closing.is_set() or (requests.draining and not requests.in_flight):
                return False
            now_s = time.monotonic()
            until_s = max(wire.heard_s, self._pinged_s) + self.settings.heartbeat_s
            moment_s = requests.next_moment_s()
            if moment_s is not None and not requests.draining and requests.in_flight < self._window(welcome):
                until_s = min(until_s, moment_s)
            if not (self._left or self._pongs or until_s <= now_s):
                requests.changed.wait(until_s - now_s)
        return True

    def _send_now(self) -> bool:
        """Send the next request from this thread, as far as that takes no waiting; False where another thread must be told."""
        if not self._sending.acquire(blocking=False):
            return False
        try:
            wire, welcome = self._wire, self._welcome
            if wire is None or welcome is None or self._left:
                return False
            parts = self._next_message(wire, welcome)
            self._left = wire.send_now(parts) if parts else []
            return bool(parts) and not self._left
        except OSError:  # the receiver finds out, and says why
            return False
        finally:
            self._sending.release()

    def _next_message(self, wire: Wire, welcome: Welcome) -> list[Buffer]:
        """Return the next request as a frame, from here on in flight; nothing where none can be sent now."""
        with self.requests.changed:
            gone = self._wire is not wire or self._closing.is_set() or self.requests.draining
            request = None if gone else self.requests.next(self._window(welcome), time.monotonic())
        if request is None:
            return []
        if request.nbytes > welcome.max_request_bytes:
            message = f"a request of {request.nbytes:,} bytes: the server takes {welcome.max_request_bytes:,}"
            if self.requests.answered(request.wire_id) is request:
                self.requests.finish(request, LinkError("AS838", message))
            return []
        left_s = 0.0 if request.until_s is None else max(0.001, request.until_s - time.monotonic())
        deadline_ms = min(0xFFFFFFFF, int(left_s * 1000 + 0.999))
        return frame(Kind.REQUEST, *request.body, request_id=request.wire_id, codec=request.codec, deadline_ms=deadline_ms)

    def _next_control(self, wire: Wire) -> list[Buffer]:
        """Return the next PONG, or a PING where one is due."""
        with self.requests.changed:
            if self._pongs:
                return frame(Kind.PONG, request_id=self._pongs.pop(0))
            now_s = time.monotonic()
            if max(wire.heard_s, self._pinged_s) + self.settings.heartbeat_s > now_s:
                return []
            self._pinged_s = now_s
            return frame(Kind.PING)

    def _window(self, welcome: Welcome) -> int:
        """Return how many requests may be in flight."""
        return max(1, min(self.settings.window, welcome.max_in_flight - 1))

    def _receive(self, wire: Wire) -> None:
        """Take in what comes on a connection until it ends."""
        try:
            self._reader.run(wire)
        except (LinkError, OSError) as error:
            self._broken(wire, error)

    def _on_message(self, header: Header, body: bytearray) -> None:
        """Take in a message. Raises LinkError where the connection cannot go on."""
        if header.kind is Kind.RESULT:
            came_s = time.monotonic()
            request = self.requests.answered(header.request_id)
            if request is not None:
                try:
                    outputs, times = read_result(body)
                    round_trip_s = came_s - request.sent_s
                    self.requests.finish(request, Reply(outputs, times, request.sent_s - request.since_s, round_trip_s))
                except LinkError as error:
                    self.requests.finish(request, error)
        elif header.kind is Kind.ERROR and header.request_id:
            self._on_refusal(header.request_id, error_of(body))
        elif header.kind is Kind.ERROR:
            raise error_of(body)
        elif header.kind in (Kind.DRAIN, Kind.PING):
            with self.requests.changed:
                self.requests.draining = self.requests.draining or header.kind is Kind.DRAIN
                self._pongs += [header.request_id] if header.kind is Kind.PING and len(self._pongs) < 16 else []
                self.requests.changed.notify_all()
        elif header.kind is not Kind.PONG:
            raise LinkError("AS820", f"a {header.kind.name} has no place here")

    def _on_refusal(self, wire_id: int, error: LinkError) -> None:
        """Take in the error that a request was answered with."""
        request = self.requests.answered(wire_id)
        if request is None:
            return
        if error.code not in NOT_NOW or request.sends >= self.settings.max_sends:
            self.requests.finish(request, error)
            return
        if error.code == "AS842":
            self.requests.draining = True
        self.requests.put_off(request, time.monotonic() + self._pause_s(request.sends))

    def _watch(self) -> None:
        """End requests that are due; give up connections on which nothing moves."""
        settings = self.settings
        step_s = min(settings.deadline_s, settings.heartbeat_s, settings.dead_s) / 2
        seen: tuple[Wire | None, int, float] = (None, 0, 0.0)
        while True:
            earliest_s = self.requests.earliest_s()
            until_s = step_s if earliest_s is None else min(step_s, earliest_s - time.monotonic())
            if self._closing.wait(max(0.001, until_s)):
                return
            now_s = time.monotonic()
            for request in self.requests.take_due(now_s):
                self.requests.finish(request, self._late(request))
            wire = self._wire
            if wire is None:
                continue
            arrived = wire.acknowledged_bytes()
            if wire is not seen[0] or arrived > seen[1]:
                seen = (wire, arrived, now_s)
            self._check_alive(wire, now_s, seen[2])

    def _check_alive(self, wire: Wire, now_s: float, taken_s: float) -> None:
        """Give a connection up that has not moved a byte for long, or on which an answer that nobody else would miss does not come."""
        settings, oldest_s = self.settings, self.requests.oldest_flying_s()
        waits = oldest_s is not None or self._pinged_s > wire.heard_s
        if waits and now_s - max(wire.heard_s, taken_s) > settings.dead_s:
            self._broken(wire, LinkError("AS839", f"nothing came or went for {settings.dead_s:g} s"))
        elif settings.keeps and oldest_s is not None and now_s - max(oldest_s, wire.fed_s, taken_s) > settings.deadline_s:
            self._broken(wire, LinkError("AS839", f"no answer came within {settings.deadline_s:g} s"))

    def _late(self, request: Request) -> LinkError:
        """Return the error of a request that is due."""
        if self.is_down and self.trouble is not None:
            return again(self.trouble)
        what = "was sent" if request.sends else "was not even sent"
        reason = f"; {self.trouble.message}" if self.trouble is not None else ""
        message = f"no answer came within {self.settings.deadline_s:g} s (the request {what}{reason})"
        return LinkError("AS833", message, f"{self.address[0]}:{self.address[1]}", "--deadline, or a faster link")

    def _broken(self, wire: Wire, error: LinkError | OSError) -> None:
        """End a connection, for a reason."""
        if isinstance(error, OSError):
            error = LinkError("AS831", f"the connection was lost: {error.strerror or error}")
        with self.requests.changed:
            if self._wire is wire and not self.requests.draining:
                self.trouble = self.trouble or error
        wire.close()
        with self.requests.changed:
            if self._wire is wire:
                self._wire = None
            self.requests.changed.notify_all()
        self._reader.wake()

    def _on_trouble(self, error: LinkError) -> None:
        """Take in that the server cannot be reached, or refuses."""
        with self.requests.changed:
            self.trouble = error
        if self.fails_fast:
            self._fail_all()
        elif error.code in FATAL:
            self.requests.close(error)
            self._closing.set()

    def _fail_all(self) -> None:
        error = self.trouble or LinkError("AS831", "the server cannot be reached")
        for request in self.requests.take(lambda _: True):
            self.requests.finish(request, again(error))

    def _give_up_often_sent(self) -> None:
        """End requests that were on so many connections which broke that they may be what breaks them."""
        why = f"; {self.trouble.message}" if self.trouble is not None else ""
        for request in self.requests.take(lambda r: r.sends >= self.settings.max_sends):
            self.requests.finish(request, LinkError("AS837", f"sent {request.sends} times without an answer{why}"))

    def _pause_s(self, failures: int) -> float:
        """Return how long to wait after so many failures in a row: twice as long each time, half of it by chance."""
        longest_s = min(self.settings.max_backoff_s, self.settings.backoff_s * 2.0 ** min(failures, 30))
        return longest_s * (0.5 + 0.5 * self._random.random())
