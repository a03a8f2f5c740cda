"""Takes large tensor data out of a serialized ONNX model without reading it, and writes models without holding their data.

An ONNX file is a protobuf message. `split_model` walks its wire format (https://protobuf.dev/programming-guides/encoding) down to every
`TensorProto.raw_data` and leaves it in the file: what comes back is a small message that parses quickly, and where the data lies.
`join_model` is the way back. Field numbers are those of onnx.proto.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from .blob import BlobRef

SLICE_KEY = "autosplitc.slice"
"""Key of the `external_data` entry that stands for a slice that was taken out; its value is the index of the slice."""

_CHILDREN: dict[str, dict[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "function": {7: "node"},
    "tensor": {},
}
_RAW_DATA = 9
_EXTERNAL_DATA = 13
_DATA_LOCATION = 14
_MODEL_GRAPH = 7
_GRAPH_INITIALIZER = 5
_VARINT, _I64, _LEN, _I32 = 0, 1, 2, 5
_MAX_VARINT_BYTES = 10


class WireError(ValueError):
    """The bytes are no protobuf message. `missing_bytes` > 0: they stop in the middle of a model's graph."""

    def __init__(self, text: str, missing_bytes: int = 0) -> None:
        """Keep what is wrong."""
        super().__init__(text)
        self.missing_bytes = missing_bytes


@dataclass
class _Splitter:
    data: memoryview
    threshold_bytes: int
    slices: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])

    def message(self, kind: str, start: int, end: int) -> list[bytes]:
        """Return the message in data[start:end] in pieces, large raw data left out."""
        children = _CHILDREN[kind]
        pieces: list[bytes] = []
        position = copied = start
        while position < end:
            key, body = self._varint(position, end)
            number, wire = key >> 3, key & 7
            if wire != _LEN:
                position = self._skip(wire, body, end)
                continue
            length, body = self._varint(body, end)
            if body + length > end:
                at_graph = kind == "model" and number == _MODEL_GRAPH
                raise WireError("a field is longer than its message", body + length - end if at_graph else 0)
            next_position = body + length
            large = length > self.threshold_bytes
            if large and kind == "tensor" and number == _RAW_DATA:
                pieces += (bytes(self.data[copied:position]), self._stand_in(body, length))
                copied = next_position
            elif large and number in children:
                inner = self.message(children[number], body, next_position)
                size = sum(len(piece) for piece in inner)
                pieces += (bytes(self.data[copied:position]), _encode(key), _encode(size), *inner)
                copied = next_position
            position = next_position
        pieces.append(bytes(self.data[copied:end]))
        return pieces

    def _varint(self, position: int, end: int) -> tuple[int, int]:
        value = 0
        for i in range(_MAX_VARINT_BYTES):
            if position + i >= end:
                break
            byte = self.data[position + i]
            value |= (byte & 0x7F) << (7 * i)
            if byte < 0x80:
                return value, position + i + 1
        raise WireError("a number does not end")

    def _skip(self, wire: int, body: int, end: int) -> int:
        if wire == _VARINT:
            _, position = self._varint(body, end)
        elif wire in (_I64, _I32):
            position = body + (8 if wire == _I64 else 4)
        else:
            raise WireError(f"wire type {wire}")
        if position > end:
            raise WireError("a field is longer than its message")
        return position

    def _stand_in(self, start: int, length: int) -> bytes:
        entry = _text(1, SLICE_KEY) + _text(2, str(len(self.slices)))
        self.slices.append((start, length))
        return _field(_EXTERNAL_DATA, entry) + _encode(_DATA_LOCATION << 3 | _VARINT) + _encode(1)


def _encode(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _head(number: int, length: int) -> bytes:
    return _encode(number << 3 | _LEN) + _encode(length)


def _field(number: int, body: bytes) -> bytes:
    return _head(number, len(body)) + body


def _text(number: int, text: str) -> bytes:
    return _field(number, text.encode())


def split_model(data: bytes | mmap.mmap, threshold_bytes: int) -> tuple[bytes, tuple[tuple[int, int], ...]]:
    """Return the serialized model without raw data longer than `threshold_bytes`, and (offset, length) in bytes of what was left out.

    A tensor whose data was left out says that it is external, with one entry `SLICE_KEY`. Raises WireError for bytes that are no message.
    """
    view = memoryview(data)
    try:
        splitter = _Splitter(view, threshold_bytes)
        return b"".join(splitter.message("model", 0, len(view))), tuple(splitter.slices)
    finally:
        view.release()


def join_model(model: bytes, graph: bytes, tensors: Iterable[tuple[bytes, BlobRef | None]]) -> Iterator[bytes | memoryview]:
    """Yield a serialized model in pieces: `model` without its graph, `graph` without its initializers, and the initializers.

    An initializer is a serialized tensor, without data where a blob follows. Parsers take fields in any order, so they stand at the end.
    """
    held = [(tensor, blob, _head(_RAW_DATA, blob.nbytes) if blob is not None else b"") for tensor, blob in tensors]
    lengths = [len(tensor) + len(head) + (blob.nbytes if blob is not None else 0) for tensor, blob, head in held]
    heads = [_head(_GRAPH_INITIALIZER, length) for length in lengths]
    yield model + _head(_MODEL_GRAPH, len(graph) + sum(lengths) + sum(len(head) for head in heads)) + graph
    for head, (tensor, blob, data_head) in zip(heads, held, strict=True):
        yield head + tensor + data_head
        if blob is not None:
            yield blob.read().data
