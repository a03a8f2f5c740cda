"""Targets from files, by the end of the name: `.toml` (docs/targets.md), `.json` (a device's profile), `.cfg` (SCALE-Sim)."""

from __future__ import annotations

import difflib
from pathlib import Path

from autosplitc.ir import CompileError, Diagnostic

from .checks import check_target
from .target import Target

SUFFIXES = (".toml", ".json", ".cfg")


def read_target_file(path: Path) -> Target:
    """Return the target that a file describes.

    Raises CompileError (exit 1): AS430 a file that cannot be read, AS431 one whose syntax is wrong, AS432 to AS437 what a target file
    holds and should not, or lacks, each with line and column; AS438 (exit 2) a configuration of SCALE-Sim, which says too little without
    options; AS44x a profile that is not right.
    """
    suffix = path.suffix.lower()
    if suffix == ".toml":
        from .target_toml import read_toml_target

        return read_toml_target(read_text(path), str(path))
    if suffix == ".json":
        from .measured import read_profile

        return check_target(read_profile(path), str(path))
    if suffix == ".cfg":
        from .scalesim_cfg import read_cfg_target

        return read_cfg_target(read_text(path), str(path))
    raise CompileError(Diagnostic("AS430", "no target file: its name ends in none of " + ", ".join(SUFFIXES), str(path)))


def read_text(path: Path) -> str:
    """Return the text of a target file, without a byte order mark. Raises CompileError (AS430)."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise CompileError(Diagnostic("AS430", "there is no such target file", str(path), hint=_near(path))) from None
    except UnicodeDecodeError as error:
        message = f"the target file is no UTF-8 text: byte {error.start} is {error.object[error.start]:#04x}"
        raise CompileError(Diagnostic("AS430", message, str(path), hint="save it as UTF-8")) from None
    except OSError as error:
        raise CompileError(Diagnostic("AS430", f"the target file cannot be read: {error.strerror or error}", str(path))) from None


def _near(path: Path) -> str:
    """Return a hint that names a target file beside a path which is not there, if one is called nearly so."""
    try:
        beside = [p.name for p in path.parent.iterdir() if p.suffix.lower() in SUFFIXES]
    except OSError:
        return f"there is no folder {path.parent} either"
    near = difflib.get_close_matches(path.name, beside, n=1)
    return f"-t {path.with_name(near[0])}" if near else ""
