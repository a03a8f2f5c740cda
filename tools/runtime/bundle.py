"""A bundle as the runtime sees it: its manifest, its graphs' files, and how ONNX Runtime is to run them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from .errors import LinkError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnxruntime

SCHEMA = "autosplitc-manifest/1"
LEVELS = {
    "disabled": "ORT_DISABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "all": "ORT_ENABLE_ALL",
}
"""ONNX Runtime's names of the optimisation levels."""

OPTIONS = {"CUDAExecutionProvider": {"use_tf32": "0"}}
"""Options of providers: products of floats keep the digits that the halves were checked with."""


@dataclass(frozen=True)
class Bundle:
    """A folder that the compiler wrote, with its manifest."""

    folder: Path
    manifest: dict[str, Any]

    @classmethod
    def load(cls, folder: Path | str) -> Bundle:
        """Return a bundle. Raises LinkError: AS802 for no bundle, AS803 for one of another schema, or that lacks fields."""
        folder = Path(folder)
        path = folder / "manifest.json"
        try:
            manifest = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            several = sorted(found.parent.name for found in folder.glob("*/manifest.json"))
            hint = f"one of its bundles: {', '.join(several[:5])}" if several else "a folder that autosplitc wrote (-o)"
            raise LinkError("AS802", f"there is no bundle: {error.strerror or error}", str(path), hint) from None
        except (ValueError, RecursionError):
            raise LinkError("AS803", "the manifest is no JSON", str(path), "compile again") from None
        if not isinstance(manifest, dict) or cast("dict[str, Any]", manifest).get("schema") != SCHEMA:
            raise LinkError("AS803", f"the manifest is not of schema {SCHEMA}", str(path), "the runtime and the compiler of one version")
        bundle = cls(folder, cast("dict[str, Any]", manifest))
        try:
            _ = bundle.kind, bundle.payload_name, bundle.bytes_per_sample, bundle.has("edge"), bundle.manifest["runtime"]["session"]
            _ = [bundle.outputs(side) for side in ("edge", "cloud")], bundle.model, bundle.layout
        except (KeyError, TypeError, ValueError) as error:
            raise LinkError("AS803", f"the manifest lacks {error}", str(path), "compile again") from None
        return bundle

    @property
    def kind(self) -> str:
        """The decision: `cloud-only`, `split` or `edge-only`."""
        return str(self.manifest["decision"]["kind"])

    @property
    def model(self) -> str:
        """The model's fingerprint on the link: sha256 of the cloud graph, of the edge graph where nothing is sent."""
        side = self.manifest["graphs"]["cloud" if self.has("cloud") else "edge"]
        files = sorted((file["name"], file["sha256"]) for file in side["files"])
        return files[0][1] if len(files) == 1 else hashlib.sha256(json.dumps(files).encode()).hexdigest()

    @property
    def layout(self) -> str:
        """The fingerprint of the payload's layout: sha256 of the manifest's `wire` as canonical JSON."""
        text = json.dumps(self.manifest["wire"], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def payload_name(self) -> str:
        """Name of the payload in both graphs; "" where nothing is sent."""
        return str(self.manifest["wire"]["payload"] or "")

    @property
    def bytes_per_sample(self) -> int:
        """Bytes of a sample's payload, before any codec."""
        return int(self.manifest["wire"]["bytes_per_sample"] or 0)

    @property
    def codec(self) -> str:
        """The codec that the plan sends the payload through: "", `zstd`, `png` or `jpeg:85`."""
        found = self.manifest["wire"].get("codec")
        return str(found["name"]) if found else ""

    @property
    def picture(self) -> dict[str, Any] | None:
        """How the payload's bytes are a picture, where the codec is one of pictures."""
        found = self.manifest["wire"].get("codec")
        return found["picture"] if found else None

    def has(self, side: str) -> bool:
        """Return whether there is an `edge` or a `cloud` graph."""
        return side in self.manifest["graphs"]

    def inputs(self, side: str) -> list[dict[str, Any]]:
        """Return a graph's inputs: name, dtype, shape."""
        return list(self.manifest["graphs"][side]["inputs"])

    def outputs(self, side: str) -> dict[str, str]:
        """Return the model's outputs that a side makes, by their names there."""
        return {str(place["name"]): str(place["output"]) for place in self.manifest["outputs"] if place["side"] == side}

    def has_free_batch(self, side: str) -> bool:
        """Return whether a graph takes any number of samples at once and gives a row for each in every output."""
        graph = self.manifest["graphs"][side]
        first: list[Any] = [item["shape"][0] if item["shape"] else 0 for item in (*graph["inputs"], *graph["outputs"])]
        return isinstance(first[0], str) and all(size == first[0] for size in first)

    def check_files(self, side: str) -> None:
        """Check that a graph's files are those that were written. Raises LinkError: AS804."""
        for file in self.manifest["graphs"][side]["files"]:
            path = self.folder / file["name"]
            try:
                digest = sha256_of(path)
            except OSError as error:
                message = f"a file of the bundle cannot be read: {error.strerror or error}"
                raise LinkError("AS804", message, str(path), "compile again") from None
            if digest != file["sha256"]:
                raise LinkError("AS804", "a file of the bundle was changed", str(path), "compile again")

    def session(self, side: str, providers: Sequence[str] = (), threads: int = 0) -> onnxruntime.InferenceSession:
        """Return a graph ready to run, with the options that its results were checked with.

        providers: ONNX Runtime's names, in order of preference; none: the CPU. threads: 0 for the manifest's.
        Raises LinkError: AS804 for changed files, AS805 for a provider that is not there, AS806 where ONNX Runtime refuses the graph.
        """
        self.check_files(side)
        return session_of(self.folder / self.manifest["graphs"][side]["file"], self.manifest["runtime"], providers, threads)


def session_of(path: Path, runtime: dict[str, Any], providers: Sequence[str] = (), threads: int = 0) -> onnxruntime.InferenceSession:
    """Return a graph's session; `runtime` is the manifest's. Raises LinkError: AS805, AS806."""
    import onnxruntime

    wanted = _providers(providers, onnxruntime.get_available_providers())
    refused = ""
    for left_out in ((), tuple(runtime["optional"])):
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, LEVELS[runtime["level"]])
        options.intra_op_num_threads = threads or int(runtime["threads"])
        options.enable_cpu_mem_arena = bool(runtime["cpu_mem_arena"])
        options.log_severity_level = 3
        for name, value in runtime["session"].items():
            if name not in left_out:
                options.add_session_config_entry(name, value)
        try:
            session = onnxruntime.InferenceSession(str(path), options, providers=[(name, OPTIONS.get(name, {})) for name in wanted])
        except Exception as error:  # onnxruntime raises many types of its own
            refused = str(error).partition("\n")[0][:300]
            continue
        if wanted[0] not in session.get_providers():
            raise LinkError("AS805", f"{wanted[0]} cannot be used on this machine", hint="are its driver and libraries installed?")
        return session
    hint = f"this is ONNX Runtime {onnxruntime.__version__}: a newer one, or compile with a lower --max-opset"
    raise LinkError("AS806", f"ONNX Runtime does not load the graph: {refused}", str(path), hint)


def _providers(asked: Sequence[str], known: Sequence[str]) -> list[str]:
    """Return the providers to use. Raises LinkError: AS805."""
    for name in asked:
        if name not in known:
            raise LinkError("AS805", f"this onnxruntime has no provider {name}", hint="one of " + ", ".join(known))
    return list(asked) or ["CPUExecutionProvider"]


def sha256_of(path: Path) -> str:
    """Return a file's digest. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
