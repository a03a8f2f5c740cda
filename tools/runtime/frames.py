"""Frames: the header that stands before every message on the link, and what it must hold. docs/wire.md has it byte by byte."""

from __future__ import annotations

import json
import struct
from enum import IntEnum
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from .crc32c import crc32c
from .errors import LinkError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias

    from .crc32c import Checksum

    Buffer: TypeAlias = bytes | bytearray | memoryview

MAGIC = b"ASLK"
VERSION = 1
HEADER = struct.Struct("<4sBBBBQIQI")
"""Magic, version, kind, codec, flags, request id, deadline, length, CRC32C."""

HEADER_BYTES = HEADER.size
CHECKED_BYTES = HEADER_BYTES - 4
"""The part of the header that the CRC32C is taken over, before the body."""

TEXT_LIMIT = 65536
"""The longest body, in bytes, of all messages but requests and results."""


class Kind(IntEnum):
    """What a message is."""

    HELLO = 1
    WELCOME = 2
    REQUEST = 3
    RESULT = 4
    ERROR = 5
    PING = 6
    PONG = 7
    DRAIN = 8


class CodecId(IntEnum):
    """How the samples of a request are compressed."""

    NONE = 0
    ZSTD = 1
    PNG = 2
    JPEG = 3


_KINDS = {int(kind): kind for kind in Kind}
_CODECS = {int(codec): codec for codec in CodecId}


class Header(NamedTuple):
    """What stands before a body.

    request_id: 0 where a message belongs to no request. deadline_ms: 0 for none. length: bytes of the body. checked: the header's
    bytes that the checksum is taken over.
    """

    kind: Kind
    codec: CodecId
    flags: int
    request_id: int
    deadline_ms: int
    length: int
    crc: int
    checked: bytes


def frame(
    kind: Kind, *parts: Buffer, request_id: int = 0, codec: CodecId = CodecId.NONE, deadline_ms: int = 0, flags: int = 0
) -> list[Buffer]:
    """Return a message as buffers to send one after the other: the header, then the body's parts."""
    length = sum(memoryview(part).nbytes for part in parts)
    checked = HEADER.pack(MAGIC, VERSION, kind, codec, flags, request_id, deadline_ms, length, 0)[:CHECKED_BYTES]
    return [checked + struct.pack("<I", crc32c(checked, *parts)), *parts]


def text_frame(kind: Kind, fields: Mapping[str, Any], request_id: int = 0) -> list[Buffer]:
    """Return a message whose body is JSON."""
    return frame(kind, json.dumps(fields, separators=(",", ":")).encode(), request_id=request_id)


def error_frame(error: LinkError, request_id: int = 0) -> list[Buffer]:
    """Return an error as a message."""
    return text_frame(Kind.ERROR, {"code": error.code, "message": error.message[:2000], "hint": error.hint[:2000]}, request_id)


def read_header(data: Buffer, limit: int) -> Header:
    """Return a header; `limit`: the longest body, in bytes, of a request or a result.

    Raises LinkError: AS810 for what is no frame of ours, AS811 for another version, AS812 for unknown kinds, codecs and flags, AS813 for a
    body that is longer than may be. Nothing has been allocated then.
    """
    if len(data) != HEADER_BYTES:
        raise LinkError("AS810", f"a header has {HEADER_BYTES} bytes, not {len(data)}")
    magic, version, number, codec_number, flags, request_id, deadline_ms, length, crc = HEADER.unpack(data)
    if magic != MAGIC:
        raise LinkError(
            "AS810",
            f"what came is no frame: it begins with {bytes(magic)!r}",
            hint="is the other side `autosplitc`, without TLS on one side alone?",
        )
    if version != VERSION:
        raise LinkError(
            "AS811",
            f"the other side speaks version {version} of the wire format, this one version {VERSION}",
            hint="the same autosplitc on both sides",
        )
    kind, codec = _KINDS.get(number), _CODECS.get(codec_number)
    if kind is None or codec is None:
        what = f"kind {number}" if kind is None else f"codec {codec_number}"
        raise LinkError("AS812", f"a frame of {what}, which is not known")
    if flags:
        raise LinkError("AS812", f"a frame with flags that are not known: {flags:#04x}")
    most = limit if kind in (Kind.REQUEST, Kind.RESULT) else min(limit, TEXT_LIMIT)
    if length > most:
        raise LinkError("AS813", f"a {kind.name} of {length:,} bytes: {most:,} is the most")
    return Header(kind, codec, flags, request_id, deadline_ms, length, crc, bytes(data[:CHECKED_BYTES]))


def check_body(header: Header, body: Buffer, checksum: Checksum | None = None) -> None:
    """Check that a body arrived whole; `checksum`: what has been summed of it already. Raises LinkError: AS814."""
    crc = crc32c(header.checked, body) if checksum is None else checksum.value()
    if memoryview(body).nbytes != header.length or crc != header.crc:
        raise LinkError("AS814", f"a {header.kind.name} was damaged on the way: its checksum differs")


def read_text(body: Buffer) -> dict[str, Any]:
    """Return the fields of a body that is JSON. Raises LinkError: AS815."""
    try:
        fields = json.loads(bytes(body).decode())
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise LinkError("AS815", "a body that should be a JSON object is none")
    return cast("dict[str, Any]", fields)


def error_of(body: Buffer) -> LinkError:
    """Return the error that an ERROR's body tells of."""
    fields = read_text(body)
    code, message, hint = (fields.get(key) for key in ("code", "message", "hint"))
    if not (isinstance(code, str) and isinstance(message, str)):
        raise LinkError("AS815", "an error without code and message")
    return LinkError(code[:20], message[:2000], hint=hint[:2000] if isinstance(hint, str) else "")
