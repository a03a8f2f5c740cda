"""Bodies of requests and results: samples of the payload, and named arrays. docs/wire.md has them byte by byte.

Nothing is allocated by what a body says of itself before it was checked against the bytes that are there.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from .errors import LinkError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TypeAlias

    from numpy.typing import NDArray

    Buffer: TypeAlias = bytes | bytearray | memoryview

DTYPES = ("bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float16", "float32", "float64")
"""Element types of arrays; the place in this list, counted from 1, is the number on the wire. All are little-endian."""

_DTYPES = tuple(np.dtype(name).newbyteorder("<") for name in DTYPES)
_NUMBERS = {dtype: i + 1 for i, name in enumerate(DTYPES) for dtype in (_DTYPES[i], np.dtype(name).newbyteorder(">"))}
"""Of both byte orders."""

MAX_RANK = 8

_REQUEST = struct.Struct("<II")
"""Number of samples, bytes of the inline fields."""

_LENGTH = struct.Struct("<I")
_INLINE = struct.Struct("<BBHffI")
"""Bits, rank, zero, scale, zero point, bytes of a sample's part of the payload."""

_RESULT = struct.Struct("<IIIHH")
"""Microseconds in the queue, of decoding and of the cloud graph; number of arrays; zero."""

_ARRAY = struct.Struct("<HBBQ")
"""Bytes of the name, element type, rank, bytes of the data."""


@dataclass(frozen=True)
class Inline:
    """A tensor of the payload as the paper's Table 5 describes it: bits, scale, zero point, shape; nbytes of a sample in the payload."""

    bits: int
    scale: float
    zero_point: float
    shape: tuple[int, ...]
    nbytes: int


class RequestBody(NamedTuple):
    """Samples of the payload, each as it was sent (compressed, where the frame names a codec), and the inline fields, if any."""

    samples: tuple[memoryview, ...]
    inline: tuple[Inline, ...] = ()


class ServerTimes(NamedTuple):
    """Seconds that a request took in the server: waiting, decoding, in the cloud graph."""

    queue_s: float = 0.0
    decode_s: float = 0.0
    cloud_s: float = 0.0


NO_TIMES = ServerTimes()


def request_body(payloads: Sequence[Buffer], inline: Sequence[Inline] = ()) -> list[Buffer]:
    """Return the parts of a request's body. Raises ValueError for no samples, and for shapes of more than `MAX_RANK` sizes."""
    if not payloads or any(len(item.shape) > MAX_RANK for item in inline):
        raise ValueError("a request needs samples, and shapes that fit")
    fields = b"".join(map(_inline_bytes, inline))
    lengths = b"".join(_LENGTH.pack(memoryview(payload).nbytes) for payload in payloads)
    return [_REQUEST.pack(len(payloads), len(fields)) + fields + lengths, *payloads]


def _inline_bytes(item: Inline) -> bytes:
    rank = len(item.shape)
    return _INLINE.pack(item.bits, rank, 0, item.scale, item.zero_point, item.nbytes) + struct.pack(f"<{rank}i", *item.shape)


def read_request(body: Buffer, max_samples: int, max_sample_bytes: int) -> RequestBody:
    """Return a request's samples, as views of the body. Raises LinkError: AS816 where the body contradicts itself, AS817 over a limit."""
    view = memoryview(body).cast("B")
    count, inline_bytes = _REQUEST.unpack(_piece(view, 0, _REQUEST.size))
    if not 0 < count <= max_samples:
        raise LinkError("AS817", f"a request of {count:,} samples: from 1 to {max_samples:,} are taken")
    at = _REQUEST.size + inline_bytes
    inline = _read_inline(_piece(view, _REQUEST.size, inline_bytes)) if inline_bytes else ()
    lengths: tuple[int, ...] = struct.unpack(f"<{count}I", _piece(view, at, count * _LENGTH.size))
    if max(lengths) > max_sample_bytes:
        raise LinkError("AS817", f"a sample of {max(lengths):,} bytes: {max_sample_bytes:,} are the most")
    at += count * _LENGTH.size
    if at + sum(lengths) != len(view):
        raise LinkError("AS816", f"a request of {len(view):,} bytes says that it has {at + sum(lengths):,}")
    samples: list[memoryview] = []
    for length in lengths:
        samples.append(view[at : at + length])
        at += length
    return RequestBody(tuple(samples), inline)


def _read_inline(view: memoryview) -> tuple[Inline, ...]:
    found: list[Inline] = []
    at = 0
    while at < len(view):
        bits, rank, _, scale, zero_point, nbytes = _INLINE.unpack(_piece(view, at, _INLINE.size))
        if rank > MAX_RANK:
            raise LinkError("AS816", f"a tensor of rank {rank}: {MAX_RANK} is the most")
        shape = struct.unpack(f"<{rank}i", _piece(view, at + _INLINE.size, 4 * rank))
        found.append(Inline(bits, scale, zero_point, shape, nbytes))
        at += _INLINE.size + 4 * rank
    return tuple(found)


def result_body(arrays: Mapping[str, NDArray[Any]], times: ServerTimes = NO_TIMES) -> list[Buffer]:
    """Return the parts of a result's body. Raises ValueError for names, ranks and element types that have no place in it."""
    micros = [min(round(seconds * 1e6), 0xFFFFFFFF) for seconds in (times.queue_s, times.decode_s, times.cloud_s)]
    heads: list[bytes] = [_RESULT.pack(*micros, len(arrays), 0)]
    data: list[Buffer] = []
    for name, array in arrays.items():
        text, number = name.encode(), _NUMBERS.get(array.dtype)
        if len(text) > 0xFFFF or array.ndim > MAX_RANK or number is None:
            raise ValueError(f"array {name!r} of type {array.dtype.name} and rank {array.ndim} has no place in a result")
        head = _ARRAY.pack(len(text), number, array.ndim, array.nbytes)
        heads.append(head + struct.pack(f"<{array.ndim}Q", *array.shape) + text)
        data.append(array.astype(_DTYPES[number - 1], copy=False).tobytes())
    return [b"".join(heads), *data]


def read_result(body: Buffer) -> tuple[dict[str, NDArray[Any]], ServerTimes]:
    """Return a result's arrays, copied, and its times. Raises LinkError: AS816 where the body contradicts itself."""
    view = memoryview(body).cast("B")
    queue, decode, cloud, count, _ = _RESULT.unpack(_piece(view, 0, _RESULT.size))
    at = _RESULT.size
    heads: list[tuple[str, np.dtype[Any], tuple[int, ...], int]] = []
    for _ in range(count):
        name_bytes, kind, rank, nbytes = cast("tuple[int, int, int, int]", _ARRAY.unpack(_piece(view, at, _ARRAY.size)))
        if not 0 < kind <= len(DTYPES) or rank > MAX_RANK:
            raise LinkError("AS816", f"an array of type {kind} and rank {rank} is not known")
        at += _ARRAY.size
        shape = struct.unpack(f"<{rank}Q", _piece(view, at, 8 * rank))
        at += 8 * rank
        heads.append((_name(_piece(view, at, name_bytes)), _DTYPES[kind - 1], shape, nbytes))
        at += name_bytes
    arrays: dict[str, NDArray[Any]] = {}
    for name, dtype, shape, nbytes in heads:
        if prod(shape) * dtype.itemsize != nbytes or name in arrays:
            raise LinkError("AS816", f"array {name!r} of shape {shape} does not take {nbytes:,} bytes, or comes twice")
        arrays[name] = np.frombuffer(_piece(view, at, nbytes), dtype).reshape(shape).astype(dtype.newbyteorder("="))
        at += nbytes
    if at != len(view):
        raise LinkError("AS816", f"a result of {len(view):,} bytes says that it has {at:,}")
    return arrays, ServerTimes(queue * 1e-6, decode * 1e-6, cloud * 1e-6)


def _name(view: memoryview) -> str:
    try:
        return bytes(view).decode()
    except UnicodeDecodeError:
        raise LinkError("AS816", "an array whose name is no text") from None


def _piece(view: memoryview, at: int, size: int) -> memoryview:
    if at + size > len(view):
        raise LinkError("AS816", f"a body of {len(view):,} bytes ends before it is over")
    return view[at : at + size]
