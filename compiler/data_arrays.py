"""Data files: `.npz` (arrays named as the model's inputs, and `labels`), `.npy` for models with one input.

Files are streamed: memory holds one batch, whatever the file's size. What can be wrong with a file is found when it is opened, which reads
it once for its digest and once for values that are not finite.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import CompileError, Diagnostic, Graph, TensorType, did_you_mean
from autosplitc.passes import rows_a_run

from .data_checks import (
    BATCH_BYTES,
    LABELS,
    Labels,
    class_labels,
    first_not_finite,
    in_type,
    label_problem,
    runs_a_batch,
    stop,
    wrong_shape,
    wrong_type,
)
from .npy_stream import StoredArray, stored_arrays
from .preprocess import Preprocess

_HASH_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class InputArray:
    """A stored array for a graph input: the input's name and type, and how many rows of the array one run of the model takes."""

    name: str
    type: TensorType
    stored: StoredArray
    rows: int

    @property
    def runs(self) -> int:
        """How many runs the array is enough for."""
        return self.stored.shape[0] // self.rows

    @property
    def run_bytes(self) -> int:
        """Bytes of one run in the input's element type."""
        count = int(np.prod(self.stored.shape[1:], dtype=np.int64)) * self.rows
        return count * max(1, self.type.dtype.bits // 8)

    def chunks(self, rows: int) -> Generator[NDArray[Any]]:
        """Yield the array in the input's element type."""
        for chunk in self.stored.chunks(rows):
            yield in_type(chunk, self.type)


@dataclass(frozen=True, slots=True)
class NpzData:
    """Samples in a file, streamed: the passes' `Data`. `samples` counts rows; every iteration reads the file again."""

    arrays: tuple[InputArray, ...]
    samples: int
    sha256: str
    given_labels: NDArray[Any] | None = field(default=None, compare=False)

    def batches(self) -> Iterator[Mapping[str, NDArray[Any]]]:
        """Yield arrays by graph input, samples first, in the inputs' element types; every batch holds whole runs of the model."""
        runs = runs_a_batch(sum(a.run_bytes for a in self.arrays))
        with ExitStack() as stack:
            streams = [stack.enter_context(closing(a.chunks(runs * a.rows))) for a in self.arrays]
            for chunks in zip(*streams, strict=True):
                yield {a.name: chunk for a, chunk in zip(self.arrays, chunks, strict=True)}

    def labels(self) -> NDArray[Any] | None:
        """Labels [samples, ...], i64[samples] of classes, or None where the file has none."""
        return self.given_labels


def load_file(path_text: str, graph: Graph, labels: Labels, pixels: Preprocess | None) -> NpzData:
    """Open a data file for the inputs of `graph`. Raises CompileError (AS310 to AS321) as `load_data` does."""
    path = Path(path_text)
    stored = {a.name: a for a in stored_arrays(path)}
    given_labels = stored.pop(LABELS, None) if LABELS not in graph.input else None
    arrays = _inputs(path, stored, graph, pixels)
    stop(_count_problems(path, arrays))
    samples = arrays[0].runs * max(a.rows for a in arrays) if arrays else 0
    found = _labels(given_labels, samples, graph, labels) if labels != "none" and given_labels is not None else None
    stop([problem for a in arrays for problem in _not_finite(a)])
    return NpzData(arrays, samples, _file_sha256(path), found)


def _inputs(path: Path, stored: Mapping[str, StoredArray], graph: Graph, pixels: Preprocess | None) -> tuple[InputArray, ...]:
    """Match arrays with graph inputs, in the order of the inputs; all that does not fit is reported at once."""
    if "" in stored and len(graph.inputs) != 1:
        names = ", ".join(f"{v.name}=..." for v in graph.inputs)
        message = f"an .npy file holds one array, and the model has {len(graph.inputs)} inputs"
        raise CompileError(Diagnostic("AS313", message, path.name, hint=f'np.savez("data.npz", {names})'))
    by_input = {graph.inputs[0].name: stored[""]} if "" in stored else stored
    problems: list[Diagnostic] = []
    arrays: list[InputArray] = []
    strangers = [name for name in by_input if name not in graph.input]
    for value in graph.inputs:
        if value.name not in by_input:
            problems.append(_missing(path, value.name, strangers))
            continue
        array = by_input[value.name]
        problem = wrong_type(array, value.name, value.type, pixels) or wrong_shape(array, value.name, value.type)
        if problem is None:
            arrays.append(InputArray(value.name, value.type, array, rows_a_run(value.type, len(array.shape))))
        else:
            problems.append(problem)
    if not problems:
        known = (*graph.input, LABELS)
        problems = [Diagnostic("AS314", "the model has no such input", by_input[n].where, hint=did_you_mean(n, known)) for n in strangers]
    stop(problems)
    return tuple(arrays)


def _missing(path: Path, name: str, strangers: Sequence[str]) -> Diagnostic:
    notes = (f"the file holds {', '.join(strangers)}",) if strangers else ()
    near = difflib.get_close_matches(name, strangers, n=1) or (strangers if len(strangers) == 1 else ())
    array = near[0] if near else "array"
    given = f"{name}={array}" if name.isidentifier() else f'**{{"{name}": {array}}}'
    return Diagnostic("AS313", f'there is no array for input "{name}"', path.name, notes, f'np.savez("{path.name}", {given})')


def _count_problems(path: Path, arrays: tuple[InputArray, ...]) -> list[Diagnostic]:
    if any(a.runs == 0 for a in arrays) or not arrays:
        return [Diagnostic("AS317", "there are no samples", next((a.stored.where for a in arrays if a.runs == 0), path.name))]
    if len({a.runs for a in arrays}) > 1:
        counts = tuple(f'"{a.name}" has {a.runs}' for a in arrays)
        return [Diagnostic("AS318", "the inputs have different numbers of samples", path.name, counts)]
    return []


def _labels(stored: StoredArray, samples: int, graph: Graph, kind: Labels) -> NDArray[Any]:
    """Return the labels, class indices as i64[samples]. Raises CompileError AS321."""
    problem = label_problem(stored, samples, kind)
    if problem is not None:
        raise CompileError(problem)
    return class_labels(stored.read(), graph, stored.where) if kind == "classes" else stored.read()


def _not_finite(array: InputArray) -> Iterator[Diagnostic]:
    """Yield a diagnostic for the first sample with a NaN or an infinity."""
    start = 0
    rows = max(1, BATCH_BYTES // max(1, array.run_bytes)) * array.rows
    for chunk in array.stored.chunks(rows) if array.stored.dtype.kind in "fc" else ():
        bad = first_not_finite(chunk)
        if bad is not None:
            hint = "array = array[np.isfinite(array).reshape(len(array), -1).all(axis=1)]"
            yield Diagnostic("AS319", f"sample {start + bad} holds NaN or infinity", array.stored.where, hint=hint)
            return
        start += len(chunk)


def _file_sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_HASH_CHUNK_BYTES):
            digest.update(block)
    return digest.hexdigest()
