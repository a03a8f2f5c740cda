"""Frames: what the edge half is fed, one run of its graph each: from pictures, from arrays in files, which are streamed, or from stdin."""

from __future__ import annotations

import sys
import zipfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import numpy as np

from .edge import input_specs
from .errors import LinkError
from .pictures import picture_frames

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from .bundle import Bundle
    from .edge import InputSpec

STDIN = "-"
LABELS = "labels"
"""An array of an .npz that holds no input."""


@dataclass(frozen=True)
class Frame:
    """Inputs of one run of the edge graph, by name; and what to call it. label: the class that it shows, where that is known."""

    name: str
    inputs: dict[str, NDArray[Any]]
    label: int | None = None


def frames(bundle: Bundle, source: str, repeat: int = 1, limit: int = 0) -> Iterator[Frame]:
    """Yield the frames of a folder of pictures, of an .npz or .npy, or of stdin (`-`), `repeat` times over, at most `limit` (0: all).

    Raises LinkError: AS801 where there is no such source, AS809 where it does not hold what the model takes.
    """
    specs = input_specs(bundle)
    if source == STDIN and repeat > 1:
        raise LinkError("AS801", "stdin cannot be read again", "--repeat", "give a file or a folder")
    made = 0
    for _ in range(repeat):
        for frame in _once(bundle, source, specs):
            yield frame
            made += 1
            if made == limit:
                return


def _once(bundle: Bundle, source: str, specs: tuple[InputSpec, ...]) -> Iterator[Frame]:
    path = Path(source)
    if source == STDIN:
        yield from _raw_frames(cast("IO[bytes]", sys.stdin.buffer), specs)
    elif path.is_dir():
        for name, inputs in picture_frames(path, bundle, specs):
            yield Frame(name, inputs)
    elif path.suffix in (".npz", ".npy") and path.is_file():
        yield from _array_frames(path, specs)
    else:
        hint = "a folder of pictures, an .npz or .npy file, or - for raw frames on stdin"
        raise LinkError("AS801", "there are no samples" if path.suffix in (".npz", ".npy") else "these are no samples", source, hint)


def _raw_frames(stream: IO[bytes], specs: tuple[InputSpec, ...]) -> Iterator[Frame]:
    """Yield frames of raw bytes: of every input, in order, all elements in C order, little-endian. Raises LinkError: AS809."""
    size = sum(spec.nbytes for spec in specs)
    number = 0
    while True:
        data = _whole(stream, size)
        if not data:
            return
        if len(data) < size:
            hint = ", ".join(f"{spec.name}: {spec.dtype.name}{list(spec.shape)}" for spec in specs)
            raise LinkError("AS809", f"frame {number} ends after {len(data):,} of {size:,} bytes", "stdin", hint)
        inputs: dict[str, NDArray[Any]] = {}
        at = 0
        for spec in specs:
            inputs[spec.name] = np.frombuffer(data, spec.dtype, count=spec.nbytes // spec.dtype.itemsize, offset=at).reshape(spec.shape)
            at += spec.nbytes
        yield Frame(str(number), inputs)
        number += 1


def _array_frames(path: Path, specs: tuple[InputSpec, ...]) -> Iterator[Frame]:
    """Yield the frames of arrays [samples, ...], each as many rows as the graph runs on at once. Raises LinkError: AS809."""
    with ExitStack() as stack:
        try:
            files = _opened(path, specs, stack)
            arrays = {name: _Rows(file, f"{path.name}:{name}") for name, file in files.items()}
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise LinkError("AS809", f"the arrays cannot be read: {error}", path.name) from None
        labels = arrays.pop(LABELS, None)
        counts = {_checked(arrays[spec.name], spec) for spec in specs}
        if len(counts) > 1:
            raise LinkError("AS809", f"inputs have different numbers of samples: {sorted(counts)}", path.name)
        for number in range(counts.pop()):
            inputs = {spec.name: arrays[spec.name].next(spec.shape[0] if spec.shape else 1, spec) for spec in specs}
            yield Frame(str(number), inputs, _label(labels))


def _opened(path: Path, specs: tuple[InputSpec, ...], stack: ExitStack) -> dict[str, IO[bytes]]:
    """Return the files of the inputs' arrays, and of labels. Raises LinkError (AS809), OSError, BadZipFile."""
    if path.suffix == ".npy":
        if len(specs) != 1:
            names = ", ".join(spec.name for spec in specs)
            raise LinkError("AS809", f"one array for {len(specs)} inputs", path.name, f"an .npz with arrays {names}")
        return {specs[0].name: stack.enter_context(path.open("rb"))}
    archive = stack.enter_context(zipfile.ZipFile(path))
    members = {name.rpartition(".npy")[0] or name: name for name in archive.namelist()}
    missing = [spec.name for spec in specs if spec.name not in members]
    if missing:
        raise LinkError("AS809", f"there is no array {missing[0]!r}", path.name, f"it holds {', '.join(sorted(members)) or 'none'}")
    wanted = [*(spec.name for spec in specs), *([LABELS] if LABELS in members else [])]
    return {name: stack.enter_context(archive.open(members[name])) for name in wanted}


class _Rows:
    """An array in a file, read row by row. Raises LinkError (AS809) for one that cannot be streamed, ValueError, OSError."""

    def __init__(self, file: IO[bytes], where: str) -> None:
        """Read the header."""
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        self.shape, by_column, self.dtype = read(file)
        self.where = where
        self._file = file
        if self.dtype.hasobject or (by_column and len(self.shape) > 1):
            what = "holds Python objects" if self.dtype.hasobject else "lies in Fortran order"
            raise LinkError("AS809", f"the array {what}", where, "np.save(file, np.ascontiguousarray(array))")

    def next(self, rows: int, spec: InputSpec | None = None) -> NDArray[Any]:
        """Return the next rows, in an input's type. Raises LinkError: AS809 where the file ends early."""
        shape = (rows, *self.shape[1:])
        size = int(np.prod(shape, dtype=np.int64)) * self.dtype.itemsize
        try:
            data = _whole(self._file, size)
        except (OSError, zipfile.BadZipFile) as error:
            raise LinkError("AS809", f"the array cannot be read: {error}", self.where) from None
        if len(data) < size:
            raise LinkError("AS809", "the array ends before it is over", self.where)
        array = np.frombuffer(data, self.dtype).reshape(shape)
        return array if spec is None else array.astype(spec.dtype).reshape(spec.shape)


def _checked(rows: _Rows, spec: InputSpec) -> int:
    """Return how many frames an array holds. Raises LinkError: AS809 where it is not what the input takes."""
    step, rest = (spec.shape[0], spec.shape[1:]) if spec.shape else (1, ())
    if not rows.shape or tuple(rows.shape[1:]) != rest:
        raise LinkError(
            "AS809", f"an array of shape {tuple(rows.shape)}: the input takes [samples, {', '.join(map(str, rest))}]", rows.where
        )
    if not np.can_cast(rows.dtype, spec.dtype, "safe"):
        raise LinkError("AS809", f"an array of {rows.dtype.name}: the input takes {spec.dtype.name}", rows.where)
    if rows.shape[0] % step:
        raise LinkError("AS809", f"{rows.shape[0]} samples make no whole runs: the model runs on {step} at a time", rows.where)
    return rows.shape[0] // step


def _label(labels: _Rows | None) -> int | None:
    if labels is None or len(labels.shape) != 1 or not np.issubdtype(labels.dtype, np.integer):
        return None
    return int(labels.next(1)[0])


def _whole(stream: IO[bytes], size: int) -> bytes:
    """Return so many bytes, fewer where the stream ends."""
    parts: list[bytes] = []
    left = size
    while left:
        piece = stream.read(left)
        if not piece:
            break
        parts.append(piece)
        left -= len(piece)
    return b"".join(parts)
