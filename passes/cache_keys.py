"""Keys of cached results: one digest over everything that a result depends on.

Equal parts give equal digests in every process; parts of different types or lengths give different ones. Where an op or a constant came
from (`Loc`) and a graph's metadata are no part of a digest: they change no result.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import Graph, Loc


class _Hash(Protocol):
    def update(self, data: bytes | memoryview, /) -> None:
        """Take in bytes."""
        ...


def digest_of(*parts: object) -> str:
    """Return the sha256 (hex) of numbers, texts, bytes, None, arrays, mappings (in any order), sequences, dataclasses and graphs.

    Of dataclasses only fields that take part in comparisons count. Raises TypeError for a part of any other type.
    """
    digest = hashlib.sha256()
    _sequence(digest, parts)
    return digest.hexdigest()


def _add(digest: _Hash, part: object) -> None:
    match part:
        case None:
            digest.update(b"0")
        case Enum():
            _bytes(digest, b"e", type(part).__name__.encode())
            _add(digest, part.value)
        case bool() | np.bool_():
            digest.update(b"?1" if part else b"?0")
        case int() | np.integer():
            _bytes(digest, b"i", str(int(part)).encode())
        case float() | np.floating():
            digest.update(b"f" + struct.pack("<d", float(part)))
        case str():
            _bytes(digest, b"s", part.encode())
        case bytes():
            _bytes(digest, b"b", part)
        case np.ndarray():
            _array(digest, cast("NDArray[Any]", part))
        case Graph():
            _bytes(digest, b"g", b"")
            _sequence(digest, (part.opset, part.inputs, part.consts, part.ops, part.outputs))
        case Loc():
            digest.update(b"l")
        case Mapping():
            items = cast("Mapping[object, object]", part)
            _sequence(digest, sorted((digest_of(key), digest_of(value)) for key, value in items.items()), b"m")
        case tuple() | list():
            _sequence(digest, cast("tuple[object, ...] | list[object]", part))
        case _:
            _dataclass(digest, part)


def _bytes(digest: _Hash, tag: bytes, data: bytes) -> None:
    digest.update(tag + struct.pack("<Q", len(data)) + data)


def _sequence(digest: _Hash, parts: tuple[object, ...] | list[object] | list[tuple[str, str]], tag: bytes = b"t") -> None:
    _bytes(digest, tag, str(len(parts)).encode())
    for part in parts:
        _add(digest, part)


def _array(digest: _Hash, array: NDArray[Any]) -> None:
    if array.dtype.hasobject:
        _bytes(digest, b"o", str(array.shape).encode())
        _sequence(digest, array.reshape(-1).tolist())
        return
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    _bytes(digest, b"a", f"{little.dtype.str}{array.shape}".encode())
    digest.update(little.reshape(-1).view(np.uint8).data)


def _dataclass(digest: _Hash, part: object) -> None:
    if not is_dataclass(part) or isinstance(part, type):
        raise TypeError(f"no digest of a {type(part).__name__}")
    _bytes(digest, b"d", type(part).__name__.encode())
    for field in fields(part):
        if field.compare:
            _add(digest, getattr(part, field.name))
