"""The folder that holds models made from packages, and atomic writing into it."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from autosplitc.ir import CompileError, Diagnostic


def cache_folder() -> Path:
    """Return the folder for made models; it need not exist.

    `$AUTOSPLITC_CACHE` where it is set, else `autosplitc` in the user's cache folder of the platform.
    """
    chosen = os.environ.get("AUTOSPLITC_CACHE")
    return Path(chosen).expanduser() if chosen else _user_cache_folder() / "autosplitc"


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


def _user_cache_folder() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
