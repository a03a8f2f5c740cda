"""The server of the cloud half: many clients, one graph, and bounds on everything that a client can make grow."""

from __future__ import annotations

import asyncio
import hmac
import signal
import ssl
import sys
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .bundle import Bundle
from .cloud import Batcher, CloudHalf
from .codecs import decode
from .connection import Connection
from .errors import LinkError
from .frames import VERSION, CodecId, Kind, error_frame, frame
from .health import HealthServer
from .metrics import Metrics
from .tensors import read_request, result_body

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .frames import Buffer, Header

LOOPBACK = ("127.0.0.1", "::1", "localhost")
SLACK_BYTES = 4096
"""What a request may take besides its samples."""


@dataclass(frozen=True)
class ServerSettings:
    """How a bundle is served.

    model: what the Open Inference Protocol calls it, "" for the source model's name.
    token: what clients must know, None for nothing. certificate, key: PEM files for TLS; client_ca: PEM file, clients then need a
    certificate of it. insecure: other addresses than the loopback are served without TLS and token. http: host and port of health and
    metrics, None for none. providers, threads: of onnxruntime. max_batch, max_wait_s: samples that run together, and how long one waits
    for others. max_samples: in a request. queue: samples that wait. queue_wait_s: how long a request waits for room there.
    max_in_flight: requests of a client. max_connections; memory_bytes: for bodies, over all clients. handshake_s, body_s, write_s: time for
    a HELLO, for a header or a body (and its bytes at `slowest_bytes_per_s`), and for answers to be read. drain_s: time for what is in
    flight when the server stops.
    """

    folder: Path
    host: str = "127.0.0.1"
    port: int = 7420
    protocol: str = "wire"
    model: str = ""
    token: str | None = None
    certificate: Path | None = None
    key: Path | None = None
    client_ca: Path | None = None
    insecure: bool = False
    http: tuple[str, int] | None = None
    providers: tuple[str, ...] = ()
    threads: int = 0
    max_batch: int = 8
    max_wait_s: float = 0.0
    max_samples: int = 64
    queue: int = 256
    queue_wait_s: float = 1.0
    max_in_flight: int = 32
    max_connections: int = 2000
    memory_bytes: int = 256 << 20
    handshake_s: float = 5.0
    body_s: float = 10.0
    slowest_bytes_per_s: float = 10_000.0
    write_s: float = 30.0
    drain_s: float = 10.0


def server_tls(settings: ServerSettings) -> ssl.SSLContext | None:
    """Return the TLS context, None without TLS. Raises LinkError: AS801 for an unsafe address, AS808 for files that cannot be used."""
    if settings.certificate is None:
        if settings.client_ca is not None:
            raise LinkError("AS801", "client certificates take TLS", hint="--cert FILE --key FILE")
        if settings.host not in LOOPBACK and not settings.insecure:
            message = f"{settings.host} can be reached by others, and there is no TLS"
            raise LinkError("AS801", message, "--bind", "--cert FILE --key FILE with a token or --client-ca; or --insecure")
        return None
    if settings.host not in LOOPBACK and settings.token is None and settings.client_ca is None and not settings.insecure:
        message = f"{settings.host} can be reached by others, and anybody may use it"
        raise LinkError("AS801", message, "--bind", "--token-file FILE or --client-ca FILE; or --insecure")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.certificate, settings.key)
        if settings.client_ca is not None:
            context.load_verify_locations(settings.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        raise LinkError("AS808", f"the certificate or key cannot be used: {error}", str(settings.certificate)) from None
    return context


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
        self._free_bytes = max(settings.memory_bytes, self.max_request_bytes)
        self._starved: deque[Connection] = deque()
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Event()
        self._decoders = ThreadPoolExecutor(2, "decode")
        self._batcher = Batcher(half, settings.max_batch, settings.max_wait_s, settings.queue, self.metrics.ran, self._on_room)
        self._server: asyncio.AbstractServer | None = None
        self._health: HealthServer | None = None

    async def listen(self, tls: ssl.SSLContext | None) -> None:
        """Begin to listen. Raises LinkError: AS830 where the address cannot be had."""
        settings = self.settings
        try:
            self._server = await self._loop.create_server(
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
        """Take memory for a body; False where there is too little: the connection is told once there may be enough."""
        if nbytes <= self._free_bytes:
            self._free_bytes -= nbytes
            return True
        self._starved.append(connection)
        return False

    def give_memory(self, nbytes: int) -> None:
        """Give back what a body took."""
        self._free_bytes += nbytes
        for _ in range(len(self._starved)):
            self._loop.call_soon(self._starved.popleft().go_on)

    def welcome(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Return what a client that fits is told. Raises LinkError: AS822 a wrong token, AS823 another model, AS824 another layout."""
        token, wanted = fields.get("token") or "", self.settings.token
        if wanted is not None and not hmac.compare_digest(str(token).encode(), wanted.encode()):
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

    async def answer(self, header: Header, body: bytearray) -> list[Buffer]:
        """Return the frame that answers a request: a RESULT or an ERROR."""
        started_s = time.monotonic()
        try:
            until_s = started_s + header.deadline_ms / 1e3 if header.deadline_ms else None
            payload = await self._payload(header, body)
            future = await self._submitted(payload, until_s, time.monotonic() - started_s)
            made = await asyncio.wrap_future(future)
            self.metrics.answered(made.times, time.monotonic() - started_s)
            return frame(Kind.RESULT, *result_body(made.outputs, made.times), request_id=header.request_id)
        except LinkError as error:
            self.metrics.failed(error.code)
            return error_frame(error, header.request_id)
        except Exception as error:  # a fault of ours must not leave the client without an answer
            self.metrics.failed("AS849")
            sys.stderr.write(f"error[AS849]: request {header.request_id}: {type(error).__name__}: {error}\n")
            return error_frame(LinkError("AS849", f"the server failed: {type(error).__name__}"), header.request_id)

    async def _payload(self, header: Header, body: bytearray) -> NDArray[np.uint8]:
        """Return the samples of a request, decoded: u8[samples, bytes]."""
        size = self.bundle.bytes_per_sample
        request = read_request(body, self.settings.max_samples, size if header.codec is CodecId.NONE else 2 * size + SLACK_BYTES)
        if header.codec is CodecId.NONE:
            for sample in request.samples:
                decode(CodecId.NONE, sample, size, None)
            return np.frombuffer(body, np.uint8)[-len(request.samples) * size :].reshape(-1, size)

        def decoded() -> NDArray[np.uint8]:
            rows = [np.frombuffer(decode(header.codec, sample, size, self.bundle.picture), np.uint8) for sample in request.samples]
            return np.stack(rows)

        return await self._loop.run_in_executor(self._decoders, decoded)

    async def _submitted(self, payload: NDArray[np.uint8], until_s: float | None, decode_s: float) -> Any:
        """Hand a request to the worker; where too much waits already, wait for room, for a while."""
        patience_s = time.monotonic() + self.settings.queue_wait_s
        while True:
            self._room.clear()
            try:
                return self._batcher.submit(payload, until_s, decode_s)
            except LinkError as error:
                left_s = patience_s - time.monotonic()
                if error.code != "AS840" or left_s <= 0:
                    raise
            try:
                await asyncio.wait_for(self._room.wait(), left_s)
            except TimeoutError:
                continue

    def _on_room(self) -> None:
        """Tell those that wait for room, from the worker's thread."""
        self._loop.call_soon_threadsafe(self._room.set)

    def _scraped(self) -> bytes:
        self.metrics.waits(self._batcher.waiting)
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
        await asyncio.sleep(0)
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
        await self._loop.run_in_executor(None, self._batcher.close)
        self._decoders.shutdown(wait=False)


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
