"""Files of Debian packages: those on the system, else out of the package itself, which apt downloads and nobody installs."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from autosplitc.ir import CompileError, Diagnostic

from .cache import cache_folder

SYSTEM_ROOT = Path("/")
DOWNLOAD_TIMEOUT_S = 600


@dataclass(frozen=True, slots=True)
class DebianPackage:
    """A Debian package and the files wanted from it, as paths below `/`."""

    name: str
    files: tuple[str, ...]


def find(package: DebianPackage) -> tuple[Path, ...]:
    """Return the package's files in its order: where they are installed, else from a copy unpacked into the cache.

    Neither needs to be root. Raises `CompileError` AS689 where the package is not installed and cannot be downloaded.
    """
    unpacked = cache_folder() / "debian" / package.name
    for root in (SYSTEM_ROOT, unpacked):
        paths = tuple(root / file for file in package.files)
        if all(path.is_file() for path in paths):
            return paths
    _unpack(package, unpacked)
    paths = tuple(unpacked / file for file in package.files)
    missing = [str(path) for path in paths if not path.is_file()]
    if missing:
        raise _error(package, f"it does not hold {', '.join(missing)}")
    return paths


def _unpack(package: DebianPackage, folder: Path) -> None:
    """Download a package and put its files below `folder`, all of them or none."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".debian-") as scratch:
            _run(package, ("apt-get", "download", "--quiet", package.name), Path(scratch))
            archive = next(Path(scratch).glob("*.deb"), None)
            if archive is None:
                raise _error(package, "apt-get download left no file")
            tree = Path(scratch) / "tree"
            _run(package, ("dpkg-deb", "--extract", str(archive), str(tree)), Path(scratch))
            shutil.rmtree(folder, ignore_errors=True)
            tree.replace(folder)
    except OSError as error:
        raise _error(package, str(error)) from error


def _run(package: DebianPackage, command: tuple[str, ...], folder: Path) -> None:
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, errors="replace", timeout=DOWNLOAD_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _error(package, str(error)) from error
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise _error(package, *lines[-2:])


def _error(package: DebianPackage, *notes: str) -> CompileError:
    message = f"the Debian package {package.name} is neither installed nor to be downloaded"
    hint = f"apt-get install {package.name}; on another system put its files under {cache_folder() / 'debian' / package.name}"
    return CompileError(Diagnostic("AS689", message, location=str(SYSTEM_ROOT / package.files[0]), notes=notes, hint=hint))
