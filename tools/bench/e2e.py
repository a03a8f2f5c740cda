"""The link for real: bundles that are compiled, served and run over a link of a given rate on this machine; measured beside predicted.

Run with `autosplitc bench e2e`. The machine is profiled first, and that profile is both edge and cloud. Each rate has four plans: the split
within a memory that the whole model does not fit into, Cloud-Only raw and as JPEG, and Edge-Only. Server and client are processes of their
own, one frame after the other. With root the link is two network namespaces with a token bucket, whose packets and headers are part of the
prediction; else a relay that paces bytes.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import numpy as np

from autosplitc.zoo import data

from .link_server import RUNTIME, serving
from .link_shape import has_namespaces, namespaces, relay
from .measured import undisturbed
from .process import autosplitc as command
from .table import table

RATES_MBPS = (1.0, 3.0, 10.0, 20.0)
FRAMES = {1.0: 8, 3.0: 15}
MOST_FRAMES = 30
"""Frames of a run at the rates that `FRAMES` does not name."""

GOAL = 0.05
_TINY = "1KB"


@dataclass(frozen=True, slots=True)
class Row:
    """A plan at a rate: predicted and measured seconds of a frame; parts: edge, link, cloud, measured as medians of n frames.

    measured_s: the parts' sum, for a frame's own total has the wait for the frame before it in it.
    """

    mbps: float
    what: str
    decision: str
    sent_bytes: float
    predicted_s: float
    measured_s: float
    parts_predicted_s: tuple[float, float, float]
    parts_measured_s: tuple[float, float, float]
    n: int

    @property
    def error(self) -> float:
        """Relative error of the prediction."""
        return self.predicted_s / self.measured_s - 1


@click.command()
@click.option("--model", default="mobilenet-v2", show_default=True, help="Model of the zoo that has samples.")
@click.option("--edge-memory", default="2.5MB", show_default=True, help="Of the edge, for the split.")
@click.option("--rates", default=",".join(f"{rate:g}" for rate in RATES_MBPS), show_default=True, help="Mbps.")
@click.option("--relay", "by_relay", is_flag=True, help="Pace by a relay, also where namespaces can be had.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="File for the figures as JSON.")
def e2e(model: str, edge_memory: str, rates: str, by_relay: bool, json_path: Path | None) -> None:
    """Compile, serve and run over a shaped link, and print what was predicted beside what was measured."""
    shaped = not by_relay and has_namespaces()
    rows: list[Row] = []
    with TemporaryDirectory() as scratch:
        profile = _profile(model, Path(scratch))
        for mbps in map(float, rates.split(",")):
            for row in _at_rate(model, edge_memory, mbps, profile, Path(scratch), shaped=shaped):
                rows.append(row)
                click.echo(
                    f"{mbps:g} Mbps, {row.what}: {row.predicted_s * 1e3:.1f} ms predicted, {row.measured_s * 1e3:.1f} measured", err=True
                )
    click.echo(printed(rows, "namespaces with a token bucket" if shaped else "a relay"))
    if json_path is not None:
        json_path.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")


def printed(rows: Sequence[Row], link: str) -> str:
    """Return the table and the errors."""
    cells: list[tuple[str, ...]] = []
    for row in rows:
        parts = (" + ".join(f"{s * 1e3:.1f}" for s in each) for each in (row.parts_predicted_s, row.parts_measured_s))
        times = (f"{row.predicted_s * 1e3:.1f}", f"{row.measured_s * 1e3:.1f}", f"{row.error:+.1%}")
        cells.append((f"{row.mbps:g} Mbps {row.what}", row.decision, f"{row.sent_bytes:,.0f}", *times, *parts, str(row.n)))
    heading = (
        "",
        "decision",
        "sent B",
        "predicted ms",
        "measured ms",
        "error",
        "edge + link + cloud, predicted",
        "measured (medians)",
        "n",
    )
    lines = [f"link: {link}; measured: medians over n frames, one in flight at a time", table(heading, cells)]
    errors = sorted(abs(row.error) for row in rows)
    lines.append(f"median error {statistics.median(errors):.1%}, worst {errors[-1]:.1%} (goal: median <= {GOAL:.0%})")
    for mbps in dict.fromkeys(row.mbps for row in rows):
        times_s = {row.what: row.measured_s for row in rows if row.mbps == mbps}
        fastest = min(times_s, key=lambda what: times_s[what])
        beside = ", ".join(f"{what} {seconds / times_s['plan']:.2f}" for what, seconds in times_s.items() if what != "plan")
        lines.append(f"{mbps:g} Mbps: measured against the plan: {beside}; the fastest is {fastest}")
    return "\n".join(lines)


def _profile(model: str, scratch: Path) -> Path:
    """Profile this machine on the model, at 8 bits; return the profile."""
    kit, profile = scratch / "kit", scratch / "here.json"
    samples = data(model)
    flags = ("--calib", samples.calib, "--preprocess", samples.preprocess, "--bits", "8", "--repeats", "50")
    _done(f"zoo:{model}", command("profile", f"zoo:{model}", *flags, "--kit", kit, "-q"))
    undisturbed(lambda: _printed_by(sys.executable, str(kit / "profile.py"), "-o", str(profile)))
    return profile


def _printed_by(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def _at_rate(model: str, memory: str, mbps: float, profile: Path, scratch: Path, *, shaped: bool) -> Iterator[Row]:
    samples = data(model)
    frames = scratch / "frames.npz"
    with np.load(samples.calib) as stored:
        (name,) = (key for key in stored.files if key != "labels")
        np.savez(frames, **{name: stored[name]})
    plans = (("plan", memory, "none"), ("raw", _TINY, "none"), ("JPEG", _TINY, "jpeg:85"), ("edge-only", "", "none"))
    for what, ram, codec in plans:
        out = scratch / f"{mbps:g}-{what}"
        net = f"{mbps:g}mbps" + (",packet=590B,header=66B" if shaped else "")
        flags = ["-t", profile, "--cloud", profile, "--net", net, "--codec", codec, "--effort", "fast", "--no-report"]
        flags += ["--calib", samples.calib, "--preprocess", samples.preprocess, "--weight-bits", "8", "--act-bits", "8", "--wire-bits", "8"]
        flags += ["--edge-memory", ram] if ram else []
        _done(f"{what} at {mbps:g} Mbps", command(f"zoo:{model}", *flags, "-o", out, "-q"))
        count = FRAMES.get(mbps, MOST_FRAMES)
        yield _measured(mbps, what, out, frames, count, shaped=shaped)


def _done(what: str, run: object) -> None:
    code = getattr(run, "code", 1)
    if code:
        sys.exit(f"{what}: exit code {code}\n{getattr(run, 'stderr', '')}")


def _measured(mbps: float, what: str, out: Path, frames: Path, count: int, *, shaped: bool) -> Row:
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    decision = manifest["decision"]
    with _served(out, mbps, shaped=shaped, needed=decision["kind"] != "edge-only") as (client, server):
        to = ("--server", server) if server else ()
        flags = ("--window", "1", "--limit", str(count), "--deadline", "60s", "--json", "-q")
        words = [*client, *RUNTIME, "run", str(out), str(frames), *to, *flags]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{what} at {mbps:g} Mbps: exit code {done.returncode}\n{done.stderr}")
    found = json.loads(done.stdout)
    predicted, times = manifest["predicted"], found["times_s"]
    parts = tuple(times[part]["p50"] for part in ("edge", "wire", "cloud"))
    shown = f"split after {decision['after']}" if decision["kind"] == "split" else decision["kind"]
    return Row(
        mbps,
        what,
        shown,
        found["payload_bytes"]["measured_mean"] or 0.0,
        predicted["latency_s"],
        sum(parts),
        (predicted["edge_s"], predicted["link_s"], predicted["cloud_s"]),
        (parts[0], parts[1], parts[2]),
        found["answered"],
    )


@contextmanager
def _served(out: Path, mbps: float, *, shaped: bool, needed: bool) -> Generator[tuple[tuple[str, ...], str]]:
    """Serve a bundle behind the link; yields what the client is started with, and where it finds the server."""
    if not needed:
        yield (), ""
        return
    if shaped:
        with namespaces(mbps * 1e6) as link, serving(out, f"{link.bind}:0", "--insecure", prefix=link.server) as (port, _):
            yield link.client, f"{link.bind}:{port}"
        return
    with serving(out, "127.0.0.1:0") as (port, _), relay(("127.0.0.1", port), mbps * 1e6) as paced:
        yield (), f"127.0.0.1:{paced}"


if __name__ == "__main__":
    e2e()
