"""Quantisers: the affine quantiser that a value has at every bit-width, from the recorded ranges. One answer for sensitivity, planner and
code generation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from numpy.typing import NDArray

from autosplitc.ir import read_array

from .facts import Ranges, ValueRange
from .quantize.affine import Affine, affine_of_range

INNER_BITS = 8
"""Bits of the quantiser before a fused activation."""


@dataclass(frozen=True)
class Quantisers:
    """Quantisers of the values of one `Ranges`."""

    ranges: Ranges

    @cached_property
    def of_value(self) -> Mapping[str, ValueRange]:
        """Records by value."""
        return {r.value: r for r in self.ranges.values}

    @cached_property
    def _row(self) -> Mapping[str, int]:
        return {r.value: i for i, r in enumerate(self.ranges.values)}

    @cached_property
    def _clips(self) -> NDArray[Any] | None:
        clips = self.ranges.clips
        return None if clips is None else read_array(clips)

    def affine(self, value: str, bits: int) -> Affine:
        """Return the quantiser of a value at 1..8 bits; 8 bits hold a picture's bytes as they are. Raises KeyError without a range."""
        found = self.of_value[value]
        if self._clips is None or (found.exact and bits == INNER_BITS):
            return affine_of_range(found.low, found.high, bits)
        low, high = self._clips[self._row[value], bits - 1].tolist()
        return affine_of_range(low, high, bits)

    def affines(self, value: str) -> tuple[Affine, ...]:
        """Return the quantisers of a value at 1..8 bits."""
        return tuple(self.affine(value, bits) for bits in range(1, 9))

    def inner(self, value: str) -> Affine | None:
        """Return the quantiser before the fused activation of the op that makes a value; None without one."""
        found = self.of_value[value]
        if found.inner_low is None or found.inner_high is None:
            return None
        return affine_of_range(found.inner_low, found.inner_high, INNER_BITS)
