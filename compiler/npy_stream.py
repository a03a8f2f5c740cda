"""Streaming reader of `.npy` files and of the members of `.npz` files. Pickles are refused before anything in them is looked at.

Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from autosplitc.ir import CompileError, Diagnostic

_NPY_MAGIC = b"\x93NUMPY"
_ZIP_MAGIC = b"PK"
_PICKLE_MAGIC = b"\x80"
"""First byte of pickles of protocol 2 and later."""

_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, RuntimeError)
"""What reading a damaged, encrypted or oddly compressed archive raises."""


@dataclass(frozen=True, slots=True)
class StoredArray:
    """An array in a file: `member` of an `.npz` ("" for an `.npy`), its element type, shape, and whether columns come first."""

    path: Path
    member: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran: bool

    @property
    def name(self) -> str:
        """Key of the array; "" for an `.npy`."""
        return self.member.removesuffix(".npy")

    @property
    def where(self) -> str:
        """Location for diagnostics."""
        return place(self.path, self.member)

    def chunks(self, rows: int) -> Iterator[NDArray[Any]]:
        """Yield the array, at most `rows` of the first axis at a time. Raises CompileError AS311 where the file is cut short or damaged."""
        with _stream(self.path, self.member) as stream:
            _header(stream)
            if self.fortran:
                yield from self._transposed_chunks(stream, rows)
                return
            for start in range(0, self.shape[0], rows):
                shape = (min(rows, self.shape[0] - start), *self.shape[1:])
                yield self._read(stream, shape)

    def read(self) -> NDArray[Any]:
        """Return the whole array (of rank 1 and more)."""
        return next(self.chunks(max(1, self.shape[0])), np.zeros(self.shape, self.dtype))

    def _transposed_chunks(self, stream: IO[bytes], rows: int) -> Iterator[NDArray[Any]]:
        """Yield chunks of an array stored with its samples last, which has to be read whole."""
        whole = self._read(stream, self.shape[::-1]).T
        yield from (np.ascontiguousarray(whole[start : start + rows]) for start in range(0, self.shape[0], rows))

    def _read(self, stream: IO[bytes], shape: tuple[int, ...]) -> NDArray[Any]:
        wanted = math.prod(shape) * self.dtype.itemsize
        data = stream.read(wanted)
        if len(data) != wanted:
            raise CompileError(Diagnostic("AS311", "the array is cut short", self.where, hint="write the file again"))
        return np.frombuffer(data, self.dtype).reshape(shape)


def place(path: Path, member: str) -> str:
    """Return the location of an array in a file."""
    return f'{path.name}: array "{member.removesuffix(".npy")}"' if member else path.name


def stored_arrays(path: Path) -> tuple[StoredArray, ...]:
    """Return the arrays of an `.npz`, or the one of an `.npy`; what the file is shows from its first bytes.

    Raises CompileError: AS310 the file is missing or cannot be read, AS311 it is neither or is damaged, AS312 it is or holds a pickle.
    """
    magic = _first_bytes(path)
    if magic.startswith(_NPY_MAGIC):
        return (_stored(path, ""),)
    if magic.startswith(_PICKLE_MAGIC):
        raise CompileError(_pickled(path.name, "the file is a pickle"))
    if not magic.startswith(_ZIP_MAGIC):
        what = "the file is empty" if not magic else "this is neither an .npz nor an .npy file"
        raise CompileError(Diagnostic("AS311", what, path.name, hint='write it with np.savez("data.npz", INPUT=array)'))
    with _reading(path, ""), zipfile.ZipFile(path) as archive:
        members = archive.namelist()
    return tuple(_stored(path, member) for member in members)


def _first_bytes(path: Path) -> bytes:
    with _reading(path, ""), path.open("rb") as file:
        return file.read(len(_NPY_MAGIC))


def _stored(path: Path, member: str) -> StoredArray:
    with _stream(path, member) as stream:
        shape, fortran, dtype = _header(stream)
    if dtype.hasobject:
        raise CompileError(_pickled(place(path, member), "the array holds pickled Python objects"))
    return StoredArray(path, member, dtype, shape, fortran)


def _pickled(where: str, message: str) -> Diagnostic:
    note = "loading a pickle can run any code, so pickles are never loaded"
    return Diagnostic("AS312", message, where, (note,), 'save plain numbers: np.savez("data.npz", INPUT=array.astype(np.float32))')


@contextmanager
def _stream(path: Path, member: str) -> Generator[IO[bytes]]:
    with _reading(path, member):
        if not member:
            with path.open("rb") as file:
                yield file
            return
        with zipfile.ZipFile(path) as archive, archive.open(member) as file:
            yield file


@contextmanager
def _reading(path: Path, member: str) -> Generator[None]:
    """Turn what can go wrong while reading into diagnostics."""
    try:
        yield
    except FileNotFoundError:
        raise CompileError(Diagnostic("AS310", "there is no such data file", str(path))) from None
    except OSError as error:
        raise CompileError(Diagnostic("AS310", f"the data file cannot be read: {error.strerror or error}", str(path))) from None
    except _DAMAGE as error:
        diagnostic = Diagnostic("AS311", "the file is damaged or cut short", place(path, member), (str(error),), "write the file again")
        raise CompileError(diagnostic) from None


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read a header; the stream then stands at the data. Raises ValueError where it is not one."""
    version = npy.read_magic(stream)
    if version == (1, 0):
        return npy.read_array_header_1_0(stream)
    if version == (2, 0):
        return npy.read_array_header_2_0(stream)
    raise ValueError(f"version {version[0]}.{version[1]} of the format holds no plain numbers")
