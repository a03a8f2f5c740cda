"""State dictionaries from torch's legacy checkpoint stream, read without torch and without running what a pickle names.

The stream (torch.save before 1.6, `torch/serialization.py: _legacy_save`) holds five pickles - magic number, protocol version,
system description, the object with its storages left as persistent ids, the storages' keys - then, in the order of the keys,
each storage as a little-endian int64 element count and its elements.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import CompileError, Diagnostic

Array = NDArray[np.generic]

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_STORAGE_DTYPES = {"FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2", "LongStorage": "<i8", "IntStorage": "<i4"}


@dataclass(frozen=True, slots=True)
class _StorageType:
    dtype: str


@dataclass(frozen=True, slots=True)
class _Storage:
    key: str
    dtype: str
    elements: int


@dataclass(frozen=True, slots=True)
class _Tensor:
    """A view of a storage; offset and strides count elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_state_dict(content: bytes, source: str) -> dict[str, Array]:
    """Return the tensors of a state dictionary by name, in file order.

    `source` names the file in diagnostics. Raises `CompileError` AS684 when the stream is not torch's legacy form, is truncated,
    or names a global outside the few that tensors need.
    """
    try:
        return _read(io.BytesIO(content))
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise CompileError(Diagnostic("AS684", "the checkpoint cannot be read", location=source, notes=(str(error),))) from error


def _read(stream: io.BytesIO) -> dict[str, Array]:
    if _load(stream) != _MAGIC or _load(stream) != _PROTOCOL:
        raise pickle.UnpicklingError("it is not in torch's legacy stream form")
    _load(stream)
    state = _load(stream)
    keys = _load(stream)
    if not isinstance(state, Mapping) or not isinstance(keys, list):
        raise pickle.UnpicklingError("it holds no state dictionary")
    tensors = {str(name): value for name, value in cast("Mapping[object, object]", state).items() if isinstance(value, _Tensor)}
    dtypes = {tensor.storage.key: tensor.storage.dtype for tensor in tensors.values()}
    storages = {key: _read_storage(stream, dtypes[key]) for key in cast("list[str]", keys)}
    return {name: _view(tensor, storages[tensor.storage.key]) for name, tensor in tensors.items()}


def _load(stream: io.BytesIO) -> object:
    return cast("object", _Unpickler(stream).load())


def _read_storage(stream: io.BytesIO, dtype: str) -> Array:
    elements = int.from_bytes(stream.read(8), "little", signed=True)
    size_bytes = elements * np.dtype(dtype).itemsize
    content = stream.read(max(size_bytes, 0))
    if len(content) != size_bytes:
        raise EOFError("it ends within a storage")
    return np.frombuffer(content, dtype)


def _view(tensor: _Tensor, storage: Array) -> Array:
    last = tensor.offset + sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.strides, strict=True))
    if tensor.offset < 0 or min(tensor.strides, default=0) < 0 or min(tensor.shape, default=1) < 1 or last >= storage.size:
        raise ValueError("a tensor reaches outside its storage")
    strides_bytes = [stride * storage.itemsize for stride in tensor.strides]
    view = np.lib.stride_tricks.as_strided(storage[tensor.offset :], tensor.shape, strides_bytes, writeable=False)
    return np.ascontiguousarray(view).reshape(tensor.shape)


def _rebuild_tensor(storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_rest: object) -> _Tensor:
    return _Tensor(storage, offset, shape, strides)


class _Unpickler(pickle.Unpickler):
    """Unpickles plain containers and tensors; any other global is refused."""

    def find_class(self, module_name: str, global_name: str, /) -> object:
        if (module_name, global_name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module_name, global_name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if module_name == "torch" and global_name in _STORAGE_DTYPES:
            return _StorageType(_STORAGE_DTYPES[global_name])
        raise pickle.UnpicklingError(f"it names {module_name}.{global_name}, which no tensor needs")

    def persistent_load(self, pid: object, /) -> _Storage:
        match pid:
            case ("storage", _StorageType(dtype), str(key), str(), int(elements), None):
                return _Storage(key, dtype, elements)
            case _:
                raise pickle.UnpicklingError("it refers to something other than a storage")
