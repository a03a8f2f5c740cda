"""Result: what a compile gives back."""

from __future__ import annotations

import shutil
import weakref
from dataclasses import dataclass
from pathlib import Path

from autosplitc.ir import Diagnostic, Module
from autosplitc.passes import Choice, Plan, Solutions

from .folder import staged_folder, writing_to
from .hooks import Timing
from .manifest import Json


@dataclass(frozen=True)
class Result:
    """A compiled model.

    module: graphs and facts after the last pass. folder: where the bundle lies; None where the pipeline ended before `partition`.
    manifest, measurements: what the bundle's JSON files hold. warnings: diagnostics that did not stop the compile. timings: seconds a step.
    temporary: the folder goes when this object goes; `save` keeps a copy.
    by_drop: with several limits on the drop the result for each, ascending; they live no longer than this one, whose folder holds all of
    theirs, and whose other fields are those of the first.
    """

    module: Module
    folder: Path | None
    manifest: Json
    measurements: Json
    warnings: tuple[Diagnostic, ...]
    timings: tuple[Timing, ...]
    temporary: bool = False
    by_drop: tuple[Result, ...] = ()

    def __post_init__(self) -> None:
        """Tie a temporary folder's life to the result's."""
        if self.temporary and self.folder is not None:
            weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)

    @property
    def solutions(self) -> tuple[Plan, ...]:
        """All plans, the fastest first. Latencies in seconds, predicted; sizes in bytes. Empty where the pipeline ended before planning."""
        found = self.module.get(Solutions)
        return found.plans if found else ()

    @property
    def best(self) -> Plan:
        """The chosen plan. Raises KeyError where the pipeline ended before `choose-plan`."""
        return self.solutions[self.module.fact(Choice).index]

    def save(self, path: str | Path, *, force: bool = False) -> Path:
        """Copy the bundle to a folder, whole or not at all, and return its path.

        A bundle that stands there is replaced; a folder that holds other things needs `force`. Raises CompileError: AS601 a file stands
        there, AS602 other things and no `force`, AS603 cannot write, AS604 disk full; ValueError where there is no bundle.
        """
        if self.folder is None:
            raise ValueError("there is no bundle: the pipeline ended before 'partition'")
        target = Path(path)
        with staged_folder(target, force=force) as stage, writing_to(target):
            shutil.copytree(self.folder, stage, dirs_exist_ok=True)
        return target
