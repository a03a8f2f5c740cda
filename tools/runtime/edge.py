"""The edge half: its graph, and what it gives for a frame: the payload as it is sent, and the outputs that the edge makes itself."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .bundle import session_of, sha256_of
from .codecs import codec_id, encode
from .errors import LinkError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from .bundle import Bundle

DTYPES = {
    "f64": "<f8",
    "f32": "<f4",
    "f16": "<f2",
    "i64": "<i8",
    "i32": "<i4",
    "i16": "<i2",
    "i8": "|i1",
    "u64": "<u8",
    "u32": "<u4",
    "u16": "<u2",
    "u8": "|u1",
    "bool": "|b1",
}
"""NumPy's little-endian types by the manifest's names."""


@dataclass(frozen=True)
class InputSpec:
    """An input of the edge graph: the shape and type of what one frame, which is one run of the graph, holds of it."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of one frame."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize


@dataclass(frozen=True)
class EdgeResult:
    """What the edge half gives for a frame.

    samples: the payload's rows as they are sent, none where the plan is Edge-Only. outputs: those that the edge makes, by the model's
    names. edge_s: seconds of graph and codec.
    """

    samples: tuple[bytes, ...]
    outputs: dict[str, NDArray[Any]]
    edge_s: float


def input_specs(bundle: Bundle) -> tuple[InputSpec, ...]:
    """Return the inputs of a frame, a free batch being 1. Raises LinkError: AS803 for types that no frame can hold."""
    specs: list[InputSpec] = []
    for item in bundle.inputs("edge"):
        if item["dtype"] not in DTYPES or item["shape"] is None:
            raise LinkError("AS803", f"input {item['name']!r} of type {item['dtype']} cannot be fed by this runtime")
        shape = tuple(size if isinstance(size, int) else 1 for size in item["shape"])
        specs.append(InputSpec(str(item["name"]), np.dtype(DTYPES[item["dtype"]]), shape))
    return tuple(specs)


class EdgeHalf:
    """The edge graph of a bundle. Raises LinkError as `Bundle.session` and `input_specs` do."""

    def __init__(self, bundle: Bundle, providers: Sequence[str] = (), threads: int = 0) -> None:
        """Load the graph."""
        self.bundle = bundle
        self.inputs = input_specs(bundle)
        self.codec = codec_id(bundle.codec)
        self._outputs = bundle.outputs("edge")
        self._fetch = [bundle.payload_name] if bundle.has("cloud") else []
        self._session = bundle.session("edge", providers, threads)

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> EdgeResult:
        """Return what the graph gives for a frame. Raises LinkError: AS809 where it does not take the inputs, AS818 a codec's package."""
        started_s = time.perf_counter()
        fetched = [*self._fetch, *self._outputs]
        try:
            values: list[Any] = self._session.run(fetched, dict(inputs))
        except Exception as error:  # onnxruntime raises many types of its own
            reason = str(error).partition("\n")[0][:300]
            raise LinkError("AS809", f"the edge graph does not take the inputs: {reason}") from None
        samples: tuple[bytes, ...] = ()
        if self._fetch:
            rows: NDArray[np.uint8] = values[0]
            samples = tuple(encode(self.bundle.codec, row.tobytes(), self.bundle.picture) for row in rows.reshape(len(rows), -1))
        made = {self._outputs[name]: value for name, value in _pairs(fetched, values) if name in self._outputs}
        return EdgeResult(samples, made, time.perf_counter() - started_s)


class Fallback:
    """The whole model on the edge, where the bundle has it. Raises LinkError: AS801 where it has not, AS804, AS805, AS806."""

    def __init__(self, bundle: Bundle, providers: Sequence[str] = (), threads: int = 0) -> None:
        """Load the graph."""
        record = bundle.manifest.get("fallback")
        if not record:
            hint = "compile with --emit-fallback, or --fallback error"
            raise LinkError("AS801", "the bundle has no fallback.onnx", str(bundle.folder), hint)
        for file in record["files"]:
            path = bundle.folder / file["name"]
            try:
                same = sha256_of(path) == file["sha256"]
            except OSError as error:
                message = f"a file of the bundle cannot be read: {error.strerror or error}"
                raise LinkError("AS804", message, str(path), "compile again") from None
            if not same:
                raise LinkError("AS804", "a file of the bundle was changed", str(path), "compile again")
        self._names = {str(place["name"]): str(place["output"]) for place in record["outputs"]}
        self._session = session_of(bundle.folder / record["file"], bundle.manifest["runtime"], providers, threads)

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the model's outputs for a frame. Raises LinkError: AS809 where the graph does not take the inputs."""
        try:
            values: list[Any] = self._session.run(list(self._names), dict(inputs))
        except Exception as error:  # onnxruntime raises many types of its own
            reason = str(error).partition("\n")[0][:300]
            raise LinkError("AS809", f"the fallback graph does not take the inputs: {reason}") from None
        return dict(_pairs(self._names.values(), values))


def _pairs(names: Iterable[str], values: Sequence[Any]) -> list[tuple[str, Any]]:
    """Return names with their values."""
    return [(name, values[place]) for place, name in enumerate(names)]
