"""A bundle's cloud half as a model repository of Triton Inference Server: `MODEL/1/model.onnx` and `MODEL/config.pbtxt`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .bundle import Bundle
from .errors import LinkError
from .folders import copy_file, staged

if TYPE_CHECKING:
    from typing import TypeAlias

    Value: TypeAlias = "Mapping[str, Any]"

_MARK = "# Written by autosplitc."
_TYPES = {
    "bool": "TYPE_BOOL",
    "str": "TYPE_STRING",
    "bf16": "TYPE_BF16",
    **{f"u{bits}": f"TYPE_UINT{bits}" for bits in (8, 16, 32, 64)},
    **{f"i{bits}": f"TYPE_INT{bits}" for bits in (8, 16, 32, 64)},
    **{f"f{bits}": f"TYPE_FP{bits}" for bits in (16, 32, 64)},
}
_LEVELS = {"disabled": 2, "basic": -1, "extended": 1}
"""Levels of optimisation as Triton's ONNX Runtime backend numbers them; all is what it does unless told."""


@dataclass(frozen=True)
class TritonSettings:
    """What an export is asked for.

    folder: the bundle. output: the model repository. model: its name, "" for the source model's. max_batch: most samples in a batch.
    delay_us: how long a request waits for others. force: write over what is not ours.
    """

    folder: Path
    output: Path
    model: str = ""
    max_batch: int = 8
    delay_us: int = 500
    force: bool = False


def export_triton(settings: TritonSettings) -> Path:
    """Write the cloud half into a model repository, which may hold other models; return the model's folder.

    Raises LinkError: AS80x the bundle, AS850 foreign things stand there, AS851 cannot write, AS852 the bundle has no cloud half, AS853 a
    bad name or a tensor that Triton cannot be told of.
    """
    bundle = Bundle.load(settings.folder)
    graphs = bundle.manifest["graphs"]
    if "cloud" not in graphs:
        raise LinkError("AS852", "the plan is Edge-Only: there is no cloud half to serve", str(settings.folder))
    name = settings.model or model_name(bundle.manifest)
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
        raise LinkError("AS853", f"{name!r} is no name for a model: letters, digits, _ . and -", "--model", "--model my_model")
    text = config_text(name, graphs["cloud"], bundle.manifest["runtime"]["level"], settings)
    place = settings.output / name
    _check_repository(settings.output, force=settings.force)
    with staged(place, _is_ours, force=settings.force, levels_up=2) as stage:
        (stage / "1").mkdir()
        for file in graphs["cloud"]["files"]:
            target = "model.onnx" if file["name"] == graphs["cloud"]["file"] else file["name"]
            copy_file(settings.folder / file["name"], stage / "1" / target, file["sha256"])
        (stage / "config.pbtxt").write_text(text, encoding="utf-8")
    return place


def model_name(manifest: Mapping[str, Any]) -> str:
    """Return a name for a server's model: the source model's, without its ending and without characters that paths and URLs dislike."""
    label = re.sub(r"\.onnx$", "", str(manifest["source"]["name"]).rpartition("/")[2].rpartition(":")[2])
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", label).lstrip(".-") or "model"


def config_text(name: str, graph: Mapping[str, Any], level: str, settings: TritonSettings) -> str:
    """Return config.pbtxt for a graph as the manifest says it. Raises LinkError (AS853)."""
    values = [*graph["inputs"], *graph["outputs"]]
    batched = has_batch(values)
    lines = [
        _MARK,
        f'name: "{name}"',
        'platform: "onnxruntime_onnx"',
        f"max_batch_size: {settings.max_batch if batched else 0}",
        *_values("input", graph["inputs"], batched=batched),
        *_values("output", graph["outputs"], batched=batched),
        *([f"dynamic_batching {{ max_queue_delay_microseconds: {settings.delay_us} }}"] if batched else []),
        *([f"optimization {{ graph {{ level: {_LEVELS[level]} }} }}"] if level in _LEVELS else []),
    ]
    return "\n".join(lines) + "\n"


def has_batch(values: Sequence[Value]) -> bool:
    """Tell whether all values begin with one and the same free size."""
    first = {value["shape"][0] if value["shape"] else None for value in values}
    return len(first) == 1 and isinstance(first.pop(), str)


def _values(field: str, values: Sequence[Value], *, batched: bool) -> list[str]:
    lines = [f"{field} ["]
    for value in values:
        dtype, shape = value["dtype"], value["shape"]
        if dtype not in _TYPES or shape is None:
            what = f"elements of {dtype}" if dtype not in _TYPES else "an unknown number of dimensions"
            raise LinkError("AS853", f'the {field} "{value["name"]}" has {what}, which Triton cannot be told of')
        sizes = [-1 if isinstance(size, str) or size is None else size for size in shape[1 if batched else 0 :]]
        dims = ", ".join(str(size) for size in sizes or [1])
        scalar = "" if sizes else " reshape { shape: [ ] }"
        lines.append(f'  {{ name: "{_quoted(value["name"])}" data_type: {_TYPES[dtype]} dims: [ {dims} ]{scalar} }},')
    lines[-1] = lines[-1].rstrip(",")
    return [*lines, "]"]


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _is_ours(folder: Path) -> bool:
    """Tell whether a model's folder is one that was written here, and holds nothing else."""
    config = folder / "config.pbtxt"
    if not config.is_file() or not config.read_text("utf-8", "replace").startswith(_MARK):
        return False
    return {entry.name for entry in folder.iterdir()} <= {"1", config.name}


def _check_repository(folder: Path, *, force: bool) -> None:
    """Check that a folder can be a model repository. Raises LinkError (AS850) where it holds other things than models."""
    entries = sorted(folder.iterdir()) if folder.is_dir() else []
    others = [entry.name for entry in entries if not entry.name.startswith(".") and not _is_model(entry)]
    if others and not force:
        named = ", ".join(others[:3]) + (" ..." if len(others) > 3 else "")
        raise LinkError("AS850", f"the folder is no model repository: {named}", str(folder), "--force adds to it, or -o ANOTHER_FOLDER")


def _is_model(folder: Path) -> bool:
    return (folder / "config.pbtxt").is_file() or (folder / "1").is_dir()
