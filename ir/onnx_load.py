"""Reads an ONNX file: checks the file, leaves large tensor data where it lies, and puts external data next to it."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .blob import BlobRef, blob_from_bytes, blob_from_file
from .diagnostics import CompileError, Diagnostic
from .onnx_types import BLOB_KEY, DTYPE_OF_ONNX, check_nbytes, raw_bytes, stored_type
from .onnx_wire import SLICE_KEY, WireError, split_model
from .types import DType

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

SMALL_BYTES = 1024
"""Tensors up to this size stay in the message: the version converter and shape inference need the values of shapes, axes, bounds."""


@dataclass(frozen=True)
class LoadedModel:
    """A model whose tensors above `SMALL_BYTES` say that they are external and name one of `blobs`. `source` is its file's name."""

    proto: ModelProto
    blobs: tuple[BlobRef, ...]
    source: str


def load_model(path: Path) -> LoadedModel:
    """Read a model.

    Raises CompileError: AS201 no such file, AS202 not an ONNX file or cut short, AS205 external data missing or too short, AS206 external
    data outside the model's folder, AS207 tensor data of a wrong size.
    """
    from google.protobuf.message import DecodeError
    from onnx import ModelProto

    data, slices = _split_file(path)
    proto = ModelProto()
    try:
        proto.ParseFromString(data)
    except DecodeError:
        raise CompileError(_not_onnx(path)) from None
    if not proto.HasField("graph") or not proto.opset_import:
        raise CompileError(_not_onnx(path))
    found = _Blobs(path, slices)
    return LoadedModel(proto, found.put_aside(proto), path.name)


def loaded_from_proto(model: ModelProto, source: str, folder: Path | None = None) -> LoadedModel:
    """Return a model in memory as if it were read from a file of that name in `folder`; `model` itself is not changed."""
    from onnx import ModelProto

    proto = ModelProto()
    proto.CopyFrom(model)
    found = _Blobs((folder or Path()) / source, ())
    return LoadedModel(proto, found.put_aside(proto), source)


def _not_onnx(path: Path, note: str = "") -> Diagnostic:
    return Diagnostic("AS202", "this is not an ONNX file", path.name, notes=(note,) if note else ())


def _split_file(path: Path) -> tuple[bytes, tuple[tuple[int, int], ...]]:
    try:
        size = path.stat().st_size
        if path.is_dir():
            raise CompileError(Diagnostic("AS201", "this is a folder, not an ONNX file", str(path)))
        if size == 0:
            raise CompileError(Diagnostic("AS202", "the file is empty", path.name))
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            return split_model(mapped, SMALL_BYTES)
    except WireError as error:
        if error.missing_bytes:
            size = path.stat().st_size
            note = f"{size} bytes are there, {size + error.missing_bytes} are needed"
            raise CompileError(Diagnostic("AS202", "the ONNX file is cut short", path.name, notes=(note,))) from None
        raise CompileError(_not_onnx(path)) from None
    except OSError as error:
        message = "there is no such file" if isinstance(error, FileNotFoundError) else f"the file cannot be read: {error.strerror}"
        raise CompileError(Diagnostic("AS201", message, str(path))) from None


class _Blobs:
    """Collects the blobs of one model."""

    def __init__(self, path: Path, slices: Sequence[tuple[int, int]]) -> None:
        self._path = path
        self._slices = slices
        self._blobs: list[BlobRef] = []
        self._problems: list[Diagnostic] = []

    def put_aside(self, proto: ModelProto) -> tuple[BlobRef, ...]:
        """Replace the data of every large tensor by the index of a blob, and read small external data in."""
        for tensor in tensors_of_model(proto):
            try:
                self._tensor(tensor)
            except CompileError as error:
                self._problems.extend(error.diagnostics)
        if self._problems:
            raise CompileError(self._problems)
        return tuple(self._blobs)

    def _tensor(self, tensor: TensorProto) -> None:
        where = f'{self._path.name}: tensor "{tensor.name}"'
        if tensor.data_location == tensor.EXTERNAL:
            blob = self._external_blob({entry.key: entry.value for entry in tensor.external_data}, tensor, where)
            check_nbytes(blob.nbytes, stored_type(tensor), where)
        else:
            type_ = stored_type(tensor)
            if tensor.HasField("raw_data"):
                check_nbytes(len(tensor.raw_data), type_, where)
            if type_.dtype is DType.STRING or (type_.elements or 0) * type_.dtype.bits <= 8 * SMALL_BYTES:
                return
            blob = blob_from_bytes(raw_bytes(tensor, where))
        for field in ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data", "external_data"):
            tensor.ClearField(field)
        if blob.nbytes <= SMALL_BYTES:
            tensor.ClearField("data_location")
            tensor.raw_data = blob.read().tobytes()
            return
        tensor.data_location = tensor.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = BLOB_KEY, str(len(self._blobs))
        self._blobs.append(blob)

    def _external_blob(self, entries: dict[str, str], tensor: TensorProto, where: str) -> BlobRef:
        if SLICE_KEY in entries:
            start, length = self._slices[int(entries[SLICE_KEY])]
            return blob_from_file(self._path, start, length)
        if DTYPE_OF_ONNX.get(tensor.data_type) is DType.STRING:
            raise CompileError(Diagnostic("AS207", "a string tensor cannot be external", where))
        location = entries.get("location", "")
        file = self._inside(location, where)
        try:
            offset = int(entries.get("offset", "0"))
            length = int(entries["length"]) if entries.get("length") else None
            return blob_from_file(file, offset, length)
        except FileNotFoundError:
            message = f'the external data file "{location}" is missing'
            raise CompileError(Diagnostic("AS205", message, where, hint=f"put {location} beside {self._path.name}")) from None
        except OSError as error:
            message = f'the external data file "{location}" cannot be read: {error.strerror}'
            raise CompileError(Diagnostic("AS205", message, where)) from None
        except ValueError:
            size = file.stat().st_size
            asked = f"{entries.get('length') or 'all'} bytes at offset {entries.get('offset', '0')}"
            message = f'the external data file "{location}" is too short: {size} bytes, where {asked} are asked for'
            raise CompileError(Diagnostic("AS205", message, where)) from None

    def _inside(self, location: str, where: str) -> Path:
        """Return the file of an external location. It may be a link only to a file beside the model or beside what the model links to."""
        folder = self._path.parent
        relative = Path(location)
        outside = not location or relative.is_absolute() or ".." in relative.parts or "\\" in location
        if not outside:
            file = (folder / relative).resolve()
            outside = not any(file.is_relative_to(home) for home in (folder.resolve(), self._path.resolve().parent))
        if outside:
            raise CompileError(Diagnostic("AS206", f'the external data path "{location}" leaves the model\'s folder', where))
        return folder / relative


def tensors_of_model(proto: ModelProto) -> Iterator[TensorProto]:
    """Every tensor of a model: initializers and attributes, of all sub-graphs and functions."""
    yield from tensors_of_graph(proto.graph)
    for function in proto.functions:
        for node in function.node:
            yield from _tensors_of_node(node)


def tensors_of_graph(graph: GraphProto) -> Iterator[TensorProto]:
    """Every tensor of a graph: initializers and attributes, of all sub-graphs."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        yield from _tensors_of_node(node)


def _tensors_of_node(node: NodeProto) -> Iterator[TensorProto]:
    for attribute in node.attribute:
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors
        if attribute.HasField("sparse_tensor"):
            yield from (attribute.sparse_tensor.values, attribute.sparse_tensor.indices)
        for sparse in attribute.sparse_tensors:
            yield from (sparse.values, sparse.indices)
        if attribute.HasField("g"):
            yield from tensors_of_graph(attribute.g)
        for graph in attribute.graphs:
            yield from tensors_of_graph(graph)
