"""Explicit quantisation: turns the first ops of a graph into the ops that run on the edge, on codes.

A coded value `v` gets codes `v.q` and, where somebody reads numbers, their dequantised form `v.dq`. A graph output keeps its name: there
the raw result is `v.raw` and `v` is the dequantised value. Ops of class `same` work on the codes themselves. Where the model uses such
names already, `EdgeRecipe.mark` stands before the suffix.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import (
    ABSENT,
    ACT_GAIN,
    ACT_LIFT,
    ArrayRef,
    Attrs,
    Const,
    DType,
    Graph,
    Loc,
    Op,
    TensorType,
    blob_from_array,
    blob_from_bytes,
    code_dtype,
    pack_bits,
)

from ..from_bytes import byte_values
from ..roles import Roles
from ..rounded import Rounded
from .affine import Affine, quantize_array
from .weights import quantize_bias

ABSORBED = ("relu", "clip")
"""Activations that a requantisation absorbs where it cuts off what they cut off; others get an 8-bit quantiser of their own before them."""

ON_CODES = ("max_pool", "reshape", "flatten", "squeeze", "unsqueeze", "identity", "transpose", "slice", "split")
"""Ops of class `same` whose standard form takes 8-bit codes."""

SUFFIXES = ("q", "dq", "raw", "scale", "inner", "lift", "act", "gain", "wire", "rx", "cast", "cloud")
"""Endings of the names that quantisation and the cut add."""


@dataclass(frozen=True)
class EdgeRecipe:
    """What the edge part is made from.

    affine: quantiser by root value, of those that are held as codes; inner: quantiser before a fused activation, by op;
    rounded: integer weights and corrected biases; mark: what keeps new names apart from the model's.
    """

    graph: Graph
    roles: Roles
    position: int
    affine: Mapping[str, Affine]
    inner: Mapping[str, Affine]
    rounded: Rounded
    mark: str = ""

    def named(self, stem: str, suffix: str) -> str:
        """Return a new name: stem, mark and one of `SUFFIXES`."""
        return f"{stem}{self.mark}.{suffix}"


def free_mark(graph: Graph) -> str:
    """Return the shortest run of underscores that keeps every new name apart from the graph's."""
    mark = ""
    while any(name.endswith(tuple(f"{mark}.{s}" for s in SUFFIXES)) for name in graph.types):
        mark += "_"
    return mark


@dataclass
class EdgePart:
    """The edge ops under construction: ops, new constants, and the names under which values are known."""

    recipe: EdgeRecipe
    ops: list[Op] = field(default_factory=list[Op])
    consts: dict[str, Const] = field(default_factory=dict[str, Const])
    codes: dict[str, str] = field(default_factory=dict[str, str])
    floats: dict[str, str] = field(default_factory=dict[str, str])
    raw: dict[str, str] = field(default_factory=dict[str, str])
    scales: dict[str, str] = field(default_factory=dict[str, str])

    def is_coded(self, value: str) -> bool:
        """Whether a value is held as codes."""
        return value in self.recipe.roles.coded and self.recipe.roles.root[value] in self.recipe.affine

    def affine_of(self, value: str) -> Affine:
        """The quantiser of a coded value."""
        return self.recipe.affine[self.recipe.roles.root[value]]

    def code_type(self, value: str) -> TensorType:
        """The type of a value's codes."""
        return self.recipe.graph.type_of(value).with_dtype(code_dtype(self.affine_of(value).bits, signed=False))

    def read_codes(self, value: str) -> str:
        """Name of the codes of a coded value."""
        if value not in self.codes:
            self.codes[value] = self.recipe.named(value, "q")
            self.ops.append(quantize_op(self.raw.get(value, value), self.codes[value], self.affine_of(value), self.code_type(value)))
        return self.codes[value]

    def read_float(self, value: str) -> str:
        """Name of the numbers of a value as ops on the edge see them: dequantised where it is coded."""
        graph = self.recipe.graph
        if not self.is_coded(value):
            return value
        if value not in self.floats:
            codes = self.read_codes(value)
            name = value if value in graph.outputs and value in graph.producer else self.recipe.named(value, "dq")
            self.floats[value] = name
            self.ops.append(dequantize_op(codes, name, self.affine_of(value), graph.type_of(value)))
        return self.floats[value]


def quantize_op(source: str, codes: str, affine: Affine, type_: TensorType) -> Op:
    """Return `codes = quantize(source)`."""
    attrs = Attrs.of(scale=affine.scale, zero_point=affine.zero_point, bits=affine.bits)
    return Op((codes,), "quantize", (source,), attrs, (type_,), Loc((codes,)))


def dequantize_op(codes: str, result: str, affine: Affine, type_: TensorType) -> Op:
    """Return `result = dequantize(codes)` per tensor."""
    attrs = Attrs.of(scale=affine.scale, zero_point=affine.zero_point)
    return Op((result,), "dequantize", (codes,), attrs, (type_.with_dtype(DType.F32),), Loc((result,)))


def build_edge(recipe: EdgeRecipe) -> EdgePart:
    """Return the edge part: the first `position` ops on codes, with their weights and biases as integers.

    Where codes are a picture's bytes, the arithmetic between is left out.
    """
    part = EdgePart(recipe)
    ops = recipe.graph.ops[: recipe.position]
    for name, made in byte_values(recipe.graph).items():
        if made.ops[-1] in ops and part.is_coded(name) and made.are_codes(part.affine_of(name)):
            part.codes[name] = made.codes
    arithmetic = {op.name for name, made in byte_values(recipe.graph).items() if name in part.codes for op in made.ops}
    for op in ops:
        if op.name in arithmetic:
            continue
        if op.kind == "concat" and _is_of_one_scale(part, op):
            _add_on_codes(part, op, len(op.inputs))
        elif op.name in recipe.roles.quantised:
            _add_quantised(part, op)
        elif op.kind in ON_CODES and part.is_coded(op.inputs[0]):
            _add_on_codes(part, op, 1)
        else:
            _add_float(part, op)
    made = {result for op in ops for result in op.results}
    for value in recipe.graph.outputs:
        if value in made:
            part.read_float(value)
    return part


def _raw_name(part: EdgePart, value: str) -> str:
    """Name under which an op leaves a result: its own, unless that name is kept for the dequantised graph output."""
    if value in part.recipe.graph.outputs and part.is_coded(value):
        part.raw[value] = part.recipe.named(value, "raw")
        return part.raw[value]
    return value


def _add_float(part: EdgePart, op: Op) -> None:
    inputs = tuple(part.read_float(name) for name in op.inputs)
    part.ops.append(Op(tuple(_raw_name(part, r) for r in op.results), op.kind, inputs, op.attrs, op.types, op.loc))


def _is_of_one_scale(part: EdgePart, op: Op) -> bool:
    """Whether the operands of a Concat and its result have the very same quantiser."""
    values = (*op.inputs, op.result)
    return all(part.is_coded(v) for v in values) and len({part.affine_of(v) for v in values}) == 1


def _add_on_codes(part: EdgePart, op: Op, count: int) -> None:
    """Add an op that moves codes: its first `count` inputs and its results are codes."""
    data = tuple(part.read_codes(name) for name in op.inputs[:count])
    part.codes.update((result, part.recipe.named(result, "q")) for result in op.results if result)
    results = tuple(part.codes[r] if r else ABSENT for r in op.results)
    types = tuple(part.code_type(r) if r else t for r, t in zip(op.results, op.types, strict=True))
    others = tuple(part.read_float(name) for name in op.inputs[count:])
    part.ops.append(Op(results, op.kind, (*data, *others), op.attrs, types, op.loc))


def _add_quantised(part: EdgePart, op: Op) -> None:
    recipe = part.recipe
    inputs = tuple(_operand(part, op, index) for index in range(len(op.inputs)))
    if len(inputs) == 2 and recipe.graph.is_const(op.inputs[1]) and recipe.rounded.bias(op.name, op.inputs[1]) is not None:
        inputs = (*inputs, _bias(part, op, None))
    act = op.attrs.str_("act")
    result = _raw_name(part, op.result)
    plain = Attrs.of({k: v for k, v in op.attrs.items() if not k.startswith("act")})
    if not act or act in ABSORBED or op.name not in recipe.inner:
        attrs = plain if act == "clip" and _cuts_off(part, op) else op.attrs
        part.ops.append(Op((result,), op.kind, inputs, attrs, op.types, op.loc))
        return
    inner, affine = recipe.named(op.result, "inner"), recipe.inner[op.name]
    codes, numbers = recipe.named(inner, "q"), recipe.named(inner, "dq")
    part.ops.append(Op((inner,), op.kind, inputs, plain, op.types, op.loc))
    part.ops.append(quantize_op(inner, codes, affine, op.type.with_dtype(code_dtype(8, signed=False))))
    part.ops.append(dequantize_op(codes, numbers, affine, op.type))
    lift, gain = op.attrs.get(ACT_LIFT), op.attrs.get(ACT_GAIN)
    if isinstance(lift, ArrayRef):
        _multiply(part, op, numbers, lift, "lift", recipe.named(inner, "lift"))
        numbers = recipe.named(inner, "lift")
    made = recipe.named(op.result, "act") if isinstance(gain, ArrayRef) else result
    part.ops.append(Op((made,), act, (numbers,), activation_attrs(op.attrs), op.types, Loc(op.loc.names[-1:])))
    if isinstance(gain, ArrayRef):
        _multiply(part, op, made, gain, "gain", result)


def _multiply(part: EdgePart, op: Op, source: str, factors: ArrayRef, suffix: str, result: str) -> None:
    """Add the product of a value and the factors of an op's channels, shaped to meet axis 1."""
    shape = (*factors.type.dims, *(1,) * (len(op.type.shape or ()) - 2))
    const = Const(part.recipe.named(op.result, suffix), TensorType(factors.type.dtype, shape), factors.blob, op.loc)
    part.consts[const.name] = const
    loc = Loc(tuple(f"{name}.{suffix}" for name in op.loc.names[-1:]))
    part.ops.append(Op((result,), "mul", (source, const.name), Attrs(), op.types, loc))


def _cuts_off(part: EdgePart, op: Op) -> bool:
    """Whether the quantiser of an op's result maps all beyond the bounds of its fused clip to its first and last code.

    Engines see 8-bit codes and cannot tell that fewer bits make the clip redundant.
    """
    if not part.is_coded(op.result):
        return False
    affine = part.affine_of(op.result)
    bounds = [op.attrs.float_("act_low", -math.inf), op.attrs.float_("act_high", math.inf)]
    return quantize_array(np.array(bounds, np.float32), affine).tolist() == [0, affine.max_code]


def activation_attrs(attrs: Attrs) -> Attrs:
    """Return a fused activation's parameters as attributes of the op alone (`low`, `high`, `alpha`, `beta`), without channels' factors."""
    return Attrs.of({k.removeprefix("act_"): v for k, v in attrs.items() if k.startswith("act_") and k not in (ACT_GAIN, ACT_LIFT)})


def _operand(part: EdgePart, op: Op, index: int) -> str:
    name = op.inputs[index]
    recipe = part.recipe
    if not recipe.graph.is_const(name):
        return part.read_float(name)
    if name in recipe.roles.weight_axis:
        return _weight(part, name)
    corrected = index == 2 and recipe.rounded.bias(op.name, op.inputs[1]) is not None
    if corrected or (index == 2 and name in recipe.roles.bias_of):
        return _bias(part, op, name)
    return name


def _weight(part: EdgePart, name: str) -> str:
    """Add the integer form of a weight constant once; return its dequantised name."""
    recipe = part.recipe
    result = recipe.named(name, "dq")
    if name in part.scales:
        return result
    const, axis = recipe.graph.const[name], recipe.roles.weight_axis[name]
    rounded = recipe.rounded.weight(recipe.graph, name, axis)
    code_type = const.type.with_dtype(code_dtype(rounded.bits, signed=True))
    codes = Const(recipe.named(name, "q"), code_type, blob_from_bytes(pack_bits(rounded.codes, rounded.bits)), const.loc)
    scale = Const(recipe.named(name, "scale"), _vector(rounded.scale.size), blob_from_array(rounded.scale), const.loc)
    _dequantize_const(part, codes, scale, result, axis)
    part.scales[name] = scale.name
    return result


def _bias(part: EdgePart, op: Op, name: str | None) -> str:
    """Add the int32 form of a bias at scale (input x weights); return its dequantised name, or that of the numbers where none exists.

    name: the op's bias constant; None where it has none and rounding makes one.
    """
    recipe = part.recipe
    weights, source = op.inputs[1], op.inputs[0]
    corrected = recipe.rounded.bias(op.name, weights)
    own = recipe.graph.const[name] if name is not None else None
    values: NDArray[Any] = own.array() if own is not None else np.zeros(0, np.float32)
    shape = own.type.dims if own is not None else values.shape
    stem = f"{op.name}.bias" if name is None else name if len(recipe.graph.users[name]) == 1 else f"{name}.{op.name}"
    loc = own.loc if own is not None else op.loc
    if corrected is not None:
        shape = shape if math.prod(shape) == corrected.size and shape else corrected.shape
        values = corrected.reshape(shape)
    unchanged = own is not None and corrected is None
    weight_scale: NDArray[Any] = part.consts[part.scales[weights]].array() if weights in part.scales else np.zeros(0, np.float32)
    if not part.is_coded(source) or not shape or shape[-1] != weight_scale.size or math.prod(shape) != weight_scale.size:
        return name if unchanged and name is not None else _float_const(part, recipe.named(stem, "cast"), values, loc)
    rounded = quantize_bias(values.reshape(-1), part.affine_of(source).scale, weight_scale)
    codes = Const(recipe.named(stem, "q"), TensorType(DType.I32, shape), blob_from_array(rounded.codes.reshape(shape)), loc)
    scale = Const(recipe.named(stem, "scale"), _vector(rounded.scale.size), blob_from_array(rounded.scale), loc)
    result = recipe.named(stem, "dq")
    _dequantize_const(part, codes, scale, result, len(shape) - 1)
    return result


def _float_const(part: EdgePart, name: str, values: NDArray[Any], loc: Loc) -> str:
    part.consts[name] = Const(name, TensorType(DType.F32, values.shape), blob_from_array(values.astype(np.float32)), loc)
    return name


def _vector(size: int) -> TensorType:
    return TensorType(DType.F32, (size,))


def _dequantize_const(part: EdgePart, codes: Const, scale: Const, result: str, axis: int) -> None:
    part.consts[codes.name] = codes
    part.consts[scale.name] = scale
    op = Op((result,), "dequantize", (codes.name, scale.name), Attrs.of(axis=axis), (codes.type.with_dtype(DType.F32),), codes.loc)
    part.ops.append(op)
