"""The manifest: what was decided and how the two graphs fit together. Made from the module alone, so a dump gives the same one again.

docs/manifest.md explains every field; manifest.schema.json is its JSON Schema.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

from autosplitc.ir import CompileError, Diagnostic, Graph, Module
from autosplitc.passes import Choice, NamedBits, Plan, Ranges, Request, Solutions, WireLayout
from autosplitc.targets import Target

from . import __version__
from .codec_link import codec_record
from .folder import MANIFEST, SCHEMA
from .front_table import front_record
from .preprocess import parse_preprocess
from .runtime_options import runtime_of

Json = dict[str, Any]


def make_manifest(module: Module, edge: Target, folder: Path) -> Json:
    """Return the manifest of a lowered module whose graphs lie in `folder` as `edge.onnx` and, unless it is Edge-Only, `cloud.onnx`."""
    request, layout = module.fact(Request), module.fact(WireLayout)
    choice, plans = module.fact(Choice), module.fact(Solutions).plans
    plan = plans[choice.index]
    front, codec = front_record(module), codec_record(module)
    return {
        "schema": SCHEMA,
        "compiler": {"name": "autosplitc", "version": __version__},
        "source": {"name": request.source, "sha256": request.source_sha256},
        "calibrated": module.fact(Ranges).calibrated,
        "decision": {
            "kind": plan.kind,
            "after": plan.after,
            "position": plan.position,
            "edge_ops": list(plan.edge_ops),
            "solution": choice.index + 1,
            "why": choice.why,
            "proof": plan.proof,
            "gap": finite(plan.gap),
            "feasible": plan.feasible,
            "violations": list(plan.violations),
        },
        "graphs": {side: side_record(module.graph(side), folder) for side in ("edge", "cloud") if module.has_graph(side)},
        "wire": {
            "payload": layout.payload,
            "bytes_per_sample": layout.nbytes,
            "tensors": [{**asdict(tensor), "shape": list(tensor.shape)} for tensor in layout.tensors],
            **({} if codec is None else {"codec": codec}),
        },
        "runtime": runtime_of(module),
        "outputs": [asdict(place) for place in layout.outputs],
        "bits": {"weights": _bits(plan.weight_bits), "activations": _bits(plan.act_bits), "wire": _bits(plan.wire_bits)},
        "predicted": _predicted(plan, plans),
        "limits": {
            "edge_ram_bytes": request.edge_ram_bytes if request.edge_ram_bytes is not None else edge.ram_bytes,
            "edge_storage_bytes": request.edge_storage_bytes if request.edge_storage_bytes is not None else edge.storage_bytes,
        },
        "preprocess": _preprocess(request),
        **({} if front is None else {"front": front}),
        "options": _options(request),
    }


def manifest_text(manifest: Json) -> str:
    """Return the manifest as JSON text, the same for the same manifest."""
    return json.dumps(manifest, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def check_manifest(manifest: Mapping[str, Any], location: str = MANIFEST) -> None:
    """Check a manifest against the schema. Raises CompileError (AS631) with everything that does not fit."""
    problems = sorted(_validator().iter_errors(manifest), key=lambda e: e.json_path)
    if problems:
        raise CompileError(Diagnostic("AS631", f"{e.json_path}: {e.message}", location) for e in problems)


def sha256_of_file(path: Path) -> str:
    """Return the digest of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def finite(number: float | None) -> float | None:
    """Return the number, or None where it is not finite, which JSON cannot write."""
    return number if number is not None and math.isfinite(number) else None


@cache
def _validator() -> Any:
    import jsonschema

    schema = json.loads(files("autosplitc").joinpath("manifest.schema.json").read_text(encoding="utf-8"))
    return jsonschema.Draft202012Validator(schema)


def side_record(graph: Graph, folder: Path) -> Json:
    """Return what the manifest says of a graph whose files lie in `folder`."""
    stored = sorted(p for p in folder.iterdir() if p.name.startswith(f"{graph.name}.onnx"))
    return {
        "file": f"{graph.name}.onnx",
        "files": [{"name": p.name, "sha256": sha256_of_file(p), "bytes": p.stat().st_size} for p in stored],
        "inputs": _values(graph, (v.name for v in graph.inputs)),
        "outputs": _values(graph, graph.outputs),
    }


def _values(graph: Graph, names: Iterable[str]) -> list[Json]:
    found: list[Json] = []
    for name in names:
        type_ = graph.type_of(name)
        found.append({"name": name, "dtype": str(type_.dtype), "shape": None if type_.shape is None else list(type_.shape)})
    return found


def _bits(named: Iterable[NamedBits]) -> dict[str, int]:
    return {item.name: item.bits for item in named}


def _predicted(plan: Plan, plans: Iterable[Plan]) -> Json:
    plain = [p for p in plans if not p.codec]
    latency_s = {kind: min((p.latency_s for p in plain if p.kind == kind), default=None) for kind in ("cloud-only", "edge-only")}
    return {
        "latency_s": plan.latency_s,
        "latency_p50_s": plan.latency_p50_s,
        "latency_p95_s": plan.latency_p95_s,
        "edge_s": plan.edge_s,
        "link_s": plan.link_s,
        "cloud_s": plan.cloud_s,
        "edge_measured_s": plan.edge_measured_s,
        "cloud_measured_s": plan.cloud_measured_s,
        "payload_bytes": plan.payload_bytes,
        "edge_ram_bytes": plan.ram_bytes,
        "edge_storage_bytes": plan.storage_bytes,
        "error": finite(plan.error),
        "cloud_only_latency_s": latency_s["cloud-only"],
        "edge_only_latency_s": latency_s["edge-only"],
    }


def _preprocess(request: Request) -> Json | None:
    found = parse_preprocess(request.preprocess)
    return found.record() if found is not None else None


def _options(request: Request) -> Json:
    left_out = ("graph", "source", "source_sha256")
    values: dict[str, Any] = {f.name: getattr(request, f.name) for f in fields(request) if f.name not in left_out}
    return {name: list(cast("tuple[object, ...]", value)) if isinstance(value, tuple) else value for name, value in values.items()}
