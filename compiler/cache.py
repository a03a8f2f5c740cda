"""What is kept between runs: the folder for it, and results of long computations in files that are named by digests of their keys.

A file holds a mark, the digest of its bytes, and the bytes: one that was damaged or belongs to something else is as good as missing. Files
appear whole or not at all, so that several compiles may use one folder.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from autosplitc.ir import Diagnostic
from autosplitc.passes import Cache, NoCache

from . import __version__

LIMIT_BYTES = 2 << 30
"""Bytes that the files may take before the oldest go."""
KEPT = 0.8
"""Share of the limit that is left then."""

_MARK = b"autosplitc-cache-1\n"
_DIGEST_BYTES = 32
_RESULTS_OF = ("numpy", "onnxruntime")
"""Packages whose versions may change a figure's last digits."""


def cache_folder() -> Path:
    """Return the folder for what is kept between runs; it need not exist.

    `$AUTOSPLITC_CACHE` where it is set, else `autosplitc` in the user's cache folder of the platform.
    """
    chosen = os.environ.get("AUTOSPLITC_CACHE")
    return Path(chosen).expanduser() if chosen else _user_cache_folder() / "autosplitc"


def open_cache(folder: Path | None, *, unused: bool, warn: Callable[[Diagnostic], object]) -> Cache:
    """Return the cache of a compile: in `compile` below `folder` or, where it is None, below `cache_folder()`; none where it is `unused`.

    Warns once (AS640) where the folder cannot be written.
    """
    return NoCache() if unused else DiskCache((folder or cache_folder()) / "compile", warn)


@dataclass(slots=True)
class DiskCache:
    """Results in files below `folder`, at most `limit_bytes` of them; those that were not used for longest go first."""

    folder: Path
    warn: Callable[[Diagnostic], object]
    limit_bytes: int = LIMIT_BYTES
    _warned: bool = False
    _held_bytes: int | None = None

    def get(self, key: str) -> bytes | None:
        """Return what was kept under a key, or None."""
        path = self._path(key)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        head = len(_MARK) + _DIGEST_BYTES
        value = data[head:]
        if data[:head] != _MARK + sha256(value).digest():
            return None
        with suppress(OSError):
            os.utime(path)
        return value

    def put(self, key: str, value: bytes) -> None:
        """Keep bytes under a key; where that cannot be done, the user is told once."""
        if self._warned:
            return
        path = self._path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, _MARK + sha256(value).digest() + value)
            self._shrink(len(_MARK) + _DIGEST_BYTES + len(value))
        except OSError as error:
            self._warned = True
            message = f"the cache cannot be written, so that the next compile starts anew: {error.strerror or error}"
            hint = "--cache FOLDER, or --no-cache"
            self.warn(Diagnostic("AS640", message, str(self.folder), hint=hint, severity="warning"))

    def _path(self, key: str) -> Path:
        name = sha256(f"{_versions()}\n{key}".encode()).hexdigest()
        return self.folder / name[:2] / name[2:]

    def _shrink(self, added_bytes: int) -> None:
        """Count what was added; where that is too much, remove the files that were used least lately."""
        if self._held_bytes is not None:
            self._held_bytes += added_bytes
            if self._held_bytes <= self.limit_bytes:
                return
        files = sorted(_files(self.folder))
        held = sum(nbytes for _, nbytes, _ in files)
        if held > self.limit_bytes:
            for _, nbytes, path in files:
                if held <= KEPT * self.limit_bytes:
                    break
                with suppress(OSError):
                    path.unlink()
                held -= nbytes
        self._held_bytes = held


def _write(path: Path, data: bytes) -> None:
    """Write a file so that it appears whole."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise


def _files(folder: Path) -> Iterator[tuple[float, int, Path]]:
    """Yield (time of last use, size in bytes, path) of every file, also of those that a killed run left half written."""
    for path in folder.glob("??/*"):
        with suppress(OSError):
            status = path.stat()
            yield status.st_mtime, status.st_size, path


@cache
def _versions() -> str:
    """Return the versions of everything that may change a result."""
    return " ".join([f"autosplitc {__version__}", *(f"{name} {_version(name)}" for name in _RESULTS_OF)])


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _user_cache_folder() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
