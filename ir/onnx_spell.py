"""How ops are written as ONNX nodes, fused activations included, and the hook through which code generation adds its own kinds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from .blob import blob_from_array, numpy_dtype
from .graph import Const, Graph, Op
from .onnx_types import attr_proto, tensor_proto
from .op_table import ACT_GAIN, ACT_LIFT, ROW_BY_KIND
from .types import ArrayRef, Attrs, AttrValue, DType, TensorType

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto, TensorProto

ACT_ATTRS = ("act", "act_alpha", "act_beta", ACT_GAIN, "act_high", ACT_LIFT, "act_low")
"""Attributes of a fused activation."""

_OP_TYPE_OF_ACT = {
    "relu": "Relu",
    "leaky_relu": "LeakyRelu",
    "hard_swish": "HardSwish",
    "hard_sigmoid": "HardSigmoid",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
}
_SWISH_OPSET = 24


class Spelling:
    """What a speller may use: the graph that is exported, names that are free, and initializers to add."""

    def __init__(self, graph: Graph, sub_graph: Callable[[Graph], GraphProto]) -> None:
        """Start with the names of the graph taken; `sub_graph` exports a sub-graph."""
        self.graph = graph
        self.sub_graph = sub_graph
        self.initializers: list[TensorProto] = []
        self._taken: set[str] = {*graph.types, *(pre_activation(graph, op) for op in graph.ops if "act" in op.attrs)}

    def fresh(self, hint: str) -> str:
        """Return a name that nothing has yet: `hint`, or `hint.2` and so on. The same export gives the same names."""
        name, count = hint, 1
        while name in self._taken:
            count += 1
            name = f"{hint}.{count}"
        self._taken.add(name)
        return name

    def initializer(self, hint: str, array: ArrayRef) -> str:
        """Add an initializer and return its name."""
        name = self.fresh(hint)
        self.initializers.append(tensor_proto(name, array))
        return name

    def scalar(self, hint: str, value: float, dtype: DType) -> str:
        """Add an initializer that holds one number, without dimensions, and return its name."""
        if dtype is DType.BF16:
            data = (np.array(value, np.float32).view(np.uint32) >> 16).astype(np.uint16)
        else:
            data = np.array(value, numpy_dtype(dtype))
        return self.initializer(hint, ArrayRef(TensorType(dtype, ()), blob_from_array(data)))

    def node(
        self, op_type: str, inputs: Sequence[str], outputs: Sequence[str], attrs: Mapping[str, AttrValue] | None = None, *, name: str = ""
    ) -> NodeProto:
        """Return a node of the default domain. Its name is that of its first result unless it is given."""
        from onnx import NodeProto

        node = NodeProto(op_type=op_type, name=name or next(o for o in outputs if o))
        node.input.extend(inputs)
        node.output.extend(outputs)
        node.attribute.extend(attr_proto(key, value, self.sub_graph) for key, value in sorted((attrs or {}).items()))
        return node


Speller: TypeAlias = Callable[[Op, Spelling], "list[NodeProto]"]
"""Writes an op; the nodes must make all of the op's results. An op with attribute `act` comes with it: see `activation_nodes`."""

ConstSpeller: TypeAlias = Callable[[Const, Spelling], "list[NodeProto] | None"]
"""Writes a constant as nodes that make its value, or returns None to leave it an initializer."""


def pre_activation(graph: Graph, op: Op) -> str:
    """Return the name, in an exported model, of what a fused op makes before its activation. The op has one result."""
    name = f"{op.name}.pre"
    while name in graph.types:
        name += "_"
    return name


def node_name(op: Op) -> str:
    """Return the name of the node that an op is written as: that of the first node it came from."""
    return op.loc.names[0] if op.loc.names else op.name


def verbatim_node(op: Op, results: Sequence[str], spelling: Spelling) -> NodeProto:
    """Return an op as the one ONNX node that its kind stands for, without its activation, making `results`."""
    row = ROW_BY_KIND.get(op.kind)
    if row is not None:
        domain, op_type = "", row.op_type
    else:
        domain, _, op_type = op.kind.removeprefix("onnx.").rpartition(".")
    attrs = {key: value for key, value in op.attrs.items() if row is None or key not in ACT_ATTRS}
    node = spelling.node(op_type, op.inputs, results, attrs, name=node_name(op))
    node.domain = domain
    return node


def activation_nodes(op: Op, source: str, spelling: Spelling, result: str | None = None) -> list[NodeProto]:
    """Return the nodes of an op's fused activation, from value `source` to the op's result (or `result`)."""
    made = result if result is not None else op.result
    act = op.attrs.str_("act")
    name = op.loc.names[-1] if len(op.loc.names) > 1 else f"{node_name(op)}.{act}"
    lift, gain = op.attrs.get(ACT_LIFT), op.attrs.get(ACT_GAIN)
    lifted = spelling.fresh(f"{made}.lifted") if isinstance(lift, ArrayRef) else source
    plain = spelling.fresh(f"{made}.act") if isinstance(gain, ArrayRef) else made
    nodes = _activation(act, op.attrs, lifted, plain, op.types[0].dtype, name, spelling)
    if isinstance(lift, ArrayRef):
        nodes.insert(0, spelling.node("Mul", (source, _factors(op, lift, f"{made}.lift", spelling)), (lifted,), name=f"{name}.lift"))
    if isinstance(gain, ArrayRef):
        nodes.append(spelling.node("Mul", (plain, _factors(op, gain, f"{made}.gain", spelling)), (made,), name=f"{name}.gain"))
    return nodes


def _factors(op: Op, factors: ArrayRef, hint: str, spelling: Spelling) -> str:
    """Add factors of channels, shaped to meet axis 1 of an op's result, and return their name."""
    shape = (*factors.type.dims, *(1,) * (len(op.types[0].shape or ()) - 2))
    return spelling.initializer(hint, ArrayRef(TensorType(factors.type.dtype, shape), factors.blob))


def _activation(act: str, attrs: Attrs, source: str, made: str, dtype: DType, name: str, spelling: Spelling) -> list[NodeProto]:
    if act == "silu":
        gate = spelling.fresh(f"{made}.gate")
        return [spelling.node("Sigmoid", (source,), (gate,)), spelling.node("Mul", (source, gate), (made,), name=name)]
    if act == "clip":
        bounds = [
            spelling.scalar(f"{made}.{key}", attrs.float_(key, 0.0), dtype) if key in attrs else "" for key in ("act_low", "act_high")
        ]
        while bounds and not bounds[-1]:
            bounds.pop()
        return [spelling.node("Clip", (source, *bounds), (made,), name=name)]
    given: dict[str, AttrValue] = {short: attrs.float_(f"act_{short}", 0.0) for short in ("alpha", "beta") if f"act_{short}" in attrs}
    return [spelling.node(_OP_TYPE_OF_ACT[act], (source,), (made,), given, name=name)]


def _silu(op: Op, spelling: Spelling) -> list[NodeProto]:
    """Write `silu`: as Swish where the opset has it, else as x * sigmoid(x)."""
    if dict(spelling.graph.opset).get("", 0) >= _SWISH_OPSET:
        return [verbatim_node(op, op.results, spelling)]
    return _activation("silu", op.attrs, op.inputs[0], op.result, op.type.dtype, node_name(op), spelling)


def default_spellers() -> Mapping[str, Speller]:
    """The kinds that are not simply one node."""
    return {"silu": _silu}
