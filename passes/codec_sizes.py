"""Size and time of payloads through a codec, measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from .codecs import Codec, decode, encode
from .facts import WireSize
from .pictures import Raster

TIMED = 4
"""Payloads that are timed, each the best of `REPEATS`."""
REPEATS = 3


def wire_size(value: str, bits: int, codec: Codec, payloads: Sequence[bytes], raster: Raster | None) -> WireSize:
    """Return what payloads, at least one, take through a codec."""
    sent = [encode(codec, payload, raster) for payload in payloads]
    sizes = [len(data) for data in sent]
    back = [decode(codec, data, len(payload), raster) for data, payload in zip(sent, payloads, strict=True)] if codec.is_lossy else []
    timed = list(zip(payloads, sent, strict=True))[:: -(-len(sent) // TIMED)]
    return WireSize(
        value=value,
        codec=str(codec),
        bits=bits,
        mean_bytes=float(np.mean(sizes)),
        p95_bytes=float(np.quantile(sizes, 0.95, method="higher")),
        encode_s=_median_s(partial(encode, codec, payload, raster) for payload, _ in timed),
        decode_s=_median_s(partial(decode, codec, data, len(payload), raster) for payload, data in timed),
        nsr=_nsr(payloads, back) if back else 0.0,
    )


def _median_s(calls: Iterator[Callable[[], bytes]]) -> float:
    """Return the median over calls of the least of a few times each, to 10 us: what is below is the machine's own unrest."""
    return round(float(np.median([min(_seconds(call) for _ in range(REPEATS)) for call in calls])), 5)


def _seconds(call: Callable[[], bytes]) -> float:
    started_s = time.perf_counter()
    call()
    return time.perf_counter() - started_s


def _nsr(payloads: Sequence[bytes], back: Sequence[bytes]) -> float:
    pairs = [(_numbers(a), _numbers(b)) for a, b in zip(payloads, back, strict=True)]
    noise = sum(float(((a - b) ** 2).sum()) for a, b in pairs)
    signal = sum(float((a**2).sum()) for a, _ in pairs)
    return noise / signal if signal else 0.0


def _numbers(payload: bytes) -> NDArray[np.float64]:
    return np.frombuffer(payload, np.uint8).astype(np.float64)
