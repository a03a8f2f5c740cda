"""Reads the text form. A mistake in the text is a CompileError that shows the line, a caret and what was expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from .blob import BlobRef
from .diagnostics import CompileError, Diagnostic, did_you_mean
from .fact_text import make_fact, read_record
from .graph import Const, Graph, Op, Value
from .module import Fact, Module
from .text_blobs import BlobStore
from .text_codecs import FactError, FindBlob
from .text_nodes import (
    ArraySyntax,
    BlobSyntax,
    ConstSyntax,
    FactSyntax,
    GraphSyntax,
    ModuleSyntax,
    OpSyntax,
    OutputSyntax,
    PairSyntax,
    Place,
    TextError,
)
from .text_values import implied_bytes
from .types import ArrayRef, Attrs, AttrValue, TensorType

VERSION = "1"
T = TypeVar("T")
_WORDS = {None: "null", True: "true", False: "false"}


def parse_module(text: str, *, file: str = "<text>", blobs: BlobStore, fact_types: Sequence[type[Fact]]) -> Module:
    """Return the module that a text spells; `parse_module(print_module(m), ...) == m`.

    `blobs` finds the data of constants, `fact_types` are the facts that may stand in the text, `file` is named in diagnostics. Raises
    CompileError: AS220 for what the grammar does not admit, AS221 for another version, AS222 and AS223 for unknown or wrong facts, AS224
    and AS225 for missing or wrong blobs.
    """
    from .text_syntax import parse_syntax

    try:
        return _Reader(file, blobs, {kind.name: kind for kind in fact_types}).module(parse_syntax(text))
    except TextError as error:
        raise CompileError(_diagnostic(error, text, file)) from None


@dataclass(frozen=True, slots=True)
class _Reader:
    """Builds the module from its syntax."""

    file: str
    blobs: BlobStore
    fact_types: Mapping[str, type[Fact]]

    def module(self, syntax: ModuleSyntax) -> Module:
        if syntax.version != VERSION:
            message = f"the text form has version {syntax.version}; version {VERSION} is read here"
            raise TextError(syntax.place, message, code="AS221", hint="make the dump again with this version of autosplitc")
        graphs = tuple(self.graph(item) for item in syntax.items if isinstance(item, GraphSyntax))
        facts = tuple(self.fact(item) for item in syntax.items if isinstance(item, FactSyntax))
        return Module(graphs, facts)

    def graph(self, syntax: GraphSyntax) -> Graph:
        return Graph(
            syntax.name,
            tuple((pair.key, _of_type(int, pair)) for pair in syntax.opset),
            tuple(s for s in syntax.statements if isinstance(s, Value)),
            tuple(self.const(s) for s in syntax.statements if isinstance(s, ConstSyntax)),
            tuple(self.op(s) for s in syntax.statements if isinstance(s, OpSyntax)),
            tuple(s.name for s in syntax.statements if isinstance(s, OutputSyntax)),
            tuple((pair.key, _of_type(str, pair)) for pair in syntax.metadata),
        )

    def const(self, syntax: ConstSyntax) -> Const:
        return Const(syntax.name, syntax.type, self.blob(syntax.blob, syntax.type), syntax.loc)

    def op(self, syntax: OpSyntax) -> Op:
        attrs: dict[str, AttrValue] = {}
        for place, key, value in syntax.attrs:
            if key in attrs:
                raise TextError(place, f"attribute {key!r} stands twice")
            if value is None or value is True or value is False:
                raise TextError(place, f"attribute {key!r} cannot be {_WORDS[value]}", hint="flags are the integers 0 and 1")
            attrs[key] = self.value(value)
        return Op(syntax.results, syntax.kind, syntax.inputs, Attrs.of(attrs), syntax.types, syntax.loc)

    def value(self, value: Any) -> Any:
        """Return an attribute or header value with its blobs and sub-graphs looked up."""
        if isinstance(value, ArraySyntax):
            return ArrayRef(value.type, self.blob(value.blob, value.type))
        if isinstance(value, BlobSyntax):
            return self.blob(value, None)
        if isinstance(value, GraphSyntax):
            return self.graph(value)
        if type(value) is tuple:
            items = cast("tuple[Any, ...]", value)
            return tuple([self.value(v) for v in items])
        return value

    def blob(self, syntax: BlobSyntax, type_: TensorType | None) -> BlobRef:
        nbytes = implied_bytes(type_) if syntax.nbytes is None else syntax.nbytes
        if nbytes is None:
            hint = f"blob sha256:{syntax.sha256[:6]}... bytes 123"
            raise TextError(syntax.place, "the size of this blob does not follow from its type", hint=hint)
        return self.find_blob(syntax.place)(syntax.sha256, nbytes)

    def find_blob(self, place: Place) -> FindBlob:
        """Return a look-up whose errors name `place`."""

        def find(sha256: str, nbytes: int) -> BlobRef:
            try:
                return self.blobs.get(sha256, nbytes)
            except CompileError as error:
                raise error.at(_location(self.file, place)) from None

        return find

    def fact(self, syntax: FactSyntax) -> Fact:
        kind = self.fact_types.get(syntax.kind)
        if kind is None:
            hint = did_you_mean(syntax.kind, self.fact_types) if self.fact_types else ""
            raise TextError(syntax.place, f"unknown fact {syntax.kind!r}", code="AS222", hint=hint)
        place = syntax.place
        try:
            header = {pair.key: self.value(pair.value) for pair in syntax.header}
            records: list[tuple[str, Any]] = []
            for at, line in syntax.records:
                place = at
                records.append(read_record(kind, line, self.find_blob(at)))
            place = syntax.place
            return make_fact(kind, syntax.graph, header, records, self.find_blob(place))
        except FactError as error:
            raise TextError(place, f"fact {syntax.kind!r}: {error}", code="AS223") from None


def _of_type(kind: type[T], pair: PairSyntax) -> T:
    if type(pair.value) is kind:
        return pair.value
    raise TextError(pair.place, f"{pair.key!r} must be {'a number' if kind is int else 'a text'}, not {pair.value!r}")


def _location(file: str, place: Place) -> str:
    return f"{file}:{place.line}:{place.column}"


def _diagnostic(error: TextError, text: str, file: str) -> Diagnostic:
    """The error with its line and, under it, a caret; of a long line the part around the caret is shown."""
    lines = text.split("\n")
    line = lines[error.place.line - 1] if error.place.line <= len(lines) else ""
    start = max(0, error.place.column - 60)
    shown = "".join(c if c.isprintable() else " " for c in line[start : start + 100])
    notes = (shown, " " * (error.place.column - 1 - start) + "^")
    return Diagnostic(error.code, str(error), _location(file, error.place), notes, error.hint)
