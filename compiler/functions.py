"""Functions of the user's, named `package.module:function`: found in the current folder or among installed packages."""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Callable, Generator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from autosplitc.ir import CompileError, Diagnostic, did_you_mean

_NAMED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


def names_a_function(text: str) -> bool:
    """Whether a text has the form `package.module:function`."""
    return _NAMED.fullmatch(text) is not None


def load_function(text: str, where: str) -> Callable[..., Any]:
    """Return the function that `package.module:function` names; `where` is the place in diagnostics.

    Raises CompileError (AS162, exit 2) where there is no such module or function, or the module fails as it is imported.
    """
    module_name, _, name = text.partition(":")
    with _current_folder_first():
        try:
            module = import_module(module_name)
        except ModuleNotFoundError as error:
            if error.name is not None and (module_name == error.name or module_name.startswith(f"{error.name}.")):
                note = "modules are looked for in the current folder and among the installed packages"
                raise _no_function(f"there is no module {error.name!r}", where, note) from None
            raise _no_function(f"module {module_name!r} cannot be imported", where, fault_of(error)) from None
        except (Exception, SystemExit) as error:
            raise _no_function(f"module {module_name!r} cannot be imported", where, fault_of(error)) from None
    found = getattr(module, name, None)
    if found is None:
        known = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise _no_function(f"module {module_name!r} has no {name!r}", where, hint=did_you_mean(name, known))
    if not callable(found):
        raise _no_function(f"{text} is no function, it is {type(found).__name__}", where)
    return found


def fault_of(error: BaseException) -> str:
    """Return what went wrong in a user's module in one line: the error with its own message, and the last of their lines."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).is_file()]
    ours = str(Path(__file__).parent)
    theirs = [f for f in frames if not f.filename.startswith(ours) and "importlib" not in f.filename]
    place = f" ({Path(theirs[-1].filename).name}:{theirs[-1].lineno})" if theirs else ""
    return f"{type(error).__name__}: {error}{place}"


@contextmanager
def _current_folder_first() -> Generator[None]:
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def _no_function(message: str, where: str, note: str = "", hint: str = "") -> CompileError:
    return CompileError(Diagnostic("AS162", message, where, (note,) if note else (), hint))
