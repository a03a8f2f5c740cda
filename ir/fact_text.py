"""Facts as text, for any fact type, from the type hints of its fields.

A field that is a tuple of records (`tuple[SomeDataclass, ...]`) is a table: one record a line, `field {"name": value, ...}` in JSON. Every
other field stands in the header, `{name = value, ...}`. Arrays and blobs stand as digests.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .blob import BlobRef
from .module import Fact
from .text_codecs import FactError, FindBlob, RecordCodec, is_record, record_codec
from .text_words import escape, type_text
from .types import ArrayRef


@dataclass(frozen=True, slots=True)
class FactShape:
    """Codecs of a fact type's header, and of its tables by field."""

    header: RecordCodec
    tables: Mapping[str, RecordCodec]


@functools.cache
def fact_shape(kind: type[Fact]) -> FactShape:
    """Return how facts of a type are written and read. Raises TypeError for a type hint that has no text form."""
    hints = typing.get_type_hints(kind)
    names = [f.name for f in dataclasses.fields(kind) if f.name != "graph"]
    tables = {name: record_codec(record) for name in names if (record := _record_of_table(hints[name])) is not None}
    return FactShape(record_codec(kind, frozenset({"graph", *tables})), tables)


def _record_of_table(hint: Any) -> type[Any] | None:
    args = typing.get_args(hint)
    many = typing.get_origin(hint) is tuple and len(args) == 2 and args[1] is Ellipsis
    return args[0] if many and is_record(args[0]) else None


def fact_header(fact: Fact) -> list[tuple[str, Any]]:
    """Return the encoded header fields of a fact, in order."""
    return list(fact_shape(type(fact)).header.encode(fact).items())


def record_lines(fact: Fact) -> Iterator[str]:
    """Yield the record lines of a fact's tables."""
    for field, codec in fact_shape(type(fact)).tables.items():
        for record in getattr(fact, field):
            yield f"{field} {escape(_JSON.encode(codec.encode(record)))}"


def read_record(kind: type[Fact], line: str, find_blob: FindBlob) -> tuple[str, Any]:
    """Return the table's field and the record that a line spells. Raises FactError."""
    start = line.index("{")
    field = line[:start].strip()
    codec = fact_shape(kind).tables.get(field)
    if codec is None:
        raise FactError(f"there is no table {field!r}")
    try:
        raw = json.loads(line[start:], parse_constant=_CONSTANTS.__getitem__)
    except json.JSONDecodeError as error:
        raise FactError(f"not JSON, {error.msg} at column {start + error.colno} of the record") from None
    return field, codec.make(**codec.values(raw, find_blob))


def make_fact(kind: type[Fact], graph: str, header: dict[str, Any], records: Iterable[tuple[str, Any]], find_blob: FindBlob) -> Fact:
    """Return the fact of a type from its raw header, and its records by table. Raises FactError."""
    shape = fact_shape(kind)
    tables: dict[str, list[Any]] = {name: [] for name in shape.tables}
    for field, record in records:
        tables[field].append(record)
    return kind(graph=graph, **shape.header.values(header, find_blob), **{name: tuple(rows) for name, rows in tables.items()})


_CONSTANTS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def _as_json(value: object) -> dict[str, object]:
    if isinstance(value, ArrayRef):
        return {"array": type_text(value.type), **_as_json(value.blob)}
    if isinstance(value, BlobRef):
        return {"blob": f"sha256:{value.sha256}", "bytes": value.nbytes}
    raise TypeError(f"a record cannot hold {value!r}")


_JSON = json.JSONEncoder(ensure_ascii=False, default=_as_json)
