"""Errors of weight constants, kept in the cache, and what rounding on data makes of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import Const

from .base import Cache
from .cache_keys import digest_of
from .probes import Roundings
from .quantize.errors import BITS, Errors, weight_errors
from .rounded import weight_codes

VERSION = 1
"""Part of every key; it goes up when weights are rounded differently."""


def cached_weight_errors(const: Const, axis: int, cache: Cache) -> Errors:
    """Return the errors of weights, each tensor rounded on its own with one scale a slice of `axis`."""
    key = digest_of("weight-errors", VERSION, const.type, const.blob, axis)
    known = cache.get(key)
    if known is not None and len(known) == 2 * len(BITS) * 8:
        nsr, mse = np.frombuffer(known, "<f8").reshape(2, len(BITS)).tolist()
        return Errors(tuple(nsr), tuple(mse))
    errors = weight_errors(const.array(), axis)
    cache.put(key, np.array([errors.nsr, errors.mse], "<f8").tobytes())
    return errors


def with_rounding(errors: Errors, const: Const, axis: int, roundings: Roundings) -> Errors:
    """Return errors with those of the widths that were rounded on data: the ratio of the layer's result, the weights' own mean square."""
    nsr, mse = list(errors.nsr), list(errors.mse)
    for bits in BITS:
        record = roundings.weights.get((const.name, bits))
        if record is not None:
            nsr[bits - 1] = record.nsr
            off: NDArray[np.float64] = const.array().astype(np.float64) - weight_codes(record, axis).dequantized()
            mse[bits - 1] = float(np.mean(off * off))
    return Errors(tuple(nsr), tuple(mse))
