"""The built-in targets: one TOML file each, in the format that anybody's file has (docs/targets.md), every constant with its source.

An entry point names one as `autosplitc.targets.library:raspberry_pi_4`; the file `raspberry-pi-4.toml` is read when somebody asks for it.
"""

from __future__ import annotations

from pathlib import Path

from ..target import Target

_FOLDER = Path(__file__).parent


def __getattr__(name: str) -> Target:
    """Return the target of a file beside this one. Raises AttributeError where there is none."""
    path = _FOLDER / f"{name.replace('_', '-')}.toml"
    if not path.is_file():
        raise AttributeError(name)
    from ..target_file import read_target_file

    return read_target_file(path)
