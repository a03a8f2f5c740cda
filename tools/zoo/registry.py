"""Models by name: `zoo:NAME` stands wherever a model file does."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from autosplitc.ir import CompileError, Diagnostic, did_you_mean

from .cache import write_atomically
from .entries import ENTRIES, Entry, InputShapes


@dataclass(frozen=True, slots=True)
class ZooModel:
    """A model that lies ready.

    `path` is its ONNX file; `input_shapes` gives each input's shape for one sample, also where the file leaves it open;
    `calib` and `evaluation` are sample data (npz) where the model comes with any.
    """

    name: str
    description: str
    licence: str
    source: str
    path: Path
    input_shapes: InputShapes
    calib: Path | None = None
    evaluation: Path | None = None


def names() -> tuple[str, ...]:
    """Return the names of all models, in the order of the table."""
    return tuple(entry.name for entry in ENTRIES)


def lookup(name: str) -> Entry:
    """Return a model's row of the table; raise `CompileError` AS181 for an unknown name. `zoo:` before the name may stand or not."""
    plain = name.removeprefix("zoo:")
    found = next((entry for entry in ENTRIES if entry.name == plain), None)
    if found is None:
        raise CompileError(Diagnostic("AS181", f'unknown model in the zoo: "{plain}"', hint=did_you_mean(plain, names())))
    return found


def resolve(name: str) -> ZooModel:
    """Return a model by name; a model that is not in the cache yet is made first, which may download a package.

    Raises `CompileError`: AS181 unknown name, AS682 download failed, AS683 not the pinned file, AS684 and AS685 contents do not
    fit, AS686 cache not writable, AS687 source missing on this machine, AS688 output independent of input.
    """
    entry = lookup(name)
    if not entry.path.is_file():
        make(entry)
    data = (entry.path.with_name("calib.npz"), entry.path.with_name("eval.npz")) if entry.write is None else ()
    calib, evaluation = data or (None, None)
    return ZooModel(entry.name, entry.description, entry.licence, entry.source, entry.path, entry.input_shapes, calib, evaluation)


def make(entry: Entry) -> None:
    """Make a model's file in the cache, also where it lies there already; an example that is not there cannot be made (AS687)."""
    if entry.write is not None:
        write_atomically(entry.path, partial(entry.write, entry.properties))
    elif not entry.path.is_file():
        raise CompileError(
            Diagnostic(
                "AS687",
                f"the example {entry.name} is part of the source tree and not of the installed package",
                location=str(entry.path),
                hint="pip install --editable . in a checkout of autosplitc, or give the path of the checkout's "
                f"examples/{entry.name}/{entry.name}.onnx",
            )
        )
