"""Dumps: a module as `NN-pass-name.air` with its blobs in `blobs/` beside it. A dump is a valid input."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .diagnostics import CompileError, Diagnostic
from .module import Fact, Module
from .parser import parse_module
from .printer import print_module
from .text_blobs import BlobStore, write_atomically, write_blobs

BLOBS = "blobs"


def write_dump(module: Module, directory: Path, index: int, pass_name: str) -> Path:
    """Write `<directory>/NN-<pass_name>.air` and the blobs that are not there yet; returns the file's path.

    Each file appears whole or not at all. Raises CompileError (AS620) where the folder cannot be written.
    """
    path = directory / f"{index:02d}-{pass_name}.air"
    try:
        write_blobs(module, directory / BLOBS)
        write_atomically(path, print_module(module).encode())
    except OSError as error:
        raise CompileError(
            Diagnostic("AS620", f"cannot write the dump: {error.strerror or error}", str(path), hint="choose another folder: --dump-ir DIR")
        ) from error
    return path


def read_dump(path: Path, fact_types: Sequence[type[Fact]]) -> Module:
    """Return the module of a dump; `blobs/` lies beside the file.

    Raises CompileError: AS226 where the file cannot be read or is no text, else as `parse_module`.
    """
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        raise CompileError(Diagnostic("AS226", f"cannot read the dump: {error.strerror or error}", str(path))) from error
    except UnicodeDecodeError as error:
        hint = "a dump is a text that begins with 'autosplitc ir 1'"
        raise CompileError(Diagnostic("AS226", f"this is no dump: byte {error.start} is not UTF-8", str(path), hint=hint)) from None
    return parse_module(text, file=str(path), blobs=BlobStore(path.parent / BLOBS), fact_types=fact_types)
