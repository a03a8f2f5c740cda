"""Graph: the program. A typed, frozen, topologically ordered DAG of ops over named values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from .blob import BlobRef, numpy_dtype
from .location import NOWHERE, Loc
from .types import Attrs, DType, TensorType

ABSENT = ""
"""Name of an input or result that is not there."""


@dataclass(frozen=True, slots=True)
class Value:
    """A graph input."""

    name: str
    type: TensorType
    loc: Loc = NOWHERE


@dataclass(frozen=True, slots=True)
class Const:
    """A constant tensor."""

    name: str
    type: TensorType
    blob: BlobRef
    loc: Loc = NOWHERE

    def array(self) -> Any:
        """Return a read-only numpy view in the constant's shape.

        Works for element types that numpy has; codes below 8 bits are unpacked with `autosplitc.ir.unpack_bits`.
        """
        return self.blob.read().view(numpy_dtype(self.type.dtype)).reshape(self.type.dims)


@dataclass(frozen=True, slots=True)
class Op:
    """One operation.

    `kind` is a row of the op table (`conv`, `gemm`, `add` ...) or `onnx.<OpType>` / `onnx.<domain>.<OpType>`: any node, kept verbatim.
    "" is an absent input or result. `types` has one type a result (an absent result's is `TensorType(UNKNOWN)`).
    What sub-graphs capture stands behind the node's own inputs; attribute `captures` then holds the names used inside.
    """

    results: tuple[str, ...]
    kind: str
    inputs: tuple[str, ...]
    attrs: Attrs = field(default_factory=Attrs)
    types: tuple[TensorType, ...] = ()
    loc: Loc = NOWHERE

    @property
    def name(self) -> str:
        """The op's name: its first present result."""
        return next(r for r in self.results if r)

    @property
    def result(self) -> str:
        """The only result. Raises ValueError where there are several."""
        (only,) = self.results
        return only

    @property
    def type(self) -> TensorType:
        """The type of the only result."""
        (only,) = self.types
        return only


UNKNOWN_TYPE = TensorType(DType.UNKNOWN)


@dataclass(frozen=True)
class Graph:
    """Inputs, constants, ops in topological order, and the names of the outputs.

    `opset` maps a domain ("" is ONNX itself) to its version. Look-ups (`producer`, `users`, `type_of`) are computed once a graph.
    """

    name: str
    opset: tuple[tuple[str, int], ...]
    inputs: tuple[Value, ...]
    consts: tuple[Const, ...]
    ops: tuple[Op, ...]
    outputs: tuple[str, ...]
    metadata: tuple[tuple[str, str], ...] = ()

    @cached_property
    def const(self) -> Mapping[str, Const]:
        """Constants by name."""
        return {c.name: c for c in self.consts}

    @cached_property
    def input(self) -> Mapping[str, Value]:
        """Graph inputs by name."""
        return {v.name: v for v in self.inputs}

    @cached_property
    def producer(self) -> Mapping[str, Op]:
        """The op that makes a value, by value name."""
        return {r: op for op in self.ops for r in op.results if r}

    @cached_property
    def users(self) -> Mapping[str, tuple[Op, ...]]:
        """The ops that read a value, in order, each once; values without readers are missing."""
        found: dict[str, dict[str, Op]] = {}
        for op in self.ops:
            for name in op.inputs:
                if name:
                    found.setdefault(name, {})[op.name] = op
        return {name: tuple(ops.values()) for name, ops in found.items()}

    @cached_property
    def types(self) -> Mapping[str, TensorType]:
        """The type of every value: inputs, constants, results."""
        found: dict[str, TensorType] = {v.name: v.type for v in self.inputs}
        found.update((c.name, c.type) for c in self.consts)
        found.update((r, t) for op in self.ops for r, t in zip(op.results, op.types, strict=True) if r)
        return found

    def type_of(self, name: str) -> TensorType:
        """The type of a value; UNKNOWN_TYPE for "" (absent)."""
        return self.types[name] if name else UNKNOWN_TYPE

    def is_const(self, name: str) -> bool:
        """Whether the value is a constant."""
        return name in self.const
