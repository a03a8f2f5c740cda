"""HTTP/1.1 around the Open Inference Protocol: connections by asyncio, the grammar of HTTP by h11 (extra `oip`).

A client may be slow, but not without end: a request's head, its body and the answer have times of their own, and the body's size is known
to be within the limit before memory is taken for it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from .errors import LinkError
from .oip_service import Reply, refusal

if TYPE_CHECKING:
    from typing import TypeVar

    import h11

    from .oip_service import Service

    T = TypeVar("T")

_READ_BYTES = 1 << 18
_LINGER_S = 1.0
_REASONS = {200: b"OK", 400: b"Bad Request", 401: b"Unauthorized", 404: b"Not Found", 405: b"Method Not Allowed", 413: b"Content Too Large"}
_REASONS.update({408: b"Request Timeout", 431: b"Request Header Fields Too Large", 500: b"Internal Server Error", 501: b"Not Implemented"})
_REASONS.update({503: b"Service Unavailable", 504: b"Gateway Timeout"})


@dataclass(frozen=True)
class HttpLimits:
    """What a connection may take.

    head_bytes, body_bytes: most bytes of a request's head and body. idle_s: between requests. head_s: for a head, from its first byte.
    body_s: for a body, and more at `slowest_bytes_per_s`. send_s: for an answer to be taken.
    """

    head_bytes: int = 64 << 10
    body_bytes: int = 256 << 20
    idle_s: float = 60.0
    head_s: float = 10.0
    body_s: float = 10.0
    slowest_bytes_per_s: float = 10_000.0
    send_s: float = 60.0


class Memory:
    """What bodies of all clients may take together, in bytes."""

    def __init__(self, free_bytes: int) -> None:
        """Begin with all of it."""
        self.free_bytes = free_bytes

    def take(self, nbytes: int) -> None:
        """Take some. Raises LinkError (AS840) where too little is left."""
        if nbytes > self.free_bytes:
            raise LinkError("AS840", "the server is busy: requests that came before take its memory", hint="send it again later")
        self.free_bytes -= nbytes


class HttpConnection:
    """One client. Raises LinkError (AS864) where h11 is not installed."""

    def __init__(
        self, service: Service, limits: HttpLimits, memory: Memory, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Hold the parts."""
        self._h11 = h11_module()
        self._service = service
        self._limits = limits
        self._memory = memory
        self._reader = reader
        self._writer = writer
        self._http = self._h11.Connection(self._h11.SERVER, max_incomplete_event_size=limits.head_bytes)
        self.is_idle = True

    async def serve(self) -> None:
        """Answer requests until the client goes, or breaks a rule."""
        try:
            while await self._one():
                pass
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._writer.close()
            with contextlib.suppress(OSError):
                await within(_LINGER_S, self._writer.wait_closed())

    async def _one(self) -> bool:
        """Answer one request; return whether another may follow."""
        try:
            request = await self._head()
            if request is None:
                return False
            self.is_idle = False
            return await self._answered(request)
        except self._h11.RemoteProtocolError as error:
            return await self._last(error.error_status_hint, f"this is no HTTP request: {error}")
        except LinkError as error:
            return await self._reply_and_close(refusal(error))

    async def _answered(self, request: h11.Request) -> bool:
        """Read a request's body and answer it; return whether another request may follow."""
        size = self._body_bytes(request)
        self._memory.take(size)
        try:
            body = await within(self._limits.body_s + size / self._limits.slowest_bytes_per_s, self._body(size))
            method, target = request.method.decode("ascii"), request.target.decode("ascii", "replace")
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers}
            reply = await self._service.answer(method, target, headers, body)
        finally:
            self._memory.free_bytes += size
        await self._send(reply)
        self.is_idle = True
        if self._http.our_state is not self._h11.DONE or self._http.their_state is not self._h11.DONE:
            return False
        self._http.start_next_cycle()
        return True

    async def _head(self) -> h11.Request | None:
        """Return a request's head; None where the client is gone, or sends none in time."""
        event: Any = self._http.next_event()
        if event is self._h11.NEED_DATA:
            if not await self._receive(self._limits.idle_s):
                return None
            event = await within(self._limits.head_s, self._event())
        return event if isinstance(event, self._h11.Request) else None

    async def _event(self) -> Any:
        while True:
            event: Any = self._http.next_event()
            if event is not self._h11.NEED_DATA:
                return event
            await self._receive(None)

    async def _receive(self, wait_s: float | None) -> bool:
        """Take what the client sent; return whether there was anything."""
        data = await within(wait_s, self._reader.read(_READ_BYTES))
        self._http.receive_data(data)
        return bool(data)

    def _body_bytes(self, request: h11.Request) -> int:
        """Return the most that a request's body can take. Raises LinkError (AS863): too much, or no length."""
        fields = dict(request.headers)
        if b"transfer-encoding" in fields:
            raise LinkError("AS863", "a body in chunks is not taken: send its length", hint="Content-Length")
        size = int(fields.get(b"content-length", b"0"))
        if size > self._limits.body_bytes:
            raise LinkError("AS863", f"the body has {size:,} bytes, and at most {self._limits.body_bytes:,} are taken")
        return size

    async def _body(self, size: int) -> bytearray:
        """Return a request's body, `size` bytes. Raises asyncio.IncompleteReadError where the client goes before its end."""
        if self._http.they_are_waiting_for_100_continue:
            self._writer.write(self._http.send(self._h11.InformationalResponse(status_code=100, headers=[])) or b"")
        body, filled = bytearray(size), 0
        while True:
            event = await self._event()
            if isinstance(event, self._h11.Data):
                body[filled : filled + len(event.data)] = event.data
                filled += len(event.data)
            elif isinstance(event, self._h11.EndOfMessage):
                return body
            else:
                raise asyncio.IncompleteReadError(bytes(body[:filled]), size)

    async def _last(self, status: int, message: str) -> bool:
        return await self._reply_and_close(replace(refusal(LinkError("AS860", message)), status=status))

    async def _reply_and_close(self, reply: Reply) -> bool:
        """Answer where HTTP still allows it, and tell the client that the connection ends."""
        if self._http.our_state in (self._h11.IDLE, self._h11.SEND_RESPONSE):
            await self._send(replace(reply, headers={**reply.headers, "Connection": "close"}))
            await within(_LINGER_S, self._discard())
        return False

    async def _discard(self) -> None:
        """Read what the client still sends: were the connection closed before, the answer could be lost."""
        if self._writer.can_write_eof():
            self._writer.write_eof()
        while await self._reader.read(_READ_BYTES):
            pass

    async def _send(self, reply: Reply) -> None:
        headers = list(reply.headers.items())
        reason = _REASONS.get(reply.status, b"")
        buffers: list[Any] = [self._http.send(self._h11.Response(status_code=reply.status, headers=headers, reason=reason))]
        for part in reply.parts:
            buffers += self._http.send_with_data_passthrough(self._h11.Data(data=part)) or []
        buffers.append(self._http.send(self._h11.EndOfMessage()))
        self._writer.writelines([buffer for buffer in buffers if buffer])
        await within(self._limits.send_s, self._writer.drain())


async def within(wait_s: float | None, action: Awaitable[T]) -> T:
    """Return what an action gives. Raises TimeoutError where that takes longer than `wait_s`, if it is given."""
    task = asyncio.ensure_future(action)
    try:
        done, _ = await asyncio.wait([task], timeout=wait_s)
        if not done:
            raise TimeoutError
        return task.result()
    finally:
        task.cancel()


def h11_module() -> Any:
    """Return h11. Raises LinkError (AS864) where it is not installed."""
    try:
        import h11
    except ImportError:
        hint = 'pip install "autosplitc[oip]", or pip install h11'
        raise LinkError("AS864", "the Open Inference Protocol takes h11, which is not installed", hint=hint) from None
    return h11
