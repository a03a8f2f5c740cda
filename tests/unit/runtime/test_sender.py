"""Answers from the threads that made them: every frame whole, in order, beside what the event loop sends."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from autosplitc.runtime.connection import Connection, Reply
from autosplitc.runtime.frames import Header
from autosplitc.runtime.sender import Sender

if TYPE_CHECKING:
    from autosplitc.runtime.answers import Cancellable

LENGTH_BYTES = 4


class Quiet:
    """A host whose clients never ask."""

    max_request_bytes = 1
    handshake_s = body_s = write_s = 10.0
    slowest_bytes_per_s = 1.0
    max_in_flight = 1

    def opened(self, connection: Connection) -> None: ...

    def closed(self, connection: Connection) -> None: ...

    def take_memory(self, connection: Connection, nbytes: int) -> bool:
        raise AssertionError(connection, nbytes)

    def give_memory(self, nbytes: int) -> None: ...

    def welcome(self, fields: dict[str, Any]) -> dict[str, Any]:
        raise AssertionError(fields)

    def answer(self, header: Header, body: memoryview, reply: Reply) -> Cancellable | None:
        raise AssertionError(header, body, reply)


def framed(author: int, number: int, size: int) -> list[bytes]:
    """Return a frame in parts: its length, who made it, and bytes that are all the same."""
    body = bytes([author]) + number.to_bytes(4, "big") + bytes([number % 251]) * size
    return [len(body).to_bytes(LENGTH_BYTES, "big"), body[:3], body[3:]]


def unframed(data: bytes) -> list[tuple[int, int]]:
    """Return author and number of each frame. Raises AssertionError for bytes of one frame within another."""
    found: list[tuple[int, int]] = []
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + LENGTH_BYTES], "big")
        body = data[at + LENGTH_BYTES : at + LENGTH_BYTES + size]
        assert len(body) == size
        number = int.from_bytes(body[1:5], "big")
        assert set(body[5:]) <= {number % 251}
        found.append((body[0], number))
        at += LENGTH_BYTES + size
    return found


def exchanged(writers: int, count: int, size: int) -> tuple[list[tuple[int, int]], Counter[bool]]:
    """Send frames from threads and the loop at once to a slow reader; return what it read, and how often a thread could send itself."""
    near, far = socket.socketpair()
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    near.setblocking(False)
    came = bytearray()
    direct: Counter[bool] = Counter()

    def read() -> None:
        while piece := far.recv(3000):
            came.extend(piece)

    async def run() -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=near)
        sender = Sender(transport)

        def write(author: int) -> None:
            for number in range(count):
                parts = framed(author, number, size)
                sent = sender.send_now(parts)
                direct[sent] += 1
                asyncio.run_coroutine_threadsafe(finish([] if sent else parts), loop).result(10)

        async def finish(parts: list[bytes]) -> None:
            sender.send(parts)

        with ThreadPoolExecutor(writers) as threads:
            jobs = [loop.run_in_executor(threads, write, author) for author in range(writers)]
            for number in range(count):
                sender.send(framed(writers, number, size))
                await asyncio.sleep(0)
            await asyncio.gather(*jobs)
        sender.end()
        assert not sender.send_now([b"late"])
        while transport.get_write_buffer_size():
            await asyncio.sleep(0.001)
        transport.close()

    reader = threading.Thread(target=read)
    reader.start()
    asyncio.run(run())
    reader.join(10)
    far.close()
    return unframed(bytes(came)), direct


def test_frames_of_many_threads_and_the_loop_arrive_whole_and_each_author_s_in_order() -> None:
    for size in (10, 20_000):
        found, direct = exchanged(3, 60, size)
        assert Counter(author for author, _ in found) == dict.fromkeys(range(4), 60)
        for author in range(4):
            assert [number for who, number in found if who == author] == list(range(60))
        assert direct[True] + direct[False] == 180


def test_a_frame_that_the_system_takes_in_part_is_finished_by_the_loop_before_anything_else() -> None:
    async def run() -> bytes:
        near, far = socket.socketpair()
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        for end in (near, far):
            end.setblocking(False)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=near)
        sender = Sender(transport)
        first, second = framed(0, 1, 300_000), framed(0, 2, 5)
        assert sender.send_now(first)
        assert not sender.send_now(second)
        sender.send(second)
        transport.close()
        came = bytearray()
        while piece := await loop.sock_recv(far, 1 << 16):
            came.extend(piece)
        far.close()
        return bytes(came)

    assert unframed(asyncio.run(run())) == [(0, 1), (0, 2)]


def test_a_connection_that_is_gone_leaves_the_frame_to_the_loop() -> None:
    async def run() -> None:
        near, far = socket.socketpair()
        near.setblocking(False)
        transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=near)
        sender = Sender(transport)
        far.close()
        assert not sender.send_now(framed(0, 0, 10))
        transport.abort()

    asyncio.run(run())


def test_what_the_system_did_not_take_yet_goes_out_before_the_goodbye() -> None:
    """A connection that closes while a frame is halfway out, and the event loop was not told of its rest yet."""

    async def run() -> bytes:
        near, far = socket.socketpair()
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        for end in (near, far):
            end.setblocking(False)
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: Connection(Quiet()), sock=near)
        assert connection.send_now(framed(0, 1, 300_000))
        assert connection.owes
        connection.close()
        assert not connection.send_now(framed(0, 2, 5))
        came = bytearray()
        while piece := await loop.sock_recv(far, 1 << 16):
            came.extend(piece)
        far.close()
        return bytes(came)

    assert unframed(asyncio.run(run())) == [(0, 1)]
