"""A client's connection: a socket, with TLS or without, that one thread sends frames to while another reads them."""

from __future__ import annotations

import select
import socket
import ssl
import struct
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .errors import LinkError
from .frames import HEADER_BYTES, VERSION, Kind, check_body, error_of, read_header, read_text, text_frame

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .client_settings import ClientSettings
    from .frames import Buffer, Header

CHUNK_BYTES = 1 << 17
"""Most that is handed to the system at once."""

AHEAD_BYTES = 1 << 15
"""Most that is read beyond what is asked for: a short message comes in one piece."""


@dataclass(frozen=True)
class Welcome:
    """What the server said of itself."""

    server: str
    max_request_bytes: int
    max_samples: int
    max_in_flight: int


@dataclass(frozen=True)
class Hello:
    """Whom a client asks for: fingerprints of the model and of the payload's layout."""

    model: str
    layout: str
    client: str = "autosplitc"


class Wire:
    """A connected socket.

    One thread may send while another receives. OpenSSL lets no two threads use one connection, so with TLS a lock is held during each call,
    none of which waits. heard_s: moment (`time.monotonic`) at which a byte last came; fed_s: a byte of a body, which
    PONGs have not.
    """

    def __init__(self, end: socket.socket) -> None:
        """Take over a socket."""
        self._end = end
        self._tls = isinstance(end, ssl.SSLSocket)
        self._lock = threading.Lock()
        self._timeout_s: float | None = None
        self._open = True
        self._handed_bytes = 0
        self._ahead = memoryview(bytearray(AHEAD_BYTES))
        self._ahead_at = self._ahead_end = 0
        self._header: Header | None = None
        self._data, self._filled = bytearray(HEADER_BYTES), 0
        self.heard_s = self.fed_s = time.monotonic()
        if self._tls:
            end.setblocking(False)

    def limit(self, seconds: float | None) -> None:
        """Set how long one call may wait for the other side, None for ever."""
        self._timeout_s = seconds
        if not self._tls:
            self._end.settimeout(seconds)

    def send(self, parts: Sequence[Buffer], *, counts: bool = True) -> None:
        """Send buffers one after the other; `counts`: for `acknowledged_bytes`. Raises OSError."""
        views = [memoryview(part).cast("B") for part in parts if memoryview(part).nbytes]
        while views:
            taken = self._send_some(_first(views))
            self._handed_bytes += taken if counts else 0
            views = _without(views, taken)

    def send_now(self, parts: Sequence[Buffer]) -> list[memoryview]:
        """Send as much as the system takes without waiting; return what is left. Raises OSError."""
        views = [memoryview(part).cast("B") for part in parts if memoryview(part).nbytes]
        flag = getattr(socket, "MSG_DONTWAIT", None)
        if self._tls or flag is None or not hasattr(self._end, "sendmsg"):
            return views
        try:
            taken = self._end.sendmsg(views, (), flag)
        except BlockingIOError:
            return views
        self._handed_bytes += taken
        return _without(views, taken)

    @property
    def is_open(self) -> bool:
        """Whether nobody has ended the connection from this side."""
        return self._open

    @property
    def is_shared(self) -> bool:
        """Whether `receive_until` and `wait_readable` may be called: not with TLS, which reads ahead of what it gives."""
        return not self._tls

    def receive(self, limit_bytes: int) -> tuple[Header, bytearray]:
        """Return the next message. Raises OSError where the connection ends, LinkError (AS81x) for what is no message of ours."""
        message = self.receive_until(limit_bytes, None)
        assert message is not None
        return message

    def receive_until(self, limit_bytes: int, until_s: float | None) -> tuple[Header, bytearray] | None:
        """Return the next message, or None where it is not here by a moment (`time.monotonic`): the next call goes on with it.

        Raises as `receive` does.
        """
        if self._header is None:
            if not self._fill(until_s):
                return None
            self._header = read_header(self._data, limit_bytes)
            self._data, self._filled = bytearray(self._header.length), 0
        if not self._fill(until_s, is_body=True):
            return None
        header, body = self._header, self._data
        self._header, self._data, self._filled = None, bytearray(HEADER_BYTES), 0
        check_body(header, body)
        return header, body

    def wait_readable(self) -> None:
        """Wait until there is something to receive, or the connection has ended."""
        if self._ahead_at == self._ahead_end:
            _ready(self._end, False, None)

    def acknowledged_bytes(self) -> int:
        """Return about how many bytes of what counts the other side's system has, or, where that is not told, this side's."""
        try:
            from fcntl import ioctl
            from termios import TIOCOUTQ

            (queued,) = struct.unpack("i", ioctl(self._end.fileno(), TIOCOUTQ, b"\0\0\0\0"))
        except (ImportError, OSError, ValueError):
            queued = 0
        return self._handed_bytes - queued

    def close(self) -> None:
        """End the connection; calls that wait for it raise OSError. May be called from any thread, several times."""
        with self._lock:
            if not self._open:
                return
            self._open = False
        try:
            socket.socket.shutdown(self._end, socket.SHUT_RDWR)
        except OSError:
            return

    def release(self) -> None:
        """Give the socket back to the system, once no thread uses it."""
        self.close()
        self._end.close()

    def _fill(self, until_s: float | None, *, is_body: bool = False) -> bool:
        """Fill the message's buffer; return whether it is full."""
        view = memoryview(self._data)
        self._filled += self._take(view[self._filled :])
        while self._filled < len(view):
            if until_s is not None and not _ready(self._end, False, max(0.0, until_s - time.monotonic())):
                return False
            direct = len(view) - self._filled >= AHEAD_BYTES
            came = self._receive_some(view[self._filled :] if direct else self._ahead)
            if not came:
                raise ConnectionError("the server closed the connection")
            self.heard_s = time.monotonic()
            if direct:
                self._filled += came
            else:
                self._ahead_at, self._ahead_end = 0, came
                self._filled += self._take(view[self._filled :])
            self.fed_s = self.heard_s if is_body else self.fed_s
        return True

    def _take(self, view: memoryview) -> int:
        """Fill a buffer with what was read ahead, as far as it goes; return how many bytes."""
        size = min(len(view), self._ahead_end - self._ahead_at)
        view[:size] = self._ahead[self._ahead_at : self._ahead_at + size]
        self._ahead_at += size
        return size

    def _send_some(self, views: list[memoryview]) -> int:
        if self._tls:
            return self._without_waiting(self._end.send, views[0])
        if hasattr(self._end, "sendmsg"):
            return self._end.sendmsg(views)
        return self._end.send(views[0])

    def _receive_some(self, view: memoryview) -> int:
        return self._without_waiting(self._end.recv_into, view) if self._tls else self._end.recv_into(view)

    def _without_waiting(self, call: Any, view: memoryview) -> int:
        """Return what a call of the TLS socket gives, made again each time the socket is ready for it."""
        while True:
            with self._lock:
                if not self._open:
                    raise ConnectionError("the connection was closed")
                try:
                    return call(view)
                except ssl.SSLWantReadError:
                    writes = False
                except ssl.SSLWantWriteError:
                    writes = True
            if not _ready(self._end, writes, self._timeout_s):
                raise TimeoutError("timed out")


def connect(address: tuple[str, int], hello: Hello, settings: ClientSettings, tls: ssl.SSLContext | None) -> tuple[Wire, Welcome]:
    """Return a connection that the server welcomed, and what it said.

    Raises LinkError: AS831 where the server cannot be reached, AS832 where TLS fails, AS81x where what answers does not speak the protocol,
    AS825 for a welcome that makes no sense, and what the server refuses with.
    """
    where = f"{address[0]}:{address[1]}"
    end: socket.socket | None = None
    wire: Wire | None = None
    try:
        end = socket.create_connection(address, timeout=settings.connect_s)
        _tune(end, settings)
        if tls is not None:
            end = tls.wrap_socket(end, server_hostname=settings.server_name or address[0])
        wire = Wire(end)
        wire.limit(settings.connect_s)
        welcome = _shake_hands(wire, hello, settings)
        wire.limit(None)
        return wire, welcome
    except LinkError as error:
        _drop(wire, end)
        raise LinkError(error.code, error.message, where, error.hint) from None
    except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
        _drop(wire, end)
        raise LinkError("AS831", "the server closed the connection within the handshake", where) from None
    except ssl.SSLError as error:
        _drop(wire, end)
        reason = str(getattr(error, "verify_message", "") or error.reason or error)
        hint = "--ca FILE that signed the server's certificate, --server-name where it has another name; --cert and --key where it asks"
        raise LinkError("AS832", f"TLS failed: {reason}", where, hint) from None
    except OSError as error:
        _drop(wire, end)
        reason = "timed out" if isinstance(error, socket.timeout) else error.strerror or str(error)
        raise LinkError("AS831", f"the server cannot be reached: {reason}", where, "is it running? autosplitc serve OUT") from None


def _shake_hands(wire: Wire, hello: Hello, settings: ClientSettings) -> Welcome:
    fields = {"protocol": VERSION, "model": hello.model, "layout": hello.layout, "token": settings.token, "client": hello.client}
    wire.send(text_frame(Kind.HELLO, fields))
    header, body = wire.receive(settings.max_result_bytes)
    if header.kind is Kind.ERROR:
        raise error_of(body)
    if header.kind is not Kind.WELCOME:
        raise LinkError("AS825", f"the server answered HELLO with {header.kind.name}")
    said = read_text(body)
    for code, field, mine, what in (("AS823", "model", hello.model, "model"), ("AS824", "layout", hello.layout, "layout of the payload")):
        if said.get(field) != mine:
            message = f"the server has another {what}: {str(said.get(field))[:12]}..., this bundle {mine[:12]}..."
            raise LinkError(code, message, hint="the same bundle on both sides")
    limits = [said.get(name) for name in ("max_request_bytes", "max_samples", "max_in_flight")]
    if not all(isinstance(limit, int) and limit > 0 for limit in limits):
        raise LinkError("AS825", "the server's welcome lacks its limits")
    return Welcome(str(said.get("server"))[:100], *(int(limit or 0) for limit in limits))


def _tune(end: socket.socket, settings: ClientSettings) -> None:
    """No waiting for full packets; the system itself gives up on data that is not acknowledged, where it can."""
    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    timeout = getattr(socket, "TCP_USER_TIMEOUT", None)
    if timeout is not None:
        end.setsockopt(socket.IPPROTO_TCP, timeout, int(settings.dead_s * 1000))


def _drop(wire: Wire | None, end: socket.socket | None) -> None:
    if wire is not None:
        wire.release()
    elif end is not None:
        end.close()


def _without(views: list[memoryview], size: int) -> list[memoryview]:
    """Return buffers without their first bytes."""
    left: list[memoryview] = []
    for view in views:
        if size < len(view):
            left.append(view[size:])
        size = max(0, size - len(view))
    return left


def _first(views: list[memoryview]) -> list[memoryview]:
    """Return the first bytes of buffers, at most `CHUNK_BYTES`."""
    left = CHUNK_BYTES
    taken: list[memoryview] = []
    for view in views:
        if left <= 0:
            break
        taken.append(view[:left])
        left -= len(view)
    return taken


def _ready(end: socket.socket, writes: bool, timeout_s: float | None) -> bool:
    """Wait until a socket can be written to or read from; return whether it can."""
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(end, select.POLLOUT if writes else select.POLLIN)
        return bool(poll.poll(None if timeout_s is None else timeout_s * 1000))
    found = select.select([] if writes else [end], [end] if writes else [], [], timeout_s)
    return any(found)
