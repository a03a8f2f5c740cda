"""A server of the wire format that does with each request what a script says: answers it, twice, late, by halves, or not at all."""

from __future__ import annotations

import socket
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from types import TracebackType
from typing import Any

import numpy as np

from autosplitc.runtime.client_requests import Reply
from autosplitc.runtime.client_settings import ClientSettings
from autosplitc.runtime.client_wire import Hello
from autosplitc.runtime.errors import LinkError
from autosplitc.runtime.frames import HEADER_BYTES, VERSION, Header, Kind, error_frame, frame, read_header, read_text, text_frame
from autosplitc.runtime.tensors import read_request, result_body

HELLO = Hello("m" * 64, "l" * 64)
LIMIT = 1 << 20
QUICK = ClientSettings(deadline_s=5.0, backoff_s=0.01, max_backoff_s=0.05, connect_s=2.0, window=4)


class Call:
    """A request that came: what the script acts on. connection: which connection of the server it came over, counted from 0."""

    def __init__(self, end: socket.socket, connection: int, header: Header, body: bytearray) -> None:
        self.end = end
        self.connection = connection
        self.header = header
        self.payload = bytes(read_request(body, 64, LIMIT).samples[0])

    def answer(self, request_id: int | None = None) -> None:
        """Answer with the payload's bytes, doubled: so an answer shows whose it is."""
        doubled = np.frombuffer(self.payload, np.uint8)[np.newaxis].astype(np.int64) * 2
        self._send(frame(Kind.RESULT, *result_body({"y": doubled}), request_id=request_id or self.header.request_id))

    def answer_half(self) -> None:
        """Send half an answer, and hang up."""
        parts = frame(Kind.RESULT, *result_body({"y": np.zeros(100)}), request_id=self.header.request_id)
        self.end.sendall(b"".join(bytes(part) for part in parts)[:300])
        self.hang_up()

    def answer_damaged(self) -> None:
        """Send an answer with a bit turned over."""
        parts = frame(Kind.RESULT, *result_body({"y": np.zeros(100)}), request_id=self.header.request_id)
        data = bytearray(b"".join(bytes(part) for part in parts))
        data[-1] ^= 1
        self.end.sendall(data)

    def refuse(self, code: str, request_id: int | None = None) -> None:
        """Answer with an error; request_id 0: of the connection."""
        self._send(error_frame(LinkError(code, "the script says so"), self.header.request_id if request_id is None else request_id))

    def drain(self) -> None:
        """Say that the server is stopping."""
        self._send(frame(Kind.DRAIN))

    def hang_up(self) -> None:
        """Close the connection."""
        try:
            self.end.shutdown(socket.SHUT_RDWR)
        except OSError:
            return

    def _send(self, parts: list[Any]) -> None:
        self.end.sendall(b"".join(bytes(part) for part in parts))


def answer(call: Call) -> None:
    """Be a server without faults."""
    call.answer()


class FakeServer:
    """Runs in threads, as a context. Requests are seen and answered one after the other on each connection, unless the script keeps them.

    seen: how often each payload came; connections: how many were made; welcome: fields that replace those of WELCOME.
    """

    def __init__(
        self,
        script: Callable[[Call], None] = answer,
        port: int = 0,
        token: str | None = None,
        hello: Hello = HELLO,
        tls: ssl.SSLContext | None = None,
        welcome: Mapping[str, Any] | None = None,
    ) -> None:
        self.script = script
        self.token = token
        self.hello = hello
        self.tls = tls
        self.welcome = welcome or {}
        self.seen: Counter[bytes] = Counter()
        self.pings = 0
        self.connections = 0
        self._ends: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", port))
        self.address: tuple[str, int] = self._listener.getsockname()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def __enter__(self) -> FakeServer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """Hang up on all, and listen no more."""
        for end in (self._listener, *self._ends):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        self._listener.close()
        self._thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                end, _ = self._listener.accept()
            except OSError:
                return
            self._ends.append(end)
            self.connections += 1
            threading.Thread(target=self._serve, args=(end, self.connections - 1), daemon=True).start()

    def _serve(self, end: socket.socket, connection: int) -> None:
        try:
            if self.tls is not None:
                end = self.tls.wrap_socket(end, server_side=True)
            with end:
                if self._welcomed(end):
                    while True:
                        self._take(end, connection, *_message(end))
        except (OSError, LinkError):
            return

    def _welcomed(self, end: socket.socket) -> bool:
        _, body = _message(end)
        said = read_text(body)
        for code, field, mine in (
            ("AS822", "token", self.token),
            ("AS823", "model", self.hello.model),
            ("AS824", "layout", self.hello.layout),
        ):
            if said[field] != mine:
                parts = error_frame(LinkError(code, f"another {field}"))
                end.sendall(b"".join(bytes(part) for part in parts))
                return False
        fields = {"protocol": VERSION, "server": "fake", "model": self.hello.model, "layout": self.hello.layout, "max_request_bytes": LIMIT}
        welcome = text_frame(Kind.WELCOME, {**fields, "max_samples": 64, "max_in_flight": 32, "outputs": ["y"], **self.welcome})
        end.sendall(b"".join(bytes(part) for part in welcome))
        return True

    def _take(self, end: socket.socket, connection: int, header: Header, body: bytearray) -> None:
        if header.kind is Kind.PING:
            self.pings += 1
            end.sendall(b"".join(bytes(part) for part in frame(Kind.PONG)))
        elif header.kind is Kind.REQUEST:
            call = Call(end, connection, header, body)
            self.seen[call.payload] += 1
            self.script(call)


def _message(end: socket.socket) -> tuple[Header, bytearray]:
    header = read_header(_exactly(end, HEADER_BYTES), LIMIT)
    return header, _exactly(end, header.length)


def _exactly(end: socket.socket, size: int) -> bytearray:
    data = bytearray()
    while len(data) < size:
        piece = end.recv(size - len(data))
        if not piece:
            raise ConnectionError("closed")
        data += piece
    return data


def payload(number: int) -> bytes:
    """Return a payload that is told from others."""
    return number.to_bytes(2, "big") + b"payload"


def is_answer(future: Future[Reply], number: int) -> bool:
    """Whether a request was answered with what belongs to it."""
    return future.result(10).outputs["y"].tolist() == [[2 * byte for byte in payload(number)]]


def code_of(future: Future[Reply]) -> str:
    """Return the code of the error that a request ends with."""
    error = future.exception(10)
    assert isinstance(error, LinkError)
    return error.code
