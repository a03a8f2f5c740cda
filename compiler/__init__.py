"""autosplitc: where to split a network between edge and cloud, and with how many bits each edge layer works."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autosplitc.ir import CompileError

    from .api import compile
    from .result import Result

__all__ = ["CompileError", "Result", "__version__", "compile"]

__version__ = "0.1.0"

_HOMES = {"CompileError": "autosplitc.ir", "Result": "autosplitc.result", "compile": "autosplitc.api"}


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for, so that `import autosplitc` is quick."""
    if name not in _HOMES:
        raise AttributeError(f"module 'autosplitc' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
