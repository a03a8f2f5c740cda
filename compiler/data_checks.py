"""What is checked of samples wherever they come from: element types, shapes, labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import CompileError, Diagnostic, DType, Graph, TensorType, numpy_dtype
from autosplitc.passes import is_stacked, rows_a_run

from .preprocess import Preprocess

Labels: TypeAlias = Literal["none", "classes", "any"]
"""Labels that are read: none; class indices i64[samples]; or numbers of any shape [samples, ...], for a metric of the user's own."""

LABELS = "labels"
"""Key of the labels, unless the model has an input of that name."""
BATCH_RUNS = 16
BATCH_BYTES = 32 << 20
"""A batch holds at most so many runs of the model, and so many bytes unless one run alone takes more."""


class Given(Protocol):
    """An array as it is given; `where` is its location for diagnostics."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Element type."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape, samples first."""
        ...

    @property
    def where(self) -> str:
        """Location."""
        ...


def stop(problems: Sequence[Diagnostic]) -> None:
    """Raise CompileError with the problems, if there are any."""
    if problems:
        raise CompileError(problems)


def runs_a_batch(run_bytes: int) -> int:
    """Return how many runs of so many bytes make a batch."""
    return min(BATCH_RUNS, max(1, BATCH_BYTES // max(1, run_bytes)))


def in_type(array: NDArray[Any], type_: TensorType) -> NDArray[Any]:
    """Return an array in an input's element type."""
    if type_.dtype is DType.STRING:
        return array.astype(np.str_).astype(np.object_)
    return array.astype(numpy_dtype(type_.dtype), copy=False)


def wrong_type(array: Given, name: str, type_: TensorType, pixels: Preprocess | None) -> Diagnostic | None:
    """Return what is wrong with the element type (AS316), None where every value survives the cast to the input's."""
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
    if pixels is not None and pixels.input == name:
        message = f"elements are {array.dtype}, and with --preprocess the input takes bytes"
        hint = "give the pictures as they are decoded, uint8 0..255; of normalised data: --preprocess none"
        return Diagnostic("AS316", message, array.where, (takes,), hint)
    return Diagnostic("AS316", f"elements are {array.dtype}, which {type_.dtype} does not hold without loss", array.where, (takes,), hint)


def wrong_shape(array: Given, name: str, type_: TensorType) -> Diagnostic | None:
    """Return what is wrong with the shape (AS315), None where the array holds samples for an input."""
    shape = array.shape
    if fits(shape, type_):
        return None
    takes = f'input "{name}" takes {type_}, and the samples come first'
    message = f"the shape is {list(shape)}"
    for order in ((0, 3, 1, 2), (0, 2, 3, 1)):
        if len(shape) == 4 and fits(tuple(shape[i] for i in order), type_):
            return Diagnostic("AS315", message, array.where, (takes,), f"array.transpose{order}")
    rows = rows_a_run(type_, len(shape))
    if rows > 1 and shape[0] % rows and fits((rows, *shape[1:]), type_):
        note = f"the model runs on {rows} samples at a time"
        return Diagnostic("AS315", f"{shape[0]} samples make no whole runs", array.where, (note,), f"array[:{shape[0] // rows * rows}]")
    if type_.shape is not None and fits((1, *shape), type_):
        return Diagnostic("AS315", message, array.where, (takes,), "array[np.newaxis]")
    return Diagnostic("AS315", message, array.where, (takes,))


def fits(shape: tuple[int, ...], type_: TensorType) -> bool:
    """Whether an array holds samples for an input of this type, stacked or joined along the first axis, in whole runs."""
    return bool(shape) and fits_rows(shape, type_) and (type_.shape is None or not shape[0] % rows_a_run(type_, len(shape)))


def fits_rows(shape: tuple[int, ...], type_: TensorType) -> bool:
    """Whether the rows of an array are samples for an input of this type, however many there are."""
    if type_.shape is None:
        return True
    if is_stacked(type_, len(shape)):
        sizes = zip(shape[1:], type_.shape, strict=True)
    elif len(shape) == len(type_.shape):
        sizes = zip(shape[1:], type_.shape[1:], strict=True)
    else:
        return False
    return all(not isinstance(known, int) or size == known for size, known in sizes)


def first_not_finite(array: NDArray[Any]) -> int | None:
    """Return the first sample with a NaN or an infinity."""
    if array.dtype.kind not in "fc":
        return None
    bad = np.flatnonzero(~np.isfinite(array).reshape(len(array), -1).all(axis=1))
    return int(bad[0]) if bad.size else None


LABELS_HINT = 'np.savez("data.npz", ..., labels=classes.astype(np.int64))  # one class index a sample'


def label_problem(given: Given, samples: int, kind: Labels, hint: str = LABELS_HINT) -> Diagnostic | None:
    """Return what is wrong with the type or shape of labels (AS321)."""
    if kind == "any":
        if given.dtype.kind not in "iufb" or given.shape[:1] != (samples,):
            message = f"the labels are {given.dtype}{list(given.shape)}, and there are {samples} samples"
            return Diagnostic("AS321", message, given.where, hint="labels are numbers, samples first: [samples, ...]")
        return None
    if given.dtype.kind not in "iu":
        return Diagnostic("AS321", f"labels are {given.dtype}, not class indices", given.where, hint=hint)
    if given.shape != (samples,):
        message = f"the labels' shape is {list(given.shape)}, and there are {samples} samples"
        return Diagnostic("AS321", message, given.where, hint=hint)
    return None


def class_labels(labels: NDArray[Any], graph: Graph, where: str, hint: str = LABELS_HINT) -> NDArray[np.int64]:
    """Return class indices as i64[samples]. Raises CompileError (AS321) where one is none of the model's classes."""
    found = labels.astype(np.int64)
    classes = _classes(graph)
    outside = np.flatnonzero((found < 0) | (found >= classes) if classes is not None else found < 0)
    if outside.size:
        known = f"the model's classes are 0 .. {classes - 1}" if classes is not None else "class indices start at 0"
        message = f"the label of sample {outside[0]} is {found[outside[0]]}"
        raise CompileError(Diagnostic("AS321", message, where, (known,), hint))
    return found


def _classes(graph: Graph) -> int | None:
    """Size of the last axis of the model's only output where that is a score a class."""
    shape = graph.type_of(graph.outputs[0]).shape if len(graph.outputs) == 1 else None
    last = shape[-1] if shape is not None and len(shape) == 2 else None
    return last if isinstance(last, int) else None
