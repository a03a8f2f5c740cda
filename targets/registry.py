"""Targets by name or from a file. Names are entry points of the group `autosplitc.targets`, ours and anybody's alike.

An entry point's value is a `Target` object or a function without arguments that returns one. It is loaded when somebody asks for it, so
a broken plug-in harms only whoever does.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from autosplitc.ir import EXIT_USAGE, CompileError, Diagnostic, did_you_mean

from .checks import check_target
from .options import with_options
from .target import Target

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "autosplitc.targets"

_FILE = re.compile(r"(.+?\.(?:toml|json|cfg))(?:(:)(.*))?", re.IGNORECASE | re.DOTALL)
"""A file, and options after a colon; the colon of a drive is not followed by the end of a file's name."""
_PATH_LIKE = re.compile(r"[A-Za-z]:[\\/]|[^:]*[\\/]")


def target_names() -> tuple[tuple[str, str], ...]:
    """Return name and distribution of every target that is installed, sorted; nothing is imported."""
    return tuple(sorted((point.name, _distribution(point)) for point in _entry_points()))


def load_target(text: str) -> Target:
    """Return the target of `eyeriss`, `acme.toml`, `phone.json` or `google.cfg`, or of one with options: `eyeriss:rows=16,clock=250MHz`.

    Raises CompileError: AS410 for an unknown name (exit 2), AS411 where two distributions give the name, AS412 where the plug-in cannot be
    loaded, AS413 where what it gives is no target, AS414 or AS402 for an option (exit 2), AS430 to AS438 and AS44x for a file that is not
    right (see `read_target_file`).
    """
    spelled = text.strip()
    file = _FILE.fullmatch(spelled)
    name, colon, options = (file[1], file[2], file[3]) if file else spelled.partition(":")
    if colon and not options.strip():
        message, hint = "options are missing after ':'", f"{name}:ram=8MB, or {name} alone"
        raise CompileError(Diagnostic("AS414", message, f"target {spelled!r}", hint=hint), exit_code=EXIT_USAGE)
    if file is None:
        target = _load(_entry_point(name, spelled))
        return with_options(target, options, spelled) if colon else target
    from .target_file import read_target_file, read_text

    path = Path(name)
    if path.suffix.lower() == ".cfg":
        from .scalesim_cfg import read_cfg_target

        return read_cfg_target(read_text(path), name, options or "", spelled)
    target = read_target_file(path)
    return with_options(target, options, spelled, f"{target.name}:{options}") if colon else target


def target_file_of(text: str) -> Path | None:
    """Return the file that a target is read from, None for a name. It need not be there."""
    file = _FILE.fullmatch(text.strip())
    return Path(file[1]) if file else None


def _entry_points() -> tuple[EntryPoint, ...]:
    from importlib.metadata import entry_points

    return tuple(entry_points(group=GROUP))


def _entry_point(name: str, spelled: str) -> EntryPoint:
    """Return the only entry point of a name."""
    points = _entry_points()
    found = [point for point in points if point.name == name]
    if not found and (_PATH_LIKE.match(spelled) or Path(name).is_file()):
        message = "no target file: its name has to end in .toml, .json or .cfg"
        raise CompileError(Diagnostic("AS430", message, spelled, hint="-t FILE.toml, or a name that `autosplitc targets list` shows"))
    if not found:
        hint = did_you_mean(name, {point.name for point in points})
        raise CompileError(Diagnostic("AS410", f"unknown target {name!r}", hint=hint), exit_code=EXIT_USAGE)
    if len(found) > 1:
        notes = tuple(f"{_distribution(point)} gives {point.value}" for point in found)
        stranger = next((d for d in map(_distribution, found) if d != "autosplitc"), "autosplitc")
        message = f"target {name!r} is given by {len(found)} distributions: {', '.join(_distribution(p) for p in found)}"
        raise CompileError(Diagnostic("AS411", message, notes=notes, hint=f"pip uninstall {stranger}"))
    return found[0]


def _load(point: EntryPoint) -> Target:
    where = f"target {point.name!r} from {_distribution(point)} ({point.value})"
    try:
        value: object = point.load()
        if callable(value) and (isinstance(value, type) or not isinstance(value, Target)):
            value = cast("Callable[[], object]", value)()
    except (Exception, SystemExit) as error:
        note = f"{type(error).__name__}: {error}"
        hint = f"mend or uninstall {_distribution(point)}"
        raise CompileError(Diagnostic("AS412", f"target {point.name!r} cannot be loaded", where, (note,), hint)) from error
    return check_target(value, where)


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "an unknown distribution"


def installed_targets() -> tuple[tuple[str, str, Target | CompileError], ...]:
    """Return name, distribution and target of all that is installed, sorted; in place of a target that cannot be had, why."""
    return tuple((name, distribution, _load_or_error(name)) for name, distribution in target_names())


def _load_or_error(name: str) -> Target | CompileError:
    try:
        return load_target(name)
    except CompileError as error:
        return error
