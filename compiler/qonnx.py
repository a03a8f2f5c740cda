"""The edge graph in QONNX form: `Quant` nodes on numbers in place of QuantizeLinear, Clip and DequantizeLinear.

A `Quant` node (domain `qonnx.custom_op.general`; inputs x, scale, zero point, bit-width) gives the numbers that codes stand for:
(round(clamp(x / scale + zero point)) - zero point) x scale. So codes of ours become numbers everywhere; ops that only move codes move
numbers, which is the same. Only `pack` needs codes: a QuantizeLinear before it makes them of numbers that lie on their grid, hence exactly.

What differs from the form for ONNX Runtime: QuantizeLinear rounds before it adds the zero point, `Quant` after it, so that a number about
halfway between two codes may get the other one. The batch is 1, since tools around QONNX want sizes known.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import (
    Attrs,
    Const,
    DType,
    Graph,
    Loc,
    Op,
    TensorType,
    at_batch_one,
    blob_from_array,
    fresh_name,
    unpack_bits,
)

from .codegen import NEWEST_OPSET, emit_onnx
from .piece import ONNX_TYPE

if TYPE_CHECKING:
    from onnx import ModelProto

DOMAIN = "qonnx.custom_op.general"
"""Where the op lives; the `qonnx` package resolves it by this name."""

DOMAIN_VERSION = 1

_MOVES = ("max_pool", "reshape", "flatten", "squeeze", "unsqueeze", "identity", "transpose", "slice", "split", "concat")
"""Ops that do the same to numbers as to their codes (Concat: of one scale, else it does not read codes)."""


def emit_qonnx(graph: Graph, *, max_opset: int = NEWEST_OPSET) -> ModelProto:
    """Return the QONNX model of an edge graph; the same graph gives the same bytes. Shapes of all values that are known are in it."""
    numbers = with_quant_nodes(graph)
    model = emit_onnx(numbers, max_opset=max_opset)
    in_bytes = {op.result for op in numbers.ops if op.kind == "quantize"}
    listed = {v.name for v in (*model.graph.input, *model.graph.output)}
    made = {name for node in model.graph.node for name in node.output}
    for name, type_ in numbers.types.items():
        if name in made and name not in listed and type_.shape is not None and type_.dtype in ONNX_TYPE:
            info = model.graph.value_info.add()
            info.name = name
            info.type.tensor_type.elem_type = ONNX_TYPE[DType.U8 if name in in_bytes else type_.dtype]
            for dim in type_.dims:
                info.type.tensor_type.shape.dim.add().dim_value = dim
    return model


def with_quant_nodes(graph: Graph) -> Graph:
    """Return an edge graph with `Quant` nodes, at batch size 1."""
    return _Rewrite(graph).graph()


@dataclass
class _Rewrite:
    """A graph in the making.

    numbers: for every value of codes of ours the value that holds what they stand for; parameters: its quantiser's op; codes: the value
    that codes were made again as, for those who need them.
    """

    source: Graph
    ops: list[Op] = field(default_factory=list[Op])
    consts: dict[str, Const] = field(default_factory=dict[str, Const])
    numbers: dict[str, str] = field(default_factory=dict[str, str])
    parameters: dict[str, Op] = field(default_factory=dict[str, Op])
    codes: dict[str, str] = field(default_factory=dict[str, str])
    taken: set[str] = field(default_factory=set[str])

    def graph(self) -> Graph:
        """Return the graph."""
        source = self.source
        self.taken = set(source.types)
        for op in source.ops:
            self._add(replace(op, types=tuple(map(at_batch_one, op.types))))
        read = {name for op in self.ops for name in op.inputs}
        kept = tuple(c for c in source.consts if c.name in read or c.name in source.outputs)
        inputs = tuple(replace(v, type=at_batch_one(v.type)) for v in source.inputs)
        opset = tuple(sorted({**dict(source.opset), DOMAIN: DOMAIN_VERSION}.items()))
        return replace(source, opset=opset, inputs=inputs, consts=(*kept, *self.consts.values()), ops=tuple(self.ops))

    def _add(self, op: Op) -> None:
        ours = [name for name in op.inputs if name in self.numbers]
        if op.kind == "quantize":
            self._add_quantiser(op)
        elif op.kind == "dequantize" and len(op.inputs) > 1:
            self._add_weights(op)
        elif op.kind == "dequantize" and ours:
            self._add_numbers(op)
        elif op.kind in _MOVES and ours == list(op.inputs[: len(op.inputs) if op.kind == "concat" else 1]):
            self._add_move(op)
        else:
            self.ops.append(replace(op, inputs=tuple(self._codes_of(name) if name in self.numbers else name for name in op.inputs)))

    def _add_quantiser(self, op: Op) -> None:
        bits = op.type.dtype.bits
        scale, zero_point = op.attrs.float_("scale", 1.0), op.attrs.int_("zero_point", 0)
        name = self._hold(op.result, op)
        self._add_quant(op.inputs[0], name, _Parameters(np.array(scale, np.float32), zero_point, bits, signed=False), op)

    def _add_weights(self, op: Op) -> None:
        """Add weights as the numbers that their codes stand for with a `Quant` node behind; biases, of 32 bits, as numbers alone."""
        codes, scales = self.source.const[op.inputs[0]], self.source.const[op.inputs[1]]
        axis, shape = op.attrs.int_("axis", 1), codes.type.dims
        each: NDArray[Any] = scales.array().reshape([-1 if i == axis % max(len(shape), 1) else 1 for i in range(len(shape))])
        whole = _integers(codes)
        numbers = whole.astype(np.float32) * each
        if codes.type.dtype is DType.I32:
            self._add_const(op.result, numbers, op.loc)
            return
        held = self._add_const(self._fresh(f"{op.result}.numbers"), numbers, op.loc)
        self._add_quant(held, op.result, _Parameters(each, 0, codes.type.dtype.bits, signed=True), op)

    def _add_numbers(self, op: Op) -> None:
        """Add what reads codes as numbers: they have this very name already, or get it as another."""
        held = self.numbers[op.inputs[0]]
        if held != op.result:
            self.ops.append(Op((op.result,), "identity", (held,), Attrs(), op.types, op.loc))

    def _add_move(self, op: Op) -> None:
        quantiser = self.parameters[op.inputs[0]]
        inputs = tuple(self.numbers.get(name, name) for name in op.inputs)
        results = tuple(self._hold(name, quantiser) if name else name for name in op.results)
        types = tuple(t.with_dtype(DType.F32) if name else t for name, t in zip(op.results, op.types, strict=True))
        self.ops.append(replace(op, inputs=inputs, results=results, types=types))

    def _hold(self, codes: str, quantiser: Op) -> str:
        """Name the value that holds what codes stand for: as the first who reads them as numbers calls it, else as the codes were."""
        readers = [user for user in self.source.users.get(codes, ()) if user.kind == "dequantize"]
        self.numbers[codes] = readers[0].result if readers else codes
        self.parameters[codes] = quantiser
        return self.numbers[codes]

    def _codes_of(self, name: str) -> str:
        """Return a value with the codes that numbers stand for."""
        if name not in self.codes:
            quantiser, numbers = self.parameters[name], self.numbers[name]
            self.codes[name] = self._fresh(f"{name}.codes") if numbers == name else name
            type_ = at_batch_one(self.source.type_of(name))
            self.ops.append(Op((self.codes[name],), "quantize", (numbers,), quantiser.attrs, (type_,), quantiser.loc))
        return self.codes[name]

    def _add_quant(self, source: str, result: str, parameters: _Parameters, op: Op) -> None:
        operands = (
            self._add_const(self._fresh(f"{result}.{what}"), np.asarray(values, np.float32), op.loc)
            for what, values in (("scale", parameters.scale), ("zero_point", parameters.zero_point), ("bits", parameters.bits))
        )
        attrs = Attrs.of(signed=int(parameters.signed), narrow=0, rounding_mode="ROUND")
        type_ = op.type.with_dtype(DType.F32)
        self.ops.append(Op((result,), f"onnx.{DOMAIN}.Quant", (source, *operands), attrs, (type_,), op.loc))

    def _add_const(self, name: str, values: NDArray[Any], loc: Loc) -> str:
        self.consts[name] = Const(name, TensorType(DType.F32, values.shape), blob_from_array(values), loc)
        return name

    def _fresh(self, hint: str) -> str:
        name = fresh_name(self.taken, hint)
        self.taken.add(name)
        return name


@dataclass(frozen=True, slots=True)
class _Parameters:
    """A quantiser: scale f32 that meets the shape of what it quantises, zero point, bits, and whether codes below 0 exist."""

    scale: NDArray[Any]
    zero_point: int
    bits: int
    signed: bool


def _integers(const: Const) -> NDArray[Any]:
    """Return the integers of a constant of codes, in its shape."""
    dtype = const.type.dtype
    if dtype in (DType.I32, DType.I8):
        return const.array()
    return unpack_bits(const.blob.read(), dtype.bits, const.type.elements or 0, signed=True).reshape(const.type.dims)
