"""What a graph is fed with: samples of data, one run at a time, or seeded noise.

A run is one execution at the least batch that the graph takes: one sample where the batch is symbolic or 1, else as many as the input's
first size says. Runs, not batches of data, go into an engine, so that no result depends on how the data was batched.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import DType, Graph, TensorType, at_batch_one, numpy_dtype

from .from_bytes import pictures_of

Feed: TypeAlias = Mapping[str, NDArray[Any]]
"""Arrays by graph input, as an engine takes them."""

NOISE_FILLS = (1, 0)
"""What integer and boolean inputs hold in noise feeds: ones suit sizes, zeros suit indices. Callers try them in this order."""


def rows_a_run(type_: TensorType, ndim: int) -> int:
    """Rows (first axis) of a data array with `ndim` axes that one run takes.

    An array with one axis more than the input holds a whole input in every row, and one row makes a run.
    """
    if type_.shape is None or ndim != len(type_.shape) or not type_.shape:
        return 1
    first = type_.shape[0]
    return first if isinstance(first, int) and first > 0 else 1


def is_stacked(type_: TensorType, ndim: int) -> bool:
    """Whether a data array with `ndim` axes has an axis for the samples on top of the input's own."""
    return type_.shape is not None and ndim == len(type_.shape) + 1


def feeds_of(graph: Graph, batches: Iterable[Mapping[str, NDArray[Any]]]) -> Iterator[Feed]:
    """Yield what each run is fed with, from batches whose arrays have samples first. Raises ValueError where a batch ends in mid-run."""
    for batch in batches:
        rows = {name: rows_a_run(graph.input[name].type, array.ndim) for name, array in batch.items()}
        runs = {len(array) / rows[name] for name, array in batch.items()}
        if len(runs) != 1 or not next(iter(runs)).is_integer():
            raise ValueError(f"a batch must hold whole runs of every input, not {runs}")
        for run in range(int(next(iter(runs)))):
            yield {
                name: array[run] if is_stacked(graph.input[name].type, array.ndim) else array[run * rows[name] : (run + 1) * rows[name]]
                for name, array in batch.items()
            }


def noise_feeds(graph: Graph, seed: int, runs: int, fill: int) -> Iterator[Feed]:
    """Yield `runs` feeds at batch size 1: normal noise N(0, 1) for float inputs, `fill` everywhere else (strings are empty).

    A picture's bytes, which the graph scales, are any byte alike. Sizes that are not known are 1. The same seed gives the same feeds.
    """
    generator = np.random.default_rng(seed)
    pictures = pictures_of(graph)
    for _ in range(runs):
        yield {v.name: _bytes(v.type, generator) if v.name in pictures else _noise(v.type, generator, fill) for v in graph.inputs}


def _bytes(type_: TensorType, generator: np.random.Generator) -> NDArray[np.uint8]:
    return generator.integers(0, 256, _sizes(type_), np.uint8)


def _sizes(type_: TensorType) -> tuple[int, ...]:
    return tuple(d if isinstance(d, int) else 1 for d in at_batch_one(type_).shape or ())


def _noise(type_: TensorType, generator: np.random.Generator, fill: int) -> NDArray[Any]:
    shape = _sizes(type_)
    if type_.dtype is DType.STRING:
        return np.full(shape, "", object)
    if type_.dtype.is_float:
        return np.asarray(generator.standard_normal(shape), numpy_dtype(type_.dtype))
    return np.full(shape, fill, numpy_dtype(type_.dtype))
