"""Makes a loaded ONNX model ready for import: sorted, checked, functions inlined, opset upgraded."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from .diagnostics import CompileError, Diagnostic
from .onnx_load import tensors_of_model

if TYPE_CHECKING:
    from google.protobuf.message import Message
    from onnx import GraphProto, ModelProto, NodeProto, SparseTensorProto

OLDEST_OPSET = 7
NEWEST_OPSET = 25
_IR_VERSION_WITHOUT_INPUTS = 4
TARGET_OPSET = 21
"""Opset that older models are upgraded to: the first with INT4."""

def prepare(proto: ModelProto, source: str) -> ModelProto:
    """Return a model with sorted nodes, without local functions, at an opset of at least `TARGET_OPSET`.

    Initializers that are graph inputs too are constants: the inputs are dropped. Raises CompileError: AS203 invalid graph,
    AS204 opset not supported, AS208 cycle.
    """
    _check_text(proto, source)
    check_opset(proto, source)
    _name_default_domain(proto)
    _check_names(proto.graph, source)
    drop_initialized_inputs(proto.graph)
    proto.ir_version = max(proto.ir_version, _IR_VERSION_WITHOUT_INPUTS)
    sort_nodes(proto.graph, frozenset(), source)
    check(proto, source)
    if proto.functions:
        proto = _inline(proto, source)
    return upgrade(proto, source)


def _check_text(proto: ModelProto, source: str) -> None:
    """Raise CompileError (AS203) where a text is no UTF-8: protobuf hands such a text over as bytes."""
    bad = next(_not_text(proto), None)
    if bad is not None:
        raise CompileError(Diagnostic("AS203", f"a name is not UTF-8 text: {bad!r}", source))


def _not_text(message: Message) -> Iterator[object]:
    """Texts of a message and its parts that could not be decoded."""
    for field, value in message.ListFields():
        if field.type == field.TYPE_STRING:
            if not isinstance(value, str):
                yield from (text for text in ([value] if isinstance(value, bytes) else value) if not isinstance(text, str))
        elif field.type == field.TYPE_MESSAGE:
            for part in [value] if hasattr(value, "ListFields") else value:
                yield from _not_text(part)


def opset_of(proto: ModelProto) -> int | None:
    """Version of the default domain, or None where the model does not import it."""
    return next((entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")), None)


def check_opset(proto: ModelProto, source: str) -> None:
    """Raise CompileError (AS204) unless the model's opset is one that is taken."""
    opset = opset_of(proto)
    if opset is not None and not OLDEST_OPSET <= opset <= NEWEST_OPSET:
        message = f"opset {opset} is not supported: {OLDEST_OPSET} to {NEWEST_OPSET} are"
        hint = f"export the model again with opset {TARGET_OPSET}"
        raise CompileError(Diagnostic("AS204", message, source, hint=hint))


def _name_default_domain(proto: ModelProto) -> None:
    """Write "" for "ai.onnx": both name ONNX's own operators."""
    for entry in proto.opset_import:
        entry.domain = _default(entry.domain)
    for nodes in (proto.graph.node, *(function.node for function in proto.functions)):
        _name_default_domain_of(nodes)


def _name_default_domain_of(nodes: Iterable[NodeProto]) -> None:
    for node in nodes:
        if node.domain:
            node.domain = _default(node.domain)
        for inner in subgraphs(node):
            _name_default_domain_of(inner.node)


def _default(domain: str) -> str:
    return "" if domain == "ai.onnx" else domain


def _check_names(graph: GraphProto, source: str) -> None:
    """Raise CompileError (AS203) where two inputs, two initializers or two outputs have one name."""
    for what, names in (
        ("graph inputs", [value.name for value in graph.input]),
        ("initializers", [tensor.name for tensor in graph.initializer]),
        ("graph outputs", [value.name for value in graph.output]),
    ):
        twice = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
        if twice is not None:
            raise CompileError(Diagnostic("AS203", f'two {what} have the name "{twice}"', source))


def drop_initialized_inputs(graph: GraphProto) -> None:
    """Remove graph inputs that have an initializer (before IR version 4 all of them must be inputs, too)."""
    initialized = {t.name for t in graph.initializer} | {s.values.name for s in graph.sparse_initializer}
    kept = [value for value in graph.input if value.name not in initialized]
    if len(kept) != len(graph.input):
        del graph.input[:]
        graph.input.extend(kept)


def subgraphs(node: NodeProto) -> Iterator[GraphProto]:
    """The sub-graphs of a node, in the order of its attributes' names."""
    for attribute in sorted(node.attribute, key=lambda a: a.name):
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def captured(graph: GraphProto) -> dict[str, None]:
    """Names that a sub-graph reads from outside, in order of their first reading."""
    known = {value.name for value in graph.input} | {t.name for t in graph.initializer} | {s.values.name for s in graph.sparse_initializer}
    known.update(name for node in graph.node for name in node.output)
    found: dict[str, None] = {}
    for node in graph.node:
        found.update((name, None) for name in node.input if name and name not in known)
        for inner in subgraphs(node):
            found.update((name, None) for name in captured(inner) if name not in known)
    found.update((value.name, None) for value in graph.output if value.name not in known)
    return found


def reads(node: NodeProto) -> list[str]:
    """Names that a node needs: its inputs and what its sub-graphs capture."""
    names = [name for name in node.input if name]
    for graph in subgraphs(node):
        names.extend(captured(graph))
    return names


def sort_nodes(graph: GraphProto, outer: frozenset[str], source: str) -> None:
    """Put nodes in topological order, keeping the given order where it is one; sub-graphs too.

    Raises CompileError: AS208 with the nodes of a cycle, AS203 where a node reads what nothing makes or two nodes make one value.
    """
    available = set(outer) | {v.name for v in graph.input} | {t.name for t in graph.initializer}
    available |= {s.values.name for s in graph.sparse_initializer}
    order = _order(graph.node, frozenset(available), source)
    if order != sorted(order):
        nodes = [graph.node[i] for i in order]
        copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
        del graph.node[:]
        graph.node.extend(copies)
    made = available | {name for node in graph.node for name in node.output if name}
    missing = [value.name for value in graph.output if value.name not in made]
    if missing:
        raise CompileError(Diagnostic("AS203", f'nothing makes graph output "{missing[0]}"', source))
    inner_scope = frozenset(made)
    for node in graph.node:
        for inner in subgraphs(node):
            sort_nodes(inner, inner_scope, source)


def _order(nodes: Sequence[NodeProto], available: frozenset[str], source: str) -> list[int]:
    maker: dict[str, int] = {}
    problems: list[Diagnostic] = []
    for i, node in enumerate(nodes):
        for name in node.output:
            if name and (name in maker or name in available):
                problems.append(Diagnostic("AS203", f'the value "{name}" is made more than once', _where(source, node, i)))
            elif name:
                maker[name] = i
    waits: list[set[int]] = []
    readers: dict[int, list[int]] = {}
    for i, node in enumerate(nodes):
        needed: set[int] = set()
        for name in reads(node):
            if name in maker:
                needed.add(maker[name])
            elif name not in available:
                problems.append(Diagnostic("AS203", f'nothing makes "{name}"', _where(source, node, i)))
        waits.append(needed)
        for j in needed:
            readers.setdefault(j, []).append(i)
    if problems:
        raise CompileError(problems)
    ready = [i for i, needed in enumerate(waits) if not needed]
    open_count = [len(needed) for needed in waits]
    order: list[int] = []
    while ready:
        i = heapq.heappop(ready)
        order.append(i)
        for j in readers.get(i, ()):
            open_count[j] -= 1
            if open_count[j] == 0:
                heapq.heappush(ready, j)
    if len(order) < len(nodes):
        raise CompileError(_cycle(nodes, waits, set(order), source))
    return order


def _cycle(nodes: Sequence[NodeProto], waits: Sequence[set[int]], done: set[int], source: str) -> Diagnostic:
    """Describe a cycle: walk back over nodes that wait until one comes again."""
    path: list[int] = []
    at = next(i for i in range(len(nodes)) if i not in done)
    while at not in path:
        path.append(at)
        at = min(j for j in waits[at] if j not in done)
    cycle = path[path.index(at) :][::-1]
    names = " -> ".join(node_name(nodes[i], i) for i in (*cycle, cycle[0]))
    return Diagnostic("AS208", "the graph has a cycle", source, notes=(names,))


def node_name(node: NodeProto, index: int) -> str:
    """Return a node's name, or its op type and place where it has none."""
    return node.name or f"{node.op_type}#{index}"


def _where(source: str, node: NodeProto, index: int) -> str:
    return f'{source}: node "{node_name(node, index)}"'


def check(proto: ModelProto, source: str) -> None:
    """Raise CompileError (AS203) where onnx's checker finds fault. Tensor data that was put aside is not looked at."""
    import onnx
    from onnx import ModelProto

    copy = ModelProto()
    copy.CopyFrom(proto)
    for tensor in tensors_of_model(copy):
        if tensor.data_location == tensor.EXTERNAL:
            for field in ("external_data", "data_location", "dims"):
                tensor.ClearField(field)
            tensor.dims.append(0)
    _fill_types(copy.graph)
    for index, node in enumerate(copy.graph.node):
        node.name = node_name(node, index)
    try:
        onnx.checker.check_model(copy)
    except (onnx.checker.ValidationError, UnicodeDecodeError) as error:
        named = re.search(r"Context: .*?Name: (.+) OpType:", str(error))
        where = f'{source}: node "{named[1]}"' if named else source
        raise CompileError(Diagnostic("AS203", f"the model is not valid: {_shortened(str(error))}", where)) from None


def _shortened(message: str) -> str:
    """Return the first sentence of a checker's message, on one line."""
    first = message.split("==>", 1)[0].strip().splitlines()[0]
    return first if len(first) <= 300 else first[:297] + "..."


def _fill_types(graph: GraphProto) -> None:
    """Give outputs a type and a shape where they have none: the checker asks for them, ONNX Runtime works them out."""
    for value in graph.output:
        if value.type.WhichOneof("value") in (None, "tensor_type"):
            if not value.type.tensor_type.elem_type:
                value.type.tensor_type.elem_type = 1
            value.type.tensor_type.shape.SetInParent()


def _inline(proto: ModelProto, source: str) -> ModelProto:
    from onnx import inliner

    try:
        return inliner.inline_local_functions(proto, convert_version=True)
    except (RuntimeError, ValueError) as error:
        message = f"the model's local functions cannot be inlined: {_shortened(str(error))}"
        raise CompileError(Diagnostic("AS203", message, source)) from None


def upgrade(proto: ModelProto, source: str) -> ModelProto:
    """Return the model at an opset of at least `TARGET_OPSET`. Raises CompileError (AS204) where onnx's converter cannot do it."""
    from onnx import version_converter

    opset = opset_of(proto)
    if opset is None:
        entry = proto.opset_import.add()
        entry.domain, entry.version = "", TARGET_OPSET
        return proto
    if opset >= TARGET_OPSET:
        return proto
    sparse = _take_sparse(proto.graph)
    try:
        converted = version_converter.convert_version(proto, TARGET_OPSET)
    except (version_converter.ConvertError, RuntimeError, ValueError) as error:
        message = f"the model cannot be upgraded from opset {opset} to {TARGET_OPSET}: {_shortened(str(error))}"
        raise CompileError(Diagnostic("AS204", message, source)) from None
    if sparse:
        kept = [value for value in converted.graph.input if value.name not in sparse]
        del converted.graph.input[:]
        converted.graph.input.extend(kept)
        converted.graph.sparse_initializer.extend(sparse.values())
    return converted


def _take_sparse(graph: GraphProto) -> dict[str, SparseTensorProto]:
    """Put graph inputs in place of sparse constants, which the version converter does not take, and return those by name."""
    from onnx import helper

    taken = {sparse.values.name: sparse for sparse in graph.sparse_initializer}
    dense: list[NodeProto] = []
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "sparse_value":
            sparse = node.attribute[0].sparse_tensor
            sparse.values.name = node.output[0]
            taken[node.output[0]] = sparse
        else:
            dense.append(node)
    if taken:
        del graph.sparse_initializer[:], graph.node[:]
        graph.node.extend(dense)
        graph.input.extend(helper.make_tensor_value_info(name, s.values.data_type, list(s.dims)) for name, s in taken.items())
    return taken
