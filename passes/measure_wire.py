"""measure-wire: what payloads take on the wire through codecs, and what the codecs take, measured on calibration samples."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import ClassVar

import numpy as np

from autosplitc.ir import Diagnostic, Module

from .base import Data, Env, Pass
from .cache_keys import digest_of
from .codec_plans import PICTURE_BITS, asked_of, sent_picture
from .codec_sizes import wire_size
from .codecs import Asked, Codec
from .facts import Ranges, Request, Splits, WireSize, WireSizes
from .measure_codes import ZSTD, code_sizes
from .pictures import Raster
from .quantisers import Quantisers
from .quantize import quantize_array
from .walk import spread_feeds

VERSION = 1
"""Of what is kept in the cache."""

PICTURES = 64
"""Pictures whose sizes are measured, evenly spaced among the samples."""


@dataclass(frozen=True)
class MeasureWire(Pass):
    """Gives `wire-sizes`: empty without calibration data, and where no codec of `--codec` applies.

    Times are those of this machine, one thread. edge_factor, cloud_factor: what they are multiplied by to stand for the edge's and the
    cloud's; 0 leaves them out.
    """

    name: ClassVar[str] = "measure-wire"
    summary: ClassVar[str] = "size and time of payloads through PNG, JPEG and zstd, measured on calibration data"
    needs: ClassVar = (Request, Ranges, Splits)
    gives: ClassVar = (WireSizes,)
    edge_factor: float = 1.0
    cloud_factor: float = 1.0

    def apply(self, module: Module, env: Env) -> Module:
        """Return the module with the fact.

        Raises CompileError AS166 for a codec that there is not. Warns: AS510 a package is missing, AS511 nothing that was asked for by name
        applies.
        """
        asked = asked_of(module)
        sizes: list[WireSize] = []
        if env.calib is not None:
            sizes += _of_pictures(module, env, env.calib, asked)
            if asked.zstd and ZSTD.is_installed:
                sizes += code_sizes(module, env, env.calib)
            elif asked.zstd:
                missing(env, ZSTD)
        elif asked.by_name:
            _does_not_apply(env, module, "there are no calibration samples")
        counted = (replace(s, encode_s=s.encode_s * self.edge_factor, decode_s=s.decode_s * self.cloud_factor) for s in sizes)
        samples = min(PICTURES, env.calib.samples) if sizes and env.calib is not None else 0
        return module.with_fact(WireSizes(module.main.name, samples, tuple(counted)))


def _of_pictures(module: Module, env: Env, calib: Data, asked: Asked) -> list[WireSize]:
    """Return the sizes of the picture that Cloud-Only sends."""
    found = sent_picture(module)
    wanted = (*asked.pictures, *([ZSTD] if asked.zstd and ZSTD.is_installed else []))
    if not wanted:
        return []
    if isinstance(found, str):
        if asked.by_name and asked.pictures:
            _does_not_apply(env, module, found)
        return []
    codecs = [codec for codec in wanted if codec.is_installed]
    if len(codecs) < len(wanted):
        missing(env, asked.pictures[0])
    value, raster = found
    base = digest_of(
        "measure-wire", VERSION, PICTURES, calib.sha256, raster, module.fact(Request).preprocess, _affine_digest(module, value)
    )
    measure = partial(_measured, lambda: _pictures(module, calib, value), value, raster)
    return [_cached(env, digest_of(base, str(codec)), codec, measure) for codec in codecs]


def _pictures(module: Module, calib: Data, value: str) -> Iterator[bytes]:
    """Yield payloads of Cloud-Only."""
    for feed in spread_feeds(module.main, calib, PICTURES):
        array = feed[value]
        if array.dtype != np.uint8:
            array = quantize_array(array, Quantisers(module.fact(Ranges)).affine(value, PICTURE_BITS))
        yield array.tobytes()


def _affine_digest(module: Module, value: str) -> str:
    known = {r.value: r for r in module.fact(Ranges).values}
    return digest_of(known[value].low, known[value].high) if value in known else ""


def _cached(env: Env, key: str, codec: Codec, measure: Callable[[Codec], WireSize]) -> WireSize:
    kept = env.cache.get(key)
    if kept is not None:
        with suppress(ValueError, TypeError):
            return WireSize(**json.loads(kept))
    found = measure(codec)
    env.cache.put(key, json.dumps(asdict(found)).encode())
    return found


def _measured(payloads: Callable[[], Iterator[bytes]], value: str, raster: Raster, codec: Codec) -> WireSize:
    return wire_size(value, PICTURE_BITS, codec, list(payloads()), raster)


def missing(env: Env, codec: Codec) -> None:
    """Warn that a codec's package is missing (AS510)."""
    names = "PNG and JPEG" if codec.is_of_pictures else codec.title
    hint = f'pip install "autosplitc[{codec.extra}]", or --codec none'
    env.warn(Diagnostic("AS510", f"{names} were not tried: their package is not installed", "--codec", hint=hint, severity="warning"))


def _does_not_apply(env: Env, module: Module, reason: str) -> None:
    text = module.fact(Request).codec
    env.warn(Diagnostic("AS511", f"nothing can be measured: {reason}", f"--codec {text}", hint="--codec none", severity="warning"))
