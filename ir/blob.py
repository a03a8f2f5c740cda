"""Blobs: constant data known by its sha256, read when somebody looks at it, never copied to be carried.

A blob holds exactly the bytes that ONNX calls raw data: little-endian, C order, and for codes of b < 8 bits the bit stream that packs
element i into bits [i*b, (i+1)*b), least significant bit first, padded to whole bytes.
"""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .types import ArrayRef, DType, TensorType

Bytes: TypeAlias = NDArray[np.uint8]
"""A flat, read-only array of bytes."""

_NUMPY: dict[DType, str] = {
    DType.F64: "<f8",
    DType.F32: "<f4",
    DType.F16: "<f2",
    DType.I64: "<i8",
    DType.I32: "<i4",
    DType.I16: "<i2",
    DType.I8: "i1",
    DType.U64: "<u8",
    DType.U32: "<u4",
    DType.U16: "<u2",
    DType.U8: "u1",
    DType.BOOL: "?",
    DType.C64: "<c8",
    DType.C128: "<c16",
}


@dataclass(frozen=True, slots=True)
class BlobRef:
    """Names `nbytes` bytes by their sha256 (hex). `reader` returns them; it is no part of the blob's identity."""

    sha256: str
    nbytes: int
    reader: Callable[[], Bytes] = field(compare=False, repr=False)

    def read(self) -> Bytes:
        """Return the bytes, read-only and, for files, memory-mapped."""
        return self.reader()


def blob_from_bytes(data: bytes | Bytes) -> BlobRef:
    """Return a blob over `data`, which must not change afterwards."""
    flat = np.frombuffer(data, np.uint8) if isinstance(data, bytes) else data.reshape(-1).view(np.uint8)
    flat = flat.view()
    flat.flags.writeable = False
    return BlobRef(hashlib.sha256(flat.data).hexdigest(), flat.size, lambda: flat)


def blob_from_array(array: NDArray[Any]) -> BlobRef:
    """Return a blob over an array of 8 bits an element or more (little-endian C order is made where needed)."""
    contiguous = np.ascontiguousarray(array)
    if contiguous.dtype.byteorder == ">":
        contiguous = contiguous.astype(contiguous.dtype.newbyteorder("<"))
    return blob_from_bytes(contiguous.reshape(-1).view(np.uint8))


def array_ref(array: NDArray[Any]) -> ArrayRef:
    """Return an array of 8 bits an element or more as facts and attributes hold it."""
    return ArrayRef(TensorType(dtype_of(array), array.shape), blob_from_array(array))


def read_array(ref: ArrayRef) -> NDArray[Any]:
    """Return the read-only array that a fact or an attribute holds."""
    return ref.blob.read().view(numpy_dtype(ref.type.dtype)).reshape(ref.type.dims)


def blob_from_file(path: Path, offset: int = 0, nbytes: int | None = None, sha256: str | None = None) -> BlobRef:
    """Return a blob over a slice of a file. The digest is computed unless `sha256` is given.

    Raises ValueError where the file is shorter than the slice, OSError where it cannot be read.
    """
    size = path.stat().st_size
    length = size - offset if nbytes is None else nbytes
    if offset < 0 or length < 0 or offset + length > size:
        raise ValueError(f"{path} holds {size} bytes; {length} at {offset} were asked for")

    def read() -> Bytes:
        if length == 0:
            return np.zeros(0, np.uint8)
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return np.frombuffer(mapped, np.uint8, count=length, offset=offset)

    digest = sha256 if sha256 is not None else hashlib.sha256(read().data).hexdigest()
    return BlobRef(digest, length, read)


def storage_bytes(type_: TensorType) -> int:
    """Bytes that a static tensor takes when packed to whole bytes."""
    elements = type_.elements
    if elements is None:
        raise ValueError(f"the shape is not static: {type_}")
    return (elements * type_.dtype.bits + 7) // 8


def numpy_dtype(dtype: DType) -> np.dtype[Any]:
    """Return numpy's type for elements of 8 bits and more that numpy knows; raises ValueError for others (bf16, f8, codes below 8 bits)."""
    if dtype not in _NUMPY:
        raise ValueError(f"numpy has no type for {dtype}")
    return np.dtype(_NUMPY[dtype])


def dtype_of(array: NDArray[Any]) -> DType:
    """Return the IR's type of a numpy array; raises ValueError for types that it does not know."""
    wanted = np.dtype(array.dtype).newbyteorder("<")
    for dtype, text in _NUMPY.items():
        if np.dtype(text).newbyteorder("<") == wanted:
            return dtype
    raise ValueError(f"no element type for {array.dtype}")
