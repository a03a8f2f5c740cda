"""Outputs of many runs, kept in memory while they are small and in temporary files beyond."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .engine import Arrays

HELD_BYTES = 128 << 20
"""What a spool holds in memory at most; what is beyond goes to files."""


@dataclass
class Spool:
    """Chunks of arrays by name, in order; each is of some samples. `folder` is made when files are needed; who named it removes it."""

    folder: Path
    limit_bytes: int = HELD_BYTES
    kept: list[tuple[Arrays | tuple[Path, tuple[str, ...]], int]] = field(
        default_factory=list["tuple[Arrays | tuple[Path, tuple[str, ...]], int]"]
    )
    held_bytes: int = 0

    def append(self, arrays: Arrays, rows: int) -> None:
        """Add a chunk of `rows` samples. Raises OSError where a file cannot be written."""
        size = sum(array.nbytes for array in arrays.values())
        plain = all(array.dtype.kind != "O" for array in arrays.values())
        if self.held_bytes + size <= self.limit_bytes or not plain:
            self.held_bytes += size
            self.kept.append((arrays, rows))
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{len(self.kept)}.npz"
        np.savez(path, *arrays.values())
        self.kept.append(((path, tuple(arrays)), rows))

    def chunks(self) -> Iterator[tuple[Arrays, int]]:
        """Yield the chunks, each with the number of its samples."""
        for chunk, rows in self.kept:
            if isinstance(chunk, dict):
                yield chunk, rows
            else:
                path, names = chunk
                with np.load(path) as stored:
                    yield {name: stored[f"arr_{i}"] for i, name in enumerate(names)}, rows

    def __iter__(self) -> Iterator[Arrays]:
        """Yield the chunks."""
        return (arrays for arrays, _ in self.chunks())


def stacked(spool: Spool, folder: Path) -> Arrays:
    """Return all chunks as one array [samples, ...] a name, mapped from a file in `folder` where they are large.

    An output without an axis for the samples gets one; where its shape differs from run to run it is an array of objects, one a chunk.
    """
    shapes: dict[str, list[tuple[tuple[int, ...], np.dtype[Any]]]] = {}
    for arrays, rows in spool.chunks():
        for name, array in arrays.items():
            shapes.setdefault(name, []).append((_by_sample(array, rows).shape, array.dtype))
    return {name: _stack(spool, name, found, folder / f"{i}.npy") for i, (name, found) in enumerate(shapes.items())}


def _by_sample(array: NDArray[Any], rows: int) -> NDArray[Any]:
    return array if array.ndim and array.shape[0] == rows else array[np.newaxis]


def _stack(spool: Spool, name: str, found: list[tuple[tuple[int, ...], np.dtype[Any]]], path: Path) -> NDArray[Any]:
    tails, dtypes = {shape[1:] for shape, _ in found}, {dtype for _, dtype in found}
    if len(tails) > 1 or len(dtypes) > 1 or len(found) < len(spool.kept):
        ragged = np.empty(len(spool.kept), object)
        for i, arrays in enumerate(spool):
            ragged[i] = arrays.get(name)
        return ragged
    shape, dtype = (sum(s[0] for s, _ in found), *next(iter(tails))), next(iter(dtypes))
    if int(np.prod(shape, dtype=np.int64)) * dtype.itemsize > spool.limit_bytes and dtype.kind != "O":
        path.parent.mkdir(parents=True, exist_ok=True)
        whole: NDArray[Any] = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    else:
        whole = np.empty(shape, dtype)
    start = 0
    for arrays, rows in spool.chunks():
        part = _by_sample(arrays[name], rows)
        whole[start : start + len(part)] = part
        start += len(part)
    return whole
