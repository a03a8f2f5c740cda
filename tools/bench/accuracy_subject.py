"""A model with its samples, what the float model makes of them, and how a quantised one is judged against it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosplitc.drop import paired_interval
from autosplitc.engine import Arrays, Engine
from autosplitc.metrics import sqnr_db
from autosplitc.preprocess import Preprocess, parse_preprocess
from autosplitc.zoo import ZooData, data, resolve
from autosplitc.zoo.plates_metric import exact
from autosplitc.zoo.yolov3_metric import REPORTED, THRESHOLD, Detections, average_precision, detect

BATCH = 8
RESAMPLES, RESAMPLE_SEED = 400, 7
"""Bootstrap over pictures, where samples are crops of the same ones, or where a figure is of all samples together."""
QUICK = 64

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Figures:
    """How a model does on n samples. Accuracies are shares of 1; drop is against the float model on the same samples, with 95 % interval.

    kl: mean Kullback-Leibler divergence of the classes from the float model's, in nats, where outputs are classes. labelled: hits among a
    few labelled samples. worst: the picture whose crops agree least, and their share.
    """

    accuracy: float
    drop: float
    low: float
    high: float
    n: int
    sqnr_db: float
    kl: float | None = None
    labelled: int | None = None
    worst: tuple[str, float] | None = None


@dataclass(frozen=True)
class Subject:
    """A model of the zoo on its evaluation samples, bytes in `pixels`; `outputs` are the float model's."""

    name: str
    path: Path
    samples: ZooData
    input: str
    pixels: NDArray[np.uint8]
    labels: NDArray[Any] | None
    outputs: Arrays
    labelled: tuple[NDArray[np.uint8], NDArray[Any]] | None = None

    @staticmethod
    def of(name: str, quick: bool) -> Subject:
        """Return a model by its name in the zoo; `quick`: on its first samples, or on the first of each picture.

        Raises CompileError as the zoo does.
        """
        samples, found = data(name), resolve(name)
        arrays = read(samples.evaluation)
        labels = arrays.pop("labels", None)
        ((input_, pixels),) = arrays.items()
        if quick:
            step = len(pixels) // len(samples.groups) if samples.groups else 1
            kept = slice(0, None, step) if samples.groups else slice(0, QUICK)
            pixels, labels = pixels[kept], None if labels is None else labels[kept]
        few: tuple[NDArray[np.uint8], NDArray[Any]] | None = None
        if samples.labelled is not None:
            stored = read(samples.labelled)
            few = (stored[input_], stored["labels"])
        outputs = run(Engine.load(found.path, name), input_, numbers(pixels, samples.preprocess))
        return Subject(name, found.path, samples, input_, pixels, labels, outputs, few)

    def judge(self, model: Path, *, takes_bytes: bool) -> Figures:
        """Return the figures of a quantised model, run in integer kernels as it would be deployed.

        takes_bytes: it does the preprocessing itself.
        """
        engine = Engine.load(model, model.name)
        outputs = run(engine, self.input, self._feed(self.pixels, takes_bytes))
        kl = divergence(outputs, self.outputs) if self.samples.metric in ("top1", "agreement") else None
        noise = sqnr_db(_flat(self.outputs), _flat(outputs))
        hits: int | None = None
        if self.labelled is not None:
            pixels, labels = self.labelled
            (logits,) = run(engine, self.input, self._feed(pixels, takes_bytes)).values()
            hits = int(np.count_nonzero(np.argmax(logits, axis=-1) == labels))
        if self.samples.metric.endswith(":ap50"):
            return self._judge_detections(outputs, noise)
        scores, reference = self.scores(outputs), self.scores(self.outputs)
        lost = reference - scores
        low, high = self._interval(lost)
        return Figures(float(scores.mean()), float(lost.mean()), low, high, len(scores), noise, kl, hits, self._worst(scores))

    def float_figures(self) -> Figures:
        """Return the float model's own figures."""
        if self.samples.metric.endswith(":ap50"):
            return Figures(1.0, 0.0, 0.0, 0.0, len(self.pixels), np.inf)
        scores = self.scores(self.outputs)
        hits: int | None = None
        if self.labelled is not None:
            pixels, labels = self.labelled
            (logits,) = run(Engine.load(self.path, self.name), self.input, self._feed(pixels, False)).values()
            hits = int(np.count_nonzero(np.argmax(logits, axis=-1) == labels))
        return Figures(float(scores.mean()), 0.0, 0.0, 0.0, len(scores), np.inf, None, hits)

    def scores(self, outputs: Arrays) -> Floats:
        """Return a score in 0..1 of every sample."""
        if self.samples.metric.endswith(":exact"):
            return exact(outputs, self.outputs, self.labels)
        ((name, scores),) = outputs.items()
        wanted = np.argmax(self.outputs[name], axis=-1) if self.labels is None else self.labels
        return (np.argmax(scores, axis=-1) == wanted).astype(np.float64)

    def judge_detections(self, outputs: Arrays) -> Figures:
        """Return the figures of a detector's outputs for all samples, however they came about."""
        return self._judge_detections(outputs, sqnr_db(_flat(self.outputs), _flat(outputs)))

    def _feed(self, pixels: NDArray[np.uint8], takes_bytes: bool) -> NDArray[Any]:
        return pixels if takes_bytes else numbers(pixels, self.samples.preprocess)

    def _interval(self, lost: Floats) -> tuple[float, float]:
        groups = len(self.samples.groups)
        if not groups:
            return paired_interval(lost)
        means = lost.reshape(groups, -1).mean(axis=1)
        return _between([float(means[picked].mean()) for picked in _resampled(groups)])

    def _worst(self, scores: Floats) -> tuple[str, float] | None:
        if not self.samples.groups:
            return None
        means = scores.reshape(len(self.samples.groups), -1).mean(axis=1)
        return self.samples.groups[int(np.argmin(means))], float(means.min())

    def _judge_detections(self, outputs: Arrays, noise: float) -> Figures:
        found, truth = detect(outputs, REPORTED), detect(self.outputs, THRESHOLD)
        precision = average_precision(found, truth)
        each = len(found) // len(self.samples.groups)
        drawn: list[float] = []
        for picked in _resampled(len(self.samples.groups)):
            places = [int(group) * each + index for group in picked for index in range(each)]
            drawn.append(1.0 - average_precision(_at(found, places), _at(truth, places)))
        return Figures(precision, 1.0 - precision, *_between(drawn), len(found), noise)


def read(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of an `.npz` file."""
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def numbers(pixels: NDArray[np.uint8], preprocess: str) -> NDArray[np.float32]:
    """Return the model's input for bytes u8[n, channels, rows, columns]."""
    asked = parse_preprocess(preprocess) or Preprocess()
    mean, std = (np.array(values, np.float32).reshape(-1, 1, 1) for values in (asked.mean, asked.std))
    return (pixels.astype(np.float32) * np.float32(asked.scale) - mean) / std


def run(engine: Engine, input_: str, samples: NDArray[Any]) -> Arrays:
    """Return all outputs for all samples, stacked."""
    (given,) = engine.session.get_inputs()
    size = given.shape[0] if isinstance(given.shape[0], int) and given.shape[0] > 0 else BATCH
    wanted: type[np.generic] = np.uint8 if given.type == "tensor(uint8)" else np.float32
    parts = [engine.run({input_: samples[i : i + size].astype(wanted, copy=False)}) for i in range(0, len(samples), size)]
    return {name: np.concatenate([part[name] for part in parts]) for name in engine.outputs}


def divergence(outputs: Arrays, expected: Mapping[str, NDArray[Any]]) -> float:
    """Return the mean over samples of sum p log(p / q), p the float model's classes, q the other's; both by the softmax of the logits."""
    ((name, logits),) = outputs.items()
    ours, theirs = _log_softmax(logits), _log_softmax(expected[name])
    each: Floats = np.sum(np.exp(theirs) * (theirs - ours), axis=-1)
    return float(each.mean())


def _log_softmax(logits: NDArray[Any]) -> Floats:
    wide = np.asarray(logits, np.float64)
    shifted = wide - wide.max(axis=-1, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))


def _flat(outputs: Arrays) -> NDArray[Any]:
    return np.concatenate([np.ravel(outputs[name]) for name in sorted(outputs)])


def _at(detections: list[Detections], places: list[int]) -> list[Detections]:
    return [detections[place] for place in places]


def _resampled(groups: int) -> NDArray[np.int64]:
    return np.random.default_rng(RESAMPLE_SEED).integers(groups, size=(RESAMPLES, groups))


def _between(drawn: list[float]) -> tuple[float, float]:
    low, high = np.quantile(np.array(drawn), [0.025, 0.975])
    return float(low), float(high)
