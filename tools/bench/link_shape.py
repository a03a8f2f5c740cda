"""Links of a given rate on one machine: two network namespaces joined by a shaped veth pair (Linux, root), or a relay that paces bytes."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Generator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

MTU_BYTES = 576
"""Of the veth pair. Small, for the bucket lets one packet through at once, whatever the rate."""

FRAME_BYTES, HEADER_BYTES = MTU_BYTES + 14, 66
"""What the bucket counts a full packet as, and the part of it that is no payload: Ethernet 14, IPv4 20, TCP 20 and its timestamps 12."""

LATE_S = 0.0003
"""How late the kernel's timer may be: the bucket holds so much more than a packet, else what it is late by is lost to the rate."""

QUEUE_BYTES = 64 << 20
"""The bucket's queue holds any message: nothing is dropped."""

PIECE_BYTES = 1448
"""Bytes that the relay passes on at once; their time on the link is over when they come out."""

IDLE_S = 0.001
"""A relay that waited longer for bytes stood idle: their time begins when they came."""


@dataclass(frozen=True, slots=True)
class ShapedLink:
    """A link whose uplink has a rate.

    server, client: what a command is started with to be at that end (`ip netns exec NAME`); () for none. bind: address for the server to
    listen at. packets: the settings of `--net` that say how messages are cut into packets, "" where bytes alone are counted.
    """

    kind: str
    rate_bps: float
    server: tuple[str, ...]
    client: tuple[str, ...]
    bind: str
    packets: str


def has_namespaces() -> bool:
    """Return whether this machine and user can make shaped namespaces."""
    if os.name != "posix" or os.geteuid() != 0 or not (shutil.which("ip") and shutil.which("tc")):
        return False
    try:
        with namespaces(1e6):
            return True
    except subprocess.CalledProcessError:
        return False


@contextmanager
def namespaces(rate_bps: float) -> Generator[ShapedLink]:
    """Two namespaces; what the client's sends goes through a token bucket, what comes back does not. Raises CalledProcessError."""
    tag = f"as{os.getpid() % 100_000}"
    edge, cloud = f"{tag}e", f"{tag}c"
    with ExitStack() as undo:
        for name in (edge, cloud):
            _ip("netns", "add", name)
            undo.callback(subprocess.run, ["ip", "netns", "del", name], check=False, capture_output=True)
        _ip("link", "add", f"{tag}0", "mtu", str(MTU_BYTES), "netns", edge, "type", "veth", "peer", "name", f"{tag}1", "netns", cloud)
        _ip("-n", cloud, "link", "set", f"{tag}1", "mtu", str(MTU_BYTES))
        for name, device, address in ((edge, f"{tag}0", "10.213.7.1/24"), (cloud, f"{tag}1", "10.213.7.2/24")):
            _ip("-n", name, "addr", "add", address, "dev", device)
            _ip("-n", name, "link", "set", device, "up")
            _ip("-n", name, "link", "set", "lo", "up")
        burst = FRAME_BYTES + round(rate_bps * LATE_S / 8)
        bucket = ("tbf", "rate", f"{round(rate_bps)}bit", "burst", str(burst), "limit", str(QUEUE_BYTES))
        _run("tc", "-n", edge, "qdisc", "add", "dev", f"{tag}0", "root", *bucket)
        packets = f",packet={FRAME_BYTES}B,header={HEADER_BYTES}B"
        yield ShapedLink("namespaces, tbf", rate_bps, ("ip", "netns", "exec", cloud), ("ip", "netns", "exec", edge), "10.213.7.2", packets)


def _ip(*args: str) -> None:
    _run("ip", *args)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


class Relay:
    """Passes connections on to a server; what clients send is paced to a rate, over all connections. Close it when done."""

    def __init__(self, server: tuple[str, int], rate_bps: float) -> None:
        """Listen at a free port of the loopback."""
        self.server = server
        self.rate_bps = rate_bps
        self._free_at_s = time.monotonic()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Accept no more; what is open goes on until its ends close."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self.server)
            except OSError:
                client.close()
                continue
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._pass, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._pass, args=(server, client, False), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, paced: bool) -> None:
        try:
            asked_s = time.monotonic()
            while piece := source.recv(PIECE_BYTES if paced else 1 << 16):
                if paced:
                    self._wait(len(piece), idle=time.monotonic() - asked_s > IDLE_S)
                target.sendall(piece)
                asked_s = time.monotonic()
            target.shutdown(socket.SHUT_WR)
        except OSError:
            for end in (source, target):
                end.close()

    def _wait(self, nbytes: int, idle: bool) -> None:
        """Wait until bytes have crossed; behind others they begin when those are over, however late this thread wakes."""
        with self._lock:
            begins_s = max(time.monotonic(), self._free_at_s) if idle else self._free_at_s
            self._free_at_s = begins_s + nbytes * 8 / self.rate_bps
            until_s = self._free_at_s
        time.sleep(max(0.0, until_s - time.monotonic()))


@contextmanager
def relay(server: tuple[str, int], rate_bps: float) -> Generator[int]:
    """Pace what goes to a server; yields the port to send to."""
    with closing(Relay(server, rate_bps)) as paced:
        yield paced.port
