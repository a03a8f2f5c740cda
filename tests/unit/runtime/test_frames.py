"""Frames and bodies: what docs/wire.md says of them byte by byte, and what is refused."""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from autosplitc.runtime import crc32c as module
from autosplitc.runtime.crc32c import Checksum, crc32c, crc32c_numpy
from autosplitc.runtime.errors import LinkError
from autosplitc.runtime.frames import HEADER_BYTES, CodecId, Kind, check_body, error_frame, error_of, frame, read_header, text_frame
from autosplitc.runtime.tensors import Inline, ServerTimes, read_request, read_result, request_body, result_body

PAGE = Path(__file__).parents[3] / "docs" / "wire.md"
LIMIT = 1 << 20
RFC_3720 = (
    (bytes(32), 0x8A9136AA),
    (b"\xff" * 32, 0x62A8AB43),
    (bytes(range(32)), 0x46DD794E),
    (bytes(range(31, -1, -1)), 0x113FDB5C),
    (b"123456789", 0xE3069283),
)
"""RFC 3720, B.4 (its bytes are printed the least significant first), and the usual check value."""


def joined(parts: Sequence[bytes | bytearray | memoryview]) -> bytes:
    return b"".join(bytes(part) for part in parts)


VECTORS = {
    "PING": frame(Kind.PING, request_id=7),
    "HELLO": text_frame(Kind.HELLO, {"protocol": 1, "model": "aa", "layout": "bb", "token": None, "client": "x"}),
    "REQUEST, id 1": frame(Kind.REQUEST, *request_body([b"\1\2\3", b"\4\5\6"]), request_id=1, deadline_ms=500),
    "REQUEST, id 2": frame(Kind.REQUEST, *request_body([b"\x21\x43"], [Inline(4, 0.5, 3.0, (1, 2, 2), 2)]), request_id=2),
    "RESULT": frame(Kind.RESULT, *result_body({"y": np.array([[1.5, -2.0]], np.float32)}, ServerTimes(1e-5, 0.0, 2e-3)), request_id=1),
    "ERROR": error_frame(LinkError("AS840", "busy", hint="later"), 1),
}


@pytest.mark.parametrize("name", VECTORS)
def test_the_page_has_our_bytes(name: str) -> None:
    found = re.findall(rf"^\| {name}.*\| `([0-9a-f]+)` \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert found == [joined(VECTORS[name]).hex()]


@pytest.mark.parametrize(("data", "crc"), RFC_3720)
def test_checksums_are_those_of_the_rfc(data: bytes, crc: int) -> None:
    assert crc32c(data) == crc32c_numpy(data) == crc


@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 511, 512, 513, 516, 4095, 65536, 65537, 294_912, 300_001])
def test_both_ways_to_a_checksum_agree(size: int) -> None:
    data = random.Random(size).randbytes(size)
    cut = size // 3
    assert (
        crc32c_numpy(data) == crc32c(data) == crc32c_numpy(data[:cut], bytearray(data[cut:])) == crc32c(data[:cut], memoryview(data)[cut:])
    )
    if size:
        assert crc32c_numpy(data[:-1] + bytes([data[-1] ^ 1])) != crc32c_numpy(data)


@pytest.mark.parametrize("packaged", [True, False])
def test_a_checksum_taken_while_bytes_come_is_the_same(packaged: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not packaged:
        monkeypatch.setattr(module, "_packaged", lambda: None)
    chosen = random.Random(1)
    for size in (0, 1, 16_383, 16_384, 100_000, 300_001):
        data = chosen.randbytes(size)
        buffer, filled = bytearray(size), 0
        checksum = Checksum(b"before", buffer)
        while filled < size:
            end = min(size, filled + chosen.randrange(1, 40_000))
            buffer[filled:end] = data[filled:end]
            filled = end
            checksum.take(filled)
        assert checksum.value() == crc32c_numpy(b"before", data)


def header_with(**fields: int | bytes) -> bytes:
    known: dict[str, int | bytes] = {
        "magic": b"ASLK",
        "version": 1,
        "kind": 3,
        "codec": 0,
        "flags": 0,
        "id": 1,
        "deadline": 0,
        "length": 9,
        "crc": 0,
    }
    return struct.pack("<4sBBBBQIQI", *(known | fields).values())


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "AS810"),
        (header_with()[:-1], "AS810"),
        (header_with(magic=b"HTTP"), "AS810"),
        (header_with(version=2), "AS811"),
        (header_with(kind=0), "AS812"),
        (header_with(kind=9), "AS812"),
        (header_with(codec=4), "AS812"),
        (header_with(flags=1), "AS812"),
        (header_with(length=LIMIT + 1), "AS813"),
        (header_with(length=1 << 63), "AS813"),
        (header_with(kind=1, length=65_537), "AS813"),
    ],
)
def test_headers_that_are_refused(data: bytes, code: str) -> None:
    with pytest.raises(LinkError) as caught:
        read_header(data, LIMIT)
    assert caught.value.code == code


def test_every_bit_of_a_frame_counts() -> None:
    """A frame with any one bit turned is refused, by its header or by its checksum."""
    whole = joined(frame(Kind.REQUEST, *request_body([b"abc"]), request_id=5, deadline_ms=40, codec=CodecId.ZSTD))
    for bit in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(LinkError):
            check_body(read_header(damaged[:HEADER_BYTES], LIMIT), damaged[HEADER_BYTES:])


def test_requests_come_back() -> None:
    inline = Inline(2, 0.25, -1.0, (1, 8, 7, 7), 98)
    body = joined(request_body([b"one", b"", b"three"], [inline, inline]))
    read = read_request(body, 3, 5)
    assert [bytes(sample) for sample in read.samples] == [b"one", b"", b"three"]
    assert read.inline == (inline, inline)


@pytest.mark.parametrize(
    ("body", "samples", "size", "code"),
    [
        (b"", 9, 9, "AS816"),
        (struct.pack("<II", 0, 0), 9, 9, "AS817"),
        (struct.pack("<II", 4_000_000_000, 0), 9, 9, "AS817"),
        (struct.pack("<III", 1, 0, 10) + bytes(10), 9, 9, "AS817"),
        (struct.pack("<III", 1, 0, 5) + bytes(4), 9, 9, "AS816"),
        (struct.pack("<III", 1, 0, 5) + bytes(6), 9, 9, "AS816"),
        (struct.pack("<III", 1, 0xFFFFFFFF, 5) + bytes(5), 9, 9, "AS816"),
        (struct.pack("<II", 1, 16) + struct.pack("<BBHffI", 4, 9, 0, 1, 0, 1) + struct.pack("<I", 0), 9, 9, "AS816"),
    ],
)
def test_requests_that_are_refused(body: bytes, samples: int, size: int, code: str) -> None:
    with pytest.raises(LinkError) as caught:
        read_request(body, samples, size)
    assert caught.value.code == code


def test_results_come_back() -> None:
    arrays = {
        "flags": np.array([True, False]),
        "scores": np.arange(6, dtype=np.float32).reshape(2, 3),
        "half": np.array(1.5, np.float16),
        "none": np.zeros((0, 4), np.int64),
        "turned": np.arange(6, dtype=">i4").reshape(2, 3).T,
    }
    back, times = read_result(joined(result_body(arrays, ServerTimes(0.001, 0.002, 0.003))))
    assert list(back) == list(arrays)
    for name, array in arrays.items():
        assert (back[name].shape, back[name].tolist()) == (array.shape, array.tolist())
    assert (times.queue_s, times.decode_s, times.cloud_s) == pytest.approx((0.001, 0.002, 0.003))


@pytest.mark.parametrize("cut", range(60))
def test_results_that_end_early_are_refused(cut: int) -> None:
    body = joined(result_body({"ab": np.arange(5, dtype=np.int64)}))
    assert len(body) > cut
    with pytest.raises(LinkError) as caught:
        read_result(body[:cut])
    assert caught.value.code == "AS816"


def test_a_size_that_wraps_around_is_refused() -> None:
    head = struct.pack("<IIIHH", 0, 0, 0, 1, 0) + struct.pack("<HBBQ", 1, 11, 2, 0) + struct.pack("<QQ", 1 << 63, 2) + b"y"
    with pytest.raises(LinkError, match="does not take 0 bytes"):
        read_result(head)


def test_errors_come_back() -> None:
    header, body = error_frame(LinkError("AS840", "busy", hint="later"), 3)[:2]
    assert read_header(bytes(header), LIMIT).request_id == 3
    error = error_of(body)
    assert (error.code, error.message, error.hint, error.exit_code) == ("AS840", "busy", "later", 5)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff", b'{"code": 1, "message": "x"}', b"[" * 5000])
def test_errors_that_make_no_sense(body: bytes) -> None:
    with pytest.raises(LinkError) as caught:
        error_of(body)
    assert caught.value.code == "AS815"
