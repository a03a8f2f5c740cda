"""From text to syntax: lark's LALR parser for the grammar of text.lark, with the actions inlined.

Nothing else here imports lark, and this module is imported when the first text is parsed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from .graph import UNKNOWN_TYPE, Value
from .location import NOWHERE, Loc
from .text_nodes import (
    ArraySyntax,
    BlobSyntax,
    ConstSyntax,
    DictSyntax,
    FactSyntax,
    GraphSyntax,
    ModuleSyntax,
    OpSyntax,
    OutputSyntax,
    PairSyntax,
    Place,
    TextError,
)
from .text_words import name_of, number_of, type_of, unquote, word_of
from .types import EmptyList, TensorType

T = TypeVar("T")


def parse_syntax(text: str) -> ModuleSyntax:
    """Return the syntax of a text. Raises TextError."""
    parser = cast(Any, _lark())
    try:
        return parser.parse(text)
    except UnexpectedInput as error:
        raise _text_error(error, text) from None


@functools.cache
def _lark() -> Lark:
    grammar = Path(__file__).with_name("text.lark").read_text("utf-8")
    return Lark(grammar, parser="lalr", transformer=_Builder())


class _Builder(Transformer[Token, ModuleSyntax]):
    """One method a rule; `found` holds what the rule's parts gave, None for an optional part that is not there."""

    def start(self, found: list[Any]) -> ModuleSyntax:
        version, *items = found
        return ModuleSyntax(_place(version), str(version), tuple(items))

    def fact(self, found: list[Any]) -> FactSyntax:
        kind, graph, header, *records = found
        lines = tuple((_place(r), str(r)) for r in records if r is not None)
        return FactSyntax(_place(kind), str(kind), "" if graph is None else _checked(name_of, graph), header, lines)

    def graph(self, found: list[Any]) -> GraphSyntax:
        name, opset, metadata, *statements = found
        return GraphSyntax(_checked(name_of, name), opset, metadata or (), tuple(statements))

    def input(self, found: list[Any]) -> Value:
        name, type_, loc = found
        return Value(_checked(name_of, name), _checked(type_of, type_), loc or NOWHERE)

    def const(self, found: list[Any]) -> ConstSyntax:
        name, type_, blob, loc = found
        return ConstSyntax(_checked(name_of, name), _checked(type_of, type_), blob, loc or NOWHERE)

    def output(self, found: list[Any]) -> OutputSyntax:
        return OutputSyntax(_checked(name_of, found[0]))

    def op(self, found: list[Any]) -> OpSyntax:
        results, kind, inputs, attrs, loc = found
        names, types = zip(*results, strict=True)
        return OpSyntax(names, types, _checked(word_of, kind), inputs, attrs or (), loc or NOWHERE)

    def results(self, found: list[Any]) -> list[Any]:
        return found

    def result(self, found: list[Any]) -> tuple[str, TensorType]:
        name, type_ = found
        return _checked(name_of, name), UNKNOWN_TYPE if type_ is None else _checked(type_of, type_)

    def operands(self, found: list[Any]) -> tuple[str, ...]:
        return tuple([_checked(name_of, token) for token in found if token is not None])

    def loc(self, found: list[Any]) -> Loc:
        return Loc(tuple([_checked(unquote, token) for token in found]))

    def dict(self, found: list[Any]) -> DictSyntax:
        return tuple([pair for pair in found if pair is not None])

    def pair(self, found: list[Any]) -> PairSyntax:
        key, value = found
        return PairSyntax(_place(key), _checked(word_of, key), value)

    def number(self, found: list[Any]) -> int | float:
        return _checked(number_of, found[0])

    def numbers(self, found: list[Any]) -> tuple[int | float, ...]:
        return _checked(_numbers_of, found[0])

    def string(self, found: list[Any]) -> str:
        return _checked(unquote, found[0])

    def word(self, found: list[Any]) -> str:
        return str(found[0])

    def octets(self, found: list[Any]) -> bytes:
        return _checked(_bytes_of, found[0])

    def type(self, found: list[Any]) -> TensorType:
        return _checked(type_of, found[0])

    def array(self, found: list[Any]) -> ArraySyntax:
        return ArraySyntax(_checked(type_of, found[0]), found[1])

    def blob(self, found: list[Any]) -> BlobSyntax:
        digest, nbytes = found
        return BlobSyntax(_place(digest), str(digest).removeprefix("sha256:"), None if nbytes is None else int(nbytes))

    def list(self, found: list[Any]) -> tuple[Any, ...]:
        return tuple(found)

    def empty(self, found: list[Any]) -> tuple[Any, ...] | EmptyList:
        return () if found[0] is None else EmptyList(str(found[0]))

    def true(self, found: list[Any]) -> bool:
        del found
        return True

    def false(self, found: list[Any]) -> bool:
        del found
        return False

    def null(self, found: list[Any]) -> None:
        del found


def _place(token: Token) -> Place:
    return Place(token.line or 1, token.column or 1)


def _checked(read: Callable[[str], T], token: Token) -> T:
    try:
        return read(str(token))
    except ValueError as error:
        raise TextError(_place(token), str(error)) from None


def _numbers_of(text: str) -> tuple[int | float, ...]:
    return tuple([number_of(part) for part in text[1:-1].split(",")])


def _bytes_of(text: str) -> bytes:
    return bytes.fromhex(text[len('hex"') : -1])


_SHOWN = {
    "DIGEST": "sha256:...",
    "FACT": "the name of a fact",
    "GLOBAL": "@graph",
    "INT": "a number",
    "NUMBER": "a number",
    "NUMBERS": "a list",
    "RECORD": 'a record line: field {"name": value, ...}',
    "STRING": '"text"',
    "TYPE": "a type such as f32[1, 3]",
    "VALUE": "%value",
    "WORD": "a word",
    "$END": "the end of the text",
}


def _text_error(error: UnexpectedInput, text: str) -> TextError:
    """The error in plain words, with up to six things that could stand there."""
    details = cast(Any, error)
    if isinstance(error, UnexpectedToken):
        at_end = details.token.type == "$END"
        message = "the text ends too early" if at_end else f"unexpected {str(details.token)!r}"
        expected = {str(name) for name in details.expected}
    elif isinstance(error, UnexpectedCharacters):
        at_end = False
        message = f"unexpected {details.char!r}"
        expected = {str(name) for name in details.allowed or ()}
    else:
        raise TypeError(f"lark stopped with {error!r}")
    last = text.rstrip().split("\n")
    place = Place(len(last), len(last[-1]) + 1) if at_end else Place(error.line, error.column)
    return TextError(place, message, hint=_expected(expected))


def _expected(names: set[str]) -> str:
    spelled = {t.name: repr(str(t.pattern.value)) for t in _lark().terminals if t.pattern.type == "str"}
    known = {**spelled, **_SHOWN}
    shown = sorted({known.get(name, "") for name in names} - {""})
    return f"expected {' or '.join(shown[:6])}" if shown else ""
