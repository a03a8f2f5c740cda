"""Targets by name: entry points of the group `autosplitc.targets`, ours and anybody's alike.

An entry point's value is a `Target` object or a function without arguments that returns one. It is loaded when somebody asks for it, so
a broken plug-in harms only whoever does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from autosplitc.ir import EXIT_USAGE, CompileError, Diagnostic, did_you_mean

from .checks import check_target
from .options import with_options
from .target import Target

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "autosplitc.targets"


def target_names() -> tuple[tuple[str, str], ...]:
    """Return name and distribution of every target that is installed, sorted; nothing is imported."""
    return tuple(sorted((point.name, _distribution(point)) for point in _entry_points()))


def load_target(text: str) -> Target:
    """Return the target of `eyeriss`, or `eyeriss:rows=16,clock=250MHz` with options (see `options.py`).

    Raises CompileError: AS410 for an unknown name (exit 2), AS411 where two distributions give the name, AS412 where the plug-in cannot be
    loaded, AS413 where what it gives is no target, AS414 or AS402 for an option (exit 2).
    """
    spelled = text.strip()
    name, colon, options = spelled.partition(":")
    target = _load(_entry_point(name))
    if not colon:
        return target
    if not options.strip():
        raise CompileError(
            Diagnostic("AS414", "options are missing after ':'", f"target {spelled!r}", hint=f"{name}:ram=8MB, or {name} alone"),
            exit_code=EXIT_USAGE,
        )
    return with_options(target, options, spelled)


def _entry_points() -> tuple[EntryPoint, ...]:
    from importlib.metadata import entry_points

    return tuple(entry_points(group=GROUP))


def _entry_point(name: str) -> EntryPoint:
    """Return the only entry point of a name."""
    points = _entry_points()
    found = [point for point in points if point.name == name]
    if not found:
        hint = did_you_mean(name, {point.name for point in points})
        raise CompileError(Diagnostic("AS410", f"unknown target {name!r}", hint=hint), exit_code=EXIT_USAGE)
    if len(found) > 1:
        notes = tuple(f"{_distribution(point)} gives {point.value}" for point in found)
        message = f"target {name!r} is given by {len(found)} distributions: {', '.join(_distribution(p) for p in found)}"
        raise CompileError(Diagnostic("AS411", message, notes=notes, hint=f"pip uninstall {_distribution(found[-1])}"))
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
