"""Output folders: written whole or not at all."""

from __future__ import annotations

import errno
import json
import re
import secrets
import shutil
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from autosplitc.ir import EXIT_INTERNAL, CompileError, Diagnostic

MANIFEST = "manifest.json"
SCHEMA = "autosplitc-manifest/1"
THRESHOLDS = "thresholds.csv"
"""The table of several limits on the drop, each with its bundle in `drop-...%`."""
OURS = (
    "edge.onnx",
    "cloud.onnx",
    "fallback.onnx",
    MANIFEST,
    "measurements.json",
    "solutions.csv",
    "layers.csv",
    "front.csv",
    "problem.json",
    "compare.csv",
    "compare.json",
    "report.html",
    "tensor_quant_overrides.json",
    "ir",
)
"""What a bundle may hold; a graph over 2 GB has its data beside it in `edge.onnx.data` or `cloud.onnx.data`."""

_DROP = re.compile(r"drop-[0-9.e-]+%")

LAST = (MANIFEST, "kit.json")
"""What tells that a folder is ours comes last where files are moved into it one by one."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def writing_to(path: Path) -> Generator[None]:
    """Turn a failure to write below `path` into a diagnostic: AS604 where the disk is full, AS603 otherwise."""
    try:
        yield
    except OSError as error:
        raise write_error(path, error) from error


def write_error(path: Path, error: OSError) -> CompileError:
    """Return the diagnostic for an operating system's refusal to write `path`."""
    reason = error.strerror or str(error)
    if error.errno in _FULL:
        hint = "free some space, or write to another disk with -o"
        return CompileError(Diagnostic("AS604", f"the disk is full: {reason}", str(path), hint=hint))
    return CompileError(Diagnostic("AS603", f"cannot write: {reason}", str(path), hint="-o FOLDER, one that you may write to"))


def _strangers_in_bundle(folder: Path, names: list[str]) -> list[str]:
    """Return which names in a folder are not a bundle's; all where there is no bundle."""
    bundles = [name for name in names if _DROP.fullmatch(name) and _is_bundle(folder / name)] if THRESHOLDS in names else []
    ours = {*OURS, *((THRESHOLDS, *bundles) if bundles else ())}
    others = [name for name in names if name.removesuffix(".data") not in ours]
    inner = (f"{bundle}/{name}" for bundle in bundles for name in _strangers_in_bundle(folder / bundle, _names(folder / bundle)))
    return [*others, *inner] or ([] if bundles or _is_bundle(folder) else names)


@dataclass(frozen=True, slots=True)
class Ours:
    """A kind of folder that the compiler writes: what it is called, the flag that names it, and which names in one are others'."""

    what: str
    flag: str
    strangers: Callable[[Path, list[str]], list[str]]


BUNDLE = Ours("bundle", "-o", _strangers_in_bundle)


@contextmanager
def staged_folder(target: Path, *, force: bool = False, ours: Ours = BUNDLE) -> Generator[Path]:
    """Yield an empty folder beside `target`; it takes the target's place when the block ends, and vanishes when the block fails.

    After an internal fault it stays if it holds dumps, which the diagnostic then names.
    A folder of the same kind that stands there is replaced. Into one that holds other things `force` moves the new files one by one, the
    manifest last.
    Raises CompileError: AS601 a file stands there, AS602 a folder with other things and no `force`, AS603 cannot write, AS604 disk full,
    AS606 the target is the current folder.
    """
    place = target.resolve()
    foreign = _check_target(target, ours, force=force)
    with writing_to(target):
        made = _make_parents(place.parent)
    stage = place.parent / f".{place.name}.{secrets.token_hex(4)}"
    try:
        with writing_to(target):
            stage.mkdir()
        yield stage
        with writing_to(target):
            if foreign:
                _merge(stage, place)
            else:
                _replace(stage, place)
    except BaseException as error:
        if not (isinstance(error, CompileError) and error.exit_code == EXIT_INTERNAL and any(stage.rglob("*.air"))):
            _remove(stage, made)
        raise
    shutil.rmtree(stage, ignore_errors=True)


def check_apart(output: Path | None, read: Iterable[Path | None]) -> None:
    """Check that no file that is read lies in the output folder, which is replaced whole. Raises CompileError (AS605)."""
    for path in read:
        if output is not None and path is not None and output.resolve() in path.resolve().parents:
            message = "the output folder holds a file that is read, and would be replaced"
            raise CompileError(Diagnostic("AS605", message, str(path), hint="-o ANOTHER_FOLDER"))


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return a bundle's manifest, not validated.

    Raises CompileError (AS630) where the folder holds none, or what it holds is no manifest of ours.
    """
    path = folder / MANIFEST
    try:
        found: object = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CompileError(Diagnostic("AS630", "no bundle here: there is no manifest.json", str(folder))) from None
    except (OSError, ValueError) as error:
        raise CompileError(Diagnostic("AS630", f"cannot read the manifest: {error}", str(path))) from error
    if not isinstance(found, dict) or cast("dict[str, Any]", found).get("schema") != SCHEMA:
        raise CompileError(Diagnostic("AS630", f"not a manifest of ours: its schema is not {SCHEMA!r}", str(path)))
    return cast("dict[str, Any]", found)


def _check_target(target: Path, ours: Ours, *, force: bool) -> bool:
    """Return whether the folder holds things of others, into which new files must be moved one by one."""
    if target.resolve() == Path.cwd():
        raise CompileError(Diagnostic("AS606", "the current folder cannot be replaced", str(target), hint=f"{ours.flag} ANOTHER_FOLDER"))
    in_the_way = next((p for p in (target, *target.parents) if p.exists()), target)
    if in_the_way.exists() and not in_the_way.is_dir():
        raise CompileError(Diagnostic("AS601", "a file stands where a folder is to be", str(in_the_way), hint=f"{ours.flag} FOLDER"))
    try:
        entries = sorted(p.name for p in target.iterdir()) if target.exists() else []
    except OSError as error:
        raise write_error(target, error) from error
    if not entries:
        return False
    others = ours.strangers(target, entries)
    if others and not force:
        named = ", ".join(others[:3]) + (" ..." if len(others) > 3 else "")
        message = f"the output folder holds what the compiler did not write: {named}"
        hint = f"--force adds the {ours.what} to it, or {ours.flag} ANOTHER_FOLDER"
        raise CompileError(Diagnostic("AS602", message, str(target), hint=hint))
    return bool(others)


def _is_bundle(folder: Path) -> bool:
    try:
        read_manifest(folder)
    except CompileError:
        return False
    return True


def _names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def _make_parents(folder: Path) -> list[Path]:
    """Make a folder and those above it; return the ones that were not there, outermost first."""
    missing = [p for p in (folder, *folder.parents) if not p.exists()][::-1]
    folder.mkdir(parents=True, exist_ok=True)
    return missing


def _replace(stage: Path, target: Path) -> None:
    """Put `stage` in the place of `target`; what stood there comes back if that fails."""
    if not target.exists():
        stage.rename(target)
        return
    aside = stage.with_name(f"{stage.name}.old")
    target.rename(aside)
    try:
        stage.rename(target)
    except BaseException:
        aside.rename(target)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _merge(stage: Path, target: Path) -> None:
    """Move the files of `stage` into `target`, the manifest last."""
    files = sorted((p for p in stage.rglob("*") if p.is_file()), key=lambda p: (p.name in LAST, p))
    for file in files:
        place = target / file.relative_to(stage)
        place.parent.mkdir(parents=True, exist_ok=True)
        file.replace(place)


def _remove(stage: Path, parents: list[Path]) -> None:
    """Remove a folder, and of the folders above it those that were made for it, if they are empty."""
    shutil.rmtree(stage, ignore_errors=True)
    for parent in reversed(parents):
        try:
            parent.rmdir()
        except OSError:
            return
