"""Prints modules in the text form. The same module always gives the same text; `parse_module` reads it back."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile

from .fact_text import fact_header, record_lines
from .graph import UNKNOWN_TYPE, Const, Graph, Op, Value
from .location import Loc
from .module import Fact, Module
from .op_table import at_batch_one, op_macs
from .text_values import blob_text, dict_text
from .text_words import name_text, quote, type_text, word_text
from .types import TensorType

HEADER = "autosplitc ir 1"


def print_module(module: Module) -> str:
    """Return the text of a module: facts about no graph, the graphs, then the other facts. Ends with a newline.

    Raises TypeError where an attribute or a field of a fact has no text form.
    """
    first = list(takewhile(lambda fact: not fact.graph, module.facts))
    blocks = [HEADER, *map(_fact_text, first), *map(print_graph, module.graphs), *map(_fact_text, module.facts[len(first) :])]
    return "\n".join(blocks) + "\n"


def print_graph(graph: Graph) -> str:
    """Return the text of one graph, without a final newline."""
    metadata = f" metadata {dict_text(graph.metadata)}" if graph.metadata else ""
    head = f"graph @{name_text(graph.name)} opset {dict_text(graph.opset)}{metadata} {{"
    lines = [line.replace("\n", "\n  ") for line in _statements(graph)]
    return "\n".join([head, *(f"  {line}" for line in lines), "}"])


def _statements(graph: Graph) -> Iterator[str]:
    yield from map(_input_text, graph.inputs)
    yield from map(_const_text, graph.consts)
    for op in graph.ops:
        yield _op_text(op) + _figures(graph, op)
    yield from (f"output %{name_text(name)}" for name in graph.outputs)


def _input_text(value: Value) -> str:
    return f"input %{name_text(value.name)} : {type_text(value.type)}{_loc_text(value.loc)}"


def _const_text(const: Const) -> str:
    return f"const %{name_text(const.name)} : {type_text(const.type)} = {blob_text(const.blob, const.type)}{_loc_text(const.loc)}"


def _op_text(op: Op) -> str:
    results = ", ".join(_result_text(name, type_) for name, type_ in zip(op.results, op.types, strict=True))
    inputs = ", ".join(_value_name(name) for name in op.inputs)
    attrs = f" {dict_text(op.attrs.items_, print_graph)}" if op.attrs.items_ else ""
    return f"{results} = {word_text(op.kind)}({inputs}){attrs}{_loc_text(op.loc)}"


def _result_text(name: str, type_: TensorType) -> str:
    if not name and type_ == UNKNOWN_TYPE:
        return "_"
    return f"{_value_name(name)} : {type_text(type_)}"


def _value_name(name: str) -> str:
    return f"%{name_text(name)}" if name else "_"


def _loc_text(loc: Loc) -> str:
    return f" loc({', '.join(map(quote, loc.names))})" if loc.names else ""


def _figures(graph: Graph, op: Op) -> str:
    """A comment with the op's multiply-accumulates at batch size 1, where it has any."""
    inputs = tuple(at_batch_one(graph.types.get(name, UNKNOWN_TYPE)) for name in op.inputs)
    macs = op_macs(op.kind, op.attrs, inputs, tuple(map(at_batch_one, op.types)))
    return f"  // {macs:,} MACs" if macs else ""


def _fact_text(fact: Fact) -> str:
    of_graph = f" @{name_text(fact.graph)}" if fact.graph else ""
    head = f"fact {fact.name}{of_graph} {dict_text(fact_header(fact))}"
    lines = [f"  {line}" for line in record_lines(fact)]
    return "\n".join([f"{head} [", *lines, "]"]) if lines else head
