"""Fashion-MNIST from its Debian package (Xiao et al. 2017, arXiv:1708.07747; MIT): the whole test set, and seeded training images."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import CompileError, Diagnostic

from .debian import DebianPackage, find

_FILES = ("train-images-idx3", "t10k-images-idx3", "t10k-labels-idx1")
PACKAGE = DebianPackage("dataset-fashion-mnist", tuple(f"usr/share/datasets/fashion-mnist/{file}-ubyte.gz" for file in _FILES))


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Return a gzipped IDX file of bytes: four bytes of which the last is the rank, a big-endian u32 a dimension, the elements.

    Raises `CompileError` AS691 where it is none, or damaged.
    """
    try:
        raw = gzip.decompress(path.read_bytes())
        if raw[:3] != b"\0\0\x08":
            raise ValueError("it is no IDX file of bytes")
        rank = raw[3]
        shape = np.frombuffer(raw, ">u4", rank, 4)
        return np.frombuffer(raw, np.uint8, offset=4 + 4 * rank).reshape([int(size) for size in shape])
    except (EOFError, IndexError, OSError, ValueError) as error:
        raise CompileError(Diagnostic("AS691", "a data file of the zoo cannot be read", location=str(path), notes=(str(error),))) from error


def calibration(images: NDArray[np.uint8], count: int, seed: int) -> NDArray[np.uint8]:
    """Return seeded ones of the training images."""
    return images[np.sort(np.random.default_rng(seed).choice(len(images), count, replace=False))]


def load() -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.int64]]:
    """Return training images u8[60000, 1, 28, 28], test images u8[10000, 1, 28, 28] and their labels i64[10000].

    Raises `CompileError` AS689, AS691.
    """
    train, test, labels = find(PACKAGE)
    return read_idx(train)[:, None], read_idx(test)[:, None], read_idx(labels).astype(np.int64)
