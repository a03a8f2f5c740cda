"""The folder that holds models made from packages, and atomic writing into it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from autosplitc.cache import cache_folder
from autosplitc.ir import CompileError, Diagnostic

__all__ = ["cache_folder", "cached_model", "write_atomically"]


def cached_model(file_name: str) -> Path:
    """Return the path at which a made model lies, or would lie, in the cache."""
    return cache_folder() / "zoo" / file_name


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a temporary file beside `path`, then put it in place; a failure leaves nothing behind.

    Raises `CompileError` AS686 when the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        temporary = Path(name)
        try:
            write(temporary)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise CompileError(
            Diagnostic(
                "AS686",
                f"cannot write the model cache: {error.strerror or error}",
                location=str(path.parent),
                hint="AUTOSPLITC_CACHE=/a/writable/folder",
            )
        ) from error
