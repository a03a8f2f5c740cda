"""What the server counts, for Prometheus (prometheus-client, an extra); without the package nothing is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .tensors import ServerTimes

BUCKETS_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """Counters of a server, in a registry of its own."""

    def __init__(self) -> None:
        """Make them, where the package is there."""
        try:
            import prometheus_client as prometheus
        except ImportError:
            self.registry: Any = None
            return
        registry = self.registry = prometheus.CollectorRegistry()
        self._answered = prometheus.Counter("autosplitc_answered", "Requests that were answered.", registry=registry)
        self._failed = prometheus.Counter("autosplitc_failed", "Requests that ended in an error.", ["code"], registry=registry)
        self._refused = prometheus.Counter("autosplitc_refused", "Clients that were turned away.", ["code"], registry=registry)
        self._clients = prometheus.Gauge("autosplitc_clients", "Clients that are connected.", registry=registry)
        self._waiting = prometheus.Gauge("autosplitc_waiting_samples", "Samples that wait for the cloud graph.", registry=registry)
        self._batches = prometheus.Histogram("autosplitc_batch_samples", "Samples run at once.", buckets=BATCHES, registry=registry)
        self._seconds = {
            part: prometheus.Histogram(f"autosplitc_{part}_seconds", about, buckets=BUCKETS_S, registry=registry)
            for part, about in (
                ("queue", "Time that requests waited."),
                ("decode", "Time to decode requests."),
                ("cloud", "Time in the cloud graph."),
                ("request", "Time from a request's last byte to its answer."),
            )
        }

    def connected(self, clients: int) -> None:
        """Tell how many clients there are."""
        if self.registry is not None:
            self._clients.set(clients)

    def waits(self, samples: int) -> None:
        """Tell how many samples wait."""
        if self.registry is not None:
            self._waiting.set(samples)

    def ran(self, samples: int, seconds: float) -> None:
        """Count a batch."""
        if self.registry is not None:
            self._batches.observe(samples)
            self._seconds["cloud"].observe(seconds)

    def answered(self, times: ServerTimes, seconds: float) -> None:
        """Count a request that was answered."""
        if self.registry is not None:
            self._answered.inc()
            self._seconds["queue"].observe(times.queue_s)
            self._seconds["decode"].observe(times.decode_s)
            self._seconds["request"].observe(seconds)

    def failed(self, code: str) -> None:
        """Count a request that failed."""
        if self.registry is not None:
            self._failed.labels(code).inc()

    def refused(self, code: str) -> None:
        """Count a client that was turned away."""
        if self.registry is not None:
            self._refused.labels(code).inc()

    def text(self) -> bytes:
        """Return everything in Prometheus' text format; a comment without the package."""
        if self.registry is None:
            return b'# nothing is counted: pip install "autosplitc[metrics]"\n'
        import prometheus_client

        return prometheus_client.generate_latest(self.registry)
