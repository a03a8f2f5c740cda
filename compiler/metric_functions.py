"""Metrics that an accuracy constraint bounds: top1, top5, agreement, sqnr, or a function of the user's.

A metric compares what the halves give with what the float model gives, chunk by chunk of samples, and ends in a `Drop`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import CompileError, Diagnostic

from .drop import Drop, paired_interval, ratio_interval
from .engine import Arrays
from .functions import fault_of, load_function
from .metrics import wilson_interval
from .spool import Spool, stacked

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Reference:
    """The float model on all samples: its outputs, chunk by chunk, and the labels [n, ...] (None without)."""

    outputs: Spool
    labels: NDArray[Any] | None
    samples: int

    def example(self) -> Arrays:
        """Return the outputs of the first chunk."""
        empty: Arrays = {}
        return next(iter(self.outputs), empty)


class Tally(Protocol):
    """What was compared so far."""

    def add(self, expected: Arrays, made: Arrays, rows: int) -> None:
        """Take in the float model's outputs and the halves' for the next `rows` samples."""
        ...

    def least(self) -> float:
        """Return the least drop that all samples together can still have."""
        ...

    def drop(self) -> Drop:
        """Return the drop on the samples taken in."""
        ...


def new_tally(metric: str, reference: Reference, folder: Path) -> Tally:
    """Return an empty tally of a metric, by name; `folder` is for large temporary files.

    Raises CompileError AS161 where the metric does not fit the model's outputs or labels, AS162 to AS164 for a bad function.
    """
    logits = logits_of(reference.example())
    if metric in ("top1", "top5", "agreement") and not logits:
        raise _no_metric(metric, "no output of the model is a score a class, f32[N, classes]")
    if metric in ("top1", "top5"):
        return _top(metric, reference, logits)
    if metric == "agreement":
        return ScoreTally(metric, reference.samples, np.ones(reference.samples), _agreement(logits))
    if metric == "sqnr":
        return PowerTally(_powers_of(reference))
    return FunctionTally(metric, load_function(metric, f"--metric {metric}"), reference, Spool(folder / "made"))


def default_metric(reference: Reference) -> str:
    """Return the metric for data and model: top1 with class labels, agreement for a classifier without, else sqnr."""
    if not logits_of(reference.example()):
        return "sqnr"
    labels = reference.labels
    return "top1" if labels is not None and labels.ndim == 1 and labels.dtype.kind in "iu" else "agreement"


def logits_of(outputs: Mapping[str, NDArray[Any]]) -> str:
    """Return the first output that is a vector of at least two floats a sample, "" without one."""
    return next((name for name, value in outputs.items() if is_logits(value)), "")


def is_logits(value: NDArray[Any]) -> bool:
    """Whether an output is a vector of at least two figures a sample."""
    if value.dtype.kind != "f" or value.ndim < 2:
        return False
    classes = max(value.shape[1:])
    return classes > 1 and value.size == value.shape[0] * classes


def top_k(logits: NDArray[Any], labels: NDArray[Any], k: int) -> NDArray[np.bool_]:
    """Return bool[n]: whether the label's entry is among the k largest of `logits` [n, classes]; of equals the first come first.

    A sample with a NaN is missed.
    """
    own = np.take_along_axis(logits, labels[:, np.newaxis], axis=1)
    classes: NDArray[np.int64] = np.arange(logits.shape[1], dtype=np.int64)
    before = classes[np.newaxis, :] < labels[:, np.newaxis]
    rank = np.count_nonzero((logits > own) | ((logits == own) & before), axis=1)
    return (rank < k) & ~np.isnan(logits).any(axis=1)


Score = Callable[[Arrays, Arrays, slice], Floats]
"""Scores of the halves for a chunk: the float model's outputs, the halves', and which samples these are."""


@dataclass
class ScoreTally:
    """A score in 0..1 for every sample; `exact` are the float model's [samples]."""

    metric: str
    samples: int
    exact: Floats
    score: Score
    mine: list[Floats] = field(default_factory=list[Floats])
    taken: int = 0

    def add(self, expected: Arrays, made: Arrays, rows: int) -> None:
        """Score the next `rows` samples."""
        self.mine.append(self.score(expected, made, slice(self.taken, self.taken + rows)))
        self.taken += rows

    def least(self) -> float:
        """Return the least drop: every sample that is left gets the full score."""
        lost = float(self.exact[: self.taken].sum()) - sum(float(part.sum()) for part in self.mine)
        return (lost + float((self.exact[self.taken :] - 1).sum())) / max(self.samples, 1)

    def drop(self) -> Drop:
        """Return the drop with its paired interval; that of `agreement` is a share of samples, with Wilson's."""
        return scored_drop(self.metric, self.exact[: self.taken], np.concatenate(self.mine), self.samples)


def scored_drop(metric: str, exact: Floats, mine: Floats, samples: int) -> Drop:
    """Return the drop between two scores [n] a sample, the float model's and the halves'; `samples` are there in all."""
    n = len(mine)
    value, float_value = float(mine.mean()), float(exact.mean())
    if metric == "agreement":
        interval = wilson_interval(n - int(np.count_nonzero(mine)), n)
    else:
        interval = paired_interval(exact - mine)
    return Drop(metric, value, float_value, float((exact - mine).mean()), interval, n, n == samples)


@dataclass
class PowerTally:
    """Power of every output of the float model and of its error, sample by sample; the worst output counts."""

    totals: dict[str, tuple[float, int]]
    noise: dict[str, list[Floats]] = field(default_factory=dict[str, "list[Floats]"])
    signal: dict[str, list[Floats]] = field(default_factory=dict[str, "list[Floats]"])
    taken: int = 0

    def add(self, expected: Arrays, made: Arrays, rows: int) -> None:
        """Take in the next `rows` samples; an output of another shape, or none, is all noise."""
        for name in self.totals:
            exact, value = expected[name], made.get(name)
            fits = value is not None and value.shape == exact.shape
            error = np.asarray(exact, np.float64) - np.asarray(value, np.float64) if fits else np.full(exact.shape, np.inf)
            self.noise.setdefault(name, []).append(_powers(error, rows))
            self.signal.setdefault(name, []).append(_powers(exact, rows))
        self.taken += rows

    def least(self) -> float:
        """Return the least drop: what is left adds no noise."""
        return max((_ratio(sum(float(p.sum()) for p in self.noise[name]), self.totals[name][0]) for name in self.noise), default=0.0)

    def drop(self) -> Drop:
        """Return the largest noise-to-signal ratio of any output, with its interval."""
        worst = -1.0
        found = Drop("sqnr", None, None, 0.0, None, self.taken, scored=False)
        for name, parts in self.noise.items():
            noise, signal = np.concatenate(parts), np.concatenate(self.signal[name])
            ratio = _ratio(float(noise.sum()), float(signal.sum()))
            if ratio > worst:
                worst = ratio
                decibels = -10 * math.log10(ratio) if 0 < ratio < math.inf else None
                complete = self.taken == self.totals[name][1]
                found = Drop("sqnr", decibels, None, ratio, ratio_interval(noise, signal), self.taken, complete, scored=False)
        return found


@dataclass
class FunctionTally:
    """A function of the user's: it sees all samples at once, or yields nothing."""

    metric: str
    function: Callable[..., Any]
    reference: Reference
    made: Spool
    taken: int = 0

    def add(self, expected: Arrays, made: Arrays, rows: int) -> None:
        """Keep the halves' outputs for the next `rows` samples."""
        del expected
        self.made.append(made, rows)
        self.taken += rows

    def least(self) -> float:
        """Return that nothing is known before the end."""
        return -math.inf

    def drop(self) -> Drop:
        """Return the function's score of the float model minus that of the halves. Raises CompileError AS163, AS164."""
        expected = stacked(self.reference.outputs, self.made.folder / "expected")
        mine, exact = self._scores(stacked(self.made, self.made.folder / "stacked"), expected), self._scores(expected, expected)
        if mine.ndim != exact.ndim:
            raise self._bad("it returns one figure in one call and a score a sample in another")
        if not mine.ndim:
            return Drop(self.metric, float(mine), float(exact), float(exact) - float(mine), None, self.taken, scored=False)
        return scored_drop(self.metric, exact, mine, self.reference.samples)

    def _scores(self, outputs: Arrays, expected: Arrays) -> Floats:
        """Return the function's scores f64[n], or one as f64[]."""
        try:
            found = self.function(dict(outputs), dict(expected), self.reference.labels)
        except (Exception, SystemExit) as error:
            message = f"the metric {self.metric} failed"
            raise CompileError(Diagnostic("AS163", message, f"--metric {self.metric}", (fault_of(error),))) from error
        if found is None:
            raise self._bad("it returns None")
        try:
            scores = np.asarray(found, np.float64)
        except (TypeError, ValueError):
            raise self._bad(f"it returns {type(found).__name__}") from None
        if scores.ndim and scores.shape != (self.taken,):
            raise self._bad(f"it returns an array of shape {list(scores.shape)} for {self.taken} samples")
        if not np.isfinite(scores).all():
            at = "" if not scores.ndim else f" for sample {int(np.flatnonzero(~np.isfinite(scores))[0])}"
            raise self._bad(f"it returns {scores[()] if not scores.ndim else 'NaN or infinity'}{at}")
        if scores.ndim and (scores.min() < 0 or scores.max() > 1):
            raise self._bad(f"its scores lie between {scores.min():g} and {scores.max():g}")
        return scores

    def _bad(self, message: str) -> CompileError:
        hint = "def metric(outputs, expected, labels): -> a score in 0..1 for every sample, array [n], or one finite float"
        text = f"the metric {self.metric} gives no score: {message}"
        return CompileError(Diagnostic("AS164", text, f"--metric {self.metric}", hint=hint))


def _top(metric: str, reference: Reference, logits: str) -> ScoreTally:
    k, labels = (5 if metric == "top5" else 1), reference.labels
    if labels is None:
        raise _no_metric(metric, "the samples have no labels", hint='np.savez("data.npz", ..., labels=classes.astype(np.int64))')
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or len(labels) < reference.samples:
        raise _no_metric(metric, f"labels are {labels.dtype}{list(labels.shape)}, not a class a sample")
    classes = _flat(reference.example()[logits]).shape[1]
    if classes <= k:
        raise _no_metric(metric, f"the model has {classes} classes: every one is among the first {k}", hint="--metric top1")
    if int(labels.max()) >= classes or int(labels.min()) < 0:
        raise _no_metric(metric, f"labels are {labels.min()} .. {labels.max()}, and the model's classes are 0 .. {classes - 1}")
    indices = labels[: reference.samples].astype(np.int64)

    def score(expected: Arrays, made: Arrays, where: slice) -> Floats:
        mine = made.get(logits)
        if mine is None or mine.shape != expected[logits].shape:
            return np.zeros(int(where.stop) - int(where.start))
        return top_k(_flat(mine), indices[where], k).astype(np.float64)

    exact: list[Floats] = []
    start = 0
    for outputs, rows in reference.outputs.chunks():
        exact.append(score(outputs, outputs, slice(start, start + rows)))
        start += rows
    return ScoreTally(metric, reference.samples, np.concatenate(exact), score)


def _agreement(logits: str) -> Score:
    def score(expected: Arrays, made: Arrays, where: slice) -> Floats:
        exact, mine = expected[logits], made.get(logits)
        if mine is None or mine.shape != exact.shape:
            return np.zeros(int(where.stop) - int(where.start))
        same = np.equal(np.argmax(_flat(mine), axis=1), np.argmax(_flat(exact), axis=1))
        return np.asarray(same & ~np.isnan(_flat(mine)).any(axis=1), np.float64)

    return score


def _powers_of(reference: Reference) -> dict[str, tuple[float, int]]:
    """Return for every output that counts the sum of its squares over all samples, and how many samples there are."""
    example = reference.example()
    floats = [name for name, value in example.items() if value.dtype.kind == "f"]
    names = floats or [name for name, value in example.items() if value.dtype.kind in "iub"]
    if not names:
        raise _no_metric("sqnr", "no output of the model is made of numbers")
    totals = dict.fromkeys(names, 0.0)
    for outputs, rows in reference.outputs.chunks():
        for name in names:
            totals[name] += float(_powers(outputs[name], rows).sum())
    return {name: (total, reference.samples) for name, total in totals.items()}


def _powers(value: NDArray[Any], rows: int) -> Floats:
    """Return the sum of squares of every sample; of all together where the first axis is not that of the samples."""
    flat = np.asarray(value, np.float64)
    samples = rows if flat.ndim and len(flat) == rows else 1
    return np.array([float(np.dot(part, part)) for part in np.split(flat.reshape(-1), samples)])


def _ratio(noise: float, signal: float) -> float:
    if not (math.isfinite(noise) and math.isfinite(signal)):
        return math.inf
    return noise / signal if signal > 0 else math.inf if noise > 0 else 0.0


def _flat(value: NDArray[Any]) -> NDArray[Any]:
    return value.reshape((len(value), -1))


def _no_metric(metric: str, message: str, hint: str = "") -> CompileError:
    return CompileError(Diagnostic("AS161", f"the metric {metric} does not fit: {message}", f"--metric {metric}", hint=hint))
