"""Runs graphs in ONNX Runtime for passes that look at values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from autosplitc.ir import CompileError, Diagnostic, Graph, Op, at_batch_one, export_onnx, pre_activation, write_onnx

from .feeds import Feed

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, SessionOptions

THREADS = 2
RETURNED_BYTES = 256 << 20
"""Values that are returned from one run take at most so many bytes, unless a single one takes more."""
IN_MEMORY_BYTES = 256 << 20
"""Constants above this reach the engine through a file, which it maps, instead of by copies in memory."""

_KNOWN_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})
"""Operator domains that stock ONNX Runtime has kernels for."""


@dataclass(frozen=True, eq=False)
class Execution:
    """A loaded graph that returns the values `names` of every run."""

    session: InferenceSession
    names: tuple[str, ...]

    def run(self, feed: Feed, names: Sequence[str] | None = None) -> dict[str, NDArray[Any]]:
        """Run once and return values by name; `names` picks some of those that were loaded.

        Raises CompileError AS323 (without a location) where the engine refuses the data.
        """
        wanted = self.names if names is None else tuple(names)
        try:
            return dict(zip(wanted, self.session.run(wanted, feed), strict=True))
        except MemoryError:
            raise
        except Exception as error:
            raise CompileError(Diagnostic("AS323", "the model does not run on this data", notes=(engine_message(error),))) from None


def load(graph: Graph, names: Sequence[str], *, quick: bool = False) -> Execution:
    """Load a graph so that runs return `names`: results of ops, or what fused ops make before their activation (`pre_activation`).

    Values are those of the float model op by op: nothing that changes them is fused. `quick` is for many runs from several threads: each
    takes one thread, and what the engine fuses may change the last digits. Raises CompileError AS324 where the engine does not take the
    graph.
    """
    wanted = tuple(names)
    try:
        return Execution(_session(graph, wanted, quick=quick), wanted)
    except (CompileError, MemoryError, OSError):
        raise
    except Exception as error:
        raise CompileError(Diagnostic("AS324", "ONNX Runtime does not load this model", notes=(engine_message(error),))) from None


def _session(graph: Graph, names: tuple[str, ...], *, quick: bool) -> InferenceSession:
    from onnxruntime import InferenceSession

    providers = ["CPUExecutionProvider"]
    if sum(const.blob.nbytes for const in graph.consts) <= IN_MEMORY_BYTES:
        data = export_onnx(graph, extra_outputs=names).SerializeToString()
        return InferenceSession(data, _options(quick=quick), providers)
    with TemporaryDirectory(prefix="autosplitc-") as folder:
        path = Path(folder) / "model.onnx"
        write_onnx(graph, path, extra_outputs=names, external_over_bytes=0)
        return InferenceSession(path, _options(quick=quick), providers)


def _options(*, quick: bool) -> SessionOptions:
    from onnxruntime import GraphOptimizationLevel, SessionOptions

    options = SessionOptions()
    level = GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if quick else level.ORT_ENABLE_BASIC
    options.intra_op_num_threads = 1 if quick else THREADS
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    return options


def engine_message(error: Exception) -> str:
    """Return what ONNX Runtime says in one line: the node, and the reason without status codes and the engine's own source paths."""
    text = " ".join(str(error).split())
    node = re.search(r"Name:'([^']+)'", text)
    reason = re.sub(r"^\[ONNXRuntimeError\] : \d+ : [A-Z_]+ : ", "", text)
    reason = reason.rpartition("Status Message: ")[2]
    reason = re.sub(r"/\S+\.(?:cc|h):\d+ (?:.*? was false\. )?", "", reason)
    return f'node "{node[1]}": {reason}' if node else reason


def groups(graph: Graph, names: Sequence[str], limit_bytes: int = RETURNED_BYTES) -> Iterator[tuple[str, ...]]:
    """Yield `names` in groups whose values take at most `limit_bytes` a run; a value of unknown size counts as nothing."""
    group: list[str] = []
    total = 0
    sizes = _sizes_bytes(graph)
    for name in names:
        size = sizes.get(name, 0)
        if group and total + size > limit_bytes:
            yield tuple(group)
            group, total = [], 0
        group.append(name)
        total += size
    if group:
        yield tuple(group)


def _sizes_bytes(graph: Graph) -> Mapping[str, int]:
    sizes = {name: (at_batch_one(t).elements or 0) * t.dtype.bits // 8 for name, t in graph.types.items()}
    return {**sizes, **{pre_activation(graph, op): sizes[op.name] for op in graph.ops if "act" in op.attrs}}


def runnable_part(graph: Graph) -> tuple[Graph, tuple[Op, ...]]:
    """Return the part of the graph that ONNX Runtime has kernels for, and the ops of custom domains that it ends at."""
    lost: set[str] = set()
    foreign: list[Op] = []
    kept: list[Op] = []
    for op in graph.ops:
        domain = op.kind.removeprefix("onnx.").rpartition(".")[0] if op.kind.startswith("onnx.") else ""
        if domain not in _KNOWN_DOMAINS:
            foreign.append(op)
        if domain in _KNOWN_DOMAINS and lost.isdisjoint(op.inputs):
            kept.append(op)
        else:
            lost.update(r for r in op.results if r)
    if not foreign:
        return graph, ()
    opset = tuple((domain, version) for domain, version in graph.opset if domain in _KNOWN_DOMAINS)
    outputs = tuple(name for name in graph.outputs if name not in lost)
    return replace(graph, opset=opset, ops=tuple(kept), outputs=outputs), tuple(foreign)
