"""Frames of the wire format gone wrong: damaged on the way, cut, spliced, or well formed with fields that nobody would send."""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosplitc.runtime.crc32c import crc32c
from autosplitc.runtime.errors import LinkError
from autosplitc.runtime.frames import CHECKED_BYTES, HEADER, HEADER_BYTES, VERSION, CodecId, Kind, error_frame, frame, text_frame
from autosplitc.runtime.tensors import Inline, ServerTimes, request_body, result_body

ODD = (0, 1, 2, 7, 8, 63, 64, 65, 127, 255, 256, 4095, 4096, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1)
"""Numbers at which something ends."""

_VALUES = ("null", "true", "0", "-1", str(2**70), "1.5", '""', '"\\ud800"', f'"{"x" * 3000}"', "[]", "{}", "[[[]]]", '{"code": 5}', "NaN")
"""What JSON may hold where something else is awaited."""

_FIELDS = {"magic": 0, "version": 1, "kind": 2, "codec": 3, "flags": 4, "request_id": 5, "deadline_ms": 6, "length": 7}
_BITS = {"version": 8, "kind": 8, "codec": 8, "flags": 8, "request_id": 64, "deadline_ms": 32, "length": 64}


@dataclass(frozen=True, slots=True)
class Mutated:
    """A frame gone wrong. sealed: its checksum is right, so that what is behind the checksum is reached."""

    data: bytes
    how: str
    sealed: bool


def good_frames(rng: random.Random, sample_bytes: int, model: str, layout: str) -> list[bytes]:
    """Return a right frame of every kind: requests of one sample, of several, with inline fields and behind codecs, results, texts."""

    def sample() -> bytes:
        return rng.randbytes(sample_bytes)

    inline = [Inline(4, 0.05, 7.0, (1, 8, 5, 5), sample_bytes)]
    hello = {"protocol": VERSION, "model": model, "layout": layout, "token": None, "client": "fuzz"}
    welcome = {**hello, "server": "x", "max_request_bytes": 1 << 20, "max_samples": 64, "max_in_flight": 32, "outputs": ["y"]}
    arrays: dict[str, NDArray[Any]] = {"y": np.arange(10, dtype=np.float32), "z": np.zeros((2, 3), np.int64), "n": np.ones((), np.float16)}
    parts = [
        frame(Kind.REQUEST, *request_body([sample()]), request_id=1, deadline_ms=1000),
        frame(Kind.REQUEST, *request_body([sample(), sample(), sample()]), request_id=2),
        frame(Kind.REQUEST, *request_body([sample()], inline), request_id=3),
        *(frame(Kind.REQUEST, *request_body([sample()]), request_id=4, codec=codec) for codec in list(CodecId)[1:]),
        frame(Kind.RESULT, *result_body(arrays, ServerTimes(0.001, 0.0, 0.002)), request_id=1),
        text_frame(Kind.HELLO, hello),
        text_frame(Kind.WELCOME, welcome),
        error_frame(LinkError("AS840", "busy", hint="later"), 5),
        frame(Kind.PING),
        frame(Kind.PONG, request_id=3),
        frame(Kind.DRAIN),
    ]
    return [b"".join(bytes(part) for part in each) for each in parts]


def mutated(rng: random.Random, good: Sequence[bytes]) -> Mutated:
    """Return one of the frames gone wrong, in one way or several."""
    data = rng.choice(good)
    names: list[str] = []
    for _ in range(1 + (rng.random() < 0.3)):
        how = rng.choice(tuple(_WAYS))
        data = _WAYS[how](rng, data, good)
        names.append(how)
    sealed = len(data) >= HEADER_BYTES and rng.random() < 0.6
    return Mutated(seal(data, rng.random() < 0.8) if sealed else data, "+".join(names), sealed)


def seal(data: bytes, with_length: bool = True) -> bytes:
    """Return a frame with its checksum made right, and its length."""
    body = data[HEADER_BYTES:]
    checked = data[:CHECKED_BYTES]
    if with_length:
        checked = checked[: CHECKED_BYTES - 8] + struct.pack("<Q", len(body))
    return checked + struct.pack("<I", crc32c(checked, body)) + body


def numbered(data: bytes, request_id: int) -> bytes:
    """Return a frame with another request id, sealed."""
    fields = list(HEADER.unpack(data[:HEADER_BYTES]))
    fields[_FIELDS["request_id"]] = request_id
    return seal(HEADER.pack(*fields) + data[HEADER_BYTES:])


def _flip(rng: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    turned = bytearray(data)
    for _turn in range(rng.choice((1, 1, 2, 8))):
        if turned:
            turned[rng.randrange(len(turned))] ^= 1 << rng.randrange(8)
    return bytes(turned)


def _cut(rng: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _extend(rng: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    return data + rng.randbytes(rng.choice((1, 3, 40, 1000)))


def _splice(rng: random.Random, data: bytes, good: Sequence[bytes]) -> bytes:
    other = rng.choice(good)
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other)) :]


def _fill(rng: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    at = rng.randrange(len(data) + 1)
    size = min(rng.choice((1, 4, 8, 64)), len(data) - at)
    return data[:at] + rng.choice((b"\0", b"\xff", b"\x7f", b"\x80")) * size + data[at + size :]


def _set_field(rng: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    if len(data) < HEADER_BYTES:
        return data
    fields = list(HEADER.unpack(data[:HEADER_BYTES]))
    name = rng.choice(tuple(_FIELDS))
    value = rng.randbytes(4) if name == "magic" else rng.choice((*ODD, rng.getrandbits(64))) % (1 << _BITS[name])
    fields[_FIELDS[name]] = value
    return HEADER.pack(*fields) + data[HEADER_BYTES:]


def _set_number(rng: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    """Put an odd number where the body has its counts, lengths and shapes: near its beginning."""
    size = rng.choice((1, 2, 4, 8))
    last = min(len(data), HEADER_BYTES + 64) - size
    if last < HEADER_BYTES:
        return data
    at = rng.randrange(HEADER_BYTES, last + 1)
    return data[:at] + (rng.choice(ODD) % (1 << 8 * size)).to_bytes(size, "little") + data[at + size :]


def _set_text(rng: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    """Make the body another JSON."""
    value = rng.choice(_VALUES)
    name = rng.choice(("model", "layout", "token", "protocol", "max_samples", "code", "message", "hint", "server"))
    text = (f'{{"{name}": {value}}}' if rng.random() < 0.7 else value).encode()
    return data[:HEADER_BYTES] + rng.choice((text, text[:-1], b"[" * 2000, b'{"a":' * 500))


_WAYS = {
    "flipped bits": _flip,
    "cut": _cut,
    "longer": _extend,
    "spliced": _splice,
    "filled": _fill,
    "header field": _set_field,
    "number in the body": _set_number,
    "text": _set_text,
}
