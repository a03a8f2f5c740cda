"""The Python API: one function. The command line calls the same driver."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from autosplitc.targets import parse_size_bytes

from .api_checks import check_options, text_of
from .driver import compile_model
from .hooks import Watch
from .like import like_bundle
from .options import Options
from .request import Model
from .result import Result
from .values import parse_codecs, parse_max_drop


def compile(
    model: Model,
    edge: str | Path = "eyeriss",
    cloud: str | Path = "tpu",
    network: str = "3mbps",
    *,
    output: str | Path | None = None,
    force: bool = False,
    emit_fallback: bool = False,
    calib: str | Path | None = None,
    evaluation: str | Path | None = None,
    preprocess: str = "none",
    input_shapes: Mapping[str, Iterable[int]] | None = None,
    edge_memory: int | str | None = None,
    edge_storage: int | str | None = None,
    input_bits: int = 8,
    weight_bits: Iterable[int] | None = None,
    act_bits: Iterable[int] | None = None,
    wire_bits: Iterable[int] | None = None,
    metric: str = "",
    max_drop: float | str | Iterable[float] | None = None,
    max_evals: int = 20,
    sensitivity: str = "",
    effort: str = "normal",
    like: str | Path | None = None,
    min_sqnr_db: float = 30.0,
    max_error: float | None = None,
    max_latency_s: float | None = None,
    space: str = "linear",
    codec: str = "auto",
    cut: Iterable[str] = (),
    keep_float: str = "",
    pick: int | None = None,
    strategy: str = "auto-split",
    return_result: bool = False,
    max_opset: int | None = None,
    format: str = "qdq",
    time_limit_s: float = 60.0,
    seed: int = 0,
    cache: str | Path | Literal[False] | None = None,
    passes: str = "all",
) -> Result:
    """Split a model between an edge device and a cloud, choose the bits of every edge layer, and check the two graphs.

    model: path of an ONNX file (opset 7 to 25), `zoo:NAME`, or an `onnx.ModelProto`. edge, cloud: targets as `-t` takes them.
    network: the uplink, such as `3mbps`, `3mbps,rtt=20ms,overhead=40B,packet=1500B`, `ble`, or a trace: `walk.csv,rtt=20ms`; 1 Mbps is
    10^6 bit/s (see docs/network.md).
    output: folder for the bundle; without it the bundle lies in a temporary folder until `Result.save`. force: write it into a folder
    that holds other things. emit_fallback: write the whole model for the edge beside the halves, for when the cloud is away.
    calib: samples for ranges, `.npz` with an array [samples, ...] for every input, `.npy` for a model with one, a folder of images, or
    `package.module:function` (see docs/data.md). Without it ranges come from seeded noise. evaluation: samples on which the emitted graphs
    are measured, with `labels` [samples] in the `.npz` where it has any. preprocess: what pictures' bytes go through, as `--preprocess`.
    input_shapes: sizes of inputs that the model leaves open, by name, batch first.
    edge_memory, edge_storage: limits in bytes, or texts such as `96KiB`; by default the target's. input_bits: bits a value of the raw input
    that crosses. weight_bits, act_bits, wire_bits: bit-widths to choose from, 1 to 8; by default what the edge target allows.
    metric: `top1`, `top5`, `agreement`, `sqnr`, or `package.module:function` (see docs/accuracy.md); "" for what the data allow.
    max_drop: accuracy that may be lost on `evaluation`, as a share of 1 (0.01: one point), several, or a text such as `0,1%,5%`; None:
    0.01 with `evaluation`; `none`: no limit. Several give a bundle each: see `Result.by_drop`. max_evals: plans that may be measured.
    sensitivity: `mse`, `sqnr`, `output`, or "" for `output` with data and `sqnr` without. effort: `fast`, `normal` or `best`.
    like: an earlier bundle, whose options stand in for arguments that are left at their defaults.
    min_sqnr_db: least signal-to-noise ratio of every tensor, in dB. max_error: bound on the summed error in the
    measure of `sensitivity`, in place of it. max_latency_s: bound on the end-to-end latency, in seconds.
    space: cuts to choose from, `linear`: after each op of the graph's order, or `dag`: any set of ops closed under what they read.
    codec: how payloads may be sent, as `--codec` takes it: `auto` (a picture as PNG or JPEG too), `none`, `png`, `jpeg:80`, `zstd`, `all`.
    cut: names of the tensors that are to cross. keep_float: regular expression of layers that stay float. pick: number of the solution
    to take, from 1. strategy: how the plan is found, see docs/strategies.md. return_result: an Edge-Only plan sends its
    result. max_opset: highest opset of the emitted graphs. format: of the edge graph, `qdq`, or `qonnx` for the qonnx
    package (see docs/interop.md). time_limit_s: time for the planner, in seconds. seed: of the noise and of the checks.
    cache: folder that keeps the results of long computations, by default `$AUTOSPLITC_CACHE` or the user's; False: none.
    passes: pipeline text.

    Raises CompileError with diagnostics: AS1xx options (AS103 an argument of a wrong type or range), AS2xx the model, AS3xx shapes and
    data, AS4xx targets and network, AS6xx the output folder, AS7xx the emitted graphs disagree. A plan that breaks a constraint is no
    error: see `Result.best.feasible`.
    """
    options = Options(
        edge=text_of(edge),
        cloud=text_of(cloud),
        net=network,
        output=_path(output),
        force=force,
        emit_fallback=emit_fallback,
        calib=None if calib is None else str(calib),
        evaluation=None if evaluation is None else str(evaluation),
        preprocess=preprocess,
        input_shapes=tuple((name, tuple(sizes)) for name, sizes in (input_shapes or {}).items()),
        edge_ram_bytes=_size_bytes(edge_memory),
        edge_storage_bytes=_size_bytes(edge_storage),
        input_bits=input_bits,
        weight_bits=_bits(weight_bits),
        act_bits=_bits(act_bits),
        wire_bits=_bits(wire_bits),
        metric=metric,
        max_drop=_max_drop(max_drop),
        max_evals=max_evals,
        sensitivity=sensitivity,
        effort=effort,
        min_sqnr_db=min_sqnr_db,
        max_error=max_error,
        max_latency_s=max_latency_s,
        space=space,
        codec=parse_codecs(codec),
        cut=(cut,) if isinstance(cut, str) else tuple(cut),
        keep_float=keep_float,
        pick=pick,
        strategy=strategy,
        return_result=return_result,
        max_opset=max_opset,
        format=format,
        time_limit_s=time_limit_s,
        seed=seed,
        cache=None if cache is False else _path(cache),
        no_cache=cache is False,
        passes=passes,
    )
    options = options if like is None else like_bundle(options, Path(like))
    check_options(options)
    return compile_model(model, options, Watch())


def _path(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path)


def _size_bytes(size: int | str | None) -> int | None:
    return parse_size_bytes(size) if isinstance(size, str) else size


def _max_drop(limits: float | str | Iterable[float] | None) -> tuple[float, ...] | None:
    if limits is None or isinstance(limits, str):
        return None if limits is None else parse_max_drop(limits)
    return tuple(sorted(set(limits), key=str)) if isinstance(limits, Iterable) else (limits,)


def _bits(bits: Iterable[int] | None) -> tuple[int, ...] | None:
    return None if bits is None else tuple(sorted(set(bits), key=str))
