"""What zstd makes of the packed codes of values that may cross, measured on calibration samples."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import DType, Graph, Module, at_batch_one

from .base import Data, Env
from .cache_keys import digest_of
from .codec_sizes import wire_size
from .codecs import Codec
from .execute import groups, load, runnable_part
from .facts import Ranges, Request, Splits, WireSize
from .feeds import Feed
from .from_bytes import input_widths
from .planner.tensors import DEFAULT_WIRE_BITS
from .quantisers import Quantisers
from .quantize import Affine, quantize_array
from .roles import roles
from .walk import spread_feeds

VERSION = 1
SAMPLES = 16
ELEMENTS = 1 << 25
"""Elements of one value that are looked at over all samples, unless two samples have more."""

ZSTD = Codec("zstd")


def code_sizes(module: Module, env: Env, calib: Data) -> list[WireSize]:
    """Return the sizes of every value that may cross as codes, at each of its wire bits. Raises CompileError AS323, AS324."""
    graph = runnable_part(module.main)[0]
    wanted = {name: affines for name, affines in _candidates(module, env).items() if name in graph.types}
    base = digest_of("measure-codes", VERSION, SAMPLES, ELEMENTS, graph, calib.sha256)
    found: dict[str, list[WireSize]] = {}
    keys = {name: digest_of(base, name, affines) for name, affines in wanted.items()}
    for name, key in keys.items():
        kept = env.cache.get(key)
        if kept is not None:
            with suppress(ValueError, TypeError):
                found[name] = [WireSize(**record) for record in json.loads(kept)]
    missing = [name for name in wanted if name not in found]
    if missing:
        feeds = spread_feeds(graph, calib, SAMPLES)
        for name, values in env.progress.track(_values(graph, missing, feeds), "measure codes", len(missing)):
            found[name] = _sizes(name, wanted[name], values)
            env.cache.put(keys[name], json.dumps([asdict(size) for size in found[name]]).encode())
    return [size for name in wanted for size in found.get(name, [])]


def _candidates(module: Module, env: Env) -> Mapping[str, dict[int, Affine]]:
    """Return the values that may cross as codes, the raw input aside, with their quantisers at the wire's bits."""
    request, graph = module.fact(Request), module.main
    quantisers, root = Quantisers(module.fact(Ranges)), roles(graph, request.keep_float).root
    crossing = {name for split in module.fact(Splits).splits for name in split.crossing}
    fixed = input_widths(graph, request.input_bits)
    widths = tuple(sorted(request.wire_bits or {*DEFAULT_WIRE_BITS, *env.edge.act_bits}))
    found: dict[str, dict[int, Affine]] = {}
    for name, type_ in graph.types.items():
        source = root.get(name, name)
        open_ = name in crossing or (request.space == "dag" and not graph.is_const(name))
        if (
            open_
            and name not in graph.input
            and source not in fixed
            and type_.dtype is DType.F32
            and at_batch_one(type_).elements
            and source in quantisers.of_value
        ):
            found[name] = {b: quantisers.affine(source, b) for b in widths}
    return found


def _values(graph: Graph, names: Sequence[str], feeds: Sequence[Feed]) -> Iterator[tuple[str, list[NDArray[Any]]]]:
    """Yield each value with what it is in some runs; runs are made for several values at a time."""
    sizes = {name: at_batch_one(graph.type_of(name)).elements or 1 for name in names}
    for group in groups(graph, names):
        execution = load(graph, group)
        held: dict[str, list[NDArray[Any]]] = {name: [] for name in group}
        for feed in feeds:
            short = [name for name in group if len(held[name]) < max(2, ELEMENTS // sizes[name])]
            if short:
                for name, value in execution.run(feed, short).items():
                    held[name].append(value)
        yield from held.items()


def _sizes(name: str, affines: Mapping[int, Affine], values: Sequence[NDArray[Any]]) -> list[WireSize]:
    return [wire_size(name, b, ZSTD, [packed(quantize_array(v, affine), b) for v in values], None) for b, affine in affines.items()]


def packed(codes: NDArray[np.uint8], bits: int) -> bytes:
    """Return codes of `bits` each as the edge graph packs them, least significant bits first."""
    if bits == 8:
        return codes.tobytes()
    ones = np.unpackbits(codes.reshape(-1, 1), axis=1, count=bits, bitorder="little")
    return np.packbits(ones.reshape(-1), bitorder="little").tobytes()
