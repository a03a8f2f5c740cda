"""What the link is measured against: a plain socket and XML-RPC, and a client that asks all of them in turn.

`python -m autosplitc.bench.link_peers socket|graph|xmlrpc HOST FOLDER` serves until it is ended, its port on the first line; `socket`
throws the payload away, `graph` runs the bundle's cloud half on it. `python -m autosplitc.bench.link_peers ask` reads its orders as JSON
from stdin and prints times as JSON.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import time
import xmlrpc.client
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xmlrpc.server import SimpleXMLRPCRequestHandler, SimpleXMLRPCServer

import numpy as np

from autosplitc.runtime.bundle import Bundle
from autosplitc.runtime.client_link import Link
from autosplitc.runtime.client_settings import ClientSettings
from autosplitc.runtime.client_wire import Hello
from autosplitc.runtime.cloud import CloudHalf

REPLY_BYTES = 100
"""Of the plain servers; a result with ten f32 takes as much."""

DEADLINE_S = 120.0


class _Quiet(SimpleXMLRPCRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Keep still."""


class _Rpc:
    def __init__(self) -> None:
        self._reply = xmlrpc.client.Binary(bytes(REPLY_BYTES))

    def infer(self, _: xmlrpc.client.Binary) -> xmlrpc.client.Binary:
        """Answer, whatever it is."""
        return self._reply


def serve_socket(host: str, folder: str, *, runs: bool) -> None:
    """Answer every payload that comes with `REPLY_BYTES`, the seconds that the graph took first; one client after the other."""
    bundle = Bundle.load(Path(folder))
    half = CloudHalf(bundle, threads=1) if runs else None
    listener = socket.create_server((host, 0))
    print(listener.getsockname()[1], flush=True)
    data = bytearray(bundle.bytes_per_sample)
    while True:
        end, _ = listener.accept()
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with end:
            while _filled(end, data):
                started_s = time.perf_counter()
                if half is not None:
                    half.infer(np.frombuffer(data, np.uint8)[np.newaxis])
                end.sendall(struct.pack("<d", time.perf_counter() - started_s).ljust(REPLY_BYTES, b"\0"))


def serve_xmlrpc(host: str) -> None:
    """Answer bytes by XML-RPC with `REPLY_BYTES`."""
    server = SimpleXMLRPCServer((host, 0), _Quiet, logRequests=False)
    server.register_instance(_Rpc())
    print(server.server_address[1], flush=True)
    server.serve_forever()


def ask(orders: dict[str, Any]) -> dict[str, list[float]]:
    """Send payloads to all peers in turn; return seconds of each round trip, those of ours without the server's own.

    orders: host, nbytes, repeats, block (round trips with a peer before the next one), warmup (not counted), ports by
    peer, folder of the bundle that ours serves.
    """
    payload = np.random.default_rng(0).integers(0, 256, orders["nbytes"], np.uint8).tobytes()
    made = {name: _ASKS[name](orders, port, payload) for name, port in orders["ports"].items()}
    times_s: dict[str, list[float]] = {name: [] for name in made}
    while min(map(len, times_s.values())) < orders["repeats"]:
        for name, once in made.items():
            for _ in range(orders["warmup"]):
                once()
            times_s[name] += [once() for _ in range(orders["block"])]
    return times_s


def _ours(orders: dict[str, Any], port: int, payload: bytes) -> Callable[[], float]:
    bundle = Bundle.load(Path(orders["folder"]))
    link = Link((orders["host"], port), Hello(bundle.model, bundle.layout), ClientSettings(deadline_s=DEADLINE_S, dead_s=DEADLINE_S))

    def once() -> float:
        started_s = time.perf_counter()
        reply = link.ask([payload]).result()
        taken_s = time.perf_counter() - started_s
        return taken_s - reply.times.queue_s - reply.times.decode_s - reply.times.cloud_s

    return once


def _socket(orders: dict[str, Any], port: int, payload: bytes) -> Callable[[], float]:
    end = socket.create_connection((orders["host"], port), DEADLINE_S)
    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    reply = bytearray(REPLY_BYTES)

    def once() -> float:
        started_s = time.perf_counter()
        end.sendall(payload)
        if not _filled(end, reply):
            raise ConnectionError("the plain server closed the connection")
        return time.perf_counter() - started_s - struct.unpack_from("<d", reply)[0]

    return once


def _xmlrpc(orders: dict[str, Any], port: int, payload: bytes) -> Callable[[], float]:
    proxy = xmlrpc.client.ServerProxy(f"http://{orders['host']}:{port}")

    def once() -> float:
        started_s = time.perf_counter()
        proxy.infer(xmlrpc.client.Binary(payload))
        return time.perf_counter() - started_s

    return once


_ASKS = {"ours": _ours, "socket": _socket, "graph": _socket, "xmlrpc": _xmlrpc}


def _filled(end: socket.socket, data: bytearray) -> bool:
    """Fill a buffer; False where the other side closed first."""
    view, at = memoryview(data), 0
    while at < len(view):
        came = end.recv_into(view[at:])
        if not came:
            return False
        at += came
    return True


def main(words: list[str]) -> None:
    """Serve, or ask."""
    if words[0] == "ask":
        print(json.dumps(ask(json.load(sys.stdin))))
    elif words[0] in ("socket", "graph"):
        serve_socket(words[1], words[2], runs=words[0] == "graph")
    else:
        serve_xmlrpc(words[1])


if __name__ == "__main__":
    main(sys.argv[1:])
