"""How long a whole compile takes with its outputs measured, from nothing and then with what it left in the cache."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from autosplitc.ir import CompileError, Diagnostic
from autosplitc.zoo import data

from .process import autosplitc as command
from .table import table

COLD_GOAL_S, CACHED_GOAL_S = 240.0, 20.0
"""For MobileNetV2 with 32 samples on two cores."""


@dataclass(frozen=True)
class Times:
    """Wall time of a compile in a fresh process, in seconds, and its peak memory, in bytes."""

    model: str
    cold_s: float
    cached_s: float
    peak_rss_bytes: int


def compile_times(name: str, effort: str) -> Times:
    """Return how long `autosplitc compile` takes on a model of the zoo with its samples for calibration.

    Raises CompileError (AS900) where it fails.
    """
    samples = data(name)
    with TemporaryDirectory() as folder:
        data_flags = ("--calib", samples.calib, "--preprocess", samples.preprocess)
        flags = ("-t", "eyeriss", "--net", "3mbps", *data_flags, "--effort", effort, "--sensitivity", "output")
        runs = [
            command("compile", f"zoo:{name}", "-o", Path(folder) / part, "--cache", Path(folder) / "cache", *flags, "-q") for part in "ab"
        ]
    failed = next((run for run in runs if run.code not in (0, 3)), None)
    if failed is not None:
        raise CompileError(Diagnostic("AS900", f"the compile of {name} fails with exit code {failed.code}", notes=(failed.stderr,)))
    return Times(name, runs[0].seconds, runs[1].seconds, max(run.peak_rss_bytes for run in runs))


def printed(times: Times) -> str:
    """Return a table."""
    cells = (times.model, f"{times.cold_s:.1f}", f"{times.cached_s:.1f}", f"{times.peak_rss_bytes / 1e6:.0f}")
    goals = f"goals for mobilenet-v2, --effort normal, two cores: {COLD_GOAL_S:g} s cold, {CACHED_GOAL_S:g} s from the cache"
    return f"{table(('model', 'cold s', 'cached s', 'peak MB'), [cells])}\n{goals}"
