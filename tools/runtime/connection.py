"""A client's connection to the server: bodies are read into buffers of the size that their checked header says; answers go as they come."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from .crc32c import Checksum
from .errors import LinkError
from .frames import HEADER_BYTES, Kind, check_body, error_frame, frame, read_header, read_text
from .sender import Sender
from .timers import Timers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .answers import Cancellable
    from .frames import Buffer, Header


LINGER_S = 1.0
"""How long the last message may take to be fetched before a connection is cut."""

_WASTE = memoryview(bytearray(1 << 16))
"""Where bytes go that nobody wants any more, of all connections."""

_NOTHING = memoryview(b"")


class Host(Protocol):
    """What a connection needs of its server."""

    max_request_bytes: int
    handshake_s: float
    body_s: float
    slowest_bytes_per_s: float
    write_s: float
    max_in_flight: int

    def opened(self, connection: Connection) -> None:
        """Count a connection. Raises LinkError where there are too many."""
        ...

    def closed(self, connection: Connection) -> None:
        """Forget a connection."""
        ...

    def take_memory(self, connection: Connection, nbytes: int) -> bool:
        """Take memory for a body; False: the server calls `go_on` when there is some."""
        ...

    def give_memory(self, nbytes: int) -> None:
        """Give back what a body took."""
        ...

    def welcome(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Return what a client that fits is told. Raises LinkError for one that does not."""
        ...

    def answer(self, header: Header, body: memoryview, reply: Reply) -> Cancellable | None:
        """Answer a request: `reply.end` is called once, now or later. Returns what goes on meanwhile."""
        ...


class Reply(NamedTuple):
    """How a request is answered."""

    connection: Connection
    header: Header

    def send_now(self, parts: Sequence[Buffer]) -> bool:
        """Send the answer from any thread, if that takes no waiting; return whether it was sent."""
        return self.connection.send_now(parts)

    @property
    def owes(self) -> bool:
        """Whether the rest of an answer waits for an `end`."""
        return self.connection.owes

    def end(self, parts: Sequence[Buffer]) -> None:
        """End the request with its answer; with nothing where that was sent, or the request was cancelled. For the event loop alone."""
        self.connection.on_answer(self.header, parts)


class Connection(asyncio.BufferedProtocol):
    """The server's end of a connection.

    Nothing is read while as many requests as may be are in flight, while answers pile up unread, and while memory for a body is lacking.
    """

    def __init__(self, host: Host) -> None:
        """Begin without a transport."""
        self.host = host
        self.welcomed = False
        self.in_flight = 0
        self._transport: asyncio.Transport | None = None
        self._sender: Sender | None = None
        self._head = memoryview(bytearray(HEADER_BYTES))
        self._header: Header | None = None
        self._body = _NOTHING
        self._filled = 0
        self._checksum = Checksum(b"", _NOTHING)
        self._last_id = 0
        self._closing = False
        self._reserved_bytes = 0
        self._timers = Timers(self._late)
        self._holds: set[str] = set()
        self._work: dict[int, Cancellable] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin: a HELLO must come soon."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._sender = Sender(transport)
        end = transport.get_extra_info("socket")
        if end is not None:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._timers.set("read", self.host.handshake_s, "no HELLO came in time")
        try:
            self.host.opened(self)
        except LinkError as error:
            self.refuse(error)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget everything; requests in flight are answered to nobody."""
        del exc
        self._timers.end()
        self._stop_sending()
        self._transport = None
        self._closing = True
        for work in tuple(self._work.values()):
            work.cancel()
        self._give(self._reserved_bytes)
        self._reserved_bytes = 0
        self.host.closed(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where the next bytes go: never beyond the current header or body."""
        del sizehint
        if self._closing:
            return _WASTE
        return (self._head if self._header is None else self._body)[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        """Go on with what came."""
        if self._closing:
            return
        self._filled += nbytes
        try:
            if self._header is None:
                self._on_head()
            elif self._filled == len(self._body):
                self._on_body()
            else:
                self._checksum.take(self._filled)
        except LinkError as error:
            self.refuse(error)
        except Exception as error:  # a fault of ours must not leave the client without a word
            sys.stderr.write(f"error[AS849]: a connection: {type(error).__name__}: {error}\n")
            self.refuse(LinkError("AS849", f"the server failed: {type(error).__name__}"))

    def eof_received(self) -> bool:
        """Close once the client sends no more."""
        return False

    def pause_writing(self) -> None:
        """Read nothing while the client does not take its answers; close if it never does."""
        self._hold("unread answers")
        self._timers.set("write", self.host.write_s, "answers were not read in time")

    def resume_writing(self) -> None:
        """Go on reading."""
        self._timers.clear("write")
        self.release("unread answers")

    def go_on(self) -> None:
        """Read the body that memory was lacking for."""
        if self._transport is None or self._header is None or self._closing:
            return
        if self.host.take_memory(self, self._header.length):
            self._begin_body(self._header)
            self.release("memory")

    def send(self, parts: Sequence[Buffer]) -> None:
        """Send a frame, if the client is still there and was not told goodbye."""
        if self._sender is not None and not self._closing:
            self._sender.send(parts)

    def send_now(self, parts: Sequence[Buffer]) -> bool:
        """Send a frame from any thread, as `Sender.send_now`."""
        sender = self._sender
        return sender is not None and sender.send_now(parts)

    @property
    def owes(self) -> bool:
        """Whether the rest of a frame waits for the event loop."""
        return self._sender is not None and self._sender.owes

    def refuse(self, error: LinkError) -> None:
        """Tell what is wrong, and close."""
        self.send(error_frame(error))
        self.close()

    def close(self) -> None:
        """Close once everything was sent and fetched, or cut the connection after a while.

        What still comes is read and dropped meanwhile: closing a socket with bytes unread would make the system drop what was sent last.
        """
        transport = self._transport
        if transport is None or self._closing:
            return
        self.send(())
        self._closing = True
        self._stop_sending()
        self._timers.clear("read", "write")
        self._timers.set("linger", LINGER_S, "")
        self._holds.clear()
        transport.resume_reading()
        if transport.can_write_eof():
            transport.write_eof()
        else:
            transport.close()

    def on_answer(self, header: Header, parts: Sequence[Buffer]) -> None:
        """Send the answer to a request, or what is left of it, and go on."""
        self._work.pop(header.request_id, None)
        self.send(parts)
        self.in_flight -= 1
        self._give(header.length)
        self.release("requests in flight")

    def abort(self) -> None:
        """Close now."""
        if self._transport is not None:
            self._transport.abort()

    def release(self, reason: str) -> None:
        """Read again, unless there is another reason not to."""
        if reason not in self._holds:
            return
        self._holds.discard(reason)
        if not self._holds and self._transport is not None and not self._closing:
            self._transport.resume_reading()

    def _hold(self, reason: str) -> None:
        self._holds.add(reason)
        if self._transport is not None and not self._closing:
            self._transport.pause_reading()

    def _on_head(self) -> None:
        if self._filled < HEADER_BYTES:
            if "read" not in self._timers:
                self._timers.set("read", self.host.body_s, "a header did not come in time")
            return
        header = read_header(self._head, self.host.max_request_bytes)
        if self.welcomed != (header.kind is not Kind.HELLO) or header.kind in (Kind.WELCOME, Kind.RESULT, Kind.ERROR):
            raise LinkError("AS820", f"a {header.kind.name} has no place here")
        self._header = header
        if self.host.take_memory(self, header.length):
            self._begin_body(header)
        else:
            self._timers.clear("read")
            self._hold("memory")

    def _begin_body(self, header: Header) -> None:
        self._reserved_bytes = header.length
        self._body, self._filled = np.empty(header.length, np.uint8).data, 0
        self._checksum = Checksum(header.checked, self._body)
        if self.welcomed:
            self._timers.set("read", self.host.body_s + header.length / self.host.slowest_bytes_per_s, "a body did not come in time")
        elif "read" not in self._timers:
            self._timers.set("read", self.host.handshake_s, "no HELLO came in time")
        if not header.length:
            self._on_body()

    def _on_body(self) -> None:
        header, body = self._header, self._body
        assert header is not None
        self._header, self._body, self._filled = None, _NOTHING, 0
        self._reserved_bytes = 0
        self._timers.clear("read")
        kept = False
        try:
            check_body(header, body, self._checksum)
            kept = header.kind is Kind.REQUEST
            if kept:
                self._on_request(header, body)
            else:
                self._on_other(header, body)
        finally:
            if not kept:
                self._give(header.length)

    def _on_other(self, header: Header, body: memoryview) -> None:
        if header.kind is Kind.HELLO:
            fields = self.host.welcome(read_text(body))
            self.welcomed = True
            self.send(frame(Kind.WELCOME, json.dumps(fields).encode()))
        elif header.kind is Kind.PING:
            self.send(frame(Kind.PONG, request_id=header.request_id))

    def _on_request(self, header: Header, body: memoryview) -> None:
        if header.request_id <= self._last_id:
            self._give(header.length)
            raise LinkError("AS821", f"request {header.request_id} came behind request {self._last_id}: numbers must grow")
        self._last_id = header.request_id
        self.in_flight += 1
        if self.in_flight >= self.host.max_in_flight:
            self._hold("requests in flight")
        work = self.host.answer(header, body, Reply(self, header))
        if work is not None:
            self._work[header.request_id] = work

    def _stop_sending(self) -> None:
        if self._sender is not None:
            self._sender.end()

    def _give(self, nbytes: int) -> None:
        if nbytes:
            self.host.give_memory(nbytes)

    def _late(self, what: str) -> None:
        if self._closing:
            self.abort()
        else:
            self.refuse(LinkError("AS834", what))
