"""What a model holds, for `autosplitc inspect`: inputs and outputs, ops by kind, ops not understood, and what crosses at every cut."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from autosplitc.ir import DType, Graph, Module, at_batch_one
from autosplitc.passes import crossing_sets, expand, pass_class
from autosplitc.targets import view

from .driver import run_pipeline
from .hooks import Hooks, Watch
from .manifest import Json
from .request import Model, read_source, simplifying_env
from .table_text import columns

OPAQUE = "onnx."
"""Kinds that begin so are kept verbatim and run in float."""


def inspect_model(model: Model, input_shapes: Mapping[str, tuple[int, ...]], watch: Watch) -> Json:
    """Return what a model holds; cuts are those of the simplified graph. Sizes are at batch 1, None where they are not known.

    Raises CompileError as importing does.
    """
    hooks = Hooks(watch)
    with hooks.timed("import"):
        source = read_source(model, input_shapes)
    simplify = [pass_class(name)() for name in expand("simplify")]
    graph = run_pipeline(Module((source.graph,)), simplify, simplifying_env(hooks), hooks).main
    return {
        "model": source.label,
        "sha256": source.sha256,
        "opset": dict(source.graph.opset),
        "inputs": [_value(graph, v.name) for v in graph.inputs],
        "outputs": [_value(graph, name) for name in graph.outputs],
        "ops_imported": len(source.graph.ops),
        "ops": len(graph.ops),
        "kinds": dict(Counter(op.kind for op in graph.ops).most_common()),
        "not_understood": {kind: names for kind, names in _by_kind(graph).items() if kind.startswith(OPAQUE)},
        "parameters": sum(c.type.elements or 0 for c in graph.consts if c.type.dtype.is_float),
        "macs": sum(view(graph, op).macs for op in graph.ops),
        "cuts": list(_cuts(graph)),
    }


def inspection_text(found: Json) -> str:
    """Return what `inspect_model` found as text for people."""
    lines = [f"{found['model']}   {found['ops_imported']} ops, {found['ops']} after simplification"]
    lines.append(f" {found['parameters']:,} parameters, {found['macs']:,} multiply-accumulates")
    for side in ("inputs", "outputs"):
        lines.extend(f" {side[:-1]:<9} {value['name']} : {value['type']}" for value in found[side])
    lines.append(" kinds     " + ", ".join(f"{count} {kind}" for kind, count in found["kinds"].items()))
    for kind, names in found["not_understood"].items():
        some = ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")
        lines.append(f" not understood, kept as it is and run in float: {len(names)} {kind} ({some})")
    rows = [("CUT", "AFTER", "FLOAT B", "8 BIT B", "TENSORS")]
    for cut in found["cuts"]:
        as_float, as_codes = ("?" if cut[name] is None else f"{cut[name]:,}" for name in ("float_bytes", "code_bytes"))
        rows.append((str(cut["position"]), cut["after"] or "(the input)", as_float, as_codes, ", ".join(cut["crossing"])))
    return "\n".join((*lines, "", columns(rows)))


def _by_kind(graph: Graph) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for op in graph.ops:
        found.setdefault(op.kind, []).append(op.name)
    return found


def _value(graph: Graph, name: str) -> Json:
    return {"name": name, "type": str(graph.type_of(name))}


def _cuts(graph: Graph) -> Iterator[Json]:
    """Yield what crosses at every position: bytes as the values are, and with 8-bit codes in place of f32."""
    for position, names in enumerate(crossing_sets(graph)):
        types = [at_batch_one(graph.type_of(name)) for name in names]
        elements = [t.elements for t in types]
        widths = [t.dtype.bits // 8 for t in types]
        codes = [1 if t.dtype is DType.F32 else width for t, width in zip(types, widths, strict=True)]
        yield {
            "position": position,
            "after": graph.ops[position - 1].name if position else "",
            "crossing": list(names),
            "float_bytes": _total(elements, widths),
            "code_bytes": _total(elements, codes),
        }


def _total(elements: list[int | None], widths: list[int]) -> int | None:
    known = [n for n in elements if n is not None]
    return sum(n * w for n, w in zip(known, widths, strict=True)) if len(known) == len(elements) else None
