"""Round trips of the paper's two payloads (its Table 4) by our link, by a plain socket and by XML-RPC, on loopback and on shaped links.

Run with `autosplitc bench link roundtrip`. All peers run on this machine, in processes of their own, and are asked in turn. Ours is the
whole link: client threads, checksums, the server's event loop and its worker; only the seconds that the server itself reports (queue,
decoding, the cloud graph) are taken off. Of the plain sockets one throws the payload away; the other runs the same graph on it, whose time
is taken off too, for what comes behind a graph finds the processor's caches full of the graph's data. On loopback there are two rows:
the system places all threads as it likes, and the two sides have cores of their own, as a device and a cloud have: threads of one side
do not wait behind those of the other then, nor does a payload come out of a cache that both use. With root the shaped links are
namespaces with a token bucket; the wire's time is what the bucket counts: packets with their headers, divided by the rate.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from .link_server import payload_bundle, serving
from .link_shape import FRAME_BYTES, HEADER_BYTES, has_namespaces, namespaces
from .table import table

RATES_MBPS = (3.0, 10.0, 30.0, 100.0)
GOAL_S, GOAL_SHARE = 0.0003, 0.01
BLOCK = 50
"""Round trips on loopback before it is another peer's turn."""

SLOW_BLOCK, SLOW_TURNS = 10, 12
"""On slow links: round trips at most before it is another peer's turn, as a client sends frame after frame; turns at least."""

_PEERS = (sys.executable, "-m", "autosplitc.bench.link_peers")


@dataclass(frozen=True, slots=True)
class Payload:
    """A payload of the paper's Table 4: shape without samples, channels first; bits; XML-RPC's time against a socket's there."""

    what: str
    shape: tuple[int, int, int]
    bits: int
    paper_ratio: float

    @property
    def nbytes(self) -> int:
        """Bytes of a sample."""
        channels, height, width = self.shape
        return channels * height * width * self.bits // 8


PAYLOADS = (Payload("288 KB (split)", (256, 36, 64), 4, 3981), Payload("972 KB (Cloud-Only)", (3, 432, 768), 8, 3566))


@dataclass(frozen=True, slots=True)
class Row:
    """Medians of a payload's round trips in seconds. link: in words; mbps: 0 for loopback; wire_s: what the link alone takes."""

    what: str
    link: str
    mbps: float
    nbytes: int
    n: int
    wire_s: float
    times_s: Mapping[str, float]
    p95_s: Mapping[str, float]

    @property
    def over_s(self) -> float:
        """What ours takes more than the plain socket that runs the graph."""
        return self.times_s["ours"] - self.times_s["graph"]


@click.command()
@click.option("--rates", default=",".join(f"{rate:g}" for rate in RATES_MBPS), show_default=True, help="Mbps, of the shaped links.")
@click.option("--repeats", default=300, show_default=True, help="Round trips of each on loopback; fewer on slow links.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="File for the figures as JSON.")
def roundtrip(rates: str = ",".join(f"{rate:g}" for rate in RATES_MBPS), repeats: int = 300, json_path: Path | None = None) -> None:
    """Time round trips beside those of a plain socket and of XML-RPC."""
    shaped = [float(rate) for rate in rates.split(",") if rate] if has_namespaces() else []
    rows: list[Row] = []
    with TemporaryDirectory() as scratch:
        for payload in PAYLOADS:
            out = payload_bundle(Path(scratch) / str(payload.nbytes), payload.shape, payload.bits)
            cores = _cores()
            for mbps, apart in ((0.0, False), *(((0.0, True),) if cores else ()), *((mbps, False) for mbps in shaped)):
                rows.append(_row(payload, out, mbps, repeats, cores if apart else ()))
                click.echo(f"{payload.what}, {rows[-1].link}: {rows[-1].times_s}", err=True)
    click.echo(printed(rows))
    if not shaped:
        click.echo("no shaped links: they take root, ip and tc")
    if json_path is not None:
        json_path.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")


def printed(rows: Sequence[Row]) -> str:
    """Return the table and how it stands to the goals."""
    cells: list[tuple[str, ...]] = []
    for row in rows:
        ours, idle, plain, rpc = (row.times_s.get(name, 0.0) for name in ("ours", "socket", "graph", "xmlrpc"))
        wire = (f"{row.wire_s * 1e3:.2f}", f"{ours / row.wire_s - 1:+.2%}") if row.wire_s else ("", "")
        rest = (f"{rpc * 1e3:.2f}", f"{rpc / ours:.0f}") if rpc else ("", "")
        times = (f"{ours * 1e3:.3f}", f"{row.p95_s['ours'] * 1e3:.3f}", f"{idle * 1e3:.3f}", f"{plain * 1e3:.3f}")
        more = (f"{row.over_s * 1e3:+.3f}", f"{ours / plain - 1:+.2%}")
        cells.append((f"{row.what}, {row.link}", *times, *more, *wire, *rest, str(row.n)))
    heading = ("", "ours ms", "p95", "socket ms", "with graph", "ours more", "", "wire ms", "ours over it", "XML-RPC ms", "x ours", "n")
    lines = ["measured, medians of round trips, the server's own seconds taken off", table(heading, cells)]
    for near in (row for row in rows if not row.mbps and row.what == rows[0].what):
        idle_s = near.times_s["ours"] - near.times_s["socket"]
        lines.append(
            f"{near.what}, {near.link}: {near.over_s * 1e3:+.3f} ms over a plain socket with the same graph behind it, "
            f"{idle_s * 1e3:+.3f} over one with nothing behind it (goal: within {GOAL_S * 1e3:g})"
        )
    if slow := [row.times_s["ours"] / row.wire_s - 1 for row in rows if row.mbps]:
        lines.append(
            f"over the wire's time: {max(slow):+.2%} at most, median {statistics.median(slow):+.2%} (goal: under {GOAL_SHARE:.0%})"
        )
    paper = ", ".join(f"{payload.what} {payload.paper_ratio:,.0f}" for payload in PAYLOADS)
    lines.append(f"paper, Table 4 (C++ sockets, 31 Gbps): XML-RPC against a socket: {paper}")
    return "\n".join(lines)


def _cores() -> tuple[str, ...]:
    """Return the cores of the client and those of the server, as taskset names them; nothing where there is but one, or no taskset."""
    if not hasattr(os, "sched_getaffinity") or shutil.which("taskset") is None:
        return ()
    cores = [str(core) for core in sorted(os.sched_getaffinity(0))]
    half = len(cores) // 2
    return (",".join(cores[:half]), ",".join(cores[half:])) if half else ()


def _row(payload: Payload, out: Path, mbps: float, repeats: int, cores: tuple[str, ...]) -> Row:
    """Time a payload's round trips; cores: of the client and of the server on loopback, nothing for any."""
    nbytes = payload.nbytes
    wire_s = (nbytes + -(-nbytes // (FRAME_BYTES - HEADER_BYTES)) * HEADER_BYTES) * 8 / (mbps * 1e6) if mbps else 0.0
    count = max(5, min(repeats, round(10 / (3 * wire_s)))) if mbps else repeats
    block = max(1, min(SLOW_BLOCK, count // SLOW_TURNS)) if mbps else BLOCK
    with ExitStack() as stack:
        if mbps:
            shape = stack.enter_context(namespaces(mbps * 1e6))
            host, server, client = shape.bind, shape.server, shape.client
        else:
            host = "127.0.0.1"
            client, server = (("taskset", "-c", those) for those in cores) if cores else ((), ())
        flags = ("--insecure",) if mbps else ()
        ports = {"ours": stack.enter_context(serving(out, f"{host}:0", "--threads", "1", *flags, prefix=server))[0]}
        for name in ("socket", "graph") if mbps else ("socket", "graph", "xmlrpc"):
            ports[name] = stack.enter_context(_peer(server, name, host, str(out)))
        orders = {
            "host": host,
            "nbytes": nbytes,
            "repeats": count,
            "block": block,
            "warmup": 5 if not mbps else int(block > 1),
            "ports": ports,
            "folder": str(out),
        }
        done = subprocess.run([*client, *_PEERS, "ask"], input=json.dumps(orders), capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{payload.what}: exit code {done.returncode}\n{done.stderr}")
    times_s: dict[str, list[float]] = json.loads(done.stdout)
    medians = {name: statistics.median(taken) for name, taken in times_s.items()}
    late = {name: statistics.quantiles(taken, n=20)[-1] for name, taken in times_s.items()}
    link = f"{mbps:g} Mbps" if mbps else "loopback, cores of their own" if cores else "loopback"
    return Row(payload.what, link, mbps, nbytes, count, wire_s, medians, late)


@contextmanager
def _peer(prefix: Sequence[str], *words: str) -> Generator[int]:
    process = subprocess.Popen([*prefix, *_PEERS, *words], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    roundtrip()
