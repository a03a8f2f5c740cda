"""The flow of a compile: import, then the passes, each checked, then the bundle, which is run and measured before it takes its place."""

from __future__ import annotations

import traceback
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from autosplitc.ir import EXIT_INTERNAL, CompileError, Diagnostic, Graph, Module, read_dump, unknown_input_dims, verify
from autosplitc.passes import FACT_TYPES, Data, Env, Front, Pass, Request, expand

from .bundle import workspace
from .cache import open_cache
from .claims import broken_claims
from .decide import decide
from .dump_problem import check_dump_place, write_problem
from .emission import Emission
from .evaluation import Evaluation
from .folder import check_apart, write_error
from .hooks import Hooks, Watch
from .options import Options
from .pipeline import build_pipeline, check_needs, parse_pipeline, parse_set, with_front
from .request import (
    Devices,
    Model,
    changed_fields,
    check_accuracy,
    check_calibration,
    check_evaluation,
    check_metric,
    check_preprocess,
    check_profiles,
    check_trace,
    find_devices,
    make_env,
    make_request,
    model_file,
    override,
    read_samples,
    read_source,
    target_digests,
    target_files,
    with_prologue,
    with_zoo_samples,
)
from .result import Result

LAST_PASS = "partition"
"""The pass that makes the graphs of a bundle; a pipeline without it ends with a module alone."""


@dataclass(frozen=True, slots=True)
class Job:
    """What goes through the passes, and the samples that the emitted files are judged on. original: the model as it was given, if known."""

    module: Module
    env: Env
    evaluation: Data | None
    original: Graph | None = None


def compile_model(model: Model, options: Options, watch: Watch) -> Result:
    """Compile a model: request, import, passes, bundle.

    Raises CompileError for everything that is wrong with the options, the model, the data or the output folder; see docs/diagnostics.md.
    """
    options = with_zoo_samples(options)
    passes = passes_of(options)
    check_needs(passes)
    check_accuracy(options.max_drop, options.metric, options.evaluation)
    devices = find_devices(options.edge, options.cloud, options.net)
    check_dump_place(options.dump_problem, options.output)
    check_apart(options.output, (model_file(model), *data_files(options), *device_files(options.edge, options.cloud, devices)))
    with workspace(options.output, force=options.force, needed=lowers(passes)) as folder:
        hooks = Hooks.of(options, folder, watch)
        job = start(model, options, devices, passes, hooks)
        return finish(job, passes, options, folder, hooks)


def start(model: Model, options: Options, devices: Devices, passes: Sequence[Pass], hooks: Hooks) -> Job:
    """Return a model, imported, with its request and what the passes may use. Raises as `compile_model` does."""
    with hooks.timed("import"):
        source = read_source(model, dict(options.input_shapes))
        check_profiles(devices, source.label, source.sha256)
        if any(p.gives for p in passes):
            check_sizes(source.graph, source.label)
        source, options = with_prologue(source, options)
        calib, evaluation = read_samples(options, source.graph, options.preprocess)
        check_metric(options.metric, evaluation)
    request = make_request(options, devices, source, calib, evaluation)
    cache = open_cache(options.cache, unused=options.no_cache, warn=hooks.warn)
    job = Job(Module((source.graph,), (request,)), make_env(devices, request, calib, hooks, cache), evaluation, source.graph)
    check_module(job.module, "the import", (), None)
    hooks.done("import", job.module)
    return job


def continue_dump(dump: Path, options: Options, given: Collection[str], watch: Watch) -> Result:
    """Go on from a dump. `given` names the options that override its request; facts that then no longer hold are dropped.

    Raises CompileError as `compile_model` does, AS22x for a damaged dump, AS118 where it needs its calibration data again, AS439 where a
    file of a target is gone.
    """
    options = with_zoo_samples(options)
    passes = passes_of(options)
    dumped = read_dump(dump, FACT_TYPES)
    problems = verify(dumped, "2")
    if problems:
        raise CompileError(problems).at(str(dump))
    if dumped.get(Request) is None or not dumped.has_graph("main"):
        raise CompileError(Diagnostic("AS119", "a dump to go on from holds graph 'main' and fact 'request'", str(dump)))
    check_preprocess(dumped.fact(Request), options, given)
    calib, evaluation = read_samples(options, dumped.main, dumped.fact(Request).preprocess)
    changes = changed_fields(options, given, calib, evaluation)
    module = override(dumped, changes | target_digests(dumped.fact(Request), changes))
    request = module.fact(Request)
    check_needs(passes, (type(f) for f in module.facts))
    check_calibration(request, calib, passes)
    check_evaluation(request, evaluation, passes)
    check_metric(request.metric, evaluation)
    devices = find_devices(request.edge, request.cloud, request.net)
    check_profiles(devices, request.source, request.source_sha256)
    check_trace(request, devices.network)
    check_dump_place(options.dump_problem, options.output)
    check_apart(options.output, (dump, *data_files(options), *device_files(request.edge, request.cloud, devices)))
    with workspace(options.output, force=options.force, needed=lowers(passes)) as folder:
        hooks = Hooks.of(options, folder, watch)
        cache = open_cache(options.cache, unused=options.no_cache, warn=hooks.warn)
        job = Job(module, make_env(devices, request, calib, hooks, cache), evaluation)
        return finish(job, passes, options, folder, hooks)


def device_files(edge: str, cloud: str, devices: Devices) -> tuple[Path, ...]:
    """Return the files that the targets and the link are read from."""
    trace = devices.network.trace
    return (*target_files(edge, cloud), *([Path(trace.name)] if trace else []))


def data_files(options: Options) -> tuple[Path, ...]:
    """Return the files and folders that samples are read from."""
    return tuple(Path(text) for text in (options.calib, options.evaluation) if text)


def finish(job: Job, passes: Sequence[Pass], options: Options, folder: Path | None, hooks: Hooks) -> Result:
    """Run the passes and, where there is a folder for it, build, run and measure the bundle in it, or one for every limit on the drop."""
    if folder is None:
        module = run_pipeline(job.module, passes, job.env, hooks)
        write_problem(module, job.env, options.dump_problem)
        return Result(module, None, {}, {}, tuple(hooks.warnings), tuple(hooks.timings))
    first = next(i for i, p in enumerate(passes) if p.name in expand("lower"))
    planned, lowering = run_pipeline(job.module, passes[:first], job.env, hooks), passes[first:]
    write_problem(planned, job.env, options.dump_problem)
    lower = partial(lowered, lowering, hooks) if options.emit_fallback else None
    emission = Emission(job.env, job.evaluation, options.output or folder, hooks, job.original, options.report, lower)
    if job.evaluation is None or not planned.fact(Request).max_drop:
        module = run_pipeline(planned, lowering, job.env, hooks)
        manifest, measurements = emission.emit(module, folder)
        return emission.result(module, manifest, measurements, temporary=options.output is None)
    with TemporaryDirectory(prefix="autosplitc-") as scratch:
        evaluation = Evaluation(job.evaluation, planned.fact(Request).metric, Path(scratch))
        with hooks.timed("accuracy"):
            decisions = decide(planned, partial(lowered, lowering, hooks), job.env, evaluation)
        return emission.emit_all(decisions, [p.name for p in lowering], evaluation, folder, temporary=options.output is None)


def lowered(passes: Sequence[Pass], hooks: Hooks, module: Module, env: Env) -> tuple[Module, ...]:
    """Return the module after each of the lowering passes. Raises as `run_pipeline` does, and KeyboardInterrupt."""
    stages: list[Module] = []
    for pass_ in passes:
        hooks.watch.check()
        module = run_pass(pass_, module, env, hooks.last_dump)
        stages.append(module)
    return tuple(stages)


def run_pipeline(module: Module, passes: Sequence[Pass], env: Env, hooks: Hooks) -> Module:
    """Return the module after the passes, one after the other.

    Raises CompileError: what a pass itself raises for a user's mistake; AS910 where it fails in any other way; AS911 where the module after
    it does not verify or the pass broke a promise.
    """
    for pass_ in passes:
        with hooks.timed(pass_.name):
            module = run_pass(pass_, module, env, hooks.last_dump)
            if Front in pass_.gives and module.fact(Front).partial:
                hooks.watch.settle()
        hooks.done(pass_.name, module)
    return module


def run_pass(pass_: Pass, module: Module, env: Env, last_dump: Path | None = None) -> Module:
    """Return the module after one pass, verified. Raises as `run_pipeline` does; `last_dump` is named in internal faults."""
    try:
        after = pass_.apply(module, env)
    except CompileError as error:
        if error.exit_code != EXIT_INTERNAL:
            raise
        raise internal_fault("AS910", f"pass {pass_.name!r} failed", [d.render() for d in error.diagnostics], last_dump) from error
    except OSError as error:
        raise write_error(Path(str(error.filename or ".")), error) from error
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno} in {place.name}"
        message = f"pass {pass_.name!r} failed: {type(error).__name__}: {error}"
        raise internal_fault("AS910", message, (where,), last_dump) from error
    check_module(after, f"pass {pass_.name!r}", broken_claims(pass_, module, after), last_dump)
    return after


def check_module(module: Module, maker: str, broken: Iterable[str], last_dump: Path | None) -> None:
    """Verify what `maker` made. Raises CompileError (AS911) with what is wrong and the promises that it broke."""
    notes = (*broken, *(d.render() for d in verify(module)))
    if notes:
        raise internal_fault("AS911", f"{maker} made a module that is not right", notes, last_dump)


def internal_fault(code: str, message: str, notes: Sequence[str], last_dump: Path | None) -> CompileError:
    """Return the error for a fault of ours: it names the last dump, from which the run can be repeated."""
    dump_notes = (f"the last dump is {last_dump}",) if last_dump else ()
    hint = f"autosplitc opt {last_dump} -p ..." if last_dump else "--dump-ir DIR keeps the module before it"
    return CompileError(Diagnostic(code, message, notes=(*notes, *dump_notes), hint=hint))


def passes_of(options: Options) -> tuple[Pass, ...]:
    """Return the passes that the options ask for. Raises CompileError (AS11x) with everything that is wrong with them."""
    settings = [parse_set(text) for text in options.settings]
    items = parse_pipeline(options.passes)
    return build_pipeline(with_front(items) if options.front else items, options.drop, settings, options.stop_after, options.dump_after)


def lowers(passes: Sequence[Pass]) -> bool:
    """Whether a pipeline makes the graphs of a bundle."""
    return any(p.name == LAST_PASS for p in passes)


def check_sizes(graph: Graph, label: str) -> None:
    """Check that the size of every input is known. Raises CompileError (AS301) with all that are not."""
    unknown = unknown_input_dims(graph, label)
    if unknown:
        raise CompileError(unknown)
