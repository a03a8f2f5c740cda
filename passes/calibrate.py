"""calibrate: ranges and histograms of every float value on sample data, and sizes of values whose size is not known.

The data is read twice, first for ranges, then for histograms. Every run of the model stands alone, so neither the batches in which data
comes nor the groups in which values are returned change any figure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import (
    ACT_LIFT,
    ArrayRef,
    CompileError,
    Diagnostic,
    DType,
    Graph,
    Module,
    TensorType,
    array_ref,
    at_batch_one,
    did_you_mean,
    numpy_dtype,
    pre_activation,
)

from .base import Data, Env, Pass
from .clips import clips_of
from .execute import Execution, groups, load, runnable_part
from .facts import Ranges, Request, SeenSize, ValueRange
from .feeds import NOISE_FILLS, Feed, feeds_of, noise_feeds
from .from_bytes import byte_values
from .lifts import lifted_floors, raised
from .quantize.clipping import METHODS
from .quantize.extent import Extent, Levels
from .quantize.flat import curved_range
from .quantize.histogram import COLUMNS, histogram_of
from .roles import roles

Feeds: TypeAlias = Callable[[], Iterator[Feed]]
"""Starts the data from the beginning."""

Values: TypeAlias = dict[str, NDArray[Any]]
"""What one run gave, or was fed with."""

NOISE_ELEMENTS = 4 * 3 * 416 * 416
"""Noise that is as good as more: a convolution sees as many places in one large picture as in many small ones."""

_NAMED = 3
"""Names that a warning about many values gives."""


@dataclass(frozen=True)
class _Samples:
    """What to run on; `where` names it in diagnostics."""

    feeds: Feeds
    count: int
    calibrated: bool
    where: str


@dataclass(slots=True)
class _Survey:
    """What is known of values so far; `rows` are histograms, `runs` is how many runs the data is enough for."""

    runs: int = 0
    extents: dict[str, Extent] = field(default_factory=dict[str, Extent])
    levels: dict[str, Levels] = field(default_factory=dict[str, Levels])
    of_bytes: Mapping[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])
    rows: dict[str, NDArray[np.float64]] = field(default_factory=dict[str, NDArray[np.float64]])

    def extent(self, name: str) -> Extent:
        """Extent of a value; that of a value never seen is empty."""
        return self.extents.get(name, Extent())

    def bounds(self, name: str) -> tuple[float, float]:
        """Range of a value: from level 0 to level 255 of a picture's bytes, else what was seen."""
        if name in self.of_bytes:
            return self.of_bytes[name]
        top = self.levels[name].high if name in self.levels else None
        return (0.0, top) if top is not None else (self.extent(name).low, self.extent(name).high)

    def countable(self, name: str) -> bool:
        """Whether a value can have a histogram."""
        return self.extent(name).seen and self.extent(name).finite


@dataclass(frozen=True)
class Calibrate(Pass):
    """Runs `main` on the calibration data, or on seeded noise where there is none, and records `ranges`.

    noise_samples: runs on noise, fewer where they would hold more than `NOISE_ELEMENTS`. histogram_runs: at most so many runs, evenly
    spaced, go into histograms (all go into ranges).
    method: how the bounds of quantisers come from histograms, one of `METHODS` or `auto`, which takes what is best at each width.
    percentile: share of a value's elements within its bounds under method `percentile`, on each side, in %.
    """

    name: ClassVar[str] = "calibrate"
    summary: ClassVar[str] = "record the range of every value on the calibration data"
    gives: ClassVar = (Ranges,)

    noise_samples: int = 4
    histogram_runs: int = 64
    method: str = "auto"
    percentile: float = 99.99

    def apply(self, module: Module, env: Env) -> Module:
        """Return the module with `ranges`.

        Raises CompileError: AS114 an unknown method, AS154 an option that is out of bounds, AS323 the model does not run on the data,
        AS324 ONNX Runtime does not load it, AS325 an input is no tensor.
        Warns: AS320 no data, AS322 values were NaN or infinite, AS326 ops of custom domains cannot be run.
        """
        self._check_options()
        graph, foreign = runnable_part(module.main)
        for op in foreign:
            message = f"ONNX Runtime has no op {op.kind.removeprefix('onnx.')}: what it makes, and all that follows, has no ranges"
            env.warn(Diagnostic("AS326", message, f'op "{op.name}"', severity="warning"))
        opaque = [v for v in graph.inputs if v.type.wraps]
        if opaque:
            raise CompileError([Diagnostic("AS325", f"no data can be given for {v.type}", f'input "{v.name}"') for v in opaque])
        survey, samples = self._on_data(graph, env, env.calib) if env.calib is not None else self._on_noise(graph, env)
        _warn_not_finite(module.main, survey, env)
        ranges = _ranges(module.main, survey, samples)
        request = module.get(Request)
        clips = self._clips(module.main, ranges, survey, request.keep_float if request else "")
        return module.with_fact(replace(ranges, clips=_stored(clips)))

    def _check_options(self) -> None:
        for option, value in (("noise-samples", self.noise_samples), ("histogram-runs", self.histogram_runs)):
            if value < 1:
                raise CompileError(Diagnostic("AS154", f"{option} is {value}: at least 1 is needed", hint=f"--set calibrate.{option}=4"))
        if not 50 < self.percentile <= 100:
            message = f"percentile is {self.percentile:g}: above 50 and at most 100 is needed"
            raise CompileError(Diagnostic("AS154", message, hint="--set calibrate.percentile=99.99"))
        if self.method not in ("auto", *METHODS):
            message = f"calibrate has no method {self.method!r}: auto, {', '.join(METHODS)}"
            raise CompileError(Diagnostic("AS114", message, hint=did_you_mean(self.method, ("auto", *METHODS))))

    def _clips(self, graph: Graph, ranges: Ranges, survey: _Survey, keep_float: str) -> NDArray[np.float64] | None:
        rows = np.stack([survey.rows[v.value] for v in ranges.values if v.histogram >= 0]) if survey.rows else np.zeros((0, COLUMNS))
        return clips_of(graph, roles(graph, keep_float), ranges.values, rows, self.method, self.percentile)

    def _on_data(self, graph: Graph, env: Env, data: Data) -> tuple[_Survey, _Samples]:
        samples = _Samples(lambda: feeds_of(graph, data.batches()), data.samples, calibrated=True, where="calibration data")
        return self._survey(graph, env, samples), samples

    def _on_noise(self, graph: Graph, env: Env) -> tuple[_Survey, _Samples]:
        """Survey on noise; integer inputs hold ones, or zeros where the model does not run on ones."""
        env.warn(
            Diagnostic(
                "AS320",
                "no calibration data: ranges come from seeded noise, so the accuracy of the quantised model is unknown",
                notes=("normal noise N(0, 1) on float inputs; errors of weights do not depend on data",),
                hint="--calib data.npz, with some dozens of typical inputs",
                severity="warning",
            )
        )
        fills = NOISE_FILLS if any(not v.type.dtype.is_float for v in graph.inputs) else NOISE_FILLS[:1]
        for fill in fills[:-1]:
            try:
                return self._on_filled_noise(graph, env, fill)
            except CompileError as error:
                if error.diagnostics[0].code != "AS323":
                    raise
        return self._on_filled_noise(graph, env, fills[-1])

    def _on_filled_noise(self, graph: Graph, env: Env, fill: int) -> tuple[_Survey, _Samples]:
        count = min(self.noise_samples, max(1, NOISE_ELEMENTS // _input_elements(graph)))
        samples = _Samples(lambda: noise_feeds(graph, env.seed, count, fill), count, calibrated=False, where="seeded noise")
        return self._survey(graph, env, samples), samples

    def _survey(self, graph: Graph, env: Env, samples: _Samples) -> _Survey:
        """Return what is seen of the inputs, of all watched results, and of what stands before fused activations."""
        bounds = {name: made.bounds for name, made in byte_values(graph).items()}
        survey = _Survey(of_bytes={name: known for name, known in bounds.items() if known is not None})
        self._observe(graph, env, samples, survey, None)
        names = [*_watched(graph), *(pre_activation(graph, op) for op in graph.ops if "act" in op.attrs and _is_watched(op.type))]
        for group in groups(graph, names):
            self._observe(graph, env, samples, survey, load(graph, group))
        return survey

    def _observe(self, graph: Graph, env: Env, samples: _Samples, survey: _Survey, execution: Execution | None) -> None:
        """Take in the values that `execution` returns, or the inputs where it is None: ranges first, then histograms."""
        runs = 0
        only: Values = {}
        floors = lifted_floors(graph)
        for values in _values(env, samples, execution, None, survey.runs, survey.runs):
            runs += 1
            only = values if runs == 1 else {}
            for name, array in raised(values, floors).items():
                survey.extents.setdefault(name, Extent()).add(array)
                if execution is None and array.dtype == np.float32:
                    survey.levels.setdefault(name, Levels()).add(array)
        survey.runs = runs
        names = graph.input if execution is None else execution.names
        counted = tuple(n for n in names if n in graph.types and graph.types[n].dtype is DType.F32 and survey.countable(n))
        if not counted:
            return
        survey.rows.update((name, np.zeros(COLUMNS)) for name in counted)
        again = _values(env, samples, execution, counted, runs, min(runs, self.histogram_runs))
        for values in [only] if runs == 1 else again:
            for name in counted:
                survey.rows[name] += histogram_of(values[name], *survey.bounds(name))


def _values(
    env: Env, samples: _Samples, execution: Execution | None, names: tuple[str, ...] | None, runs: int, wanted: int
) -> Iterator[Values]:
    """Yield the values of `wanted` of `runs` runs, evenly spaced; of all where the number of runs is not known yet (0)."""
    taken = 0
    for run, feed in enumerate(env.progress.track(samples.feeds(), "calibrate", runs or None)):
        if run * wanted < taken * runs:
            continue
        taken += 1
        if execution is None:
            yield dict(feed)
            continue
        try:
            values = execution.run(feed, names)
        except CompileError as error:
            hint = "" if samples.calibrated else "--calib data.npz"
            raise CompileError([replace(d, location=f"{samples.where}, run {run}", hint=hint) for d in error.diagnostics]) from None
        yield values


def _input_elements(graph: Graph) -> int:
    return max(1, sum(at_batch_one(v.type).elements or 0 for v in graph.inputs))


def _is_watched(type_: TensorType) -> bool:
    """Whether a value of this type is looked at: floats, and whatever has an unknown size, as far as numpy has the type."""
    if type_.wraps or not (type_.dtype.is_float or at_batch_one(type_).elements is None):
        return False
    try:
        numpy_dtype(type_.dtype)
    except ValueError:
        return False
    return True


def _watched(graph: Graph) -> list[str]:
    return [r for op in graph.ops for r, t in zip(op.results, op.types, strict=True) if r and _is_watched(t)]


def _ranges(graph: Graph, survey: _Survey, samples: _Samples) -> Ranges:
    """Return the fact. Values that were never seen, or not finite, are in it without a histogram."""
    inner = {op.name: pre_activation(graph, op) for op in graph.ops if "act" in op.attrs}
    names = [v.name for v in graph.inputs] + [r for op in graph.ops for r in op.results if r]
    index = {name: i for i, name in enumerate(n for n in names if n in survey.rows)}
    values: list[ValueRange] = []
    for name in (n for n in names if graph.types[n].dtype.is_float and not graph.types[n].wraps):
        low, high = survey.bounds(name)
        before = survey.extent(inner.get(name, ""))
        exact = name in survey.of_bytes or (name in survey.levels and survey.levels[name].high is not None)
        inside = _curved(graph, name, before) if before.seen else (None, None)
        values.append(ValueRange(name, low, high, *inside, histogram=index.get(name, -1), exact=exact))
    unknown = (n for n in names if at_batch_one(graph.types[n]).elements is None and not graph.types[n].wraps)
    sizes = tuple(SeenSize(name, survey.extent(name).elements) for name in unknown)
    histograms = _stored(np.stack([survey.rows[name] for name in index]) if index else None)
    return Ranges(graph.name, samples.calibrated, samples.count, tuple(values), sizes, histograms)


def _curved(graph: Graph, name: str, before: Extent) -> tuple[float, float]:
    """Return the range of what stands before a fused activation, as far as the activation is not flat there.

    Where channels have factors of their own, what was seen ends there already.
    """
    attrs = graph.producer[name].attrs
    if ACT_LIFT in attrs:
        return before.low, before.high
    alpha, beta = attrs.float_("act_alpha", 0.2), attrs.float_("act_beta", 0.5)
    return curved_range(attrs.str_("act"), alpha, beta, before.low, before.high)


def _stored(array: NDArray[np.float64] | None) -> ArrayRef | None:
    return None if array is None else array_ref(array)


def _warn_not_finite(graph: Graph, survey: _Survey, env: Env) -> None:
    bad = [name for name in graph.types if not survey.extent(name).finite]
    if not bad:
        return
    more = f" and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
    message = f"NaN or infinity in {', '.join(repr(n) for n in bad[:_NAMED])}{more}: such values are not quantised"
    env.warn(Diagnostic("AS322", message, f"{len(bad)} values", severity="warning"))
