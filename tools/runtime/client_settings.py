"""How a client behaves: times, bounds, and who it says that it is."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from .errors import LinkError

LOOPBACK = ("127.0.0.1", "::1", "localhost")
FALLBACKS = ("error", "queue", "model")
"""What becomes of requests while the cloud cannot be reached: an error, waiting, or the bundle's own whole model."""


@dataclass(frozen=True)
class ClientSettings:
    """What a client does.

    token, tls, ca, certificate, key, server_name: who it says it is, and whom it trusts (ca: none, the system's). insecure: a token may
    go to another machine without TLS. deadline_s: time for an answer, counted from the moment the payload is ready (`queue`: from the
    moment it was sent; then it is sent again). window: most requests in flight. queue: how many more are kept with `fallback="queue"`.
    connect_s: time to connect and shake hands. heartbeat_s: idle time before a PING. dead_s: time without a byte either way before a
    connection is given up. backoff_s, max_backoff_s: first and longest pause between attempts, before jitter. max_sends: how often a
    request is sent at most.
    """

    token: str | None = None
    tls: bool = False
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    server_name: str = ""
    insecure: bool = False
    fallback: str = "error"
    deadline_s: float = 10.0
    window: int = 4
    queue: int = 64
    connect_s: float = 5.0
    heartbeat_s: float = 5.0
    dead_s: float = 15.0
    backoff_s: float = 0.1
    max_backoff_s: float = 5.0
    max_sends: int = 10
    max_result_bytes: int = 256 << 20

    @property
    def keeps(self) -> bool:
        """Whether requests wait for the cloud however long it takes."""
        return self.fallback == "queue"


DEFAULTS = ClientSettings()


def client_tls(host: str, settings: ClientSettings) -> ssl.SSLContext | None:
    """Return the TLS context, None without TLS. Raises LinkError: AS801 for unsafe or contradicting settings, AS808 for unusable files."""
    wanted = settings.tls or settings.ca is not None
    if not wanted:
        if settings.certificate is not None or settings.key is not None:
            raise LinkError("AS801", "a client certificate takes TLS", hint="--tls, or --ca FILE")
        if settings.token is not None and host not in LOOPBACK and not settings.insecure:
            raise LinkError("AS801", f"the token would go to {host} for all to read", "--server", "--tls or --ca FILE; or --insecure")
        return None
    try:
        context = ssl.create_default_context(cafile=None if settings.ca is None else str(settings.ca))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if settings.certificate is not None:
            context.load_cert_chain(settings.certificate, settings.key)
    except (OSError, ssl.SSLError) as error:
        where = str(settings.certificate or settings.ca or "")
        raise LinkError("AS808", f"the certificate or key cannot be used: {error}", where) from None
    return context
