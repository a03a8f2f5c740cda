"""The server of the cloud half: many clients, one graph, and bounds on everything that a client can make grow."""

from __future__ import annotations

import asyncio
import hmac
import signal
import sys
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from .answers import SLACK_BYTES, Answers
from .bundle import Bundle
from .cloud import Batcher, CloudHalf
from .connection import LINGER_S, Connection
from .errors import LinkError
from .frames import VERSION, Kind, frame
from .health import HealthServer
from .metrics import Metrics
from .server_settings import ServerSettings, server_tls

if TYPE_CHECKING:
    import ssl

    from .answers import Cancellable
    from .connection import Reply
    from .frames import Header


class Server:
    """A server that runs; made by `start`."""

    def __init__(self, settings: ServerSettings, bundle: Bundle, half: CloudHalf) -> None:
        """Hold the parts; nothing listens yet."""
        self.settings = settings
        self.bundle = bundle
        self.metrics = Metrics()
        self.port = 0
        self.http_port = 0
        self.handshake_s, self.body_s, self.write_s = settings.handshake_s, settings.body_s, settings.write_s
        self.slowest_bytes_per_s, self.max_in_flight = settings.slowest_bytes_per_s, settings.max_in_flight
        self.max_request_bytes = settings.max_samples * (2 * bundle.bytes_per_sample + SLACK_BYTES) + SLACK_BYTES
        self.connections: set[Connection] = set()
        self.draining = False
        self.free_bytes = max(settings.memory_bytes, self.max_request_bytes)
        self._starved: deque[Connection] = deque()
        self.loop = asyncio.get_running_loop()
        self.batcher = Batcher(half, settings.max_batch, settings.max_wait_s, settings.queue, self.metrics.ran, settings.workers)
        self._answers = Answers(settings, bundle, self.batcher, self.metrics)
        self.batcher.on_rest = self._answers.wake
        self._server: asyncio.AbstractServer | None = None
        self._health: HealthServer | None = None

    async def listen(self, tls: ssl.SSLContext | None) -> None:
        """Begin to listen. Raises LinkError: AS830 where the address cannot be had."""
        settings = self.settings
        try:
            self._server = await self.loop.create_server(
                lambda: Connection(self),
                settings.host,
                settings.port,
                ssl=tls,
                ssl_handshake_timeout=settings.handshake_s if tls else None,
                backlog=1024,
            )
            if settings.http is not None:
                self._health = HealthServer(lambda: not self.draining, self._scraped)
                self.http_port = await self._health.start(*settings.http)
        except OSError as error:
            message = f"cannot listen: {error.strerror or error}"
            raise LinkError("AS830", message, f"{settings.host}:{settings.port}", "another port") from None
        self.port = self._server.sockets[0].getsockname()[1]

    def opened(self, connection: Connection) -> None:
        """Count a connection. Raises LinkError: AS841 where there are too many, AS842 while the server stops."""
        if self.draining:
            raise LinkError("AS842", "the server is stopping", hint="connect again later")
        if len(self.connections) >= self.settings.max_connections:
            raise LinkError("AS841", f"the server has {self.settings.max_connections:,} clients already", hint="connect again later")
        self.connections.add(connection)
        self.metrics.connected(len(self.connections))

    def closed(self, connection: Connection) -> None:
        """Forget a connection."""
        self.connections.discard(connection)
        self.metrics.connected(len(self.connections))

    def take_memory(self, connection: Connection, nbytes: int) -> bool:
        """Take memory for a body, once answers that are out gave theirs back; False: the connection is told once there may be enough."""
        self._answers.settle()
        if nbytes <= self.free_bytes:
            self.free_bytes -= nbytes
            return True
        self._starved.append(connection)
        return False

    def give_memory(self, nbytes: int) -> None:
        """Give back what a body took."""
        self.free_bytes += nbytes
        for _ in range(len(self._starved)):
            self.loop.call_soon(self._starved.popleft().go_on)

    def welcome(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Return what a client that fits is told. Raises LinkError: AS822 a wrong token, AS823 another model, AS824 another layout."""
        token, wanted = fields.get("token") or "", self.settings.token
        if wanted is not None and not hmac.compare_digest(str(token).encode("ascii", "backslashreplace"), wanted.encode()):
            self.metrics.refused("AS822")
            message = "the token is wrong" if token else "the server wants a token"
            raise LinkError("AS822", message, hint="--token-file FILE, or AUTOSPLITC_TOKEN")
        for code, field, mine, what in (
            ("AS823", "model", self.bundle.model, "another model"),
            ("AS824", "layout", self.bundle.layout, "another layout of the payload"),
        ):
            theirs = fields.get(field)
            if theirs != mine:
                self.metrics.refused(code)
                message = f"the client has {what}: {str(theirs)[:12]}..., the server {mine[:12]}..."
                raise LinkError(code, message, hint="the same bundle on both sides")
        return {
            "protocol": VERSION,
            "server": "autosplitc",
            "model": self.bundle.model,
            "layout": self.bundle.layout,
            "max_request_bytes": self.max_request_bytes,
            "max_samples": self.settings.max_samples,
            "max_in_flight": self.settings.max_in_flight,
            "outputs": list(self.bundle.outputs("cloud").values()),
        }

    def answer(self, header: Header, body: memoryview, reply: Reply) -> Cancellable | None:
        """Answer a request: `reply.end` is called with a RESULT or an ERROR, now or later. Returns what goes on meanwhile."""
        if self.draining:
            error = LinkError("AS842", "the server is stopping", hint="send it again to another server, or later")
            reply.end(self._answers.refusal(header.request_id, error))
            return None
        return self._answers.begin(header, body, reply)

    def _scraped(self) -> bytes:
        self._answers.settle()
        self.metrics.waits(self.batcher.waiting)
        return self.metrics.text()

    async def drain(self) -> None:
        """Stop: take no new clients, tell those that are there, answer what is in flight, then close."""
        self.draining = True
        if self._server is not None:
            self._server.close()
        for connection in tuple(self.connections):
            connection.send(frame(Kind.DRAIN))
        until_s = time.monotonic() + self.settings.drain_s
        while time.monotonic() < until_s and any(connection.in_flight for connection in self.connections):
            await asyncio.sleep(0.01)
        for connection in tuple(self.connections):
            connection.close()
        while self.connections and time.monotonic() < until_s + LINGER_S:
            await asyncio.sleep(0.01)
        await self.close()

    async def close(self) -> None:
        """Close everything now."""
        self.draining = True
        if self._server is not None:
            self._server.close()
        for connection in tuple(self.connections):
            connection.abort()
        if self._health is not None:
            await self._health.close()
        await self.loop.run_in_executor(None, self.batcher.close)
        self._answers.close()


async def start(settings: ServerSettings, bundle: Bundle | None = None) -> Server:
    """Load the bundle's cloud half and listen. Raises LinkError as `Bundle.load`, `CloudHalf`, `server_tls` and `Server.listen` do."""
    tls = server_tls(settings)
    bundle = bundle or Bundle.load(settings.folder)
    server = Server(settings, bundle, CloudHalf(bundle, settings.providers, settings.threads))
    await server.listen(tls)
    return server


def serve(settings: ServerSettings) -> int:
    """Serve until SIGTERM or SIGINT, then drain; return the exit code. Raises LinkError."""
    if settings.protocol == "oip":
        from .oip_server import serve_oip

        return serve_oip(settings)
    return asyncio.run(_serve(settings))


async def _serve(settings: ServerSettings) -> int:
    server = await start(settings)
    stop = asyncio.Event()
    for name in ("SIGTERM", "SIGINT"):
        try:
            asyncio.get_running_loop().add_signal_handler(getattr(signal, name), stop.set)
        except (NotImplementedError, AttributeError):  # Windows: Ctrl-C raises KeyboardInterrupt
            break
    shown = f"[{settings.host}]" if ":" in settings.host else settings.host
    how = "TLS" if settings.certificate else "no TLS"
    sys.stderr.write(f"serving {server.bundle.folder} at {shown}:{server.port} ({how}{', token' if settings.token else ''})\n")
    if server.http_port:
        sys.stderr.write(f"health and metrics at http port {server.http_port}: /healthz /readyz /metrics\n")
    sys.stderr.flush()
    await stop.wait()
    sys.stderr.write("draining\n")
    await server.drain()
    return 0
