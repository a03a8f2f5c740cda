"""How well scores of weights rank what quantising them does to the network's outputs on samples that no score has seen."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from autosplitc.data import load_data
from autosplitc.ir import Module
from autosplitc.passes import Data, Env, Request, Sensitivity, TensorError
from autosplitc.passes.measure_sensitivity import MeasureSensitivity
from autosplitc.preprocess import parse_preprocess
from autosplitc.zoo import ZooData, data

from .accuracy_ours import MIXED_BITS, run_passes
from .ranks import spearman
from .table import table

MODELS = ("fashion", "mobilenet-v2", "plates")
TRUTH_SAMPLES = 64

SCORES: tuple[tuple[str, str, Callable[[TensorError, int], float]], ...] = (
    ("weight MSE", "mse", lambda error, bits: error.mse[bits - 1]),
    ("noise of the layer", "sqnr", lambda error, bits: error.nsr[bits - 1]),
    ("output", "output", lambda error, bits: error.output[bits - 1]),
)
"""What a score is called, the `--sensitivity` that measures it, and where it stands."""


@dataclass(frozen=True)
class Ranking:
    """Rank correlation of a score with the change of the outputs: over all widths together, and within each of `MIXED_BITS`."""

    model: str
    score: str
    pooled: float
    within: tuple[float, ...]
    items: int
    seconds: float


def rankings(name: str, effort: str) -> list[Ranking]:
    """Return how each score of a model's weights does: scores from the samples for calibration, the change from those for evaluation."""
    samples = data(name)
    module, env = run_passes(samples, name, "simplify,calibrate,round-weights", effort, "")
    truth = _measured(module, replace(env, calib=_unseen(module, samples)), "output", TRUTH_SAMPLES)[0]
    found: list[Ranking] = []
    for score, measure, of in SCORES:
        errors, seconds = _measured(module, env, measure, 32)
        pairs = [[(of(errors[const], bits), truth[const].output[bits - 1]) for const in truth] for bits in MIXED_BITS]
        within = tuple(_correlation(at_width) for at_width in pairs)
        everything = [pair for at_width in pairs for pair in at_width]
        found.append(Ranking(name, score, _correlation(everything), within, len(truth), seconds))
    return found


def printed(found: Sequence[Ranking]) -> str:
    """Return a table of rankings."""
    heading = ("model", "score", "weights", "pooled", "within, median", *(f"{bits} bits" for bits in MIXED_BITS), "s")
    cells: list[tuple[str, ...]] = []
    for row in found:
        figures = (row.pooled, statistics.median(row.within), *row.within)
        cells.append((row.model, row.score, str(row.items), *(f"{figure:.2f}" for figure in figures), f"{row.seconds:.1f}"))
    return table(heading, cells)


def _unseen(module: Module, samples: ZooData) -> Data:
    pixels = parse_preprocess(module.fact(Request).preprocess)
    return load_data(str(samples.evaluation), module.main, labels="none", preprocess=pixels, split="eval")


def _measured(module: Module, env: Env, measure: str, samples: int) -> tuple[dict[str, TensorError], float]:
    """Return the errors of the weights by constant, and the seconds that they took."""
    asked = module.with_fact(replace(module.fact(Request), sensitivity=measure))
    started_s = time.perf_counter()
    errors = MeasureSensitivity(samples=samples).apply(asked, env).fact(Sensitivity).weights
    return {error.tensor: error for error in errors}, time.perf_counter() - started_s


def _correlation(pairs: Sequence[tuple[float, float]]) -> float:
    return spearman([score for score, _ in pairs], [change for _, change in pairs])
