"""Codecs: how values of a type hint are written to the text form and read back, for the records that facts are made of.

Encoded values are None, bool, int, float, str, list, `ArrayRef` and `BlobRef`; a record within a record is the list of its fields' values.
"""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

from .blob import BlobRef
from .text_words import type_of, type_text
from .types import ArrayRef, TensorType

FindBlob: TypeAlias = Callable[[str, int], BlobRef]
"""Finds a blob by digest (hex) and size in bytes."""


class FactError(ValueError):
    """A field holds what its type hint does not admit, is missing, or is not known."""


@dataclass(frozen=True, slots=True)
class Codec:
    """`encode` takes a value; `decode` takes what was read and raises FactError where it does not fit the type hint."""

    encode: Callable[[Any], Any]
    decode: Callable[[Any, FindBlob], Any]


@dataclass(frozen=True, slots=True)
class RecordCodec:
    """Codecs of a dataclass's fields, in order; those in `optional` have a default and may be missing when read."""

    make: type[Any]
    fields: tuple[tuple[str, Codec], ...]
    optional: frozenset[str]

    def encode(self, record: Any) -> dict[str, Any]:
        """Return the encoded fields by name."""
        return {name: codec.encode(getattr(record, name)) for name, codec in self.fields}

    def values(self, found: dict[str, Any], find_blob: FindBlob) -> dict[str, Any]:
        """Return the decoded fields by name. Raises FactError."""
        decoded: dict[str, Any] = {}
        for name, codec in self.fields:
            if name in found:
                decoded[name] = _at_field(name, codec, found[name], find_blob)
            elif name not in self.optional:
                raise FactError(f"field {name!r} is missing")
        if len(decoded) < len(found):
            unknown = next(name for name in found if name not in decoded)
            raise FactError(f"there is no field {unknown!r}")
        return decoded

    def encode_list(self, record: Any) -> list[Any]:
        """Return the encoded fields in order."""
        return [codec.encode(getattr(record, name)) for name, codec in self.fields]

    def decode_list(self, found: Any, find_blob: FindBlob) -> Any:
        """Return the record whose fields' values are listed in order. Raises FactError."""
        values = _listed(found)
        if len(values) != len(self.fields):
            raise FactError(f"{self.make.__name__} has {len(self.fields)} fields, not {len(values)}")
        return self.make(*[codec.decode(value, find_blob) for (_, codec), value in zip(self.fields, values, strict=True)])


def _at_field(name: str, codec: Codec, found: Any, find_blob: FindBlob) -> Any:
    try:
        return codec.decode(found, find_blob)
    except FactError as error:
        raise FactError(f"field {name!r}: {error}") from None


@functools.cache
def record_codec(kind: type[Any], without: frozenset[str] = frozenset()) -> RecordCodec:
    """Return the codec of a dataclass, leaving out the fields `without`. Raises TypeError for a type hint that has no text form."""
    hints = typing.get_type_hints(kind)
    fields = [f for f in dataclasses.fields(kind) if f.name not in without]
    missing = dataclasses.MISSING
    optional = frozenset(f.name for f in fields if f.default is not missing or f.default_factory is not missing)
    return RecordCodec(kind, tuple((f.name, codec_of(hints[f.name])) for f in fields), optional)


def is_record(hint: Any) -> bool:
    """Whether a type hint is a record: a dataclass with no spelling of its own."""
    return isinstance(hint, type) and dataclasses.is_dataclass(hint) and hint not in (ArrayRef, BlobRef, TensorType)


def codec_of(hint: Any) -> Codec:
    """Return the codec of a type hint. Raises TypeError for one that has no text form."""
    if isinstance(hint, type) and hint in _SIMPLE:
        return _SIMPLE[hint]
    if is_record(hint):
        record = record_codec(hint)
        return Codec(record.encode_list, record.decode_list)
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        return _many_codec(codec_of(args[0])) if args[-1] is Ellipsis else _fixed_codec([codec_of(a) for a in args])
    if origin is Literal:
        return _literal_codec(args)
    if origin in (types.UnionType, typing.Union) and len(args) == 2 and types.NoneType in args:
        return _optional_codec(codec_of(args[0] if args[1] is types.NoneType else args[1]))
    raise TypeError(f"the text form has no spelling for fields of type {hint}")


def _many_codec(item: Codec) -> Codec:
    def encode(value: tuple[Any, ...]) -> list[Any]:
        return [item.encode(v) for v in value]

    def decode(found: Any, find_blob: FindBlob) -> tuple[Any, ...]:
        return tuple([item.decode(v, find_blob) for v in _listed(found)])

    return Codec(encode, decode)


def _fixed_codec(items: list[Codec]) -> Codec:
    def encode(value: tuple[Any, ...]) -> list[Any]:
        return [item.encode(v) for item, v in zip(items, value, strict=True)]

    def decode(found: Any, find_blob: FindBlob) -> tuple[Any, ...]:
        values = _listed(found)
        if len(values) != len(items):
            raise FactError(f"{len(items)} values are needed, not {len(values)}")
        return tuple([item.decode(v, find_blob) for item, v in zip(items, values, strict=True)])

    return Codec(encode, decode)


def _optional_codec(item: Codec) -> Codec:
    def encode(value: Any) -> Any:
        return None if value is None else item.encode(value)

    def decode(found: Any, find_blob: FindBlob) -> Any:
        return None if found is None else item.decode(found, find_blob)

    return Codec(encode, decode)


def _literal_codec(words: tuple[Any, ...]) -> Codec:
    def decode(found: Any, find_blob: FindBlob) -> Any:
        del find_blob
        if found not in words:
            raise FactError(f"{found!r} is none of {', '.join(map(str, words))}")
        return found

    return Codec(_unchanged, decode)


def _listed(found: Any) -> list[Any] | tuple[Any, ...]:
    if not isinstance(found, list | tuple):
        raise FactError(f"a list is needed, not {found!r}")
    return cast("list[Any] | tuple[Any, ...]", found)


def _unchanged(value: Any) -> Any:
    return value


def _read_bool(found: Any, find_blob: FindBlob) -> bool:
    del find_blob
    if found is True or found is False:
        return found
    raise FactError(f"true or false is needed, not {found!r}")


def _read_int(found: Any, find_blob: FindBlob) -> int:
    del find_blob
    if type(found) is int:
        return found
    raise FactError(f"an integer is needed, not {found!r}")


def _read_float(found: Any, find_blob: FindBlob) -> float:
    del find_blob
    if type(found) is float:
        return found
    if type(found) is int:
        return float(found)
    raise FactError(f"a number is needed, not {found!r}")


def _read_str(found: Any, find_blob: FindBlob) -> str:
    del find_blob
    if type(found) is str:
        return found
    raise FactError(f"a string is needed, not {found!r}")


def _read_type(found: Any, find_blob: FindBlob) -> TensorType:
    try:
        return found if isinstance(found, TensorType) else type_of(_read_str(found, find_blob))
    except ValueError as error:
        raise FactError(str(error)) from None


def _read_blob(found: Any, find_blob: FindBlob) -> BlobRef:
    if isinstance(found, BlobRef):
        return found
    fields = _object(found, "blob")
    digest = _read_str(fields["blob"], find_blob).removeprefix("sha256:")
    return find_blob(digest, _read_int(fields.get("bytes"), find_blob))


def _read_array(found: Any, find_blob: FindBlob) -> ArrayRef:
    if isinstance(found, ArrayRef):
        return found
    fields = _object(found, "array")
    return ArrayRef(_read_type(fields["array"], find_blob), _read_blob(fields, find_blob))


def _object(found: Any, key: str) -> dict[str, Any]:
    if not isinstance(found, dict) or key not in found:
        raise FactError(f'an object with "{key}" is needed, not {found!r}')
    return cast("dict[str, Any]", found)


def _type_text(value: TensorType) -> str:
    return type_text(value)


_SIMPLE: dict[type[Any], Codec] = {
    bool: Codec(bool, _read_bool),
    int: Codec(int, _read_int),
    float: Codec(float, _read_float),
    str: Codec(str, _read_str),
    TensorType: Codec(_type_text, _read_type),
    BlobRef: Codec(_unchanged, _read_blob),
    ArrayRef: Codec(_unchanged, _read_array),
}
