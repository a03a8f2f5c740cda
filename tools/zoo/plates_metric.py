"""How many plates are read exactly: greedy CTC decoding, compared with the text that was drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLANK = 0
"""CTC's blank class (Graves et al. 2006); it also pads labels to one length."""

LABEL_LENGTH = 8


def decode(scores: NDArray[Any]) -> tuple[tuple[int, ...], ...]:
    """Return the classes of each sample of `scores` [n, steps, classes]: the best of every step, repeats joined, blanks dropped."""
    best = np.argmax(scores, axis=-1)
    previous = np.concatenate([np.full((len(best), 1), BLANK, best.dtype), best[:, :-1]], axis=1)
    kept = (best != BLANK) & (best != previous)
    return tuple(tuple(row[keep].tolist()) for row, keep in zip(best, kept, strict=True))


def encode(text: str, characters: str) -> tuple[int, ...]:
    """Return a text's classes, blanks behind it: class k is the k-th character, from 1. Raises ValueError for any other character."""
    codes = tuple(characters.index(sign) + 1 for sign in text)
    return codes + (BLANK,) * (LABEL_LENGTH - len(codes))


def exact(outputs: Mapping[str, NDArray[Any]], expected: Mapping[str, NDArray[Any]], labels: NDArray[Any] | None) -> NDArray[np.float64]:
    """Return f64[n]: 1 where all of a plate is read as in `labels` [n, 8], or, without labels, as the float model reads it."""
    (scores,) = outputs.values()
    read = decode(scores)
    if labels is None:
        (reference,) = expected.values()
        wanted = decode(reference)
    else:
        wanted = tuple(tuple(int(code) for code in row if code != BLANK) for row in labels)
    return np.array([float(a == b) for a, b in zip(read, wanted, strict=True)])
