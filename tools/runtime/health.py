"""Health, readiness and metrics over HTTP: GET alone, one small request a connection."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

HEAD_BYTES = 8192
PATIENCE_S = 5.0
_STATUS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}


class HealthServer:
    """Answers /healthz, /readyz (503 while not ready) and /metrics."""

    def __init__(self, ready: Callable[[], bool], metrics: Callable[[], bytes]) -> None:
        """Take what to tell."""
        self._ready = ready
        self._metrics = metrics
        self._server: asyncio.AbstractServer | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; return the port. Raises OSError."""
        self._server = await asyncio.start_server(self._on_client, host, port, limit=HEAD_BYTES)
        return self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop."""
        if self._server is not None:
            self._server.close()

    async def _on_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE_S)
            status, body = self._answer(head.split(b"\r\n", 1)[0].decode("latin-1"))
            fields = f"HTTP/1.1 {status} {_STATUS[status]}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
            writer.write(f"{fields}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
            await asyncio.wait_for(writer.drain(), PATIENCE_S)
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            pass
        finally:
            writer.close()

    def _answer(self, line: str) -> tuple[int, bytes]:
        words = line.split()
        if len(words) != 3:
            return 400, b"bad request\n"
        if words[0] != "GET":
            return 405, b"GET alone\n"
        path = words[1].partition("?")[0]
        if path == "/healthz":
            return 200, b"ok\n"
        if path == "/readyz":
            return (200, b"ready\n") if self._ready() else (503, b"draining\n")
        return (200, self._metrics()) if path == "/metrics" else (404, b"/healthz /readyz /metrics\n")
