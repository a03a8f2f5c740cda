"""Damaged, strange and hostile frames: each is refused with its code, and others are served, and rightly."""

from __future__ import annotations

import socket
import struct

import numpy as np
import pytest
from link_peer import Peer, assert_serves, damaged, hello_of, payload_of, raw_header, request_of, resident_bytes

from autosplitc.runtime.cloud import CloudHalf
from autosplitc.runtime.errors import LinkError
from autosplitc.runtime.frames import (
    CodecId,
    Kind,
    error_of,
    frame,
    text_frame,
)
from autosplitc.runtime.server import Server
from autosplitc.runtime.tensors import read_result, request_body

GOOD = request_of(5, payload_of(1))
BEHIND_HELLO: dict[str, tuple[bytes, str]] = {
    "random bytes": (np.random.default_rng(0).bytes(4000), "AS810"),
    "HTTP": (b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n", "AS810"),
    "another version": (raw_header(version=9), "AS811"),
    "an unknown kind": (raw_header(kind=77), "AS812"),
    "an unknown codec": (raw_header(codec=9), "AS812"),
    "unknown flags": (raw_header(flags=1), "AS812"),
    "2^63 bytes": (raw_header(length=1 << 63), "AS813"),
    "2^64 - 1 bytes": (raw_header(length=(1 << 64) - 1), "AS813"),
    "a long PING": (raw_header(kind=Kind.PING, length=1 << 17), "AS813"),
    "a turned bit in the body": (damaged(GOOD, -3), "AS814"),
    "a turned bit in the id": (damaged(GOOD, 9), "AS814"),
    "a request twice": (b"".join(GOOD) * 2, "AS821"),
    "requests out of order": (b"".join([*request_of(9, payload_of(1)), *GOOD]), "AS821"),
    "HELLO again": (b"".join(text_frame(Kind.HELLO, {})), "AS820"),
    "a RESULT": (b"".join(frame(Kind.RESULT)), "AS820"),
}
BEFORE_HELLO: dict[str, tuple[bytes, str]] = {
    "a request": (b"".join(GOOD), "AS820"),
    "a PING": (b"".join(frame(Kind.PING)), "AS820"),
    "a HELLO that is no JSON": (b"".join(frame(Kind.HELLO, b"\xff{")), "AS815"),
    "a HELLO that is a list": (b"".join(frame(Kind.HELLO, b"[]")), "AS815"),
    "a HELLO that is deep": (b"".join(frame(Kind.HELLO, b"[" * 60000)), "AS815"),
    "a long HELLO": (raw_header(kind=Kind.HELLO, length=1 << 17), "AS813"),
    "another model": (b"".join(text_frame(Kind.HELLO, {"model": "0" * 64})), "AS823"),
    "no model": (b"".join(text_frame(Kind.HELLO, {"model": [1]})), "AS823"),
}


@pytest.mark.parametrize("what", BEHIND_HELLO)
def test_a_wrong_frame_is_refused_with_its_code(what: str, plain: Server, half: CloudHalf) -> None:
    data, code = BEHIND_HELLO[what]
    peer = Peer(plain)
    peer.end.sendall(data)
    header, body = peer.receive()
    while header.kind is Kind.RESULT:
        header, body = peer.receive()
    assert (header.kind, error_of(body).code) == (Kind.ERROR, code)
    with pytest.raises((EOFError, ConnectionError)):
        peer.receive()
    peer.end.close()
    assert_serves(plain, half)


@pytest.mark.parametrize("what", BEFORE_HELLO)
def test_a_wrong_greeting_is_refused_with_its_code(what: str, plain: Server, half: CloudHalf) -> None:
    data, code = BEFORE_HELLO[what]
    peer = Peer(plain, hello=False)
    peer.end.sendall(data)
    assert peer.refusal() == code
    assert_serves(plain, half)


def test_another_layout_is_refused(plain: Server) -> None:
    with pytest.raises(LinkError, match="layout") as caught:
        Peer(plain, layout="0" * 64)
    assert caught.value.code == "AS824"


BAD_BODIES: dict[str, tuple[CodecId, list[bytes], str]] = {
    "too few bytes": (CodecId.NONE, [b"x" * 293], "AS819"),
    "too many samples": (CodecId.NONE, [b""] * 65, "AS817"),
    "a long sample": (CodecId.NONE, [b"x" * 295], "AS817"),
    "PNG where the payload is none": (CodecId.PNG, [b"\x89PNG\r\n\x1a\n"], "AS818"),
    "no zstd": (CodecId.ZSTD, [b"x" * 40], "AS819"),
}


@pytest.mark.parametrize("what", BAD_BODIES)
def test_a_bad_request_ends_in_an_error_and_the_next_is_answered(what: str, plain: Server, half: CloudHalf) -> None:
    codec, samples, code = BAD_BODIES[what]
    peer = Peer(plain)
    peer.send(frame(Kind.REQUEST, *request_body(samples), request_id=1, codec=codec))
    with pytest.raises(LinkError) as caught:
        peer.logits(1)
    assert caught.value.code == code
    peer.ask(2, payload_of(2))
    np.testing.assert_allclose(peer.logits(2), half.infer(payload_of(2))["logits"], rtol=1e-4, atol=1e-4)
    peer.end.close()


def test_bodies_that_contradict_themselves(plain: Server) -> None:
    peer = Peer(plain)
    short = struct.pack("<IIII", 2, 0, 294, 294) + b"x" * 294
    for number, body in enumerate((b"", b"\1\0\0\0", struct.pack("<III", 1, 1 << 31, 5), struct.pack("<II", 50, 0), short), 1):
        peer.send(frame(Kind.REQUEST, body, request_id=number))
        with pytest.raises(LinkError) as caught:
            peer.logits(number)
        assert caught.value.code == "AS816"
    peer.end.close()


def test_a_zip_bomb_is_not_unpacked(plain: Server) -> None:
    zstandard = pytest.importorskip("zstandard")
    honest = zstandard.ZstdCompressor().compress(b"\0" * (1 << 26))
    silent = zstandard.ZstdCompressor(write_content_size=False).compress(b"\0" * (1 << 26))
    small = zstandard.ZstdCompressor().compress(b"\0" * 294)
    lying = small[:5] + struct.pack("<H", 294 - 256) + silent[6:]
    before = resident_bytes()
    peer = Peer(plain)
    for number, data in enumerate((honest, silent, lying), 1):
        data = data[:4500]
        peer.send(frame(Kind.REQUEST, *request_body([data]), request_id=number, codec=CodecId.ZSTD))
        with pytest.raises(LinkError) as caught:
            peer.logits(number)
        assert caught.value.code == "AS819"
    peer.send(frame(Kind.REQUEST, *request_body([small]), request_id=9, codec=CodecId.ZSTD))
    assert peer.logits(9).shape == (1, 10)
    peer.end.close()
    assert resident_bytes() - before < 16 << 20


def test_random_damage_gives_no_wrong_answer_and_no_harm(plain: Server, half: CloudHalf) -> None:
    random = np.random.default_rng(3)
    right = half.infer(payload_of(1))["logits"]
    stream = b"".join([*hello_of(plain), *request_of(1, payload_of(1)), *frame(Kind.PING), *request_of(2, payload_of(1))])
    answers = 0
    for _ in range(250):
        data = bytearray(stream)
        for at in random.integers(0, len(data), random.integers(1, 4)):
            data[at] = random.integers(256)
        data = data[: random.integers(len(data) // 2, len(data) + 1)]
        peer = Peer(plain, hello=False)
        peer.end.sendall(data)
        peer.end.shutdown(socket.SHUT_WR)
        try:
            while True:
                header, body = peer.receive()
                if header.kind is Kind.RESULT:
                    np.testing.assert_allclose(read_result(body)[0]["logits"], right, rtol=1e-4, atol=1e-4)
                    answers += 1
        except (EOFError, ConnectionError):
            peer.end.close()
    assert_serves(plain, half)
