"""How far outputs are from those of the float model: in nats where they are a classifier's, else as noise against signal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import DType, Graph

from .quantize.errors import FORBIDDEN_NSR

KL, NSR = "kl", "nsr"

_FLOATS = (DType.F64, DType.F32, DType.F16)
_LEAST_PROBABILITY = 1e-12
"""Probabilities below this count as this, since float32 cannot tell them from 0."""
_SUM_TOLERANCE = 1e-3
_LOST = 1.0
"""Noise-to-signal ratio of an output whose shape is another than the float model's."""

Outputs = Mapping[str, NDArray[Any]]


def float_outputs(graph: Graph) -> tuple[str, ...]:
    """Return the outputs that are measured: plain tensors of floats, of those the graph makes."""
    names = dict.fromkeys(graph.outputs)
    return tuple(n for n in names if n in graph.producer and graph.types[n].dtype in _FLOATS and not graph.types[n].wraps)


def unit_of(graph: Graph, outputs: Sequence[str]) -> str:
    """Return `kl` where the only output is [samples, classes] or [samples, places, classes] with two classes or more, else `nsr`."""
    if len(outputs) != 1:
        return NSR
    shape = graph.types[outputs[0]].shape
    classes = shape[-1] if shape is not None and len(shape) in (2, 3) else None
    return KL if isinstance(classes, int) and classes >= 2 else NSR


@dataclass(frozen=True, slots=True)
class OutputChange:
    """Compares outputs in `unit`. `probabilities`: along their last axis they sum to 1 already."""

    unit: str
    probabilities: bool

    @staticmethod
    def of(unit: str, exact: Iterable[Outputs]) -> OutputChange:
        """Return the comparison that suits the float model's outputs on all runs."""
        return OutputChange(unit, unit == KL and all(_sums_to_one(array) for outputs in exact for array in outputs.values()))

    def parts(self, exact: Outputs, changed: Outputs) -> NDArray[np.float64]:
        """Return what runs add up to: f64[outputs, 2], nats and rows, or noise and signal. Outputs that are missing are as they were."""
        one = self._nats if self.unit == KL else _noise
        return np.array([one(array, changed[name]) if name in changed else one(array, array) for name, array in exact.items()])

    def total(self, parts: NDArray[np.float64]) -> float:
        """Return the change of all runs from the sum of their parts: nats a row, or the mean ratio of the outputs."""
        ratios = [_ratio(float(above), float(below)) for above, below in parts]
        return float(np.mean(ratios))

    def _nats(self, exact: NDArray[Any], changed: NDArray[Any]) -> tuple[float, float]:
        """Return sum over rows of sum p log(p / q), and the number of rows."""
        p, q = self._log_probabilities(exact), self._log_probabilities(changed)
        share = np.exp(p)
        nats = np.sum(np.multiply(share, p - q, out=np.zeros_like(p), where=share > 0), axis=-1)
        return float(np.maximum(nats, 0.0).sum()), float(nats.size)

    def _log_probabilities(self, array: NDArray[Any]) -> NDArray[np.float64]:
        values = array.astype(np.float64)
        if self.probabilities:
            values = np.maximum(values, _LEAST_PROBABILITY)
            return np.log(values / values.sum(axis=-1, keepdims=True))
        values -= values.max(axis=-1, keepdims=True)
        return values - np.log(np.exp(values).sum(axis=-1, keepdims=True))


def _noise(exact: NDArray[Any], changed: NDArray[Any]) -> tuple[float, float]:
    """Return the noise's and the signal's power over all elements that are finite in the float model."""
    finite = np.isfinite(exact)
    signal = exact[finite].astype(np.float64)
    power = float(signal @ signal)
    if changed.shape != exact.shape:
        return _LOST * power, power
    noise = changed[finite].astype(np.float64) - signal
    return float(noise @ noise), power


def _ratio(above: float, below: float) -> float:
    """Return a ratio, at most `FORBIDDEN_NSR`, which it also is where it is no number."""
    if above == 0.0:
        return 0.0
    ratio = above / below if below else FORBIDDEN_NSR
    return min(FORBIDDEN_NSR, ratio)


def _sums_to_one(array: NDArray[Any]) -> bool:
    sums = array.astype(np.float64).sum(axis=-1)
    return bool((array >= 0).all() and (np.abs(sums - 1.0) < _SUM_TOLERANCE).all())
