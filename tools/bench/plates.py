"""The paper's case study, a licence plate camera, end to end and measured: scenes are rendered, all else is real.

Run with `autosplitc bench plates`. A detector finds the plate in a scene of 432 x 768 pixels, the plate is cut out, a recogniser reads it.
Both are released networks (`zoo:plate-detector`, `zoo:plates`). Rows as in the paper's Table 3. This machine, profiled, is camera and
cloud; the link is shaped (namespaces with root, else a relay). Accuracy is taken over loopback, on every scene; latency over the shaped
link, on the first few. The edge's limit lies between what the detector and what the recogniser need: the pair does not fit on it.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np

import autosplitc
from autosplitc.zoo import data, resolve
from autosplitc.zoo.plate_detector import PREPROCESS
from autosplitc.zoo.plate_scenes import draw_scene
from autosplitc.zoo.plates_data import CHARACTERS, fonts
from autosplitc.zoo.plates_metric import encode
from autosplitc.zoo.plates_render import draw_texts

from .link_server import serving
from .link_shape import has_namespaces, namespaces, relay
from .measured import undisturbed
from .table import table

MBPS = 3.0
CALIBRATION = 16
"""Scenes."""

RECOGNISER_MEMORY = "300KB"
"""Of the edge, for the recogniser beside the detector: its int8 weights alone take more."""

TINY = "1KB"
"""Memory that nothing fits into: Cloud-Only."""

PAPER = (
    ("float on the edge", "does not fit (295 MB)", "88.2"),
    ("float in the cloud", "970 ms", "88.2"),
    ("8 bits on the edge", "2840 ms, 44 MB", "88.4"),
    ("Auto-Split", "630 ms, 15 MB", "88.3"),
)
_RUN = (sys.executable, "-m", "autosplitc.bench.plates_run")


@dataclass(frozen=True, slots=True)
class Row:
    """A way to run the pipeline. predicted_s: sum of both plans; edge_bytes: files on the edge; right: plates read, of n scenes."""

    what: str
    decision: str
    edge_bytes: int
    sent_bytes: float
    predicted_s: float
    measured_s: float
    frames: int
    right: int
    n: int


@dataclass(frozen=True, slots=True)
class Way:
    """The two networks of a row, each a bundle's folder or an ONNX file."""

    what: str
    detector: Path
    recogniser: Path


@click.command()
@click.option("--scenes", default=500, show_default=True, help="For accuracy.")
@click.option("--frames", default=10, show_default=True, help="For latency, over the shaped link.")
@click.option("--seed", default=0, show_default=True)
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="File for the figures as JSON.")
def plates(scenes: int, frames: int, seed: int, json_path: Path | None) -> None:
    """Read licence plates in rendered scenes, split and not, at 3 Mbps."""
    rows: list[Row] = []
    with TemporaryDirectory() as name:
        scratch = Path(name)
        drawn = _drawn(scratch, scenes, seed)
        for way in _ways(scratch, drawn):
            rows.append(_row(way, drawn, scenes, min(frames, scenes)))
            click.echo(f"{way.what}: {rows[-1].measured_s * 1e3:.1f} ms, {rows[-1].right} of {scenes}", err=True)
    click.echo(printed(rows))
    if json_path is not None:
        json_path.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")


def printed(rows: Sequence[Row]) -> str:
    """Return the table, and the paper's."""
    cells: list[tuple[str, ...]] = []
    for row in rows:
        share = row.right / row.n
        half = 1.96 * (share * (1 - share) / row.n) ** 0.5
        predicted = f"{row.predicted_s * 1e3:.1f}" if row.predicted_s else ""
        accuracy = f"{share:.1%} +-{half:.1%}"
        cells.append(
            (row.what, row.decision, accuracy, predicted, f"{row.measured_s * 1e3:.1f}", f"{row.edge_bytes:,}", f"{row.sent_bytes:,.0f}")
        )
    heading = ("", "detector; recogniser", "plates read", "predicted ms", "measured ms", "edge B", "sent B")
    lines = [
        f"{MBPS:g} Mbps; accuracy measured on {rows[0].n} rendered scenes, latency the median of {rows[0].frames}",
        table(heading, cells),
        "paper, Table 3, its own camera and data: " + "; ".join(f"{what}: {figures}, {right} %" for what, figures, right in PAPER),
    ]
    return "\n".join(lines)


def _drawn(scratch: Path, count: int, seed: int) -> Path:
    """Draw scenes for calibration and evaluation, no text in both; return the file of the latter."""
    texts = draw_texts(CALIBRATION + count, seed + 100)
    pixels = np.stack([draw_scene(text, fonts(), seed, index).pixels for index, text in enumerate(texts)])
    np.savez(scratch / "calib.npz", image=pixels[:CALIBRATION].transpose(0, 3, 1, 2))
    labels = np.array([encode(text, CHARACTERS) for text in texts[CALIBRATION:]], np.int64)
    np.savez(scratch / "scenes.npz", pixels=pixels[CALIBRATION:], labels=labels)
    return scratch / "scenes.npz"


def _ways(scratch: Path, scenes: Path) -> list[Way]:
    """Compile what the rows need."""
    detector, recogniser = resolve("plate-detector").path, resolve("plates").path
    samples = data("plates")
    calib = {"detector": (scenes.parent / "calib.npz", PREPROCESS), "recogniser": (samples.calib, samples.preprocess)}
    profiles = {
        "detector": _profile("plate-detector", *calib["detector"], scratch),
        "recogniser": _profile("plates", *calib["recogniser"], scratch),
    }

    def compiled(network: str, what: str, codec: str = "none", **limits: Any) -> Path:
        out = scratch / f"{what}-{network}"
        model = "zoo:plate-detector" if network == "detector" else "zoo:plates"
        given, preprocess = calib[network]
        net = f"{MBPS:g}mbps" + (",packet=590B,header=66B" if has_namespaces() else "")
        autosplitc.compile(
            model, profiles[network], profiles[network], net, calib=given, preprocess=preprocess, codec=codec, **limits
        ).save(out)
        return out

    whole: dict[str, Any] = {"weight_bits": [8], "act_bits": [8]}
    in_cloud = {name: compiled(name, "raw", edge_memory=TINY) for name in ("detector", "recogniser")}
    return [
        Way("float on the edge", detector, recogniser),
        Way("float in the cloud, raw", in_cloud["detector"], in_cloud["recogniser"]),
        Way("float in the cloud, JPEG", compiled("detector", "jpeg", codec="jpeg:85", edge_memory=TINY), in_cloud["recogniser"]),
        Way("8 bits on the edge", compiled("detector", "8", **whole), compiled("recogniser", "8", **whole)),
        Way("autosplitc", compiled("detector", "plan"), compiled("recogniser", "plan", edge_memory=RECOGNISER_MEMORY)),
    ]


def _profile(model: str, calib: Path, preprocess: str, scratch: Path) -> Path:
    """Profile this machine on a network, at 8 bits."""
    kit, profile = scratch / f"{model}-kit", scratch / f"{model}.json"
    main = (sys.executable, "-c", "import sys; from autosplitc.cli import main; sys.exit(main())")
    flags = ("--calib", str(calib), "--preprocess", preprocess, "--bits", "8", "--repeats", "20", "--kit", str(kit), "-q")
    subprocess.run([*main, "profile", f"zoo:{model}", *flags], check=True, capture_output=True)
    undisturbed(
        lambda: (
            subprocess.run([sys.executable, str(kit / "profile.py"), "-o", str(profile)], capture_output=True, text=True, check=True).stdout
        )
    )
    return profile


def _row(way: Way, scenes: Path, count: int, frames: int) -> Row:
    right = sum(_ran(way, scenes, count, shaped=False)["right"])
    timed = _ran(way, scenes, frames, shaped=True)
    manifests = [_manifest(path) for path in (way.detector, way.recogniser)]
    predicted_s = sum(manifest["predicted"]["latency_s"] for manifest in manifests if manifest)
    decisions = "; ".join(_decision(manifest) for manifest in manifests)
    edge_bytes = sum(_edge_bytes(path) for path in (way.detector, way.recogniser))
    measured_s = statistics.median(timed["seconds"])
    return Row(way.what, decisions, edge_bytes, statistics.mean(timed["sent_bytes"]), predicted_s, measured_s, frames, round(right), count)


def _ran(way: Way, scenes: Path, count: int, *, shaped: bool) -> dict[str, list[float]]:
    """Run a row's pipeline over the first scenes, its servers behind the shaped link or on loopback."""
    with ExitStack() as stack:
        prefix: tuple[str, ...] = ()
        client: tuple[str, ...] = ()
        host, flags = "127.0.0.1", ("--threads", "1")
        by_relay = shaped and not has_namespaces()
        if shaped and not by_relay:
            link = stack.enter_context(namespaces(MBPS * 1e6))
            prefix, client, host, flags = link.server, link.client, link.bind, (*flags, "--insecure")
        orders: dict[str, Any] = {"scenes": str(scenes), "first": 0, "last": count}
        for name, path in (("detector", way.detector), ("recogniser", way.recogniser)):
            manifest = _manifest(path)
            if not manifest:
                orders[name] = {"onnx": str(path)}
                continue
            orders[name] = {"folder": str(path), "host": host}
            if manifest["decision"]["kind"] != "edge-only":
                port, _ = stack.enter_context(serving(path, f"{host}:0", *flags, prefix=prefix))
                orders[name]["port"] = stack.enter_context(relay((host, port), MBPS * 1e6)) if by_relay else port
        done = subprocess.run([*client, *_RUN], input=json.dumps(orders), capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{way.what}: exit code {done.returncode}\n{done.stderr}")
    return json.loads(done.stdout)


def _manifest(path: Path) -> dict[str, Any]:
    """Return a bundle's manifest, nothing for an ONNX file."""
    return json.loads((path / "manifest.json").read_text(encoding="utf-8")) if path.is_dir() else {}


def _decision(manifest: dict[str, Any]) -> str:
    if not manifest:
        return "edge"
    decision = manifest["decision"]
    return f"split {decision['after']}" if decision["kind"] == "split" else decision["kind"]


def _edge_bytes(path: Path) -> int:
    if not path.is_dir():
        return path.stat().st_size
    edge = path / "edge.onnx"
    return edge.stat().st_size if edge.exists() and _manifest(path)["decision"]["kind"] != "cloud-only" else 0


if __name__ == "__main__":
    plates()
