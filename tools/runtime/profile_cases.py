"""Models that are measured: how long they run, and how long each op of theirs takes in the run.

Runs on devices: Python 3.8, numpy and onnxruntime.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

if __package__:
    from .profile_kernels import makers, owners, read_nodes, runs_of
else:
    from profile_kernels import makers, owners, read_nodes, runs_of

FLOAT = "float"
WARMUP = 3
LEAST_S, MOST_RUNS, MOST_EVENTS = 0.02, 200, 5000
"""Quick models run more often in a round than asked for: until it takes so long, so often, and with so many kernels in the log."""
NO_TIME_S = 1e-9
"""Stands for no time at all."""


def together(*lists: Iterable[Any]) -> Iterator[tuple[Any, ...]]:
    """Yield the first of all lists, then the second ..."""
    return map(lambda *items: items, *lists)


def median_s(durations: Sequence[int]) -> float:
    """Return the median of whole microseconds in seconds: each was cut off, and may lie anywhere between it and the next."""
    return (statistics.median_grouped(durations) + 0.5) * 1e-6


def spread(values: Sequence[float]) -> float:
    """Return the interquartile range."""
    if len(values) < 2:
        return 0.0
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return high - low


class Runtime(NamedTuple):
    """onnxruntime and its settings. scratch: a folder for logs. imprecise: models that load only where 8-bit weights may saturate."""

    ort: Any
    threads: int
    level: str
    scratch: Path
    imprecise: set[Path]

    def session(self, path: Path, *, fused: bool = True, profiled: bool = False, optimized: Path | None = None) -> Any:
        """Load a model; with `fused` off as it stands in the file. `optimized`: where to write it as it will run."""
        levels, options = self.ort.GraphOptimizationLevel, self.ort.SessionOptions()
        chosen = levels.ORT_ENABLE_ALL if self.level == "all" else levels.ORT_ENABLE_EXTENDED
        options.graph_optimization_level = chosen if fused else levels.ORT_DISABLE_ALL
        options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = self.threads, 1, 4
        options.add_session_config_entry("session.x64quantprecision", "0" if path in self.imprecise else "1")
        if optimized is not None:
            options.optimized_model_filepath = str(optimized)
            if path.with_name(f"{path.name}.data").is_file():  # more than one file of protobuf can hold
                options.add_session_config_entry("session.optimized_model_external_initializers_file_name", f"{optimized.name}.data")
        if profiled:
            options.enable_profiling, options.profile_file_prefix = True, str(self.scratch / "profile")
        try:
            return self.ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception:
            if path in self.imprecise:
                raise
            self.imprecise.add(path)
            return self.session(path, fused=fused, profiled=profiled, optimized=optimized)


class Case:
    """A model that is measured: seconds of whole runs, and by node the microseconds of its kernel in every profiled run."""

    def __init__(
        self, runtime: Runtime, path: Path, feed: Mapping[str, Any], values: Mapping[str, str] | None = None, *, fused: bool = True
    ) -> None:
        """Load the model once, to see which kernels it runs for which ops. Raises what onnxruntime raises.

        values: op by value that it makes; without it no kernels are looked at. fused: whether onnxruntime may rewrite the model.
        """
        self.runtime, self.path, self.feed, self.fused = runtime, path, feed, fused
        self.whole: list[float] = []
        optimized = runtime.scratch / "optimized.onnx"
        runtime.session(path, fused=fused, optimized=None if values is None else optimized)
        self.nodes, written = ([], []) if values is None else (read_nodes(optimized), read_nodes(path))
        names = {written[index].name: op for index, op in makers(written, values or {}, {}).items()}
        made = makers(self.nodes, values or {}, names)
        self.own, self.owner = set(made.values()), owners(self.nodes, made)
        self.kernels: list[list[int]] = [[] for _ in self.nodes]

    def sample(self, runs: int) -> None:
        """Run it without and with the profiler, at least `runs` times each; only with it where nothing is fused."""
        if self.fused:
            self.whole += self._timed(self.runtime.session(self.path), runs, MOST_RUNS)
        if self.nodes:
            session = self.runtime.session(self.path, fused=self.fused, profiled=True)
            self._timed(session, runs, MOST_EVENTS // len(self.nodes))
            log = Path(session.end_profiling())
            for run in runs_of(json.loads(log.read_text("utf-8")), self.nodes)[WARMUP:]:
                for durations, duration in together(self.kernels, run):
                    durations.append(duration)
            log.unlink()

    def _timed(self, session: Any, runs: int, most: int) -> list[float]:
        feed = {value.name: self.feed[value.name] for value in session.get_inputs()}
        times: list[float] = []
        while len(times) < WARMUP + runs or (len(times) < min(most, MOST_RUNS) and sum(times) < LEAST_S):
            started_s = time.perf_counter()
            session.run(None, feed)
            times.append(time.perf_counter() - started_s)
        return times[WARMUP:]


class Idle(NamedTuple):
    """What is no kernel's work, in seconds: what a run takes without kernels, and what the profiler adds to a kernel."""

    run_s: float
    added_s: float

    @staticmethod
    def of(short: Case, long: Case) -> Idle:
        """Take two chains of equal kernels that do next to nothing."""
        short_s, long_s = statistics.median(short.whole), statistics.median(long.whole)
        kernel_s = max(0.0, long_s - short_s) / (len(long.nodes) - len(short.nodes))
        shown_s = statistics.mean(map(median_s, long.kernels))
        return Idle(max(0.0, short_s - kernel_s * len(short.nodes)), max(0.0, shown_s - kernel_s))


class Context(Case):
    """One way in which the whole model runs, in float or with so many bits: what each of its ops takes in it.

    end: for every op that it covers the op at the end of its segment, itself where it has a kernel of its own.
    """

    def __init__(self, runtime: Runtime, folder: Path, entry: Mapping[str, Any], ops: Sequence[Any], feed: Mapping[str, Any]) -> None:
        """Take an entry of the kit's `contexts`, and its `ops`. An op without a kernel of its own is in a segment with its first reader."""
        super().__init__(runtime, folder / entry["file"], feed, entry["values"])
        self.name: str = entry["context"]
        covered = set(entry["values"].values())
        self.end: dict[str, str] = {}
        for op in reversed(ops):
            if op["op"] in covered:
                ends = [self.end[reader] for reader in op["readers"] if reader in self.end]
                self.end[op["op"]] = op["op"] if op["op"] in self.own or not ends else ends[0]
        self.ops = list(self.end)[::-1]
        fused = any(op != end for op, end in self.end.items())
        self.apart = Case(runtime, self.path, feed, entry["values"], fused=False) if fused else None

    def times(self, idle: Idle) -> tuple[dict[str, dict[str, float]], dict[str, Any]]:
        """Return the times of the ops, which add up to the run, and the record of the run.

        Kernels take no longer together than a run without the profiler. What a run takes besides its kernels is shared among the ops,
        what it takes without any falls to the first op, in float to the last: where the model is cut, those are on that side.
        """
        whole_s = statistics.median(self.whole)
        shown = [max(0.0, median_s(durations) - idle.added_s) for durations in self.kernels]
        scale = min(1.0, max(0.0, whole_s - idle.run_s) / (sum(shown) or 1.0))
        over_s = max(0.0, whole_s - idle.run_s - sum(shown) * scale) / len(self.ops)
        end_s = dict.fromkeys(self.ops, 0.0)
        runs: dict[str, list[int]] = {}
        for op, kernel_s, durations in together(self.owner, shown, self.kernels):
            if op in self.end:
                end = self.end[op]
                end_s[end] += kernel_s * scale
                runs[end] = [sum(both) for both in together(runs.get(end, [0] * len(durations)), durations)]
        shares = self._shares()
        found: dict[str, dict[str, float]] = {}
        for op, end in self.end.items():
            once_s = idle.run_s if op == self.ops[-1 if self.name == FLOAT else 0] else 0.0
            took_s = max(NO_TIME_S, end_s[end] * shares[op] + over_s + once_s)
            found[op] = {"median_s": took_s, "spread_s": spread(runs.get(end, [])) * shares[op] * 1e-6}
        run = {"context": self.name, "median_s": whole_s, "spread_s": spread(self.whole), "repeats": len(self.whole)}
        return found, {**run, "kernels_s": sum(shown) * scale, "overhead_per_op_s": over_s}

    def _shares(self) -> dict[str, float]:
        """Return the part of its segment's time that each op takes: as much as unfused."""
        alone = {op: float(op == end) * NO_TIME_S for op, end in self.end.items()}
        if self.apart is not None:
            for op, durations in together(self.apart.owner, self.apart.kernels):
                if op in alone:
                    alone[op] += median_s(durations)
        total = dict.fromkeys(self.ops, 0.0)
        for op, end in self.end.items():
            total[end] += alone[op]
        return {op: alone[op] / total[end] for op, end in self.end.items()}
