"""Folders that are exported: written whole or not at all, and nothing of others' is replaced."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from .errors import LinkError

_CHUNK_BYTES = 1 << 20


@contextmanager
def staged(target: Path, is_ours: Callable[[Path], bool], *, force: bool, levels_up: int = 1) -> Generator[Path]:
    """Yield an empty folder beside `target`, or more levels above it; it takes the target's place when the block ends.

    It vanishes when the block fails. A folder that stands there is replaced where it is empty or `is_ours`, and with `force` in any case:
    its files stay then, unless they are written anew. Raises LinkError: AS850 something else stands there, AS851 it cannot be written.
    """
    place = target.resolve()
    _check(target, place, is_ours, force=force)
    stage = place.parents[levels_up - 1] / f".{place.name}.{os.urandom(4).hex()}"
    merge = place.is_dir() and any(place.iterdir()) and not is_ours(place)
    try:
        stage.mkdir(parents=True)
        yield stage
        place.parent.mkdir(parents=True, exist_ok=True)
        if merge:
            shutil.copytree(stage, place, dirs_exist_ok=True)
        else:
            _replace(stage, place)
    except OSError as error:
        raise LinkError("AS851", f"cannot write: {error.strerror or error}", str(target), "-o FOLDER, one that you may write to") from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def copy_file(source: Path, target: Path, sha256: str = "") -> None:
    """Copy a file. Raises LinkError (AS804) where it is missing, or its digest is not `sha256`, if one is given."""
    digest = hashlib.sha256()
    try:
        with source.open("rb") as read, target.open("wb") as written:
            while True:
                chunk = read.read(_CHUNK_BYTES)
                if not chunk:
                    break
                digest.update(chunk)
                written.write(chunk)
    except FileNotFoundError:
        raise LinkError("AS804", "a file of the bundle is missing", str(source), "compile again") from None
    if sha256 and digest.hexdigest() != sha256:
        raise LinkError("AS804", "a file of the bundle was changed", str(source), "compile again")


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write an object as JSON, the same bytes for the same object."""
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """Return the object that a file holds; an empty one where it holds none."""
    try:
        found: object = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _check(target: Path, place: Path, is_ours: Callable[[Path], bool], *, force: bool) -> None:
    if place == Path.cwd():
        raise LinkError("AS850", "the current folder cannot be replaced", str(target), "-o ANOTHER_FOLDER")
    if place.exists() and not place.is_dir():
        raise LinkError("AS850", "a file stands where a folder is to be", str(target), "-o FOLDER")
    names = sorted(entry.name for entry in place.iterdir()) if place.is_dir() else []
    if names and not force and not is_ours(place):
        named = ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")
        hint = "--force adds to it, or -o ANOTHER_FOLDER"
        raise LinkError("AS850", f"the folder holds other things: {named}", str(target), hint)


def _replace(stage: Path, place: Path) -> None:
    if not place.exists():
        stage.rename(place)
        return
    aside = stage.with_name(f"{stage.name}.old")
    place.rename(aside)
    try:
        stage.rename(place)
    except BaseException:
        aside.rename(place)
        raise
    shutil.rmtree(aside, ignore_errors=True)
