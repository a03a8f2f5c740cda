"""`autosplitc verify OUT`: whether a bundle is what its manifest says, and runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from autosplitc.ir import EXIT_VERIFICATION, CompileError, Diagnostic, import_onnx
from autosplitc.passes import noise_feeds

from .engine import Arrays, Engine, outputs_of_halves
from .folder import MANIFEST, read_manifest
from .interop import needs_of
from .manifest import Json, check_manifest, sha256_of_file

RUNS = 2


def verify_bundle(folder: Path) -> list[str]:
    """Check a bundle: the manifest against its schema, every file's digest, and both graphs on seeded noise. Return what was found right.

    Raises CompileError: AS630 there is no bundle; with exit code 4 AS631 the manifest does not fit its schema, AS710 a file is missing or
    changed, AS702 and AS703 a graph does not load or run, AS711 a graph gives something else than the manifest says.
    """
    manifest = read_manifest(folder)
    try:
        check_manifest(manifest, str(folder / MANIFEST))
    except CompileError as error:
        raise CompileError(error.diagnostics, exit_code=EXIT_VERIFICATION) from None
    graphs = [*manifest["graphs"].values(), *([manifest["fallback"]] if "fallback" in manifest else [])]
    files = [file for graph in graphs for file in graph["files"]]
    changed = [problem for file in files for problem in _changed(folder, file)]
    if changed:
        raise CompileError(changed)
    needs = needs_of(manifest)
    ran = f"both graphs run on seeded noise and give {', '.join(_run(folder, manifest))}" if not needs else _not_run(needs)
    return [
        "manifest.json fits its schema",
        *(f"{file['name']} is the file that was written (sha256 {file['sha256'][:12]}...)" for file in files),
        ran,
    ]


def _changed(folder: Path, file: Mapping[str, Any]) -> Iterator[Diagnostic]:
    path = folder / file["name"]
    try:
        digest = sha256_of_file(path)
    except OSError as error:
        yield Diagnostic("AS710", f"a file of the bundle cannot be read: {error.strerror}", str(path), hint="compile again")
        return
    if digest != file["sha256"]:
        notes = (f"sha256 is {digest}", f"the manifest says {file['sha256']}")
        yield Diagnostic("AS710", "a file of the bundle was changed", str(path), notes, "compile again")


def _not_run(needs: list[str]) -> str:
    return f"edge.onnx takes {', '.join(needs)} besides ONNX Runtime, so it was not run"


def _run(folder: Path, manifest: Json) -> list[str]:
    """Run the bundle; return its outputs with their shapes."""
    graphs, wire = manifest["graphs"], manifest["wire"]
    edge = Engine.load(folder / graphs["edge"]["file"], "edge.onnx")
    cloud = Engine.load(folder / graphs["cloud"]["file"], "cloud.onnx") if "cloud" in graphs else None
    places = {place["output"]: (place["side"], place["name"]) for place in manifest["outputs"]}
    made: Arrays = {}
    for feed in noise_feeds(import_onnx(folder / graphs["edge"]["file"]), manifest["options"]["seed"], RUNS, 1):
        from_edge = edge.run(feed)
        if wire["payload"]:
            _check_payload(from_edge, wire)
        from_cloud = cloud.run({name: from_edge[name] for name in cloud.inputs}) if cloud else {}
        made = outputs_of_halves(places, from_edge, from_cloud)
    return [f"{name} {value.dtype}{list(value.shape)}" for name, value in made.items()]


def _check_payload(made: Arrays, wire: Json) -> None:
    payload = made.get(wire["payload"])
    if payload is None or payload.ndim != 2 or payload.shape[1] != wire["bytes_per_sample"]:
        found = "missing" if payload is None else f"{payload.dtype}{list(payload.shape)}"
        message = f"the payload is {found}, the manifest says {wire['bytes_per_sample']} bytes a sample"
        raise CompileError(Diagnostic("AS711", message, "edge.onnx"))
