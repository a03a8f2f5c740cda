"""The profile kit: a folder with all that a device needs to measure a model. docs/profile.md tells what is in it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, cast

import numpy as np

from autosplitc.ir import CompileError, Diagnostic, Module
from autosplitc.passes import Data, Env, Feed, Request, expand, op_views, pass_class
from autosplitc.targets import load_target, parse_network, signature, work_of

from .codegen import write_side
from .data import load_data
from .driver import check_sizes, run_pipeline
from .engine import Engine, for_some_fill, sample_feeds
from .folder import Ours, check_apart, staged_folder, writing_to
from .hooks import Hooks, Watch
from .options import Options
from .preprocess import parse_preprocess
from .profile_contexts import Context, bits_context, float_context, profiling_env
from .profile_probes import CHAINS, PROBES, chain, opset_probes, wire_sizes
from .prologue import preprocessed
from .request import Model, Source, model_file, read_source, with_zoo_samples

KIT_FILE = "kit.json"
SCHEMA = "autosplitc-kit/1"
PROFILE_SCHEMA = "autosplitc-profile/1"
SCRIPT = "profile.py"
_PROGRAM = (SCRIPT, "profile_cases.py", "profile_kernels.py")
"""The program that runs on the device, as it lies in autosplitc.runtime."""
_WIRE = "wire"
"""Folder of the small models that pack and unpack."""
_SILENT = ("AS320", "AS503")
"""Warnings about accuracy: a profile asks for none."""
_OPSET = 21
"""Highest opset of the quantised models where the model's own is not higher. Newer containers of weights would make smaller files; when
they are loaded all become the same, so times are too."""

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class KitOptions:
    """What a kit is asked for.

    folder: where it goes. calib, preprocess: as in `Options`. input_shapes: sizes of inputs, by name. bits: widths to run at. threads,
    level, repeats: what the program on the device does unless told otherwise. name: what the device is called. force: write into a folder
    that holds other things.
    """

    folder: Path
    calib: str | None = None
    preprocess: str = "none"
    input_shapes: tuple[tuple[str, tuple[int, ...]], ...] = ()
    bits: tuple[int, ...] = (2, 4, 6, 8)
    threads: int = 1
    level: str = "extended"
    repeats: int = 50
    name: str = "device"
    force: bool = False


@dataclass(frozen=True, slots=True)
class Kit:
    """A kit that was written: ops of the simplified model, how many of them each context runs, sizes that are packed, its bytes."""

    folder: Path
    model: str
    ops: int
    covered: Mapping[str, int]
    sizes: tuple[int, ...]
    nbytes: int


def make_kit(model: Model, options: KitOptions, watch: Watch) -> Kit:
    """Write a kit for a model, whole or not at all.

    Raises CompileError: AS2xx and AS3xx a bad model or data, AS446 where none of it can be on the edge, AS6xx the folder.
    """
    samples = with_zoo_samples(Options("", "", calib=options.calib, preprocess=options.preprocess))
    options = replace(options, calib=samples.calib, preprocess=samples.preprocess)
    check_apart(options.folder, (model_file(model), Path(options.calib) if options.calib else None))

    def warn(diagnostic: Diagnostic) -> None:
        if diagnostic.code not in _SILENT:
            watch.warn(diagnostic)

    hooks = Hooks(replace(watch, warn=warn))
    with staged_folder(options.folder, force=options.force, ours=Ours("kit", "--kit", strangers)) as stage:
        with hooks.timed("import"):
            source = read_source(model, dict(options.input_shapes))
            check_sizes(source.graph, source.label)
            graph, preprocess = preprocessed(source.graph, options.preprocess)
            source = replace(source, graph=graph)
            calib = load_data(options.calib, graph, preprocess=parse_preprocess(preprocess)) if options.calib else None
        module, env = _analysed(source, calib, hooks)
        contexts = list(_contexts(module, options.bits, env, hooks))
        with hooks.timed("write"), writing_to(options.folder):
            kit = _write(stage, source, module, contexts, options)
        with hooks.timed("run"):
            feed = _feed(module, calib, stage / contexts[0].file)
        with writing_to(options.folder):
            _write_inputs(stage, kit, feed)
            _keep_profiles(options.folder, stage)
            nbytes = sum(path.stat().st_size for path in _files(stage))
    covered = {c.name: len(set(c.values.values()) - {""}) for c in contexts}
    return Kit(options.folder, source.label, len(module.main.ops), covered, wire_sizes(module.main), nbytes)


def strangers(folder: Path, names: list[str]) -> list[str]:
    """Return which names in a folder neither belong to a kit nor are profiles; all where there is no kit."""
    kit = _json(folder / KIT_FILE)
    if kit.get("schema") != SCHEMA:
        return names
    own = {KIT_FILE, *(str(file).partition("/")[0] for file in kit.get("files", ()))}
    return [name for name in names if name not in own and not _is_profile(folder / name)]


def _keep_profiles(old: Path, stage: Path) -> None:
    """Copy the profiles that lie in the kit that is replaced: they were measured elsewhere."""
    for path in old.glob("*.json") if old.is_dir() else ():
        if _is_profile(path):
            shutil.copy2(path, stage / path.name)


def _is_profile(path: Path) -> bool:
    return path.suffix == ".json" and path.is_file() and _json(path).get("schema") == PROFILE_SCHEMA


def _json(path: Path) -> Json:
    """Return the object that a file holds; an empty one where it holds none."""
    try:
        found: object = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return cast("Json", found) if isinstance(found, dict) else {}


def _analysed(source: Source, calib: Data | None, hooks: Hooks) -> tuple[Module, Env]:
    request = Request("", source.label, source.sha256, "any-device", "any-device", "3mbps")
    any_env = Env(load_target("eyeriss"), load_target("tpu"), parse_network("3mbps"), calib, warn=hooks.warn)
    env = profiling_env(source.graph, any_env)
    passes = [pass_class(name)() for name in (*expand("simplify"), *expand("analyze"))]
    return run_pipeline(Module((source.graph,), (request,)), passes, env, hooks), env


def _contexts(module: Module, bits: tuple[int, ...], env: Env, hooks: Hooks) -> Iterator[Context]:
    """Yield float, then one context for each width. Raises CompileError (AS446)."""
    yield float_context(module.main)
    for width in bits:
        with hooks.timed(f"{width} bits"):
            context = bits_context(module, width, env)
        if context is None:
            first = module.main.ops[0].name if module.main.ops else ""
            notes = (f'not even its first op, "{first}": its size is not known, or onnxruntime does not have it',)
            hint = "--input-shape NAME:SIZES"
            raise CompileError(Diagnostic("AS446", "nothing of the model can run on the edge", module.fact(Request).source, notes, hint))
        yield context


def _write(stage: Path, source: Source, module: Module, contexts: list[Context], options: KitOptions) -> Json:
    """Write everything but the inputs and kit.json, and return what kit.json is to say."""
    opset = dict(module.main.opset).get("", _OPSET)
    for context in contexts:
        write_side(context.graph, stage / context.file, max_opset=max(opset, _OPSET))
    wires: list[Json] = []
    (stage / _WIRE).mkdir()
    for elements in wire_sizes(module.main):
        for bits in options.bits:
            probes = {f"{_WIRE}/{key}-{elements}-{bits}.onnx": probe(elements, bits) for key, probe in PROBES.items()}
            for file, graph in probes.items():
                write_side(graph, stage / file)
            wires.append({"elements": elements, "bits": bits, **dict(zip(PROBES, probes, strict=True))})
    chains = {f"chain-{kernels}.onnx": chain(kernels) for kernels in CHAINS}
    opsets = {f"opset-{version}.onnx": graph for version, graph in opset_probes(opset).items()}
    for file, graph in {**chains, **opsets}.items():
        write_side(graph, stage / file)
    for name in _PROGRAM:
        with as_file(files("autosplitc.runtime") / name) as path:
            shutil.copyfile(path, stage / name)
    (stage / "README.txt").write_text(_readme(source, options), encoding="utf-8")
    return {
        "schema": SCHEMA,
        "name": options.name,
        "model": {"name": source.label, "sha256": source.sha256},
        "opset": opset,
        "settings": {"threads": options.threads, "level": options.level, "repeats": options.repeats},
        "ops": _ops(module),
        "contexts": [{"context": c.name, "file": c.file, "values": dict(c.values)} for c in contexts],
        "wires": wires,
        "chains": list(chains),
        "opsets": {file.removeprefix("opset-").removesuffix(".onnx"): file for file in opsets},
    }


def _ops(module: Module) -> list[Json]:
    """Return what the kit says of every op: what a profile says, and the ops that read what it makes."""
    found: list[Json] = []
    for op, (name, view) in zip(module.main.ops, op_views(module), strict=True):
        readers = dict.fromkeys(reader.name for result in op.results for reader in module.main.users.get(result, ()))
        found.append({"op": name, "kind": op.kind, "signature": signature(view), "work": work_of(view), "readers": list(readers)})
    return found


def _feed(module: Module, calib: Data | None, path: Path) -> Feed:
    """Return a sample that the float model runs on: the first of the calibration data, or noise. Raises CompileError (AS702, AS703)."""
    engine = Engine.load(path, path.name)

    def tried(fill: int) -> Feed:
        feed = next(sample_feeds(module, calib, module.fact(Request).seed, 1, fill))
        engine.run(feed)
        return feed

    return for_some_fill(module, calib, tried)


def _write_inputs(stage: Path, kit: Json, feed: Feed) -> None:
    """Write the inputs and, last of all, kit.json."""
    arrays = {f"input{i}": array.astype(np.str_) if array.dtype.kind == "O" else array for i, array in enumerate(feed.values())}
    np.savez(stage / "inputs.npz", allow_pickle=False, **arrays)
    kit["inputs"] = [{"name": name, "array": array} for name, array in zip(feed, arrays, strict=True)]
    kit["files"] = [path.relative_to(stage).as_posix() for path in _files(stage)]
    (stage / KIT_FILE).write_text(json.dumps(kit, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _readme(source: Source, options: KitOptions) -> str:
    return f"""Profile kit of {source.label}, made by autosplitc.

Copy this folder to the device, with Python 3.8 or later, numpy and onnxruntime there, and run in it

    python {SCRIPT} -o mydevice.json

It says how far it is. Nothing else should run on the device meanwhile. Then plan with what it wrote:

    autosplitc MODEL -t mydevice.json --net 3mbps -o out

Defaults of this kit: {options.threads} thread(s), level {options.level}, {options.repeats} runs; --threads, --level, --repeats and --name
change them, --help says more.
"""
