"""fold-constants: what depends on constants alone, or on known sizes alone, becomes a constant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from numpy.typing import NDArray

from autosplitc.ir import (
    BlobRef,
    CompileError,
    Const,
    DType,
    Graph,
    Loc,
    Module,
    Op,
    TensorType,
    Value,
    blob_from_array,
    dtype_of,
    map_ops,
    op_row,
    redirect,
    remove_dead,
    storage_bytes,
)

from .base import Env, Pass
from .execute import load
from .refine_types import refine_types
from .shape_values import fold_shape_values

_NEVER = frozenset({
    "Bernoulli", "DequantizeLinear", "DynamicQuantizeLinear", "Multinomial", "QuantizeLinear",
    "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike",
})  # fmt: skip
"""Random ops, and quantisers that a model brings along: their scales and bits are kept."""

_GROWING = frozenset({"ConstantOfShape", "EyeLike", "Expand", "OneHot", "Pad", "Range", "Resize", "Tile", "Upsample"})
"""Ops whose result may be much larger than what they read: not evaluated before its size is known."""

_PARAMETRIC = frozenset({"conv", "conv_transpose", "gemm", "matmul", "batch_norm", "lstm", "gru", "prelu"})
"""Kinds whose inputs behind the first are weights."""

_FED_BYTES = 1024
"""Constants above this are fed to the engine instead of copied into the model that it loads."""

_NUMPY = frozenset({
    DType.F64, DType.F32, DType.F16, DType.I64, DType.I32, DType.I16, DType.I8, DType.U64, DType.U32, DType.U16, DType.U8, DType.BOOL,
})  # fmt: skip


@dataclass(frozen=True)
class FoldConstants(Pass):
    """Evaluates ops whose inputs are all constants, with ONNX Runtime, and shape arithmetic on known sizes. A Sum of two becomes Add.

    A result may be `max_growth_bytes` larger than the constants it is made of, unless it is read as weights. Random ops, ops with
    sub-graphs, ops of custom domains and quantisers are left as they are.
    """

    name: ClassVar[str] = "fold-constants"
    summary: ClassVar[str] = "evaluate what depends on constants and known sizes alone"

    max_growth_bytes: int = 1 << 20

    def apply(self, module: Module, env: Env) -> Module:
        """Return the module with constants folded in `main`."""
        del env
        return module.with_graph(fold_constants(module.main, self.max_growth_bytes))


def fold_constants(graph: Graph, max_growth_bytes: int) -> Graph:
    """Return the graph with constants folded; the graph itself where there is nothing to fold."""
    graph = _sums_as_adds(graph)
    while True:
        folded = _without_copies(fold_shape_values(graph))
        folded = _evaluated(folded, _foldable(folded, max_growth_bytes))
        if folded is graph:
            return graph
        graph = refine_types(remove_dead(folded))


def _sums_as_adds(graph: Graph) -> Graph:
    """Write a Sum of two values as Add, which later passes and integer kernels know; ONNX Runtime rounds the two alike only unfused."""
    sums = {op.name for op in graph.ops if op.kind == "onnx.Sum" and len(op.inputs) == 2}
    return map_ops(graph, lambda op: replace(op, kind="add") if op.name in sums else op) if sums else graph


def _without_copies(graph: Graph) -> Graph:
    """Let readers of an Identity of a constant read the constant, so that shared weights stay shared."""
    copies = {
        op.name: op.inputs[0]
        for op in graph.ops
        if op.kind in ("identity", "dropout") and graph.is_const(op.inputs[0]) and op.name not in graph.outputs and op.name in graph.users
    }
    return redirect(graph, copies) if copies else graph


def _foldable(graph: Graph, max_growth_bytes: int) -> tuple[Op, ...]:
    """The ops to evaluate, in order: those that may be, and whose inputs are constants or results of such ops."""
    candidates = _closed(graph, [op for op in graph.ops if _may_fold(graph, op)])
    weights = _read_as_weights(graph, candidates)
    return tuple(_closed(graph, [op for op in candidates if _fits(graph, op, weights, max_growth_bytes)]))


def _closed(graph: Graph, ops: list[Op]) -> list[Op]:
    known = set(graph.const)
    kept: list[Op] = []
    for op in ops:
        if all(name in known for name in op.inputs if name):
            kept.append(op)
            known.update(op.results)
    return kept


def _may_fold(graph: Graph, op: Op) -> bool:
    op_type = _op_type(op)
    if op_type in _NEVER or "." in op_type or not op_type or any(isinstance(value, Graph) for value in op.attrs.values()):
        return False
    read = [graph.type_of(name) for name in op.inputs if name]
    made = [t for r, t in zip(op.results, op.types, strict=True) if r]
    return all(t.dtype in _NUMPY and not t.wraps for t in (*read, *made))


def _op_type(op: Op) -> str:
    """The ONNX op type; with its domain where that is a custom one, "" for ops that ONNX does not have."""
    return op.kind.removeprefix("onnx.") if op.kind.startswith("onnx.") else op_row(op.kind).op_type


def _read_as_weights(graph: Graph, candidates: list[Op]) -> frozenset[str]:
    """Results that are weights of an op, at once or after further ops that are evaluated."""
    folded = {op.name for op in candidates}
    found: set[str] = set()
    for op in reversed(graph.ops):
        if op.kind in _PARAMETRIC:
            found.update(op.inputs[1:])
        elif op.name in folded and not found.isdisjoint(op.results):
            found.update(op.inputs)
    return frozenset(found)


def _fits(graph: Graph, op: Op, weights: frozenset[str], max_growth_bytes: int) -> bool:
    if not weights.isdisjoint(op.results):
        return True
    made = [t for r, t in zip(op.results, op.types, strict=True) if r]
    if not all(t.is_static for t in made):
        return _op_type(op) not in _GROWING
    read = [graph.type_of(name) for name in op.inputs if name]
    read_bytes = sum(storage_bytes(t) for t in read if t.is_static)
    return sum(map(storage_bytes, made)) <= read_bytes + max_growth_bytes


def _evaluated(graph: Graph, ops: tuple[Op, ...]) -> Graph:
    """Return the graph with the results of `ops` as constants, as far as something else reads them; the graph itself for no ops."""
    if not ops:
        return graph
    try:
        arrays = _run(graph, ops)
    except CompileError:
        ops = _runnable(graph, ops)
        if not ops:
            return graph
        arrays = _run(graph, ops)
    locs = _locations(graph, ops)
    blobs = {const.blob.sha256: const.blob for const in graph.consts}
    consts = tuple(_const(name, array, locs[name], blobs) for name, array in arrays.items())
    names = {op.name for op in ops}
    return replace(graph, ops=tuple(op for op in graph.ops if op.name not in names), consts=(*graph.consts, *consts))


def _run(graph: Graph, ops: tuple[Op, ...]) -> dict[str, NDArray[Any]]:
    """Evaluate `ops` in one session and return what other ops read of it. Raises CompileError where the engine does not take them."""
    inside = {op.name for op in ops}
    read = {name for op in graph.ops if op.name not in inside for name in op.inputs} | set(graph.outputs)
    wanted = tuple(r for op in ops for r in op.results if r in read)
    needed = {name for op in ops for name in op.inputs}
    consts = [const for const in graph.consts if const.name in needed]
    fed = {const.name: const.array() for const in consts if const.blob.nbytes > _FED_BYTES}
    part = replace(
        graph,
        inputs=tuple(Value(c.name, c.type) for c in consts if c.name in fed),
        consts=tuple(c for c in consts if c.name not in fed),
        ops=ops,
        outputs=wanted,
    )
    return load(part, wanted).run(fed) if wanted else {}


def _runnable(graph: Graph, ops: tuple[Op, ...]) -> tuple[Op, ...]:
    """The ops that the engine takes: each is tried with those before it that it takes."""
    kept: tuple[Op, ...] = ()
    for op in _closed(graph, list(ops)):
        try:
            _run(replace(graph, ops=(*kept, op), outputs=op.results[:1]), (*kept, op))
        except CompileError:
            continue
        kept = (*kept, op)
    return tuple(_closed(graph, list(kept)))


def _locations(graph: Graph, ops: tuple[Op, ...]) -> dict[str, Loc]:
    """For every result the ops and float constants that it was made of."""
    found = {const.name: const.loc for const in graph.consts if const.type.dtype.is_float}
    for op in ops:
        made_of = [found[name] for name in op.inputs if name in found]
        found.update((result, Loc().joined(*made_of, op.loc)) for result in op.results)
    return found


def _const(name: str, array: NDArray[Any], loc: Loc, blobs: Mapping[str, BlobRef]) -> Const:
    """A constant; one that only was reshaped keeps the blob that it had."""
    blob = blob_from_array(array)
    return Const(name, TensorType(dtype_of(array), array.shape), blobs.get(blob.sha256, blob), loc)
