"""Data files for `--calib` and `--eval`: `.npz` (arrays named as the model's inputs, and `labels`), `.npy` for models with one input.

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

from autosplitc.ir import CompileError, Diagnostic, DType, Graph, TensorType, did_you_mean, numpy_dtype
from autosplitc.passes import is_stacked, rows_a_run

from .npy_stream import StoredArray, stored_arrays

LABELS = "labels"
"""Key of the class labels in an `.npz`, unless the model has an input of that name."""
BATCH_RUNS = 16
BATCH_BYTES = 32 << 20
"""A batch holds at most so many runs of the model, and so many bytes unless one run alone takes more."""

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
            if self.type.dtype is DType.STRING:
                yield chunk.astype(np.str_).astype(np.object_)
            else:
                yield chunk.astype(numpy_dtype(self.type.dtype), copy=False)


@dataclass(frozen=True, slots=True)
class NpzData:
    """Samples in a file, streamed: the passes' `Data`. `samples` counts rows; every iteration reads the file again."""

    arrays: tuple[InputArray, ...]
    samples: int
    sha256: str
    class_labels: NDArray[np.int64] | None = field(default=None, compare=False)

    def batches(self) -> Iterator[Mapping[str, NDArray[Any]]]:
        """Yield arrays by graph input, samples first, in the inputs' element types; every batch holds whole runs of the model."""
        largest = max(1, sum(a.run_bytes for a in self.arrays))
        runs = min(BATCH_RUNS, max(1, BATCH_BYTES // largest))
        with ExitStack() as stack:
            streams = [stack.enter_context(closing(a.chunks(runs * a.rows))) for a in self.arrays]
            for chunks in zip(*streams, strict=True):
                yield {a.name: chunk for a, chunk in zip(self.arrays, chunks, strict=True)}

    def labels(self) -> NDArray[np.int64] | None:
        """Class labels i64[samples], or None where the file has none."""
        return self.class_labels


def load_data(path_text: str, graph: Graph, *, labels: bool) -> NpzData:
    """Open a data file for the inputs of `graph`; with `labels` the class labels in it are read too (None where there are none).

    Numbers are cast only where every value survives (u8 to f32, say). Raises CompileError: AS310 no such file, AS311 not a data file, or
    damaged, AS312 pickled, AS313 an input has no array, AS314 an array is no input, AS315 wrong shape, AS316 wrong element type, AS317 no
    samples, AS318 numbers of samples differ, AS319 NaN or infinity, AS321 bad labels.
    """
    path = Path(path_text)
    stored = {a.name: a for a in stored_arrays(path)}
    given_labels = stored.pop(LABELS, None) if LABELS not in graph.input else None
    arrays = _inputs(path, stored, graph)
    _stop(_count_problems(path, arrays))
    samples = arrays[0].runs * max(a.rows for a in arrays) if arrays else 0
    found = _labels(given_labels, samples, graph) if labels and given_labels is not None else None
    _stop([problem for a in arrays for problem in _not_finite(a)])
    return NpzData(arrays, samples, _file_sha256(path), found)


def _stop(problems: Sequence[Diagnostic]) -> None:
    if problems:
        raise CompileError(problems)


def _inputs(path: Path, stored: Mapping[str, StoredArray], graph: Graph) -> tuple[InputArray, ...]:
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
        problem = _wrong_type(array, value.name, value.type) or _wrong_shape(array, value.name, value.type)
        if problem is None:
            arrays.append(InputArray(value.name, value.type, array, rows_a_run(value.type, len(array.shape))))
        else:
            problems.append(problem)
    if not problems:
        known = (*graph.input, LABELS)
        problems = [Diagnostic("AS314", "the model has no such input", by_input[n].where, hint=did_you_mean(n, known)) for n in strangers]
    _stop(problems)
    return tuple(arrays)


def _missing(path: Path, name: str, strangers: Sequence[str]) -> Diagnostic:
    notes = (f"the file holds {', '.join(strangers)}",) if strangers else ()
    near = difflib.get_close_matches(name, strangers, n=1) or (strangers if len(strangers) == 1 else ())
    array = near[0] if near else "array"
    given = f"{name}={array}" if name.isidentifier() else f'**{{"{name}": {array}}}'
    return Diagnostic("AS313", f'there is no array for input "{name}"', path.name, notes, f'np.savez("{path.name}", {given})')


def _wrong_type(array: StoredArray, name: str, type_: TensorType) -> Diagnostic | None:
    takes = f'input "{name}" takes {type_}'
    if type_.wraps:
        return Diagnostic("AS316", "data files hold plain tensors only", array.where, (takes,))
    if type_.dtype is DType.STRING:
        fits, hint = array.dtype.kind in "US", "array.astype(str)"
    else:
        try:
            wanted = numpy_dtype(type_.dtype)
        except ValueError:
            return Diagnostic("AS316", f"data files cannot hold {type_.dtype}", array.where, (takes,))
        fits, hint = np.can_cast(array.dtype, wanted, "safe"), f"array.astype(np.{wanted.name})"
    if fits:
        return None
    return Diagnostic("AS316", f"elements are {array.dtype}, which {type_.dtype} does not hold without loss", array.where, (takes,), hint)


def _wrong_shape(array: StoredArray, name: str, type_: TensorType) -> Diagnostic | None:
    shape = array.shape
    if _fits(shape, type_):
        return None
    takes = f'input "{name}" takes {type_}, and the samples come first'
    message = f"the shape is {list(shape)}"
    if len(shape) == 4 and _fits((shape[0], shape[3], *shape[1:3]), type_):
        return Diagnostic("AS315", message, array.where, (takes,), "array.transpose(0, 3, 1, 2)")
    rows = rows_a_run(type_, len(shape))
    if rows > 1 and shape[0] % rows and _fits((rows, *shape[1:]), type_):
        note = f"the model runs on {rows} samples at a time"
        return Diagnostic("AS315", f"{shape[0]} samples make no whole runs", array.where, (note,), f"array[:{shape[0] // rows * rows}]")
    if type_.shape is not None and _fits((1, *shape), type_):
        return Diagnostic("AS315", message, array.where, (takes,), "array[np.newaxis]")
    return Diagnostic("AS315", message, array.where, (takes,))


def _fits(shape: tuple[int, ...], type_: TensorType) -> bool:
    """Whether an array holds samples for an input of this type, stacked or joined along the first axis."""
    if not shape:
        return False
    if type_.shape is None:
        return True
    if is_stacked(type_, len(shape)):
        sizes = zip(shape[1:], type_.shape, strict=True)
    elif len(shape) == len(type_.shape):
        if shape[0] % rows_a_run(type_, len(shape)):
            return False
        sizes = zip(shape[1:], type_.shape[1:], strict=True)
    else:
        return False
    return all(not isinstance(known, int) or size == known for size, known in sizes)


def _count_problems(path: Path, arrays: tuple[InputArray, ...]) -> list[Diagnostic]:
    if any(a.runs == 0 for a in arrays) or not arrays:
        return [Diagnostic("AS317", "there are no samples", next((a.stored.where for a in arrays if a.runs == 0), path.name))]
    if len({a.runs for a in arrays}) > 1:
        counts = tuple(f'"{a.name}" has {a.runs}' for a in arrays)
        return [Diagnostic("AS318", "the inputs have different numbers of samples", path.name, counts)]
    return []


def _labels(stored: StoredArray, samples: int, graph: Graph) -> NDArray[np.int64]:
    """Return the labels as i64[samples]. Raises CompileError AS321."""
    hint = 'np.savez("data.npz", ..., labels=classes.astype(np.int64))  # one class index a sample'
    if stored.dtype.kind not in "iu":
        raise CompileError(Diagnostic("AS321", f"labels are {stored.dtype}, not class indices", stored.where, hint=hint))
    if stored.shape != (samples,):
        message = f"the labels' shape is {list(stored.shape)}, and there are {samples} samples"
        raise CompileError(Diagnostic("AS321", message, stored.where, hint=hint))
    labels = stored.read().astype(np.int64)
    classes = _classes(graph)
    outside = np.flatnonzero((labels < 0) | (labels >= classes) if classes is not None else labels < 0)
    if outside.size:
        known = f"the model's classes are 0 .. {classes - 1}" if classes is not None else "class indices start at 0"
        message = f"the label of sample {outside[0]} is {labels[outside[0]]}"
        raise CompileError(Diagnostic("AS321", message, stored.where, (known,), hint))
    return labels


def _classes(graph: Graph) -> int | None:
    """Size of the last axis of the model's only output where that is a score a class."""
    shape = graph.type_of(graph.outputs[0]).shape if len(graph.outputs) == 1 else None
    last = shape[-1] if shape is not None and len(shape) == 2 else None
    return last if isinstance(last, int) else None


def _not_finite(array: InputArray) -> Iterator[Diagnostic]:
    """Yield a diagnostic for the first sample with a NaN or an infinity."""
    if array.stored.dtype.kind not in "fc":
        return
    start = 0
    for chunk in array.stored.chunks(max(1, BATCH_BYTES // max(1, array.run_bytes)) * array.rows):
        bad = np.flatnonzero(~np.isfinite(chunk).reshape(len(chunk), -1).all(axis=1))
        if bad.size:
            hint = "array = array[np.isfinite(array).reshape(len(array), -1).all(axis=1)]"
            yield Diagnostic("AS319", f"sample {start + bad[0]} holds NaN or infinity", array.stored.where, hint=hint)
            return
        start += len(chunk)


def _file_sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_HASH_CHUNK_BYTES):
            digest.update(block)
    return digest.hexdigest()
