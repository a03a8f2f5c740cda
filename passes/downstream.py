"""What lies downstream of a change: the part of a graph that has to run again when a value or a constant is another, and the values of the
whole graph that it runs on, kept in memory or in a temporary file.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import DType, Graph, TensorType, Value, numpy_dtype, prune_consts

from .execute import Execution, load

IN_MEMORY_BYTES = 1 << 30
"""Values above this are kept in a temporary file, which is mapped."""


@dataclass(frozen=True)
class Downstream:
    """The ops of `part` make the outputs that depend on its inputs `changed`; its other inputs, `live`, are as in the whole graph."""

    part: Graph
    changed: tuple[str, ...]
    live: tuple[str, ...]

    @property
    def outputs(self) -> tuple[str, ...]:
        """Outputs of the graph that ops of the part make."""
        return tuple(name for name in self.part.outputs if name in self.part.producer)

    def load(self) -> Execution | None:
        """Load the part into an engine, for runs from several threads; None where it has no op. Raises as `execute.load`."""
        return load(self.part, self.outputs, quick=True) if self.part.ops else None

    def run(self, execution: Execution | None, feed: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the outputs that depend on the change. Raises CompileError AS323."""
        made = execution.run(feed) if execution is not None else {}
        return {name: made[name] if name in made else feed[name] for name in self.part.outputs}


def downstream(graph: Graph, changed: Mapping[str, TensorType], outputs: Sequence[str]) -> Downstream:
    """Return what depends on `changed`, values or constants with their types, up to those of `outputs` that do.

    Ops that make what cannot be fed (sequences, strings, values of unknown type) belong to the part too.
    """
    reached = set(changed)
    for op in graph.ops:
        if any(name in reached for name in op.inputs):
            reached.update(r for r in op.results if r)
    wanted = tuple(name for name in outputs if name in reached)
    needed = set(wanted)
    names: set[str] = set()
    live: dict[str, None] = {}
    for op in reversed(graph.ops):
        again = not reached.isdisjoint(op.inputs) or any(not _is_fed(graph.types[r]) for r in op.results if r)
        if needed.isdisjoint(op.results) or not again or set(op.results) & changed.keys():
            continue
        names.add(op.name)
        needed.update(name for name in op.inputs if name)
    made = {r for op in graph.ops if op.name in names for r in op.results}
    for op in graph.ops:
        if op.name in names:
            live.update((i, None) for i in op.inputs if i and i not in made and i not in changed and not graph.is_const(i))
    inputs = (*(Value(name, type_) for name, type_ in changed.items()), *(graph.input.get(n) or Value(n, graph.types[n]) for n in live))
    consts = tuple(c for c in graph.consts if c.name not in changed)
    ops = tuple(op for op in graph.ops if op.name in names)
    part = prune_consts(replace(graph, inputs=inputs, consts=consts, ops=ops, outputs=wanted))
    return Downstream(part, tuple(changed), tuple(live))


def _is_fed(type_: TensorType) -> bool:
    if type_.wraps or type_.dtype in (DType.UNKNOWN, DType.STRING):
        return False
    try:
        numpy_dtype(type_.dtype)
    except ValueError:
        return False
    return True


@dataclass
class Store:
    """Arrays by name and run. Those above `limit_bytes` go into a file that vanishes when the context ends."""

    limit_bytes: int = IN_MEMORY_BYTES
    _held: dict[tuple[str, int], NDArray[Any]] = field(default_factory=dict[tuple[str, int], NDArray[Any]])
    _held_bytes: int = 0
    _folder: TemporaryDirectory[str] | None = None

    def __enter__(self) -> Store:
        """Return the store."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Let everything go."""
        self._held.clear()
        if self._folder is not None:
            self._folder.cleanup()

    def put(self, name: str, run: int, array: NDArray[Any]) -> None:
        """Keep a value of a run."""
        self._held_bytes += array.nbytes
        keep = self._held_bytes <= self.limit_bytes or not array.nbytes or array.dtype.hasobject
        self._held[name, run] = array if keep else self._mapped(array)

    def get(self, names: Collection[str], run: int) -> dict[str, NDArray[Any]]:
        """Return values of a run by name."""
        return {name: self._held[name, run] for name in names}

    def _mapped(self, array: NDArray[Any]) -> NDArray[Any]:
        if self._folder is None:
            self._folder = TemporaryDirectory(prefix="autosplitc-", ignore_cleanup_errors=True)
        path = Path(self._folder.name) / "values"
        with path.open("ab") as file:
            offset = file.seek(0, os.SEEK_END)
            np.ascontiguousarray(array).tofile(file)
        return np.memmap(path, array.dtype, "r", offset, array.shape)
