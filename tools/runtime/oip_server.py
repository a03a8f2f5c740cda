"""`serve --protocol oip`: a bundle's cloud half behind the Open Inference Protocol v2, with the batching and limits of the other server."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from typing import TYPE_CHECKING

from .bundle import Bundle
from .cloud import Batcher, CloudHalf
from .errors import LinkError
from .health import HealthServer
from .metrics import Metrics
from .oip_http import HttpConnection, HttpLimits, Memory, h11_module
from .oip_service import Service
from .server_settings import server_tls

if TYPE_CHECKING:
    from .server_settings import ServerSettings

_JSON_BYTES = 5
"""Most characters that a byte of the payload takes in JSON: `255, `."""
_HEAD_BYTES = 64 << 10


class OipServer:
    """A server that runs; made by `start_oip`. port: where it listens."""

    def __init__(self, settings: ServerSettings, bundle: Bundle, half: CloudHalf) -> None:
        """Hold the parts; nothing listens yet."""
        self.settings = settings
        self.port = 0
        self.draining = False
        self.http_port = 0
        metrics = self.metrics = Metrics()
        batcher = Batcher(half, settings.max_batch, settings.max_wait_s, settings.queue, metrics.ran, settings.workers)
        self.service = Service(
            batcher, settings.model, settings.token, settings.max_samples, is_ready=lambda: not self.draining, metrics=metrics
        )
        self._health: HealthServer | None = None
        body_bytes = settings.max_samples * (_JSON_BYTES * bundle.bytes_per_sample + 64) + _HEAD_BYTES
        waits = {"head_s": settings.handshake_s, "body_s": settings.body_s, "send_s": settings.write_s}
        self._limits = HttpLimits(_HEAD_BYTES, body_bytes, slowest_bytes_per_s=settings.slowest_bytes_per_s, **waits)
        self._memory = Memory(max(settings.memory_bytes, body_bytes))
        self._connections: dict[HttpConnection, asyncio.Task[None]] = {}
        self._server: asyncio.AbstractServer | None = None

    async def listen(self) -> None:
        """Begin to listen. Raises LinkError: AS830 where the address cannot be had; those of `server_tls`."""
        settings, tls = self.settings, server_tls(self.settings)
        handshake_s = settings.handshake_s if tls else None
        try:
            self._server = await asyncio.start_server(
                self._connected, settings.host, settings.port, ssl=tls, ssl_handshake_timeout=handshake_s, backlog=1024
            )
            if settings.http is not None:
                self._health = HealthServer(lambda: not self.draining, self._scraped)
                self.http_port = await self._health.start(*settings.http)
        except OSError as error:
            message = f"cannot listen: {error.strerror or error}"
            raise LinkError("AS830", message, f"{settings.host}:{settings.port}", "another port") from None
        self.port = self._server.sockets[0].getsockname()[1]

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._connections) >= self.settings.max_connections or self.draining:
            writer.close()
            return
        connection = HttpConnection(self.service, self._limits, self._memory, reader, writer)
        task = asyncio.ensure_future(connection.serve())
        self._connections[connection] = task
        self.metrics.connected(len(self._connections))
        try:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        finally:
            del self._connections[connection]
            self.metrics.connected(len(self._connections))

    def _scraped(self) -> bytes:
        self.metrics.waits(self.service.batcher.waiting)
        return self.metrics.text()

    async def drain(self) -> None:
        """Take no new clients, answer what is in flight, then close."""
        self.draining = True
        if self._server is not None:
            self._server.close()
        until_s = time.monotonic() + self.settings.drain_s
        while time.monotonic() < until_s and not all(connection.is_idle for connection in self._connections):
            await asyncio.sleep(0.01)
        await self.close()

    async def close(self) -> None:
        """Close everything now."""
        self.draining = True
        if self._server is not None:
            self._server.close()
        tasks = list(self._connections.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._health is not None:
            await self._health.close()
        await asyncio.get_running_loop().run_in_executor(None, self.service.batcher.close)


async def start_oip(settings: ServerSettings) -> OipServer:
    """Load the bundle's cloud half and listen. Raises LinkError as `start` does, and AS864 where h11 is missing."""
    h11_module()
    bundle = Bundle.load(settings.folder)
    server = OipServer(settings, bundle, CloudHalf(bundle, settings.providers, settings.threads))
    await server.listen()
    return server


def serve_oip(settings: ServerSettings) -> int:
    """Serve until SIGTERM or SIGINT, then drain; return the exit code. Raises LinkError."""
    return asyncio.run(_serve(settings))


async def _serve(settings: ServerSettings) -> int:
    server = await start_oip(settings)
    stop = asyncio.Event()
    for name in ("SIGTERM", "SIGINT"):
        try:
            asyncio.get_running_loop().add_signal_handler(getattr(signal, name), stop.set)
        except (NotImplementedError, AttributeError):  # Windows: Ctrl-C raises KeyboardInterrupt
            break
    shown = f"[{settings.host}]" if ":" in settings.host else settings.host
    how = "https" if settings.certificate else "http"
    sys.stderr.write(f"serving {settings.folder} at {how}://{shown}:{server.port}/v2/models/{server.service.model}\n")
    if server.http_port:
        sys.stderr.write(f"health and metrics at http port {server.http_port}: /healthz /readyz /metrics\n")
    sys.stderr.flush()
    await stop.wait()
    sys.stderr.write("draining\n")
    await server.drain()
    return 0
