"""What happens around every pass besides the pass: dumps, the clock, progress, warnings."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from autosplitc.ir import Diagnostic, Module, print_module, write_dump

from .manifest import Json
from .options import Options
from .progress import ConsoleProgress


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds that a step took."""

    step: str
    seconds: float


def _ignore(what: object) -> None:
    del what


def _go_on() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Watch:
    """Who looks on: takes warnings as they come, the text of modules that `--dump-after` asks for, and progress.

    `check` is called after every step; it may raise KeyboardInterrupt. `settle` says that a pass broke off and what it knew is kept.
    """

    warn: Callable[[Diagnostic], object] = _ignore
    show: Callable[[str], object] = _ignore
    progress: ConsoleProgress | None = None
    check: Callable[[], object] = _go_on
    settle: Callable[[], object] = _go_on


@dataclass(slots=True)
class Hooks:
    """Follows one run: numbers its steps, times them, dumps the module after each, and collects warnings.

    `dump_folder` gets `00-import.air`, `01-....air` and the blobs; `dump_after` names the passes whose module is shown.
    """

    watch: Watch
    dump_folder: Path | None = None
    dump_after: frozenset[str] = frozenset()
    steps: int = 0
    last_dump: Path | None = None
    timings: list[Timing] = field(default_factory=list[Timing])
    warnings: list[Diagnostic] = field(default_factory=list[Diagnostic])

    @staticmethod
    def of(options: Options, folder: Path | None, watch: Watch) -> Hooks:
        """Return the hooks that options ask for; dumps that belong into the bundle go to where it is built, `folder`."""
        dumps = options.dump_ir
        if dumps is not None and folder is not None and options.output is not None:
            inside = dumps.resolve()
            bundle = options.output.resolve()
            dumps = folder / inside.relative_to(bundle) if inside.is_relative_to(bundle) else dumps
        return Hooks(watch, dumps, frozenset(options.dump_after))

    @contextmanager
    def timed(self, step: str) -> Generator[None]:
        """Show that a step runs and note how long it took."""
        started_s = time.perf_counter()
        with self.watch.progress.working(step) if self.watch.progress else nullcontext():
            yield
        self.watch.check()
        self.timings.append(Timing(step, time.perf_counter() - started_s))

    def done(self, step: str, module: Module) -> None:
        """Dump the module after a step where that is wanted. Raises CompileError (AS620) where the folder cannot be written."""
        if self.dump_folder is not None:
            self.last_dump = write_dump(module, self.dump_folder, self.steps, step)
        if step in self.dump_after:
            self.watch.show(print_module(module))
        self.steps += 1

    def warn(self, diagnostic: Diagnostic) -> None:
        """Keep a warning and pass it on."""
        self.warnings.append(diagnostic)
        self.watch.warn(diagnostic)

    def measured(self) -> Json:
        """Return seconds a step, their sum, and the peak memory of this process so far."""
        steps = {t.step: round(t.seconds, 6) for t in self.timings}
        return {"seconds": round(sum(t.seconds for t in self.timings), 6), "steps_s": steps, "peak_rss_bytes": peak_rss_bytes()}


def peak_rss_bytes() -> int | None:
    """Return the most memory that this process ever held; None where the system does not tell.

    Linux's own figure comes first: `ru_maxrss` may be inherited from the process that started this one.
    """
    if sys.platform == "win32":
        return None
    status = Path("/proc/self/status")
    if status.is_file():
        lines = status.read_text(encoding="ascii", errors="replace").splitlines()
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), None)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
