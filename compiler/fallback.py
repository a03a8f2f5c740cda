"""`--emit-fallback`: the whole model for the edge beside the halves, for when the cloud cannot be reached."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from autosplitc.ir import Diagnostic, Graph, Module
from autosplitc.passes import Choice, Env, Plan, Refinement, Request, Solutions, WireLayout, noise_feeds, size_text

from .codegen import write_side
from .engine import Engine
from .folder import MANIFEST
from .manifest import Json, check_manifest, manifest_text, side_record

Lower = Callable[[Module, Env], tuple[Module, ...]]
"""What runs the lowering passes: the module after each."""

NAME = "fallback"


@dataclass(frozen=True)
class Fallback:
    """The graph, what it is, and where the model's outputs are in it. plan: the Edge-Only plan that it is of, None for the float model."""

    graph: Graph
    outputs: tuple[tuple[str, str], ...]
    plan: Plan | None


def with_fallback(module: Module, env: Env, folder: Path, manifest: Json, lower: Lower, warn: Callable[[Diagnostic], None]) -> Json:
    """Write `fallback.onnx` into a finished bundle, run it, and return the manifest that names it, which is written too.

    An Edge-Only bundle is its own fallback: nothing is written, and AS512 says so. Raises OSError; CompileError as `lower` does, and AS702
    where the graph does not load or run.
    """
    if not module.has_graph("cloud"):
        warn(Diagnostic("AS512", "the plan is Edge-Only: it needs no fallback, and there is none", severity="warning"))
        return manifest
    found = fallback_of(module, env, lower)
    path = folder / f"{NAME}.onnx"
    write_side(found.graph, path, max_opset=module.fact(Request).max_opset or env.edge.max_opset)
    _try(found.graph, path, env.seed)
    record = side_record(found.graph, folder)
    nbytes = sum(file["bytes"] for file in record["files"])
    if found.plan is None:
        warn(_float_warning(manifest, nbytes))
    changed = {**manifest, "fallback": {**record, "outputs": _places(found), "kind": _kind(found), "predicted": _predicted(found.plan)}}
    check_manifest(changed)
    (folder / MANIFEST).write_text(manifest_text(changed), encoding="utf-8")
    return changed


def fallback_of(module: Module, env: Env, lower: Lower) -> Fallback:
    """Return the fastest Edge-Only plan that keeps every limit, lowered; the float model where there is none."""
    plans, main = module.fact(Solutions).plans, module.main
    fitting = [i for i, plan in enumerate(plans) if plan.kind == "edge-only" and plan.feasible]
    if not fitting:
        return Fallback(replace(main, name=NAME), tuple((name, name) for name in main.outputs), None)
    best = min(fitting, key=lambda i: plans[i].latency_s)
    facts = tuple(fact for fact in module.facts if fact.graph in ("", main.name) and not isinstance(fact, Refinement | WireLayout))
    planned = Module((main,), facts).with_fact(replace(module.fact(Choice), index=best))
    made = lower(planned, replace(env, warn=_unheard))[-1]
    places = tuple((place.name, place.output) for place in made.fact(WireLayout).outputs)
    return Fallback(replace(made.graph("edge"), name=NAME), places, plans[best])


def _unheard(warning: Diagnostic) -> None:
    """Leave out what the lowering passes say: the halves' own have said it."""
    del warning


def _try(graph: Graph, path: Path, seed: int) -> None:
    engine = Engine.load(path, path.name)
    for feed in noise_feeds(graph, seed, 1, 1):
        engine.run(feed)


def _kind(found: Fallback) -> str:
    return "float" if found.plan is None else "edge-only"


def _places(found: Fallback) -> list[Json]:
    return [{"name": name, "output": output} for name, output in found.outputs]


def _predicted(plan: Plan | None) -> Json | None:
    if plan is None:
        return None
    return {"latency_s": plan.latency_s, "edge_ram_bytes": plan.ram_bytes, "edge_storage_bytes": plan.storage_bytes}


def _float_warning(manifest: Json, nbytes: int) -> Diagnostic:
    limits = manifest["limits"]
    notes = [f"fallback.onnx takes {size_text(nbytes)} of storage, and at least as much RAM while it runs"]
    for name, key in (("storage", "edge_storage_bytes"), ("RAM", "edge_ram_bytes")):
        if limits[key] is not None:
            notes.append(f"the edge's limit on {name} is {size_text(limits[key])}")
    message = "no Edge-Only plan keeps the limits, so fallback.onnx is the float model"
    hint = "loosen the limits, or --fallback error or queue at run time"
    return Diagnostic("AS513", message, notes=tuple(notes), hint=hint, severity="warning")
