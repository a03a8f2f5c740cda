"""Change of the network's outputs when one tensor alone is quantised, everything else float.

Only what lies downstream of the tensor runs again, on values of the float model that are computed once. Every figure is kept in the cache
by a digest of all that it depends on, and every run stands alone, so an interrupted measurement goes on where it was and ends the same.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import CompileError, Graph, TensorType

from .base import Env
from .cache_keys import digest_of
from .downstream import Downstream, Store, downstream
from .execute import THREADS, Execution, groups, load
from .feeds import Feed
from .output_change import OutputChange
from .quantize.errors import BITS, FORBIDDEN_NSR

VERSION = 1
"""Part of every key; it goes up when the same inputs are measured differently."""

LEAST_SAMPLES = 16
BUDGET_MACS = 4 * 10**12
"""Multiply-accumulates that a measurement may take before it looks at fewer samples, down to `LEAST_SAMPLES`."""

_FLOOR = 1e-15
"""What counts as no change, in nats or as a ratio: below the rounding of float32."""

Held: TypeAlias = Callable[[Mapping[str, NDArray[Any]]], Feed]
"""From values of the float model in a run to what stands in for some of them."""


@dataclass(frozen=True)
class Change:
    """A tensor at `bits`. key: digest of how it is rounded. make: does so."""

    bits: int
    key: str
    make: Callable[[], Held]


@dataclass(frozen=True)
class Probe:
    """A tensor at several widths. graph: the model, with places for everything that changes, `places`, by name and type.

    reads: values of the float model that the changes are made from.
    """

    tensor: str
    graph: Graph
    places: Mapping[str, TensorType]
    reads: tuple[str, ...]
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class OutputSensitivity:
    """Measures probes of `graph` at its `outputs` on `feeds`, one a run. unit: see `output_change`."""

    graph: Graph
    outputs: tuple[str, ...]
    feeds: Sequence[Feed]
    unit: str
    env: Env

    def changes(self, probes: Sequence[Probe]) -> dict[str, tuple[float, ...]]:
        """Return the change at 1..8 bits by tensor; widths that no probe has are interpolated.

        Raises CompileError AS323, AS324 where the model itself does not run.
        """
        keys = [[digest_of(self._base, probe.tensor, c.bits, c.key) for c in probe.changes] for probe in probes]
        known = [[_figure(self.env.cache.get(key)) for key in row] for row in keys]
        if any(figure is None for row in known for figure in row):
            with Store() as store:
                self._measure(probes, keys, known, store)
        figures = ({c.bits: f for c, f in zip(p.changes, row, strict=True) if f is not None} for p, row in zip(probes, known, strict=True))
        return {probe.tensor: at_all_widths(row) for probe, row in zip(probes, figures, strict=True)}

    @cached_property
    def _base(self) -> str:
        return digest_of("output-sensitivity", VERSION, self.graph, self.outputs, list(self.feeds), self.unit)

    def _measure(
        self, probes: Sequence[Probe], keys: Sequence[Sequence[str]], known: Sequence[list[float | None]], store: Store
    ) -> None:
        """Fill the gaps in `known`, and the cache with them."""
        parts = [downstream(probe.graph, probe.places, self.outputs) for probe in probes]
        reads = [tuple(dict.fromkeys((*part.live, *probe.reads))) for part, probe in zip(parts, probes, strict=True)]
        open_ = [i for i, row in enumerate(known) if None in row]
        exact = self._float_values(dict.fromkeys(n for names in reads for n in names), {n for i in open_ for n in reads[i]}, store)
        compare = OutputChange.of(self.unit, exact)
        with ThreadPoolExecutor(THREADS) as threads:
            for i in self.env.progress.track(open_, "measure outputs", len(open_)):
                columns = [j for j, figure in enumerate(known[i]) if figure is None]
                work = _Work(parts[i], parts[i].load(), reads[i], [probes[i].changes[j].make() for j in columns], compare, store)
                for j, figure in zip(columns, work.figures(exact, threads), strict=True):
                    known[i][j] = figure
                    self.env.cache.put(keys[i][j], struct.pack("<d", figure))

    def _float_values(self, names: Mapping[str, None], kept: set[str], store: Store) -> list[dict[str, NDArray[Any]]]:
        """Return the outputs of every run, and put the values `kept` into the store.

        All of `names` are always asked for, since what an engine fuses, and with it the last digit, depends on them.
        """
        exact: list[dict[str, NDArray[Any]]] = [{} for _ in self.feeds]
        for run, feed in enumerate(self.feeds):
            for name in kept & feed.keys():
                store.put(name, run, feed[name])
        wanted = dict.fromkeys((*self.outputs, *(n for n in names if n not in self.graph.input)))
        for group in groups(self.graph, list(wanted)):
            execution = load(self.graph, group)
            for run, feed in enumerate(self.env.progress.track(self.feeds, "run the float model", len(self.feeds))):
                for name, array in execution.run(feed).items():
                    if name in kept:
                        store.put(name, run, array)
                    if name in self.outputs:
                        exact[run][name] = array
        return exact


@dataclass(frozen=True)
class _Work:
    """One probe's open changes."""

    part: Downstream
    execution: Execution | None
    reads: tuple[str, ...]
    held: Sequence[Held]
    compare: OutputChange
    store: Store

    def figures(self, exact: Sequence[Mapping[str, NDArray[Any]]], threads: ThreadPoolExecutor) -> list[float]:
        """Return the change at the outputs of each; runs are added up in their order."""
        total = sum(threads.map(self._run, range(len(exact)), exact), np.zeros((len(self.held), len(exact[0]), 2)))
        return [self.compare.total(parts) for parts in total]

    def _run(self, run: int, exact: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """Return what one run adds, f64[changes, outputs, 2]."""
        values = self.store.get(self.reads, run)
        live = {name: values[name] for name in self.part.live}
        return np.array([self._parts(exact, {**live, **change(values)}) for change in self.held])

    def _parts(self, exact: Mapping[str, NDArray[Any]], feed: Feed) -> NDArray[np.float64]:
        """Return what one change adds in one run; all is lost where the model does not run on it."""
        try:
            return self.compare.parts(exact, self.part.run(self.execution, feed))
        except CompileError:
            return np.full((len(exact), 2), math.nan)


def samples_in_budget(probes: Sequence[Probe], outputs: Sequence[str], work: Mapping[str, int], asked: int) -> int:
    """Return how many samples to measure on: `asked`, or fewer (not below 16) where that would take more than `BUDGET_MACS`.

    work: multiply-accumulates of every op at one sample.
    """
    a_sample = sum(
        len(probe.changes) * sum(work.get(op.name, 0) for op in downstream(probe.graph, probe.places, outputs).part.ops) for probe in probes
    )
    return min(asked, max(LEAST_SAMPLES, BUDGET_MACS // max(a_sample, 1)))


def at_all_widths(figures: Mapping[int, float]) -> tuple[float, ...]:
    """Return figures at 1..8 bits: between measured widths straight in the logarithm, outside them 6 dB a bit."""
    measured = sorted(figures)
    if not measured:
        return (FORBIDDEN_NSR,) * len(BITS)
    logs = [math.log(max(figures[bits], _FLOOR)) for bits in measured]
    return tuple(figures[bits] if bits in figures else _between(bits, measured, logs) for bits in BITS)


def _between(bits: int, measured: Sequence[int], logs: Sequence[float]) -> float:
    inside = min(max(bits, measured[0]), measured[-1])
    log = float(np.interp(inside, measured, logs))
    return 0.0 if log <= math.log(_FLOOR) else min(math.exp(log) * 4.0 ** (inside - bits), FORBIDDEN_NSR)


def _figure(data: bytes | None) -> float | None:
    return struct.unpack("<d", data)[0] if data is not None and len(data) == struct.calcsize("<d") else None
