"""A client of the server that does what it is told, right or wrong, and what else tests of the server share."""

from __future__ import annotations

import gc
import resource
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray

from autosplitc.runtime.cloud import CloudHalf
from autosplitc.runtime.frames import (
    HEADER,
    HEADER_BYTES,
    MAGIC,
    VERSION,
    Header,
    Kind,
    check_body,
    error_of,
    frame,
    read_header,
    text_frame,
)
from autosplitc.runtime.server import Server
from autosplitc.runtime.tensors import read_result, request_body

Serve: TypeAlias = Callable[..., AbstractContextManager[Server]]
Array: TypeAlias = NDArray[Any]


class Peer:
    """A client that does what it is told, right or wrong."""

    def __init__(self, server: Server, tls: ssl.SSLContext | None = None, *, hello: bool = True, **fields: Any) -> None:
        """Connect, and shake hands with `hello`."""
        self.server = server
        end = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        self.end = tls.wrap_socket(end, server_hostname="127.0.0.1") if tls else end
        if hello:
            self.send(hello_of(server, **fields))
            header, body = self.receive()
            if header.kind is Kind.ERROR:
                self.end.close()
                raise error_of(body)
            assert header.kind is Kind.WELCOME

    def send(self, parts: Sequence[bytes | bytearray | memoryview]) -> None:
        """Send a frame."""
        self.end.sendall(b"".join(parts))

    def ask(self, number: int, payload: Array, deadline_ms: int = 0) -> None:
        """Send a request of samples u8[n, bytes]."""
        self.send(request_of(number, payload, deadline_ms))

    def receive(self) -> tuple[Header, bytes]:
        """Return the next message. Raises EOFError."""
        header = read_header(self._exactly(HEADER_BYTES), 1 << 24)
        body = self._exactly(header.length)
        check_body(header, body)
        return header, body

    def logits(self, number: int) -> Array:
        """Return the outputs of the next message, a result of a request. Raises LinkError where it is an error."""
        header, body = self.receive()
        assert header.request_id == number
        if header.kind is Kind.ERROR:
            raise error_of(body)
        assert header.kind is Kind.RESULT
        return read_result(body)[0]["logits"]

    def refusal(self) -> str:
        """Return the code of the error that comes next; then the connection is over."""
        header, body = self.receive()
        assert (header.kind, header.request_id) == (Kind.ERROR, 0)
        with pytest.raises((EOFError, ConnectionError)):
            self.receive()
        self.end.close()
        return error_of(body).code

    def kill(self) -> None:
        """Go away without a word."""
        self.end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.end.close()

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self.end.recv(size - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data


def hello_of(server: Server, **fields: Any) -> list[Any]:
    """Return a HELLO that the server takes, but for `fields`."""
    known = {"protocol": VERSION, "model": server.bundle.model, "layout": server.bundle.layout, "token": None, "client": "test"}
    return text_frame(Kind.HELLO, {**known, **fields})


def request_of(number: int, payload: Array, deadline_ms: int = 0) -> list[Any]:
    """Return a request of samples u8[n, bytes]."""
    return frame(Kind.REQUEST, *request_body([row.tobytes() for row in payload]), request_id=number, deadline_ms=deadline_ms)


def payload_of(seed: int, samples: int = 1, nbytes: int = 294) -> Array:
    """Return payloads of random bytes."""
    return np.random.default_rng(seed).integers(0, 256, (samples, nbytes), np.uint8)


def settled(true: Callable[[], bool], seconds: float = 5.0) -> bool:
    """Return whether something becomes true soon."""
    until_s = time.monotonic() + seconds
    while not true() and time.monotonic() < until_s:
        time.sleep(0.01)
    return true()


def assert_serves(server: Server, half: CloudHalf, **fields: Any) -> None:
    """Assert that a client of good will gets its answer, and that nobody else is left."""
    payload = payload_of(7, 2)
    with closing(Peer(server, **fields).end) as end:
        peer = Peer.__new__(Peer)
        peer.server, peer.end = server, end
        peer.ask(1, payload)
        np.testing.assert_allclose(peer.logits(1), half.infer(payload)["logits"], rtol=1e-4, atol=1e-4)
    assert settled(lambda: not server.connections)


def resident_bytes() -> int:
    """Return the memory of this process."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def raw_header(kind: int = 3, codec: int = 0, flags: int = 0, length: int = 0, magic: bytes = MAGIC, version: int = VERSION) -> bytes:
    """Return a header with a wrong checksum."""
    return HEADER.pack(magic, version, kind, codec, flags, 1, 0, length, 0)


def damaged(parts: Sequence[Any], at: int) -> bytes:
    """Return a frame with a bit turned."""
    data = bytearray(b"".join(parts))
    data[at] ^= 4
    return bytes(data)


class Brake:
    """Holds the cloud half until it is let go, and counts the samples that it ran."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Put it on."""
        self.free = threading.Event()
        self.samples = 0
        infer = CloudHalf.infer

        def held(half: CloudHalf, payload: NDArray[np.uint8]) -> dict[str, Array]:
            assert self.free.wait(20)
            self.samples += len(payload)
            return infer(half, payload)

        monkeypatch.setattr(CloudHalf, "infer", held)
