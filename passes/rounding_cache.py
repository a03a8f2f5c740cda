"""Rounded layers in the cache: what a layer's weights and bias became at one width, as bytes and back."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import array_ref, read_array

from .base import Cache
from .facts import RoundedBias, RoundedWeight
from .rounded import weight_codes
from .walk import Rounds

VERSION = 3
"""Part of every key; it goes up when the same inputs are rounded differently."""


@dataclass(frozen=True, slots=True)
class RoundedOp:
    """Weights of an op at one width, and the bias that goes with them."""

    weight: RoundedWeight
    bias: RoundedBias | None

    def rounds(self, axis: int) -> Rounds:
        """Return what a walk goes on with; `axis`: the weights' output channels."""
        return Rounds(weight_codes(self.weight, axis).dequantized(), None if self.bias is None else read_array(self.bias.values))

    def to_bytes(self) -> bytes:
        """Return the arrays in numpy's archive format."""
        nsr = np.array(self.weight.nsr, np.float64)
        arrays: dict[str, NDArray[Any]] = {"codes": read_array(self.weight.codes), "scale": read_array(self.weight.scale), "nsr": nsr}
        if self.bias is not None:
            arrays["bias"] = read_array(self.bias.values)
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **arrays)
        return buffer.getvalue()


def from_bytes(data: bytes, const: str, op: str, bits: int) -> RoundedOp | None:
    """Return what `to_bytes` wrote; None for anything else."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            bias = RoundedBias(op, bits, array_ref(archive["bias"])) if "bias" in archive else None
            codes, scale = array_ref(archive["codes"]), array_ref(archive["scale"])
            return RoundedOp(RoundedWeight(const, bits, codes, scale, float(archive["nsr"])), bias)
    except (KeyError, OSError, ValueError, zipfile.BadZipFile):
        return None


def cached(cache: Cache, key: str, const: str, op: str, bits: int) -> RoundedOp | None:
    """Return what the cache holds of a layer at one width, or None."""
    data = cache.get(key)
    return None if data is None else from_bytes(data, const, op, bits)
