"""Samples that a function yields: `package.module:function`.

It is called anew for every pass over the data. The first pass counts and digests what it yields; a later one that differs is told. Its
batches are cut anew, so how it cuts them changes nothing.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import CompileError, Diagnostic, Graph, did_you_mean
from autosplitc.passes import rows_a_run

from .data_checks import (
    Labels,
    class_labels,
    first_not_finite,
    fits_rows,
    in_type,
    label_problem,
    runs_a_batch,
    stop,
    wrong_shape,
    wrong_type,
)
from .functions import fault_of
from .functions import load_function as imported
from .preprocess import Preprocess

Batch: TypeAlias = dict[str, NDArray[Any]]

_YIELDS = "yield {input: array [n, ...]}, an array, or (one of these, labels)"


@dataclass(frozen=True, slots=True)
class _Array:
    """An array as the function gives it."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    where: str


@dataclass(frozen=True, slots=True)
class FunctionData:
    """Samples that a function yields: the passes' `Data`. marks: a digest of every batch of the first pass."""

    reader: _Reader
    samples: int
    sha256: str
    marks: tuple[bytes, ...]
    given_labels: NDArray[Any] | None = field(default=None, compare=False)

    def batches(self) -> Iterator[Mapping[str, NDArray[Any]]]:
        """Yield arrays by graph input, samples first. Raises CompileError (AS336) where the function yields other samples than at first."""
        count = 0
        for batch in self.reader.batches(None):
            if count >= len(self.marks) or _mark(batch) != self.marks[count]:
                raise self._differs(count)
            count += 1
            yield batch
        if count != len(self.marks):
            raise self._differs(count)

    def labels(self) -> NDArray[Any] | None:
        """Labels [samples, ...], i64[samples] of classes, or None where the function yields none."""
        return self.given_labels

    def _differs(self, batch: int) -> CompileError:
        message = "the function yields other samples than when it was first called"
        notes = (f"they differ from batch {batch} on, {len(self.marks)} batches being all",)
        hint = "seed its random numbers, and start from the beginning at every call"
        return CompileError(Diagnostic("AS336", message, self.reader.text, notes, hint))


def load_function(text: str, graph: Graph, labels: Labels, pixels: Preprocess | None, split: str) -> FunctionData:
    """Import a function and take a first pass over what it yields. Raises CompileError as `load_data` does."""
    reader = _Reader(text, imported(text, text), graph, pixels, split)
    given: list[NDArray[Any]] = []
    digests = {value.name: hashlib.sha256() for value in graph.inputs}
    marks: list[bytes] = []
    rows: dict[str, int] = {}
    for batch in reader.batches(given if labels != "none" else None):
        marks.append(_mark(batch))
        for name, array in batch.items():
            if name not in rows:
                digests[name].update(f"{name} {array.dtype} {array.shape[1:]}".encode())
            digests[name].update(_bytes(array))
            rows[name] = rows.get(name, 0) + len(array)
    if not marks:
        raise CompileError(Diagnostic("AS317", "there are no samples", text, hint=_YIELDS))
    samples = max(rows.values())
    found = _labels(given, samples, reader, labels) if given else None
    whole = hashlib.sha256(b"".join(d.digest() for d in digests.values()))
    whole.update(_bytes(found) if found is not None else b"")
    return FunctionData(reader, samples, whole.hexdigest(), tuple(marks), found)


@dataclass(frozen=True)
class _Reader:
    """Calls a function and reads what it yields. text: names it in diagnostics."""

    text: str
    function: Callable[..., object]
    graph: Graph
    pixels: Preprocess | None
    split: str

    def batches(self, labels: list[NDArray[Any]] | None) -> Iterator[Batch]:
        """Yield batches of whole runs, all but the last of one size; labels go to `labels`. Raises CompileError."""
        held: dict[str, list[NDArray[Any]]] = {value.name: [] for value in self.graph.inputs}
        rows: dict[str, int] = {}
        for given in self._given(labels):
            rows = rows or {name: rows_a_run(self.graph.input[name].type, array.ndim) for name, array in given.items()}
            runs = runs_a_batch(sum(array[:1].nbytes * rows[name] for name, array in given.items()))
            for name, array in given.items():
                held[name].append(array)
            while all(sum(map(len, held[name])) >= runs * rows[name] for name in held):
                yield {name: _taken(held[name], runs * rows[name]) for name in held}
        left = {name: sum(map(len, arrays)) for name, arrays in held.items()}
        if not rows or not any(left.values()):
            return
        runs = {name: left[name] / rows[name] for name in left}
        if len(set(runs.values())) > 1 or not next(iter(runs.values())).is_integer():
            notes = tuple(f'"{name}" has {count} left, of {rows[name]} a run' for name, count in left.items())
            raise CompileError(Diagnostic("AS318", "the samples make no whole runs of all inputs", self.text, notes))
        yield {name: _taken(held[name], left[name]) for name in held}

    def _given(self, labels: list[NDArray[Any]] | None) -> Iterator[Batch]:
        """Yield the function's own batches, checked and in the inputs' element types."""
        start, labelled, shapes = 0, 0, dict[str, tuple[int, ...]]()
        for index, item in enumerate(self._called()):
            where = f"{self.text}: batch {index}"
            arrays, classes = self._parts(item, where)
            stop(self._problems(arrays, shapes, where))
            shapes = {name: array.shape[1:] for name, array in arrays.items()}
            for name, array in arrays.items():
                bad = first_not_finite(array)
                if bad is not None:
                    raise CompileError(Diagnostic("AS319", f"sample {start + bad} holds NaN or infinity", f'{where}: array "{name}"'))
            count = max(map(len, arrays.values()))
            if labels is not None and classes is not None:
                if len(classes) != count:
                    message = f"the batch has {len(classes)} labels, and {count} samples"
                    raise CompileError(Diagnostic("AS321", message, where, hint="one label a sample"))
                labels.append(classes)
            labelled += classes is not None
            if labels is not None and labelled not in (0, index + 1):
                raise CompileError(Diagnostic("AS321", "some batches have labels, and some have none", where, hint="label all or none"))
            start += count
            yield {name: in_type(array, self.graph.input[name].type) for name, array in arrays.items()}

    def _called(self) -> Iterator[object]:
        """Yield what the function yields. Raises CompileError: AS334 where it fails, AS335 where it returns nothing to iterate over."""
        with _telling(self.text):
            takes = inspect.signature(self.function).parameters
            named = "split" in takes or any(p.kind is inspect.Parameter.VAR_KEYWORD for p in takes.values())
            given = self.function(split=self.split) if named else self.function()
        if not isinstance(given, Iterable) or isinstance(given, np.ndarray | Mapping | tuple | str):
            message = f"the function returns {_kind(cast('object', given))}, not batches one after the other"
            raise CompileError(Diagnostic("AS335", message, self.text, hint=_YIELDS))
        iterator = iter(cast("Iterable[object]", given))
        while True:
            with _telling(self.text):
                item = next(iterator, _END)
            if item is _END:
                return
            yield item

    def _parts(self, item: object, where: str) -> tuple[Batch, NDArray[Any] | None]:
        """Return the arrays by input, and the labels. Raises CompileError (AS335, AS313, AS314)."""
        classes: NDArray[Any] | None = None
        if isinstance(item, tuple):
            pair = cast("tuple[object, ...]", item)
            if len(pair) != 2:
                raise CompileError(Diagnostic("AS335", f"a tuple of {len(pair)} is no batch", where, hint=_YIELDS))
            item = pair[0]
            classes = np.asarray(pair[1]) if pair[1] is not None else None
            if classes is not None and classes.ndim == 0:
                raise CompileError(Diagnostic("AS321", "the labels are a single number", where, hint="one label a sample"))
        if isinstance(item, np.ndarray) and len(self.graph.inputs) == 1:
            item = {self.graph.inputs[0].name: cast("NDArray[Any]", item)}
        names = ", ".join(f'"{v.name}": array' for v in self.graph.inputs)
        if not isinstance(item, Mapping):
            raise CompileError(Diagnostic("AS335", f"{_kind(cast('object', item))} is no batch", where, hint=f"yield {{{names}}}"))
        given = cast("Mapping[object, object]", item)
        arrays = {str(name): np.asarray(array) for name, array in given.items()}
        inputs = self.graph.input
        hint = f"yield {{{names}}}"
        stop([Diagnostic("AS313", f'there is no array for input "{name}"', where, hint=hint) for name in inputs if name not in arrays])
        strange = [name for name in arrays if name not in inputs]
        hints = {name: did_you_mean(name, inputs) for name in strange}
        stop([Diagnostic("AS314", "the model has no such input", f'{where}: array "{name}"', hint=hints[name]) for name in strange])
        return {v.name: arrays[v.name] for v in self.graph.inputs}, classes

    def _problems(self, arrays: Batch, shapes: Mapping[str, tuple[int, ...]], where: str) -> list[Diagnostic]:
        found: list[Diagnostic] = []
        for name, array in arrays.items():
            type_ = self.graph.input[name].type
            given = _Array(array.dtype, array.shape, f'{where}: array "{name}"')
            problem = wrong_type(given, name, type_, self.pixels)
            if problem is None and not (array.ndim and fits_rows(array.shape, type_)):
                problem = wrong_shape(given, name, type_)
            if problem is None and array.shape[1:] != shapes.get(name, array.shape[1:]):
                problem = Diagnostic("AS315", f"samples of {list(array.shape[1:])} follow ones of {list(shapes[name])}", given.where)
            if problem is not None:
                found.append(problem)
        return found


_END = object()


def _labels(given: list[NDArray[Any]], samples: int, reader: _Reader, kind: Labels) -> NDArray[Any]:
    shapes = {array.shape[1:] for array in given}
    if len(shapes) > 1:
        raise CompileError(Diagnostic("AS321", "the labels differ in shape from batch to batch", reader.text))
    labels = np.concatenate(given)
    hint = "one class index a sample, as integers"
    problem = label_problem(_Array(labels.dtype, labels.shape, reader.text), samples, kind, hint)
    if problem is not None:
        raise CompileError(problem)
    return class_labels(labels, reader.graph, reader.text, hint) if kind == "classes" else labels


def _taken(arrays: list[NDArray[Any]], rows: int) -> NDArray[Any]:
    """Take rows from the front of a list of arrays."""
    taken: list[NDArray[Any]] = []
    while rows:
        first = arrays.pop(0)
        taken.append(first[:rows])
        if len(first) > rows:
            arrays.insert(0, first[rows:])
        rows -= len(taken[-1])
    return np.concatenate(taken) if len(taken) != 1 else taken[0]


def _mark(batch: Batch) -> bytes:
    digest = hashlib.blake2b(digest_size=8)
    for name, array in batch.items():
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(_bytes(array))
    return digest.digest()


def _bytes(array: NDArray[Any]) -> bytes:
    return repr(array.tolist()).encode() if array.dtype.kind == "O" else np.ascontiguousarray(array).tobytes()


def _kind(value: object) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"


@contextmanager
def _telling(text: str) -> Generator[None]:
    """Turn what a user's function raises into a diagnostic (AS334)."""
    try:
        yield
    except (Exception, SystemExit) as error:
        raise CompileError(Diagnostic("AS334", "the function fails", text, (fault_of(error),))) from None
