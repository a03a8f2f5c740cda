"""A piece: standard ONNX nodes that stand for one of our ops, as a small graph of onnx-graphsurgeon's.

The rest of a model never goes through graphsurgeon: its round trip drops attributes that it does not know and fails on others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import DType, Op, Spelling

if TYPE_CHECKING:
    import onnx_graphsurgeon as gs
    from onnx import NodeProto

ONNX_TYPE = {
    DType.F32: 1,
    DType.U8: 2,
    DType.I8: 3,
    DType.U16: 4,
    DType.I16: 5,
    DType.I32: 6,
    DType.I64: 7,
    DType.BOOL: 9,
    DType.F16: 10,
    DType.F64: 11,
    DType.U32: 12,
    DType.U64: 13,
    DType.BF16: 16,
    DType.U4: 21,
    DType.I4: 22,
    DType.U2: 25,
    DType.I2: 26,
}
"""TensorProto.DataType of the types that Cast goes to (ONNX specification, onnx.proto)."""

Constants: TypeAlias = dict[tuple[str, tuple[int, ...], bytes], str]
"""Names of small constants of a model, by type, shape and bytes."""


class Piece:
    """Standard nodes that stand for one of our ops."""

    def __init__(self, op: Op, spelling: Spelling, constants: Constants) -> None:
        """Start without nodes; `constants` are those that other pieces have added, by type, shape and bytes."""
        import onnx_graphsurgeon as gs

        self.spelling = spelling
        self.graph = gs.Graph()
        self._stem = op.name
        self._constants = constants
        self._tensors: dict[str, gs.Tensor] = {}
        self._new: set[str] = set()

    def value(self, name: str) -> gs.Tensor:
        """Return the value of a name; graphsurgeon wants one object for each."""
        import onnx_graphsurgeon as gs

        if name not in self._tensors:
            self._tensors[name] = gs.Variable(name)
        return self._tensors[name]

    def constant(self, values: NDArray[Any]) -> gs.Tensor:
        """Return a small constant, shared with other pieces."""
        key = (values.dtype.str, values.shape, values.tobytes())
        if key not in self._constants:
            made = self.own_constant(f"autosplitc/{values.dtype.name}.{len(self._constants)}", values)
            self._constants[key] = made.name
            return made
        return self._tensor(self._constants[key], values)

    def own_constant(self, hint: str, values: NDArray[Any]) -> gs.Tensor:
        """Return a constant that nothing else reads."""
        name = self.spelling.fresh(hint)
        self._new.add(name)
        return self._tensor(name, values)

    def _tensor(self, name: str, values: NDArray[Any]) -> gs.Tensor:
        import onnx_graphsurgeon as gs

        if name not in self._tensors:
            self._tensors[name] = gs.Constant(name, values)
        return self._tensors[name]

    def ints(self, *values: int) -> gs.Tensor:
        """Return an int64 vector constant."""
        return self.constant(np.array(values, np.int64))

    def add(self, op_type: str, inputs: Sequence[gs.Tensor], result: str | None = None, **attrs: Any) -> gs.Tensor:
        """Append a node and return its only result, named `result` or afresh."""
        import onnx_graphsurgeon as gs

        name = result if result is not None else self.spelling.fresh(f"{self._stem}/{op_type}")
        made = self.value(name)
        self.graph.nodes.append(gs.Node(op_type, "", attrs, list(inputs), [made]))
        return made

    def cast(self, source: gs.Tensor, dtype: DType, result: str | None = None) -> gs.Tensor:
        """Append a Cast. Integers that do not fit keep their low bits, as ONNX defines it."""
        return self.add("Cast", [source], result, to=ONNX_TYPE[dtype])

    def reshape(self, source: gs.Tensor, *shape: int, result: str | None = None) -> gs.Tensor:
        """Append a Reshape; -1 is the size that is not fixed."""
        return self.add("Reshape", [source, self.ints(*shape)], result)

    def columns(self, source: gs.Tensor, start: int, stop: int) -> gs.Tensor:
        """Append a Slice of the second axis."""
        return self.add("Slice", [source, self.ints(start), self.ints(stop), self.ints(1)])

    def padded(self, source: gs.Tensor, count: int) -> gs.Tensor:
        """Append a Pad that adds `count` zeros to every row of a matrix; nothing for 0."""
        return self.add("Pad", [source, self.ints(0, 0, 0, count)]) if count else source

    def written(self) -> list[NodeProto]:
        """Return the nodes; new constants are handed to the export."""
        import onnx_graphsurgeon as gs

        proto = gs.export_onnx(self.graph, do_type_check=False).graph
        self.spelling.initializers.extend(t for t in proto.initializer if t.name in self._new)
        return list(proto.node)
