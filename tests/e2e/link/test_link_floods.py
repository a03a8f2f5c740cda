"""Slow and dead clients, floods, full queues, thousands of connections: the server keeps its bounds and serves the others."""

from __future__ import annotations

import resource
import socket
import threading
import time
from itertools import count

import numpy as np
import pytest
from link_peer import Array, Brake, Peer, Serve, assert_serves, hello_of, payload_of, request_of, resident_bytes, settled
from numpy.typing import NDArray

from autosplitc.runtime.cloud import CloudHalf
from autosplitc.runtime.errors import LinkError
from autosplitc.runtime.frames import (
    error_of,
)
from autosplitc.runtime.server import Server
from autosplitc.runtime.tensors import read_result


@pytest.mark.parametrize("stage", ["before HELLO", "in HELLO", "in a header", "in a body"])
def test_slow_clients_are_cut_off(stage: str, serve: Serve, half: CloudHalf) -> None:
    with serve(handshake_s=0.2, body_s=0.2, slowest_bytes_per_s=1e6) as server:
        idle = Peer(server)
        peer = Peer(server, hello=stage.startswith("in a"))
        data = b"".join(request_of(1, payload_of(1)) if stage.startswith("in a") else hello_of(server))
        began_s = time.monotonic()
        sent = {"before HELLO": 0, "in HELLO": 50, "in a header": 3, "in a body": 100}[stage]
        peer.end.sendall(data[:sent])
        if sent:
            time.sleep(0.15)
            peer.end.sendall(data[sent : sent + 1])
        assert peer.refusal() == "AS834"
        assert time.monotonic() - began_s < 1.0
        idle.ask(1, payload_of(4))
        assert idle.logits(1).shape == (1, 10)
        idle.end.close()
        assert_serves(server, half)


def test_clients_killed_in_mid_send_leave_nothing_behind(serve: Serve, half: CloudHalf) -> None:
    with serve(memory_bytes=1 << 18, max_connections=60) as server:
        payload = payload_of(1, 64)
        for number in range(60):
            peer = Peer(server)
            data = b"".join(request_of(1, payload))
            peer.end.sendall(data[: 40 + number * 300])
            peer.kill()
        assert settled(lambda: not server.connections)
        assert_serves(server, half)
        peers = [Peer(server) for _ in range(20)]
        for peer in peers:
            peer.ask(1, payload)
        assert all(peer.logits(1).shape == (64, 10) for peer in peers)
        for peer in peers:
            peer.end.close()


def test_a_full_queue_is_told_and_what_was_taken_is_answered(serve: Serve, brake: Brake) -> None:
    with serve(queue=4, queue_wait_s=0.2) as server:
        peer = Peer(server)
        for number in range(1, 11):
            peer.ask(number, payload_of(number))
        busy: list[int] = []
        for _ in range(6):
            header, body = peer.receive()
            assert error_of(body).code == "AS840"
            busy.append(header.request_id)
        assert busy == [5, 6, 7, 8, 9, 10]
        brake.free.set()
        assert sorted(peer.receive()[0].request_id for _ in range(4)) == [1, 2, 3, 4]
        peer.end.close()


def test_a_client_that_sends_without_end_is_no_longer_read(serve: Serve, brake: Brake) -> None:
    """What was not read stays with the client: the server holds no more than its in-flight limit."""
    with serve(max_in_flight=4, queue_wait_s=20) as server:
        peer = Peer(server)
        peer.end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        peer.end.settimeout(0.5)
        payload = payload_of(1, 64)
        sent = 0
        with pytest.raises(TimeoutError):
            for number in range(1, 10_000):
                peer.ask(number, payload)
                sent = number
        assert sent > 4
        (connection,) = server.connections
        assert connection.in_flight == 4
        brake.free.set()
        peer.end.settimeout(10)
        assert [peer.receive()[0].request_id for _ in range(sent)] == list(range(1, sent + 1))
        peer.kill()


def test_a_client_that_reads_no_answers_is_cut_off(serve: Serve, half: CloudHalf, monkeypatch: pytest.MonkeyPatch) -> None:
    large = {"logits": np.zeros((64, 20_000), np.float32)}
    infer = CloudHalf.infer

    def enlarged(own: CloudHalf, payload: NDArray[np.uint8]) -> dict[str, Array]:
        return large if len(payload) == 64 else infer(own, payload)

    monkeypatch.setattr(CloudHalf, "infer", enlarged)
    with serve(write_s=0.3) as server:
        peer = Peer(server)
        peer.end.settimeout(5)
        payload = payload_of(1, 64)
        until_s = time.monotonic() + 20
        with pytest.raises(OSError, match=r"timed out|reset|Broken pipe"):
            for number in count(1):  # while the connection lingers everything is read, however much that is
                assert time.monotonic() < until_s
                peer.ask(number, payload)
        assert settled(lambda: not server.connections)
        peer.end.close()
        assert_serves(server, half)


def test_a_request_past_its_deadline_is_not_computed(serve: Serve, brake: Brake) -> None:
    with serve(max_batch=1) as server:
        peer = Peer(server)
        peer.ask(1, payload_of(1))
        peer.ask(2, payload_of(2), deadline_ms=50)
        time.sleep(0.2)
        brake.free.set()
        assert peer.logits(1).shape == (1, 10)
        with pytest.raises(LinkError) as caught:
            peer.logits(2)
        assert (caught.value.code, brake.samples) == ("AS833", 1)
        peer.end.close()


def test_nothing_is_computed_for_the_dead(serve: Serve, brake: Brake) -> None:
    with serve(max_batch=1) as server:
        peer, other = Peer(server), Peer(server)
        for number in range(1, 9):
            peer.ask(number, payload_of(number))
        other.ask(1, payload_of(1))
        assert settled(lambda: sum(connection.in_flight for connection in server.connections) == 9)
        peer.kill()
        assert settled(lambda: len(server.connections) == 1)
        brake.free.set()
        assert other.logits(1).shape == (1, 10)
        assert brake.samples <= 2
        other.end.close()


def test_a_request_that_fails_fails_alone(serve: Serve, half: CloudHalf, monkeypatch: pytest.MonkeyPatch) -> None:
    infer, batches = CloudHalf.infer, list[int]()

    def picky(self: CloudHalf, payload: NDArray[np.uint8]) -> dict[str, Array]:
        batches.append(len(payload))
        if (payload == 99).all(axis=1).any():
            raise RuntimeError("this one I do not take")
        return infer(self, payload)

    right = {number: half.infer(payload_of(number))["logits"] for number in range(1, 9)}
    monkeypatch.setattr(CloudHalf, "infer", picky)
    with serve(max_batch=8, max_wait_s=0.5) as server:
        peer = Peer(server)
        for number in right:
            peer.ask(number, np.full((1, 294), 99, np.uint8) if number == 4 else payload_of(number))
        for _ in right:
            header, body = peer.receive()
            if header.request_id == 4:
                assert error_of(body).code == "AS843"
                assert "I do not take" in error_of(body).message
            else:
                np.testing.assert_allclose(read_result(body)[0]["logits"], right[header.request_id], rtol=1e-4, atol=1e-4)
        assert batches == [8, *[1] * 8]
        peer.end.close()


def test_no_answer_goes_to_another_client(serve: Serve, half: CloudHalf) -> None:
    """Clients with inputs of their own, many requests each, batched together: every answer is the one to its own question."""
    clients, requests = 6, 60
    wrong: list[str] = []
    right = {c: half.infer(payload_of(c, requests))["logits"] for c in range(clients)}

    def work(server: Server, client: int) -> None:
        peer, payload = Peer(server), payload_of(client, requests)
        for first in range(0, requests, 10):
            for number in range(first, first + 10):
                peer.ask(number + 1, payload[number : number + 1])
            for _ in range(10):
                header, body = peer.receive()
                logits = read_result(body)[0]["logits"]
                if not np.allclose(logits, right[client][header.request_id - 1], rtol=1e-4, atol=1e-4):
                    wrong.append(f"client {client}, request {header.request_id}")
        peer.end.close()

    batches: list[int] = []
    with serve(max_batch=16, max_wait_s=0.002) as server:
        ran = server.metrics.ran

        def counted(samples: int, seconds: float) -> None:
            batches.append(samples)
            ran(samples, seconds)

        server.batcher.on_batch = counted
        threads = [threading.Thread(target=work, args=(server, client)) for client in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    assert wrong == []
    assert sum(batches) == clients * requests
    assert max(batches) > 4


def test_memory_for_bodies_is_shared_out(serve: Serve) -> None:
    """With room for one body at a time, all are answered."""
    with serve(memory_bytes=1) as server:
        peers = [Peer(server) for _ in range(12)]
        for number in (1, 2):
            for peer in peers:
                peer.ask(number, payload_of(number, 64))
        for number in (1, 2):
            assert all(peer.logits(number).shape == (64, 10) for peer in peers)
        for peer in peers:
            peer.end.close()


def test_a_thousand_idle_connections_are_cheap(serve: Serve) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2300:
        pytest.skip("too few files may be open")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2300), hard))
    try:
        with serve(max_connections=1001) as server:
            before = resident_bytes()
            peers = [Peer(server) for _ in range(1000)]
            assert resident_bytes() - before < 24 << 20
            busy = Peer(server)
            times: list[float] = []
            for number in range(1, 51):
                began_s = time.perf_counter()
                busy.ask(number, payload_of(1))
                assert busy.logits(number).shape == (1, 10)
                times.append(time.perf_counter() - began_s)
            assert np.median(times) < 0.05
            with pytest.raises(LinkError) as caught:
                Peer(server)
            assert caught.value.code == "AS841"
            peers[500].ask(1, payload_of(1))
            assert peers[500].logits(1).shape == (1, 10)
            for peer in [*peers, busy]:
                peer.end.close()
            assert settled(lambda: not server.connections)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_connections_leave_no_memory_behind(plain: Server) -> None:
    def round_trips(count: int) -> None:
        for number in range(count):
            peer = Peer(plain)
            if number % 3:
                peer.ask(1, payload_of(1, 8))
                assert peer.logits(1).shape == (8, 10)
            peer.end.close()
        assert settled(lambda: not plain.connections)

    round_trips(200)
    before = resident_bytes()
    round_trips(600)
    assert resident_bytes() - before < 2 << 20
