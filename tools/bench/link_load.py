"""A server under load, and what several frames on the way at once are worth.

Run with `autosplitc bench link load`. Clients wait for each answer before they ask again; they and the server share this machine's cores.
Pipelining is measured on a split over a shaped link (root, ip and tc; else a relay): each frame when the one before is answered, then by
`autosplitc run`, which works on the next frame while so many are on the way.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import numpy as np

import autosplitc
from autosplitc.zoo import data

from .link_server import RUNTIME, payload_bundle, serving
from .link_shape import has_namespaces, namespaces, relay
from .table import table

CLIENTS = (1, 16, 64)
WINDOWS = (1, 2, 4)
PIPELINED, CUT, PIPELINED_MBPS = "mobilenet-v2", "features.14.conv.3", 10.0
"""A split whose edge half and link take about as long as each other at that rate."""

_CALLERS = (sys.executable, "-m", "autosplitc.bench.link_callers")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A server with so many clients: requests a second, quantiles of round trips in seconds, n of them."""

    what: str
    clients: int
    requests_per_s: float
    p50_s: float
    p99_s: float
    n: int


@dataclass(frozen=True, slots=True)
class Pipelined:
    """A run with at most so many requests in flight, 0: one frame after the other. Frames a second; p50 in seconds of edge, wire, cloud."""

    window: int
    frames_per_s: float
    edge_s: float
    wire_s: float
    cloud_s: float


@click.command()
@click.option("--seconds", default=10.0, show_default=True, help="Of load for each number of clients.")
@click.option("--frames", default=200, show_default=True, help="Of each run that is pipelined.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="File for the figures as JSON.")
def load(seconds: float = 10.0, frames: int = 200, json_path: Path | None = None) -> None:
    """Load a server with 1, 16 and 64 clients; then run frames with pipelining and without."""
    with TemporaryDirectory() as scratch:
        small = Path(scratch) / "fashion"
        autosplitc.compile("zoo:fashion", cut=["waist/clip"]).save(small)
        large = payload_bundle(Path(scratch) / "288", (256, 36, 64), 4)
        loads = [_loaded(what, out, clients, seconds) for what, out in (("98 B", small), ("288 KB", large)) for clients in CLIENTS]
        runs = _pipelined(Path(scratch), frames)
    cells = [
        (
            f"{row.what}, {row.clients} clients",
            f"{row.requests_per_s:,.0f}",
            f"{row.p50_s * 1e3:.2f}",
            f"{row.p99_s * 1e3:.2f}",
            f"{row.n:,}",
        )
        for row in loads
    ]
    click.echo("measured on loopback, server and clients on the same cores")
    click.echo(table(("payload", "requests/s", "p50 ms", "p99 ms", "n"), cells))
    click.echo(f"zoo:{PIPELINED} split after {CUT}, {PIPELINED_MBPS:g} Mbps, {frames} frames; measured")
    first = runs[0].frames_per_s
    cells = [
        (
            f"{run.window} in flight" if run.window else "one by one",
            f"{run.frames_per_s:.1f}",
            f"{run.frames_per_s / first:.2f}",
            *(f"{s * 1e3:.1f}" for s in _parts(run)),
        )
        for run in runs
    ]
    click.echo(table(("", "frames/s", "x one", "edge ms", "wire ms", "cloud ms"), cells))
    if json_path is not None:
        found = {"load": [asdict(row) for row in loads], "pipelining": [asdict(run) for run in runs]}
        json_path.write_text(json.dumps(found, indent=1) + "\n")


def _parts(run: Pipelined) -> tuple[float, float, float]:
    return run.edge_s, run.wire_s, run.cloud_s


def _loaded(what: str, out: Path, clients: int, seconds: float) -> Loaded:
    with serving(out, "127.0.0.1:0", "--threads", "1") as (port, _):
        orders = {"host": "127.0.0.1", "port": port, "folder": str(out), "clients": clients, "seconds": seconds}
        done = subprocess.run([*_CALLERS, "many"], input=json.dumps(orders), capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{what}, {clients} clients: exit code {done.returncode}\n{done.stderr}")
    taken_s: list[float] = json.loads(done.stdout)
    quantiles = statistics.quantiles(taken_s, n=100)
    return Loaded(what, clients, len(taken_s) / (0.9 * seconds), quantiles[49], quantiles[98], len(taken_s))


def _pipelined(scratch: Path, frames: int) -> list[Pipelined]:
    samples = data(PIPELINED)
    out, stored = scratch / "split", scratch / "frames.npz"
    autosplitc.compile(
        f"zoo:{PIPELINED}",
        cut=[CUT],
        calib=samples.calib,
        preprocess=samples.preprocess,
        weight_bits=[8],
        act_bits=[8],
        wire_bits=[8],
        effort="fast",
        codec="none",
    ).save(out)
    with np.load(samples.calib) as calib:
        (name,) = (key for key in calib.files if key != "labels")
        np.savez(stored, **{name: calib[name]})
    found = [_one_by_one(out, stored, frames)]
    for window in WINDOWS:
        with _linked(out) as (client, server):
            flags = ["--window", str(window), "--limit", str(frames), "--repeat", str(frames), "--threads", "1", "--deadline", "60s"]
            words = [*client, *RUNTIME, "run", str(out), str(stored), "--server", server, *flags, "--json", "-q"]
            done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{window} in flight: exit code {done.returncode}\n{done.stderr}")
        run = json.loads(done.stdout)
        times = (run["times_s"][part]["p50"] for part in ("edge", "wire", "cloud"))
        found.append(Pipelined(window, run["frames_per_s"], *times))
    return found


def _one_by_one(out: Path, stored: Path, frames: int) -> Pipelined:
    with _linked(out) as (client, server):
        host, _, port = server.rpartition(":")
        orders = {"host": host, "port": int(port), "folder": str(out), "inputs": str(stored), "frames": frames}
        done = subprocess.run([*client, *_CALLERS, "one"], input=json.dumps(orders), capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"one by one: exit code {done.returncode}\n{done.stderr}")
    times_s: dict[str, list[float]] = json.loads(done.stdout)
    edge_s, wire_s, cloud_s = (statistics.median(times_s[part]) for part in ("edge", "wire", "cloud"))
    return Pipelined(0, frames / sum(times_s["total"]), edge_s, wire_s, cloud_s)


@contextmanager
def _linked(out: Path) -> Generator[tuple[tuple[str, ...], str]]:
    """Serve a bundle behind the shaped link; yields what a client is started with, and its server's address."""
    if has_namespaces():
        with ExitStack() as stack:
            shaped = stack.enter_context(namespaces(PIPELINED_MBPS * 1e6))
            flags = ("--insecure", "--threads", "1")
            port, _ = stack.enter_context(serving(out, f"{shaped.bind}:0", *flags, prefix=shaped.server))
            yield shaped.client, f"{shaped.bind}:{port}"
        return
    with serving(out, "127.0.0.1:0", "--threads", "1") as (port, _), relay(("127.0.0.1", port), PIPELINED_MBPS * 1e6) as paced:
        yield (), f"127.0.0.1:{paced}"


if __name__ == "__main__":
    load()
