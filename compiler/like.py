"""`--like DIR`: the options of an earlier bundle are the defaults of a new compile."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any, cast

from autosplitc.ir import CompileError, Diagnostic

from .folder import read_manifest
from .manifest import check_manifest
from .options import PLAN_FIELDS, Options

_DEVICES = ("edge", "cloud", "net")
_API_DEFAULTS = {"edge": "eyeriss", "net": "3mbps"}


def options_like(bundle: Path | None, given: Collection[str]) -> dict[str, Any]:
    """Return the options of an earlier bundle but those that are `given`, by the names that `Options` has; none without a bundle.

    Data are not among them: a manifest has their digests alone. Raises CompileError AS165 where there is no bundle that can be read.
    """
    if bundle is None:
        return {}
    try:
        manifest = read_manifest(bundle)
        check_manifest(manifest, str(bundle / "manifest.json"))
    except CompileError as error:
        notes = tuple(d.message for d in error.diagnostics)
        hint = "--like FOLDER, one that an earlier compile wrote with -o"
        raise CompileError(Diagnostic("AS165", "there are no options of an earlier bundle", f"--like {bundle}", notes, hint)) from None
    stored = cast("dict[str, Any]", manifest["options"])
    found = {name: _value(stored[name]) for name in (*PLAN_FIELDS, *_DEVICES) if name in stored and name not in given}
    if not found.get("max_drop", True):
        del found["max_drop"]
    return found


def like_bundle(options: Options, bundle: Path) -> Options:
    """Return the options with those of an earlier bundle in the place of defaults. Raises CompileError AS165 as `options_like` does."""
    defaults = {f.name: f.default for f in fields(Options) if f.default is not MISSING} | _API_DEFAULTS
    given = {name for name, default in defaults.items() if getattr(options, name) != default}
    return replace(options, **options_like(bundle, given))


def _value(stored: Any) -> Any:
    return tuple(cast("list[Any]", stored)) if isinstance(stored, list) else stored
