"""What a bundle holds for other tools: quantisers for onnxruntime.quantization, and the edge graph in QONNX form where asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from autosplitc.ir import EXTERNAL_OVER_BYTES, Graph, Module
from autosplitc.passes import Env, Request

from .folder import MANIFEST
from .manifest import Json, check_manifest, manifest_text, side_record
from .ort_overrides import FILE, quant_overrides
from .qonnx import emit_qonnx, with_quant_nodes

QONNX = "qonnx"
"""The form of the edge graph that stock ONNX Runtime does not run, and the package that does."""


def write_overrides(module: Module, original: Graph, env: Env, folder: Path) -> None:
    """Write the quantisers of the edge part by tensor of the model as it was given. Raises OSError."""
    text = json.dumps(quant_overrides(module, original, env), indent=1, ensure_ascii=False)
    (folder / FILE).write_text(text + "\n", encoding="utf-8")


def in_form(module: Module, env: Env, folder: Path, manifest: Json) -> Json:
    """Write the edge graph of a finished bundle in the form that was asked for, and return the manifest that goes with it.

    In QONNX form it takes the place of the one that was checked and measured: both are made from the same module. Raises OSError.
    """
    request = module.fact(Request)
    if request.format != QONNX:
        return manifest
    _write_qonnx(module.graph("edge"), folder / "edge.onnx", request.max_opset or env.edge.max_opset)
    edge = {**side_record(with_quant_nodes(module.graph("edge")), folder), "needs": [QONNX]}
    changed = {**manifest, "graphs": {**manifest["graphs"], "edge": edge}}
    check_manifest(changed)
    (folder / MANIFEST).write_text(manifest_text(changed), encoding="utf-8")
    return changed


def _write_qonnx(graph: Graph, path: Path, max_opset: int) -> None:
    import onnx

    data = path.with_name(f"{path.name}.data")
    data.unlink(missing_ok=True)
    path.unlink(missing_ok=True)
    large = sum(4 * (c.type.elements or 0) for c in graph.consts) > EXTERNAL_OVER_BYTES
    onnx.save(emit_qonnx(graph, max_opset=max_opset), str(path), save_as_external_data=large, location=data.name)


def needs_of(manifest: Mapping[str, Json]) -> list[str]:
    """Return the packages besides ONNX Runtime that running a bundle's edge graph takes."""
    return list(manifest["graphs"]["edge"].get("needs", ()))
