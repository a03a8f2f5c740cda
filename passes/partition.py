"""partition: makes the graphs `edge`, `cloud` and `whole` of the chosen plan, and the layout of what crosses the wire.

The three share their ops: `edge` is the edge part, the wire's quantisers and `pack`; `cloud` is `unpack`, the wire's dequantisers and the
cloud part; `whole` is both parts with codes handed over unpacked. So halves and whole can be compared bit for bit. Half-precision floats go
through their bytes in `whole` too: engines without half-precision arithmetic keep them in single precision from op to op. What depends on
constants alone does not cross: the cloud part has copies of the ops that make it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from autosplitc.ir import (
    Attrs,
    Const,
    DType,
    Graph,
    Loc,
    Module,
    Op,
    TensorType,
    Value,
    at_batch_one,
    code_dtype,
    constant_makers,
    constant_values,
    fresh_name,
    packed_bytes,
)

from .base import Env, Pass
from .facts import Choice, OutputPlace, Plan, Ranges, Request, Solutions, WireLayout, WireTensor
from .given_codes import codes_behind
from .quantisers import Quantisers
from .quantize.affine import Affine
from .quantize.insert import ABSORBED, EdgePart, EdgeRecipe, build_edge, dequantize_op, free_mark, quantize_op
from .reorder import crossing_of, ordered_for
from .roles import roles
from .rounded import Rounded, rounded_of

PAYLOAD = "payload"
"""Name of the edge graph's first output and the cloud graph's first input, unless the model has that name already."""

_ONNX_FLOAT = {DType.F32: 1, DType.F16: 10, DType.F64: 11, DType.BF16: 16}
"""TensorProto.DataType of the floats (ONNX specification, onnx.proto)."""

_HALF = (DType.F16, DType.BF16)


@dataclass(frozen=True, slots=True)
class _Wire:
    """A crossing tensor: its model name and type, the value that travels, its type, its name in the cloud, and its quantiser.

    Without a quantiser it travels as it is, or as the codes that the model makes it of.
    """

    name: str
    type: TensorType
    sent: str
    sent_type: TensorType
    arrived: str
    affine: Affine | None


@dataclass(frozen=True)
class Partition(Pass):
    """Cuts `main` after the chosen plan's last edge op. Gives graphs `edge`, `cloud`, `whole` and the fact `wire-layout`.

    Edge-Only has neither a `cloud` graph nor a payload: its outputs are the edge graph's.
    """

    name: ClassVar[str] = "partition"
    summary: ClassVar[str] = "make the edge, cloud and whole graphs of the chosen plan"
    needs: ClassVar = (Request, Ranges, Solutions, Choice)
    gives: ClassVar = (WireLayout,)

    def apply(self, module: Module, env: Env) -> Module:
        """Return the module with the three graphs; the chosen plan must be on the list of solutions."""
        del env
        plan = module.fact(Solutions).plans[module.fact(Choice).index]
        main = module.main
        graph = ordered_for(main, plan)
        graph = graph if _batch_can_stay(graph, plan.position) else at_fixed_batch(graph)
        quantisers = Quantisers(module.fact(Ranges))
        part = build_edge(_recipe(graph, plan, quantisers, rounded_of(module, plan), module.fact(Request).keep_float))
        wire_bits = {b.name: b.bits for b in plan.wire_bits}
        wires = tuple(_wire(part, quantisers, name, wire_bits.get(name)) for name in _crossing(graph, plan.position))
        layout = _layout(graph, plan.position, wires)
        cloud_ops = _cloud_ops(part.recipe, wires)
        graphs = [main, _edge_graph(graph, part, wires, layout), _whole_graph(graph, part, wires, cloud_ops)]
        if plan.position < len(graph.ops):
            graphs.insert(2, _cloud_graph(graph, wires, cloud_ops, layout))
        kept = tuple(fact for fact in module.facts if fact.graph in ("", main.name))
        return Module(tuple(graphs), kept).with_fact(layout)


def _recipe(graph: Graph, plan: Plan, quantisers: Quantisers, rounded: Rounded, keep_float: str) -> EdgeRecipe:
    """Return the bits and quantisers of everything on the edge."""
    found = roles(graph, keep_float)
    bits = {found.root[b.name]: b.bits for b in plan.act_bits if b.name in found.root}
    affine = {root: quantisers.affine(root, width) for root, width in bits.items()}
    inner: dict[str, Affine] = {}
    for op in graph.ops[: plan.position]:
        if op.name in found.quantised and op.attrs.str_("act") not in ("", *ABSORBED):
            before = quantisers.inner(op.result)
            if before is not None:
                inner[op.name] = before
    return EdgeRecipe(graph, found, plan.position, affine, inner, rounded, free_mark(graph))


def _crossing(graph: Graph, position: int) -> tuple[str, ...]:
    """Values that a cloud op reads and that are there before the cut, in the order in which they come to be."""
    return crossing_of(graph, {op.name for op in graph.ops[:position]})


def _constant_ops(recipe: EdgeRecipe) -> tuple[tuple[Op, ...], dict[str, str]]:
    """Return copies of the edge ops that make of constants alone what the cloud reads, and the names of their results by the old ones."""
    graph = recipe.graph
    read = [name for op in graph.ops[recipe.position :] for name in op.inputs]
    copied = constant_makers(graph, read, constant_values(graph))
    originals = [op for op in graph.ops[: recipe.position] if op.name in copied]
    names = {r: recipe.named(r, "cloud") for op in originals for r in op.results if r}
    results = (tuple(names.get(r, r) for r in op.results) for op in originals)
    inputs = (tuple(names.get(i, i) for i in op.inputs) for op in originals)
    return tuple(replace(op, results=r, inputs=i) for op, r, i in zip(originals, results, inputs, strict=True)), names


def _wire(part: EdgePart, quantisers: Quantisers, name: str, bits: int | None) -> _Wire:
    """Return what travels for a crossing value, after adding a quantiser of its own where the wire needs one (`bits` None: raw)."""
    recipe = part.recipe
    type_ = recipe.graph.type_of(name)
    if type_.wraps or not (type_.dtype.is_float or type_.dtype is DType.BOOL or type_.dtype[0] in "ui"):
        raise ValueError(f"{name!r} of type {type_} cannot cross")
    if bits is None:
        arrived = recipe.named(name, "rx") if type_.dtype in _HALF or _joins_quantisers(recipe.graph, type_) else name
        return _Wire(name, type_, part.read_float(name), type_, arrived, None)
    if part.is_coded(name) and part.affine_of(name).bits == bits:
        codes = part.read_codes(name)
        return _Wire(name, type_, codes, part.code_type(name), codes, part.affine_of(name))
    codes = codes_behind(recipe.graph, name)
    if codes and recipe.graph.type_of(codes).dtype.bits == bits:
        codes_type = recipe.graph.type_of(codes)
        return _Wire(name, type_, codes, codes_type, recipe.named(name, "q"), None)
    affine = quantisers.affine(recipe.roles.root[name] if part.is_coded(name) else name, bits)
    sent, sent_type = recipe.named(name, "wire"), type_.with_dtype(code_dtype(bits, signed=False))
    source = part.read_float(name)
    if type_.dtype is not DType.F32:
        source = recipe.named(name, "cast")
        part.ops.append(_cast(name, source, type_.with_dtype(DType.F32)))
    part.ops.append(quantize_op(source, sent, affine, sent_type))
    return _Wire(name, type_, sent, sent_type, sent, affine)


def _joins_quantisers(graph: Graph, type_: TensorType) -> bool:
    """Whether a number that crosses may lie between an op and a quantiser of the model, which an engine makes one of where it sees both."""
    return type_.dtype.is_float and any(op.kind in ("quantize_linear", "dequantize_linear") for op in graph.ops)


def _cast(source: str, result: str, type_: TensorType) -> Op:
    return Op((result,), "cast", (source,), Attrs.of(to=_ONNX_FLOAT[type_.dtype]), (type_,), Loc((result,)))


def _cloud_ops(recipe: EdgeRecipe, wires: Iterable[_Wire]) -> tuple[Op, ...]:
    """Return the ops that turn received codes into numbers, then the cloud's, which read those in place of what was made on the edge."""
    copies, renamed = _constant_ops(recipe)
    received = list(copies)
    for wire in wires:
        if wire.affine is None and wire.type == wire.sent_type:
            renamed[wire.name] = wire.arrived
            continue
        numbers = recipe.named(wire.name, "rx")
        renamed[wire.name] = numbers
        if wire.affine is None:
            maker = recipe.graph.producer[wire.name]
            received.append(replace(maker, results=(numbers,), inputs=(wire.arrived, *maker.inputs[1:])))
        elif wire.type.dtype is DType.F32:
            received.append(dequantize_op(wire.sent, numbers, wire.affine, wire.type))
        else:
            single = recipe.named(numbers, "cast")
            received += [dequantize_op(wire.sent, single, wire.affine, wire.type), _cast(single, numbers, wire.type)]
    rest = recipe.graph.ops[recipe.position :]
    return (*received, *(replace(op, inputs=tuple(renamed.get(name, name) for name in op.inputs)) for op in rest))


def _layout(graph: Graph, position: int, wires: tuple[_Wire, ...]) -> WireLayout:
    """Return the payload's layout: crossing tensors in order, each padded to whole bytes a sample."""
    offset = 0
    tensors: list[WireTensor] = []
    for wire in wires:
        at_one, nbytes = at_batch_one(wire.sent_type), _sample_bytes(wire)
        affine = wire.affine
        bits, scale, zero_point = (affine.bits, affine.scale, affine.zero_point) if affine is not None else (0, 1.0, 0)
        tensors.append(WireTensor(wire.name, str(at_one.dtype), at_one.dims, bits, scale, zero_point, offset, nbytes))
        offset += nbytes
    in_cloud = {result for op in graph.ops[position:] for result in op.results}
    places = tuple(OutputPlace(name, "cloud" if name in in_cloud else "edge", name) for name in graph.outputs)
    return WireLayout("edge", fresh_name(graph.types, PAYLOAD) if wires else "", offset, tuple(tensors), places)


def _edge_graph(graph: Graph, part: EdgePart, wires: tuple[_Wire, ...], layout: WireLayout) -> Graph:
    ops = list(part.ops)
    outputs = [place.name for place in layout.outputs if place.side == "edge"]
    if wires:
        payload = _payload_type(wires)
        ops.append(Op((layout.payload,), "pack", tuple(w.sent for w in wires), Attrs(), (payload,), Loc((layout.payload,))))
        outputs.insert(0, layout.payload)
    return _assembled("edge", graph, graph.inputs, ops, outputs, part.consts)


def _whole_graph(graph: Graph, part: EdgePart, wires: tuple[_Wire, ...], cloud_ops: Iterable[Op]) -> Graph:
    ops = list(part.ops)
    for wire in wires:
        if wire.arrived != wire.sent:
            payload, name = _payload_type((wire,)), part.recipe.named(wire.name, "wire")
            ops.append(Op((name,), "pack", (wire.sent,), Attrs(), (payload,), Loc((name,))))
            ops.append(_unpack(wire, name, 0))
    return _assembled("whole", graph, graph.inputs, [*ops, *cloud_ops], list(graph.outputs), part.consts)


def _unpack(wire: _Wire, payload: str, offset: int) -> Op:
    return Op((wire.arrived,), "unpack", (payload,), Attrs.of(offset=offset), (wire.sent_type,), Loc((wire.name,)))


def _cloud_graph(graph: Graph, wires: tuple[_Wire, ...], cloud_ops: Iterable[Op], layout: WireLayout) -> Graph:
    unpacked = [_unpack(w, layout.payload, t.offset_bytes) for w, t in zip(wires, layout.tensors, strict=True)]
    inputs = (Value(layout.payload, _payload_type(wires)),) if wires else ()
    outputs = [place.name for place in layout.outputs if place.side == "cloud"]
    return _assembled("cloud", graph, inputs, [*unpacked, *cloud_ops], outputs, {})


def _assembled(
    name: str, graph: Graph, inputs: tuple[Value, ...], ops: list[Op], outputs: list[str], consts: Mapping[str, Const]
) -> Graph:
    """Return a graph over the constants that its ops and outputs read."""
    read = {name for op in ops for name in op.inputs} | set(outputs)
    kept = (*(c for c in graph.consts if c.name in read), *(c for c in consts.values() if c.name in read))
    return Graph(name, graph.opset, inputs, kept, tuple(ops), tuple(outputs), graph.metadata)


def _payload_type(wires: tuple[_Wire, ...]) -> TensorType:
    """The type of what `wires` are packed into: a row a sample."""
    nbytes = sum(_sample_bytes(wire) for wire in wires)
    return TensorType(DType.U8, (_first_size(wires[0].type) or 1, nbytes))


def _sample_bytes(wire: _Wire) -> int:
    return packed_bytes(at_batch_one(wire.sent_type).elements or 0, wire.sent_type.dtype.bits)


def _first_size(type_: TensorType) -> str | None:
    """The symbol of a first size `N` or `k*N`; None for any other."""
    first = type_.shape[0] if type_.shape else None
    return first.rpartition("*")[2] if isinstance(first, str) else None


def _batch_can_stay(graph: Graph, position: int) -> bool:
    """Whether every crossing tensor has the symbolic batch first and nowhere else, so that a sample's bytes are a row of the payload."""
    types = [graph.type_of(name) for name in _crossing(graph, position)]
    symbols = {_first_size(t) for t in types}
    alone = all(isinstance(dim, int) for t in types for dim in (t.shape or ())[1:])
    return not types or (alone and len(symbols) == 1 and None not in symbols)


def at_fixed_batch(graph: Graph) -> Graph:
    """Return the graph with its symbolic batch fixed at 1."""
    inputs = tuple(replace(v, type=at_batch_one(v.type)) for v in graph.inputs)
    ops = tuple(replace(op, types=tuple(at_batch_one(t) for t in op.types)) for op in graph.ops)
    return replace(graph, inputs=inputs, ops=ops)
