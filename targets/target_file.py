"""Targets from files, by the end of the name: `.toml` (docs/targets.md), `.json` (a device's profile), `.cfg` (SCALE-Sim)."""

from __future__ import annotations

from pathlib import Path

from autosplitc.ir import CompileError, Diagnostic

from .target import Target

SUFFIXES = (".toml", ".json", ".cfg")


def read_target_file(path: Path) -> Target:
    """Return the target that a file describes.

    Raises CompileError (exit 1): AS430 a file that cannot be read, AS431 one whose syntax is wrong, AS432 to AS437 what a target file
    holds and should not, or lacks, each with line and column; AS44x a profile that is not right.
    """
    suffix = path.suffix.lower()
    if suffix == ".toml":
        from .target_toml import read_toml_target

        return read_toml_target(read_text(path), str(path))
    if suffix == ".json":
        from .measured import read_profile

        return read_profile(path)
    raise CompileError(Diagnostic("AS430", "no target file: its name ends in none of " + ", ".join(SUFFIXES), str(path)))


def read_text(path: Path) -> str:
    """Return the text of a target file, without a byte order mark. Raises CompileError (AS430)."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise CompileError(Diagnostic("AS430", "there is no such target file", str(path), hint="-t FILE.toml, one that is there")) from None
    except UnicodeDecodeError as error:
        message = f"the target file is no UTF-8 text: byte {error.start} is {error.object[error.start]:#04x}"
        raise CompileError(Diagnostic("AS430", message, str(path), hint="save it as UTF-8")) from None
    except OSError as error:
        raise CompileError(Diagnostic("AS430", f"the target file cannot be read: {error.strerror or error}", str(path))) from None
