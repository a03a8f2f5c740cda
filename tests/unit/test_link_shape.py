"""The links that the benchmarks shape: bytes unchanged, and never faster than the rate."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager

import pytest

from autosplitc.bench.link_shape import has_namespaces, namespaces, relay

RATE_BPS = 8e6


@contextmanager
def echo() -> Generator[tuple[str, int]]:
    """Serve what sends back, in pieces, whatever comes until its end."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                end, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(end,), daemon=True).start()

    def answer(end: socket.socket) -> None:
        with end:
            data = b"".join(iter(lambda: end.recv(1 << 16), b""))
            end.sendall(data)

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()
    listener.close()


def sent_back(port: int, data: bytes) -> tuple[bytes, float]:
    """Return what came back, and the seconds until its first byte: the other side answers once everything was there."""
    with socket.create_connection(("127.0.0.1", port), 20) as end:
        started_s = time.monotonic()
        end.sendall(data)
        end.shutdown(socket.SHUT_WR)
        first = end.recv(1)
        taken_s = time.monotonic() - started_s
        return first + b"".join(iter(lambda: end.recv(1 << 16), b"")), taken_s


def test_the_relay_passes_bytes_on_unchanged_and_not_faster_than_its_rate() -> None:
    data = bytes(range(256)) * 1000
    with echo() as server, relay(server, RATE_BPS) as port:
        came, taken_s = sent_back(port, data)
    assert came == data
    assert taken_s >= len(data) * 8 / RATE_BPS


def test_connections_of_a_relay_share_its_rate() -> None:
    data = bytes(100_000)
    found: list[tuple[bytes, float]] = []
    with echo() as server, relay(server, RATE_BPS) as port:
        threads = [threading.Thread(target=lambda: found.append(sent_back(port, data))) for _ in range(3)]
        started_s = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        taken_s = time.monotonic() - started_s
    assert [came for came, _ in found] == [data] * 3
    assert taken_s >= 3 * len(data) * 8 / RATE_BPS


def test_a_relay_without_a_server_behind_it_closes_each_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        address = gone.getsockname()
    with relay(address, RATE_BPS) as port:
        for _ in range(2):
            with socket.create_connection(("127.0.0.1", port), 5) as end:
                assert end.recv(1) == b""


@pytest.mark.skipif(not has_namespaces(), reason="takes root, ip and tc")
def test_namespaces_are_joined_by_a_bucket_of_the_rate_and_gone_afterwards() -> None:
    def names() -> str:
        return subprocess.run(["ip", "netns", "list"], check=True, capture_output=True, text=True).stdout

    before = names()
    with namespaces(3e6) as link:
        shown = subprocess.run([*link.client, "tc", "qdisc", "show"], check=True, capture_output=True, text=True).stdout
        assert "tbf" in shown
        assert "rate 3Mbit" in shown
        listens = f"import socket; s = socket.create_server(('{link.bind}', 0)); print(s.getsockname()[1], flush=True); s.accept()"
        asks = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)"
        with subprocess.Popen([*link.server, sys.executable, "-c", listens], stdout=subprocess.PIPE, text=True) as listener:
            assert listener.stdout is not None
            port = listener.stdout.readline().strip()
            subprocess.run([*link.client, sys.executable, "-c", asks, link.bind, port], check=True, capture_output=True)
        assert names() != before
    assert names() == before
