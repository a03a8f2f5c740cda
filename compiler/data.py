"""Samples for `--calib` and `--eval`: one front for `.npz` and `.npy` files, folders of images, and functions that yield batches.

All of them are streamed: memory holds one batch, whatever the number of samples, and batches are the same however the samples come.
"""

from __future__ import annotations

from pathlib import Path

from autosplitc.ir import Graph
from autosplitc.passes import Data

from .data_arrays import load_file
from .data_checks import BATCH_BYTES, BATCH_RUNS, LABELS, Labels
from .data_function import load_function
from .data_images import load_folder
from .functions import names_a_function
from .preprocess import Preprocess

__all__ = ["BATCH_BYTES", "BATCH_RUNS", "LABELS", "Labels", "is_function", "load_data"]


def load_data(text: str, graph: Graph, *, labels: Labels = "none", preprocess: Preprocess | None = None, split: str = "calib") -> Data:
    """Return the samples that a text names, for the inputs of `graph`: a file, a folder of images, or `package.module:function`.

    labels: what labels are read as. preprocess: resolved, of a graph that has its prologue. split: what a function is told the data is
    for. Numbers are cast only where every value survives (u8 to f32, say). What can be wrong with the samples is found now, by reading
    them once.

    Raises CompileError: AS310 no such file, AS311 not a data file, or damaged, AS312 pickled, AS313 an input has no array, AS314 an array
    is no input, AS315 wrong shape, AS316 wrong element type, AS317 no samples, AS318 numbers of samples differ, AS319 NaN or infinity,
    AS321 bad labels, AS330 no Pillow, AS331 a broken image, AS332 an image of another size, AS333 images are not for this model, AS334 the
    function fails, AS335 it yields no batches, AS162 there is no such function; and from `batches`, AS336 it yields other samples than
    before.
    """
    if is_function(text):
        return load_function(text, graph, labels, preprocess, split)
    if Path(text).is_dir():
        return load_folder(Path(text), graph, labels, preprocess)
    return load_file(text, graph, labels, preprocess)


def is_function(text: str) -> bool:
    """Whether a text names a function rather than a file."""
    return names_a_function(text) and not Path(text).exists()
