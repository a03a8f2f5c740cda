"""What of a lowered module stock ONNX Runtime can run: all of it, unless the model has ops of custom domains."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from autosplitc.ir import Graph, Module, Op
from autosplitc.passes import OutputPlace, WireLayout, runnable_part

from .codegen import write_scratch


@dataclass(frozen=True)
class Runnable:
    """The part of a module before its custom ops.

    `module` has its graphs cut off at them: what they read are graph outputs too, and `wire-layout` tells where all outputs appear.
    `foreign` are the custom ops; without any `module` is the one that was given.
    """

    module: Module
    foreign: tuple[Op, ...]

    @staticmethod
    def of(module: Module) -> Runnable:
        """Return what can be run of a module with the graphs `edge` and `whole`."""
        foreign = runnable_part(module.main)[1]
        if not foreign:
            return Runnable(module, ())
        kinds = {op.kind for op in foreign}
        graphs = {g.name: _before(g, kinds) for g in module.graphs}
        on_edge = {result for op in graphs["edge"].ops for result in op.results}
        outputs = graphs["whole"].outputs
        edge = tuple(dict.fromkeys((*graphs["edge"].outputs, *(name for name in outputs if name in on_edge))))
        graphs["edge"] = replace(graphs["edge"], outputs=edge)
        places = tuple(OutputPlace(name, "edge" if name in on_edge else "cloud", name) for name in outputs)
        layout = replace(module.fact(WireLayout), outputs=places)
        facts = tuple(layout if isinstance(fact, WireLayout) else fact for fact in module.facts)
        return Runnable(Module(tuple(graphs.values()), facts), foreign)

    def file(self, side: str, folder: Path, scratch: Path) -> Path:
        """Return the file of a half: the emitted one in `folder`, or one in `scratch` where it is cut off."""
        if not self.foreign:
            return folder / f"{side}.onnx"
        path = scratch / f"{side}.onnx"
        write_scratch(self.module.graph(side), path)
        return path


def _before(graph: Graph, kinds: set[str]) -> Graph:
    """Return a graph without its custom ops and all that follows; what is read there and known before are outputs."""
    kept, _ = runnable_part(graph)
    made = {result for op in kept.ops for result in op.results}
    gone = [op for op in graph.ops if not made.issuperset(op.results)]
    read = [name for op in gone if op.kind in kinds for name in op.inputs if name in made]
    return replace(kept, outputs=tuple(dict.fromkeys((*kept.outputs, *read))))
