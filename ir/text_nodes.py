"""Syntax of the text form: what the grammar finds, before blobs and facts are looked up."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

from .graph import Value
from .location import Loc
from .types import TensorType


class Place(NamedTuple):
    """Line and column in the text, both from 1."""

    line: int
    column: int


class TextError(Exception):
    """Something in the text that means nothing. `code` is the diagnostic's, `hint` says what would do."""

    def __init__(self, place: Place, message: str, *, code: str = "AS220", hint: str = "") -> None:
        """Keep the place and what is wrong there."""
        super().__init__(message)
        self.place: Place = place
        self.code: str = code
        self.hint: str = hint


class BlobSyntax(NamedTuple):
    """`blob sha256:... [bytes n]`; without a size it follows from the type."""

    place: Place
    sha256: str
    nbytes: int | None


class ArraySyntax(NamedTuple):
    """`f32[3, 8] blob sha256:...`."""

    type: TensorType
    blob: BlobSyntax


class PairSyntax(NamedTuple):
    """`key = value`."""

    place: Place
    key: str
    value: Any


DictSyntax: TypeAlias = tuple[PairSyntax, ...]
"""`{key = value, ...}` in the order of the text."""


class ConstSyntax(NamedTuple):
    """`const %w : f32[3] = blob sha256:...`."""

    name: str
    type: TensorType
    blob: BlobSyntax
    loc: Loc


class OutputSyntax(NamedTuple):
    """`output %y`."""

    name: str


class OpSyntax(NamedTuple):
    """`%y : f32[3] = relu(%x) {attribute = value}`."""

    results: tuple[str, ...]
    types: tuple[TensorType, ...]
    kind: str
    inputs: tuple[str, ...]
    attrs: DictSyntax
    loc: Loc


class GraphSyntax(NamedTuple):
    """A graph with its statements in the order of the text."""

    name: str
    opset: DictSyntax
    metadata: DictSyntax
    statements: tuple[Value | ConstSyntax | OpSyntax | OutputSyntax, ...]


class FactSyntax(NamedTuple):
    """A fact: its header, and its record lines as they stand."""

    place: Place
    kind: str
    graph: str
    header: DictSyntax
    records: tuple[tuple[Place, str], ...]


class ModuleSyntax(NamedTuple):
    """A whole text."""

    place: Place
    version: str
    items: tuple[FactSyntax | GraphSyntax, ...]
