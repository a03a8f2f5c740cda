"""From options to what the passes work with: the request, which every dump carries, and the environment that follows from it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from autosplitc.ir import CompileError, Diagnostic, Fact, Graph, Module, import_model, import_onnx, unknown_input_dims
from autosplitc.passes import (
    Cache,
    Choice,
    Costs,
    Data,
    Env,
    Liveness,
    Pass,
    Ranges,
    Refinement,
    Request,
    Rounding,
    Sensitivity,
    Silent,
    Solutions,
    Splits,
    WireLayout,
    WireSizes,
)
from autosplitc.targets import MeasuredTarget, Network, Target, load_target, parse_network, profile_problems, target_file_of

from .data import Labels, load_data
from .functions import load_function
from .hooks import Hooks
from .manifest import sha256_of_file
from .options import PLAN_FIELDS, Options
from .preprocess import parse_preprocess, same_preprocess
from .prologue import preprocessed

if TYPE_CHECKING:
    from onnx import ModelProto

Model: TypeAlias = "str | Path | ModelProto"
"""A model: a path, `zoo:NAME`, or a model in memory."""

DEFAULT_MAX_DROP = (0.01,)
"""What may be lost where there are samples to measure it on and nothing else is asked for."""

_PLANNED: tuple[type[Fact], ...] = (Solutions, Choice, Refinement, WireLayout)
_STALE: dict[str, tuple[type[Fact], ...]] = {
    "edge": (Costs, WireSizes, Splits, *_PLANNED),
    "cloud": (Costs, Splits, *_PLANNED),
    "edge_sha256": (Costs, WireSizes, Splits, *_PLANNED),
    "cloud_sha256": (Costs, Splits, *_PLANNED),
    "calib_sha256": (Ranges, Rounding, Sensitivity, WireSizes, *_PLANNED),
    "seed": (Ranges, Rounding, Sensitivity, *_PLANNED),
    "effort": (Rounding, Sensitivity, *_PLANNED),
    "sensitivity": (Sensitivity, *_PLANNED),
    "edge_ram_bytes": (Splits, *_PLANNED),
    "input_bits": (WireSizes, Splits, *_PLANNED),
    "weight_bits": (Splits, *_PLANNED),
    "act_bits": (WireSizes, Splits, *_PLANNED),
    "keep_float": (Rounding, Sensitivity, Liveness, Costs, WireSizes, Splits, *_PLANNED),
    "codec": (WireSizes, *_PLANNED),
    "wire_bits": (WireSizes, *_PLANNED),
    "pick": (Choice, Refinement, WireLayout),
    "format": (Choice, Refinement, WireLayout),
}
"""Facts that no longer hold when a field of the request changes; any other field unsettles the plans."""

_LOWERED = ("edge", "cloud", "whole")


@dataclass(frozen=True, slots=True)
class Source:
    """A model that was read: its graph, what the manifest calls it, and the digest of its file."""

    graph: Graph
    label: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Devices:
    """The edge, the cloud, and the link between them."""

    edge: Target
    cloud: Target
    network: Network


def model_file(model: Model) -> Path | None:
    """Return the file that a model is read from; None for one in memory or in the zoo."""
    return Path(model) if isinstance(model, (str, Path)) and not str(model).startswith("zoo:") else None


def read_source(model: Model, input_shapes: Mapping[str, tuple[int, ...]]) -> Source:
    """Import a model. For `zoo:NAME` the zoo's own input shapes stand in where the file leaves sizes open.

    Raises CompileError: AS2xx and AS3xx a bad model or shape, AS181 an unknown name in the zoo, AS68x a zoo model that cannot be made.
    """
    if not isinstance(model, (str, Path)):
        digest = sha256(model.SerializeToString(deterministic=True)).hexdigest()
        return Source(import_model(model, input_shapes=input_shapes), f"{model.graph.name or 'model'}.onnx", digest)
    if not str(model).startswith("zoo:"):
        path = Path(model)
        return Source(import_onnx(path, input_shapes=input_shapes), path.name, sha256_of_file(path))
    from autosplitc.zoo import resolve

    found = resolve(str(model))
    graph = import_onnx(found.path, input_shapes=input_shapes)
    if unknown_input_dims(graph):
        graph = import_onnx(found.path, input_shapes={**dict(found.input_shapes), **input_shapes})
    return Source(graph, str(model), sha256_of_file(found.path))


def find_devices(edge: str, cloud: str, net: str) -> Devices:
    """Return the two targets and the link. Raises CompileError (AS4xx) for a bad target or link."""
    return Devices(load_target(edge), load_target(cloud), parse_network(net))


def target_files(edge: str, cloud: str) -> tuple[Path, ...]:
    """Return the files that the two targets are read from, none for names."""
    return tuple(file for file in map(target_file_of, (edge, cloud)) if file is not None)


def check_profiles(devices: Devices, source: str, sha256: str) -> None:
    """Check that profiles behind the devices are of this model (`source`, its file's digest) and of the onnxruntime that will run.

    Raises CompileError (AS442, AS443) with everything that is wrong.
    """
    if not (isinstance(devices.edge, MeasuredTarget) or isinstance(devices.cloud, MeasuredTarget)):
        return
    from onnxruntime import __version__ as runtime

    edge = profile_problems(devices.edge, "edge", source, sha256, runtime)
    cloud = profile_problems(devices.cloud, "cloud", source, sha256, runtime)
    if edge or cloud:
        raise CompileError((*edge, *cloud))


def make_request(options: Options, devices: Devices, source: Source, calib: Data | None, evaluation: Data | None) -> Request:
    """Return the request of a new compile."""
    plan: dict[str, Any] = {name: getattr(options, name) for name in PLAN_FIELDS}
    plan["max_drop"] = options.max_drop if options.max_drop is not None else DEFAULT_MAX_DROP if evaluation is not None else ()
    return Request(
        graph="",
        source=source.label,
        source_sha256=source.sha256,
        edge=options.edge,
        cloud=options.cloud,
        edge_sha256=_target_sha256(options.edge),
        cloud_sha256=_target_sha256(options.cloud),
        net=devices.network.text,
        net_sha256=_trace_sha256(devices.network),
        **plan,
        **_digests(calib, evaluation),
    )


def make_env(devices: Devices, request: Request, calib: Data | None, hooks: Hooks, cache: Cache) -> Env:
    """Return what the passes may use besides the module."""
    progress = hooks.watch.progress or Silent()
    return Env(devices.edge, devices.cloud, devices.network, calib, request.seed, progress, cache, hooks.warn)


def simplifying_env(hooks: Hooks) -> Env:
    """Return an environment for passes that look at no device."""
    return Env(load_target("eyeriss"), load_target("tpu"), parse_network("3mbps"), warn=hooks.warn)


def with_prologue(source: Source, options: Options) -> tuple[Source, Options]:
    """Return a model that takes bytes as `--preprocess` says, and the options with that text resolved. Raises CompileError (AS17x)."""
    graph, text = preprocessed(source.graph, options.preprocess)
    return replace(source, graph=graph), replace(options, preprocess=text)


def with_zoo_samples(options: Options) -> Options:
    """Return options in which `zoo:NAME` as samples has become files.

    What their bytes go through and, for evaluation, their metric stand in where the options give none. Raises CompileError: AS182 no such
    samples, AS68x and AS69x they cannot be made.
    """
    texts = {text for text in (options.calib, options.evaluation) if text and text.startswith("zoo:")}
    if not texts:
        return options
    from autosplitc.zoo import data

    found = {text: data(text) for text in sorted(texts)}
    calib, evaluation = found.get(options.calib or ""), found.get(options.evaluation or "")
    either = evaluation or calib
    return replace(
        options,
        calib=str(calib.calib) if calib else options.calib,
        evaluation=str(evaluation.evaluation) if evaluation else options.evaluation,
        preprocess=either.preprocess if either and options.preprocess == "none" else options.preprocess,
        metric=options.metric or (evaluation.metric if evaluation else ""),
    )


def read_samples(options: Options, graph: Graph, preprocess: str) -> tuple[Data | None, Data | None]:
    """Return the samples for calibration and for evaluation, None without. `preprocess` is resolved.

    A metric of the user's own takes labels of any kind. Raises CompileError (AS3xx) where the samples do not fit.
    """
    pixels = parse_preprocess(preprocess)
    labels: Labels = "any" if ":" in options.metric else "classes"
    calib = load_data(options.calib, graph, labels="none", preprocess=pixels, split="calib") if options.calib else None
    evaluation = load_data(options.evaluation, graph, labels=labels, preprocess=pixels, split="eval") if options.evaluation else None
    return calib, evaluation


def check_preprocess(old: Request, options: Options, given: Collection[str]) -> None:
    """Check that no other arithmetic is asked for than a dump's graph holds. Raises CompileError (AS172)."""
    if "preprocess" in given and not same_preprocess(options.preprocess, old.preprocess):
        message = "the graph of a dump holds its arithmetic on bytes, which cannot be changed any more"
        hint = "compile the model again, or leave --preprocess out"
        raise CompileError(Diagnostic("AS172", message, f"--preprocess {options.preprocess}", (f"the dump has {old.preprocess}",), hint))


def changed_fields(options: Options, given: Collection[str], calib: Data | None, evaluation: Data | None) -> dict[str, Any]:
    """Return the fields of a dump's request that the `given` options override; `--preprocess` only repeats (`check_preprocess`)."""
    changes = {name: getattr(options, name) for name in (*PLAN_FIELDS, "edge", "cloud") if name in given and name != "preprocess"}
    if "net" in given:
        network = parse_network(options.net)
        changes |= {"net": network.text, "net_sha256": _trace_sha256(network)}
    return {**changes, **{name: value for name, value in _digests(calib, evaluation).items() if value}}


def target_digests(old: Request, changes: Mapping[str, Any]) -> dict[str, str]:
    """Return the fields of a dump's request for the files behind its targets as they are now; `changes` are what options override.

    Raises CompileError (AS439) where a file that no option replaces is not there any more.
    """
    digests: dict[str, str] = {}
    for side, flag in (("edge", "-t"), ("cloud", "--cloud")):
        text: str = changes.get(side, getattr(old, side))
        file = target_file_of(text)
        if file is not None and not file.is_file():
            if side in changes:
                continue
            message = f"the dump was made with target file {str(file)!r} as its {side}, which is not there"
            raise CompileError(Diagnostic("AS439", message, str(file), hint=f"{flag} FILE, where it is now, or another target"))
        digests[f"{side}_sha256"] = _target_sha256(text)
    return digests


def override(module: Module, changes: Mapping[str, Any]) -> Module:
    """Return a dumped module with fields of its request changed and without the facts and graphs that no longer hold."""
    old = module.fact(Request)
    request = replace(old, **changes)
    changed = [name for name in changes if getattr(request, name) != getattr(old, name)]
    stale = {fact for name in changed for fact in _STALE.get(name, _PLANNED)}
    facts = tuple(f for f in module.facts if type(f) not in stale and f is not old)
    graphs = tuple(g for g in module.graphs if g.name not in _LOWERED) if stale else module.graphs
    return Module(graphs, (request, *facts))


def check_calibration(request: Request, calib: Data | None, passes: Sequence[Pass]) -> None:
    """Check that a pipeline that looks at samples has those which the request speaks of. Raises CompileError (AS118)."""
    readers = [p.name for p in passes if not {Ranges, Rounding, Sensitivity, WireSizes, Refinement}.isdisjoint(p.gives)]
    if request.calib_sha256 and calib is None and readers:
        message = f"this dump was made with calibration data (sha256 {request.calib_sha256[:12]}...), and {readers[0]!r} needs them again"
        raise CompileError(Diagnostic("AS118", message, hint="--calib FILE"))


def check_accuracy(max_drop: Sequence[float] | None, metric: str, evaluation: str | None) -> None:
    """Check that there are samples to measure a limit or a metric on. Raises CompileError (AS160)."""
    asked = "--max-drop" if max_drop else "--metric" if metric else ""
    if asked and not evaluation:
        raise CompileError(Diagnostic("AS160", f"{asked} is measured on samples, and there are none", asked, hint="--eval FILE"))


def check_metric(metric: str, evaluation: Data | None) -> None:
    """Check a metric before anything long runs. Raises CompileError: AS161 no labels for one that needs them, AS162 no such function."""
    if metric in ("top1", "top5") and evaluation is not None and evaluation.labels() is None:
        hint = 'np.savez("data.npz", ..., labels=classes.astype(np.int64)), or --metric agreement'
        message = f"the metric {metric} does not fit: the samples have no labels"
        raise CompileError(Diagnostic("AS161", message, f"--metric {metric}", hint=hint))
    if ":" in metric:
        load_function(metric, f"--metric {metric}")


def check_evaluation(request: Request, evaluation: Data | None, passes: Sequence[Pass]) -> None:
    """Check that a pipeline that ends in a bundle has the samples to judge its plan on. Raises CompileError (AS120)."""
    if request.max_drop and evaluation is None and any(WireLayout in p.gives for p in passes):
        limits = ",".join(f"{100 * limit:.10g}%" for limit in request.max_drop)
        message = f"this dump is of a compile with --max-drop {limits}, which is measured on samples"
        raise CompileError(Diagnostic("AS120", message, hint="--eval FILE, or --max-drop none"))


def check_trace(request: Request, network: Network) -> None:
    """Check that the trace of the link is the one that the request speaks of. Raises CompileError (AS407)."""
    if request.net_sha256 != _trace_sha256(network):
        message = f"the trace is not the one that the dump was made with (sha256 {request.net_sha256[:12]}...)"
        raise CompileError(
            Diagnostic("AS407", message, f'network "{request.net}"', hint=f"--net {request.net} plans again with what it holds now")
        )


def _target_sha256(text: str) -> str:
    """Return the digest of the file that a target is read from, "" for a name."""
    file = target_file_of(text)
    return sha256_of_file(file) if file is not None else ""


def _trace_sha256(network: Network) -> str:
    return network.trace.sha256 if network.trace else ""


def _digests(calib: Data | None, evaluation: Data | None) -> dict[str, Any]:
    return {
        "calib_sha256": calib.sha256 if calib else "",
        "calib_samples": calib.samples if calib else 0,
        "eval_sha256": evaluation.sha256 if evaluation else "",
    }
