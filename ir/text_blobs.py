"""Blobs beside a text: raw files named by their sha256, written once, mapped when read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import cast

from .blob import BlobRef, blob_from_file
from .diagnostics import CompileError, Diagnostic
from .graph import Graph
from .module import Module
from .types import ArrayRef


@dataclass(frozen=True, slots=True)
class BlobStore:
    """Where a text's blobs are found: those `known` by digest, then files `<sha256>` in `directory`."""

    directory: Path | None = None
    known: Mapping[str, BlobRef] = field(default_factory=dict[str, BlobRef])

    @staticmethod
    def of(module: Module) -> BlobStore:
        """Return a store that holds the blobs of a module, in memory or wherever they are."""
        return BlobStore(known={blob.sha256: blob for blob in blobs_of(module)})

    def get(self, sha256: str, nbytes: int) -> BlobRef:
        """Return a blob; its file is mapped when somebody reads it.

        Raises CompileError: AS224 where it is not there, AS225 where its size is another than `nbytes`.
        """
        if sha256 in self.known:
            found = self.known[sha256]
            if found.nbytes != nbytes:
                raise CompileError(_wrong_size(sha256, found.nbytes, nbytes))
            return found
        path = None if self.directory is None else self.directory / sha256
        if path is None or not path.is_file():
            where = "no folder of blobs was given" if path is None else f"no file {path}"
            hint = "copy the folder blobs/ along with the .air file"
            raise CompileError(Diagnostic("AS224", f"blob sha256:{sha256} is missing", notes=(where,), hint=hint))
        size = path.stat().st_size
        if size != nbytes:
            raise CompileError(_wrong_size(sha256, size, nbytes))
        return blob_from_file(path, 0, nbytes, sha256)


def _wrong_size(sha256: str, found: int, wanted: int) -> Diagnostic:
    hint = "write the dump again: the file is damaged, or its type was edited"
    return Diagnostic("AS225", f"blob sha256:{sha256} holds {found} bytes, not {wanted}", hint=hint)


def blobs_of(module: Module) -> Iterator[BlobRef]:
    """Yield every blob of a module's graphs, sub-graphs and facts; one that is used twice is yielded twice."""
    for graph in module.graphs:
        yield from _in_graph(graph)
    for fact in module.facts:
        yield from _inside(fact)


def _in_graph(graph: Graph) -> Iterator[BlobRef]:
    for const in graph.consts:
        yield const.blob
    for op in graph.ops:
        for _, value in op.attrs.items_:
            yield from _inside(value)


def _inside(value: object) -> Iterator[BlobRef]:
    if isinstance(value, BlobRef):
        yield value
    elif isinstance(value, ArrayRef):
        yield value.blob
    elif isinstance(value, Graph):
        yield from _in_graph(value)
    elif isinstance(value, tuple):
        for item in cast("tuple[object, ...]", value):
            yield from _inside(item)
    elif is_dataclass(value):
        for f in fields(value):
            yield from _inside(getattr(value, f.name))


def write_blobs(module: Module, directory: Path) -> int:
    """Write every blob of a module as `<directory>/<sha256>`; files that are there already stay. Returns the bytes written.

    Each file appears whole or not at all. Raises OSError where the folder or a file cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    written = 0
    for sha256, blob in {b.sha256: b for b in blobs_of(module)}.items():
        path = directory / sha256
        if path.is_file() and path.stat().st_size == blob.nbytes:
            continue
        write_atomically(path, blob.read().data)
        written += blob.nbytes
    return written


def write_atomically(path: Path, data: bytes | memoryview) -> None:
    """Write a file so that it appears whole or not at all. Raises OSError."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def verify_blobs(module: Module) -> None:
    """Read every blob and compare its digest. Raises CompileError (AS225) with all that disagree."""
    wrong: list[Diagnostic] = []
    for sha256, blob in sorted({b.sha256: b for b in blobs_of(module)}.items()):
        data = blob.read()
        if data.size != blob.nbytes:
            wrong.append(_wrong_size(sha256, data.size, blob.nbytes))
        elif hashlib.sha256(data.data).hexdigest() != sha256:
            message = f"the content of blob sha256:{sha256} has another digest"
            wrong.append(Diagnostic("AS225", message, hint="write the dump again: the file is damaged"))
    if wrong:
        raise CompileError(wrong)
