"""Tensors of the Open Inference Protocol v2: their datatypes, and their forms in JSON and in the binary tensor extension.

A tensor that is not `BYTES` is an array; one of `BYTES` a tuple of byte strings, in row-major order, with its shape beside it. What is read
is checked against what is there before memory is taken for it. Every fault raises LinkError (AS860).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from .errors import LinkError

if TYPE_CHECKING:
    from typing import TypeAlias

BYTES = "BYTES"
MAX_RANK = 32
"""Most dimensions that every version of numpy takes."""

_DTYPES: dict[str, str] = {
    "BOOL": "|b1",
    "UINT8": "|u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "INT8": "|i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}
_DATATYPES = {np.dtype(text): name for name, text in _DTYPES.items()}
_IR: dict[str, str] = {
    "bool": "BOOL",
    "str": BYTES,
    "bf16": "BF16",
    **{f"u{bits}": f"UINT{bits}" for bits in (8, 16, 32, 64)},
    **{f"i{bits}": f"INT{bits}" for bits in (8, 16, 32, 64)},
    **{f"f{bits}": f"FP{bits}" for bits in (16, 32, 64)},
}
"""Element types as manifests have them."""

_LENGTH = struct.Struct("<I")

Buffer: TypeAlias = "bytes | bytearray | memoryview"


@dataclass(frozen=True)
class Tensor:
    """A named tensor. data: an array of its shape, or the elements of one of BYTES. parameters: as they came."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: NDArray[Any] | tuple[bytes, ...]
    parameters: Mapping[str, Any]

    @property
    def array(self) -> NDArray[Any]:
        """The array. Raises LinkError for BYTES."""
        if isinstance(self.data, tuple):
            raise malformed(f'tensor "{self.name}" is of BYTES, and numbers are wanted')
        return self.data


def malformed(message: str, where: str = "", hint: str = "") -> LinkError:
    """Return the error for a message that does not keep to the protocol."""
    return LinkError("AS860", message, where, hint)


def datatype_of(dtype: str) -> str:
    """Return the protocol's name for an element type of a manifest: `f32` is FP32. Raises LinkError where it has none."""
    if dtype not in _IR:
        raise malformed(f"the Open Inference Protocol has no datatype for elements of {dtype}")
    return _IR[dtype]


def tensor_of(name: str, array: NDArray[Any], parameters: Mapping[str, Any] | None = None) -> Tensor:
    """Return an array, of numbers or of texts, as a tensor. Raises LinkError for an element type that has no name in the protocol."""
    if array.dtype.kind in "OUS":
        texts = (element if isinstance(element, bytes) else str(element).encode() for element in array.reshape(-1).tolist())
        return Tensor(name, BYTES, tuple(array.shape), tuple(texts), dict(parameters or {}))
    datatype = _DATATYPES.get(array.dtype.newbyteorder("<"))
    if datatype is None:
        raise malformed(f'tensor "{name}" holds {array.dtype}, for which the Open Inference Protocol has no datatype')
    return Tensor(name, datatype, tuple(array.shape), np.ascontiguousarray(array, np.dtype(_DTYPES[datatype])), dict(parameters or {}))


def bytes_tensor(name: str, elements: Sequence[bytes], parameters: Mapping[str, Any] | None = None) -> Tensor:
    """Return byte strings as a tensor of rank 1."""
    return Tensor(name, BYTES, (len(elements),), tuple(elements), dict(parameters or {}))


def read_shape(name: str, shape: object) -> tuple[int, ...]:
    """Return a shape out of a message's JSON. Raises LinkError."""
    sizes = cast("list[object]", shape) if isinstance(shape, list) else None
    if sizes is None or len(sizes) > MAX_RANK or not all(type(size) is int and size >= 0 for size in sizes):
        raise malformed(f'the shape of tensor "{name}" is no list of at most {MAX_RANK} sizes')
    return tuple(cast("list[int]", sizes))


def nbytes_of(tensor: Tensor) -> int:
    """Return how many bytes a tensor takes in the binary form."""
    if isinstance(tensor.data, tuple):
        return sum(_LENGTH.size + len(element) for element in tensor.data)
    return tensor.data.nbytes


def to_binary(tensor: Tensor) -> Iterator[Buffer]:
    """Yield the buffers of a tensor's binary form; an array is not copied."""
    if not isinstance(tensor.data, tuple):
        if tensor.data.size:
            yield tensor.data.reshape(-1).view(np.uint8).data
        return
    for element in tensor.data:
        yield _LENGTH.pack(len(element))
        yield element


def from_binary(name: str, datatype: str, shape: tuple[int, ...], data: memoryview, parameters: Mapping[str, Any]) -> Tensor:
    """Return a tensor out of its binary form. Arrays share memory with `data`, which must be all of it. Raises LinkError."""
    count = math.prod(shape)
    if datatype == BYTES:
        return Tensor(name, datatype, shape, tuple(_elements(name, count, data)), parameters)
    dtype = _dtype(name, datatype)
    if count * dtype.itemsize != len(data):
        message = f'tensor "{name}" of {datatype}{list(shape)} takes {count * dtype.itemsize:,} bytes, and {len(data):,} are there'
        raise malformed(message)
    if dtype.kind == "b" and np.frombuffer(data, np.uint8).max(initial=0) > 1:
        raise malformed(f'tensor "{name}" of BOOL holds other bytes than 0 and 1')
    return Tensor(name, datatype, shape, np.frombuffer(data, dtype).reshape(shape), parameters)


def _elements(name: str, count: int, data: memoryview) -> Iterator[bytes]:
    if count * _LENGTH.size > len(data):
        raise malformed(f'tensor "{name}" has {count:,} elements, and {len(data):,} bytes are no room for their lengths')
    at = 0
    for _ in range(count):
        if len(data) - at < _LENGTH.size:
            raise malformed(f'the elements of tensor "{name}" end early')
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        if length > len(data) - at:
            raise malformed(f'an element of tensor "{name}" is {length:,} bytes long, and {len(data) - at:,} are left')
        yield bytes(data[at : at + length])
        at += length
    if at != len(data):
        raise malformed(f'after the elements of tensor "{name}" {len(data) - at:,} bytes are left')


def to_json(tensor: Tensor) -> list[Any]:
    """Return a tensor's elements for JSON, flat. Raises LinkError for what JSON cannot say: bytes that are no text, FP16, NaN."""
    hint = "ask for binary data"
    if isinstance(tensor.data, tuple):
        try:
            return [element.decode("utf-8") for element in tensor.data]
        except UnicodeDecodeError:
            raise malformed(f'tensor "{tensor.name}" holds bytes that are no text, which JSON cannot say', hint=hint) from None
    if tensor.data.dtype == np.float16:
        raise malformed(f'tensor "{tensor.name}" is of FP16, which the protocol has no JSON for', hint=hint)
    if tensor.data.dtype.kind == "f" and not np.isfinite(tensor.data).all():
        raise malformed(f'tensor "{tensor.name}" holds NaN or infinity, which JSON cannot say', hint=hint)
    return tensor.data.reshape(-1).tolist()


def from_json(name: str, datatype: str, shape: tuple[int, ...], data: object, parameters: Mapping[str, Any]) -> Tensor:
    """Return a tensor out of JSON, whose lists are flat or nested as the shape. Raises LinkError."""
    flat = _flat(name, shape, data)
    if datatype == BYTES:
        if not all(isinstance(element, str) for element in flat):
            raise malformed(f'tensor "{name}" of BYTES holds other elements than texts')
        try:
            return Tensor(name, datatype, shape, tuple(cast("str", element).encode("utf-8") for element in flat), parameters)
        except UnicodeEncodeError:
            raise malformed(f'tensor "{name}" of BYTES holds a text that is no Unicode') from None
    dtype = _dtype(name, datatype)
    if dtype == np.float16:
        raise malformed(f'tensor "{name}" is of FP16, which the protocol has no JSON for', hint="send it as binary data")
    kinds = {"b": (bool,), "f": (int, float)}.get(dtype.kind, (int,))
    if not all(isinstance(element, kinds) and (dtype.kind == "b" or not isinstance(element, bool)) for element in flat):
        raise malformed(f'tensor "{name}" of {datatype} holds elements of another type')
    numbers = cast("list[Any]", flat)
    if dtype.kind in "iu" and numbers and not np.iinfo(dtype).min <= min(numbers) <= max(numbers) <= np.iinfo(dtype).max:
        raise malformed(f'tensor "{name}" holds numbers that {datatype} has not')
    try:
        with np.errstate(over="ignore"):
            array = np.array(numbers, dtype).reshape(shape)
    except OverflowError:
        raise malformed(f'tensor "{name}" holds numbers that {datatype} has not') from None
    if dtype.kind == "f" and not np.isfinite(array).all():
        raise malformed(f'tensor "{name}" holds numbers that {datatype} has not')
    return Tensor(name, datatype, shape, array, parameters)


def _flat(name: str, shape: tuple[int, ...], data: object) -> list[object]:
    """Return the elements in row-major order, as many as the shape has; `data` is one list of them, or lists nested as the shape."""
    flat = cast("list[object]", data) if isinstance(data, list) else []
    if flat and isinstance(flat[0], list):
        for size in shape[1:]:
            if not all(isinstance(inner, list) and len(cast("list[object]", inner)) == size for inner in flat):
                raise malformed(f'the lists of tensor "{name}" are not nested as its shape {list(shape)}')
            flat = [element for inner in cast("list[list[object]]", flat) for element in inner]
    if not isinstance(data, list) or len(flat) != math.prod(shape):
        raise malformed(f'tensor "{name}" has not as many elements as its shape {list(shape)}')
    return flat


def _dtype(name: str, datatype: str) -> np.dtype[Any]:
    if datatype not in _DTYPES:
        known = ", ".join([*_DTYPES, BYTES])
        raise malformed(f'the datatype of tensor "{name}" is none that is spoken here: {datatype}', hint=f"known: {known}")
    return np.dtype(_DTYPES[datatype])
