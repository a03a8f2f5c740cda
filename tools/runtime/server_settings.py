"""How a bundle is served: addresses, who may, and bounds; the TLS context of it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from .errors import LinkError

LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class ServerSettings:
    """How a bundle is served.

    token: what clients must know, None for nothing. certificate, key: PEM files for TLS; client_ca: PEM file, clients then need a
    certificate of it. insecure: other addresses than the loopback are served without TLS and token. http: host and port of health and
    metrics, None for none. protocol: `wire` or `oip`; model: its name there, "" for the source model's. providers, threads: of onnxruntime.
    max_batch, max_wait_s: samples that run together, and how long one waits for others. workers: batches that run at once. max_samples: in
    a request. queue: samples that are taken from requests at once; queue_wait_s: how long a request waits for room there.
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
    workers: int = 1
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
        if settings.client_ca is not None or settings.key is not None:
            raise LinkError("AS801", "a key and client certificates take a certificate", "command line", "--cert FILE --key FILE")
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
