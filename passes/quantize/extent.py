"""What a value was like over many runs: its extent, its largest size, and whether it holds a picture's bytes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .histogram import EXACT_LEVELS


@dataclass(slots=True)
class Extent:
    """Least and greatest finite element so far (0 before the first), whether all were finite, and the largest element count."""

    low: float = 0.0
    high: float = 0.0
    finite: bool = True
    elements: int = 0
    seen: bool = False

    def add(self, array: NDArray[Any]) -> None:
        """Take in the value of one run; of other than floats only the size counts."""
        self.elements = max(self.elements, array.size)
        if array.size == 0 or array.dtype.kind != "f":
            return
        low, high = float(array.min()), float(array.max())
        if not (math.isfinite(low) and math.isfinite(high)):
            self.finite = False
            finite = array[np.isfinite(array)]
            if finite.size == 0:
                return
            low, high = float(finite.min()), float(finite.max())
        self.low, self.high = (min(self.low, low), max(self.high, high)) if self.seen else (low, high)
        self.seen = True


@dataclass(slots=True)
class Levels:
    """Whether all elements so far are a picture's: whole numbers 0..255, or 255ths of 1 in float32."""

    whole: bool = True
    fractions: bool = True

    def add(self, array: NDArray[np.float32]) -> None:
        """Take in the value of one run."""
        if self.whole:
            self.whole = bool(np.all((array >= 0) & (array <= EXACT_LEVELS) & (array == np.rint(array))))
        if self.fractions:
            level = np.rint(array * np.float32(EXACT_LEVELS))
            on_level = (array == level / np.float32(EXACT_LEVELS)) | (array == level * np.float32(1 / EXACT_LEVELS))
            self.fractions = bool(np.all((array >= 0) & (array <= 1) & on_level))

    @property
    def high(self) -> float | None:
        """The value of level 255, or None where the elements are not on levels."""
        if self.fractions:
            return 1.0
        return float(EXACT_LEVELS) if self.whole else None
