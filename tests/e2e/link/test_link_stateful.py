"""Clients that do anything in any order: every request that the server took is answered once, rightly, on its own connection."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from link_peer import Peer, assert_serves, damaged, payload_of, request_of, settled

from autosplitc.runtime.cloud import CloudHalf
from autosplitc.runtime.errors import LinkError
from autosplitc.runtime.frames import CodecId, Kind, error_of, frame
from autosplitc.runtime.server import Server
from autosplitc.runtime.tensors import read_result, request_body

MOST = 3
"""Connections at once."""


@dataclass
class Open:
    """A connection. due: what each request that is not answered must end with, a payload's seed and samples or an error's codes.

    ends: the code that the server closes the connection with, "" while it stays open. pings: PONGs that must come, by id.
    """

    peer: Peer
    last_id: int = 0
    due: dict[int, tuple[int, int] | tuple[str, ...]] = field(default_factory=dict[int, "tuple[int, int] | tuple[str, ...]"])
    pings: list[int] = field(default_factory=list[int])
    ends: str = ""


class Clients(RuleBasedStateMachine):
    """Clients of one server; `which` takes one of those that are connected."""

    def __init__(self, server: Server, half: CloudHalf) -> None:
        """Begin without clients."""
        super().__init__()
        self.server = server
        self.half = half
        self.open: list[Open] = []

    def take(self, which: int) -> Open:
        return self.open[which % len(self.open)]

    @precondition(lambda self: len(self.open) < MOST)
    @rule()
    def connect(self) -> None:
        self.open.append(Open(Peer(self.server)))

    @rule(field=st.sampled_from([("model", "AS823"), ("layout", "AS824")]))
    def knock_with_another_bundle(self, field: tuple[str, str]) -> None:
        name, code = field
        fields: dict[str, Any] = {name: "0" * 64}
        try:
            Peer(self.server, **fields)
        except LinkError as error:
            assert error.code == code
        else:
            raise AssertionError("the server took another bundle")

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, MOST), gap=st.integers(1, 1 << 40), seed=st.integers(0, 50), samples=st.integers(1, 3))
    def ask(self, which: int, gap: int, seed: int, samples: int) -> None:
        to = self.take(which)
        to.last_id += gap
        to.due[to.last_id] = (seed, samples)
        self.send(to, b"".join(request_of(to.last_id, payload_of(seed, samples))))

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, MOST), nbytes=st.sampled_from([0, 1, 293, 295, 2000]))
    def ask_with_another_size(self, which: int, nbytes: int) -> None:
        to = self.take(which)
        to.last_id += 1
        to.due[to.last_id] = ("AS817", "AS819")
        self.send(to, b"".join(request_of(to.last_id, payload_of(0, 1, nbytes))))

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, MOST), codec=st.sampled_from([CodecId.ZSTD, CodecId.PNG, CodecId.JPEG]), data=st.binary(max_size=50))
    def ask_behind_a_codec_that_it_is_not(self, which: int, codec: CodecId, data: bytes) -> None:
        to = self.take(which)
        to.last_id += 1
        to.due[to.last_id] = ("AS818", "AS819")
        self.send(to, b"".join(frame(Kind.REQUEST, *request_body([data]), request_id=to.last_id, codec=codec)))

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, MOST), number=st.integers(0, 1 << 60))
    def ping(self, which: int, number: int) -> None:
        to = self.take(which)
        if not to.ends:
            to.pings.append(number)
        self.send(to, b"".join(frame(Kind.PING, request_id=number)))

    @precondition(lambda self: any(to.last_id for to in self.open))
    @rule(which=st.integers(0, MOST))
    def repeat_an_id(self, which: int) -> None:
        to = self.take(which)
        if to.last_id:
            self.doom(to, "AS821", b"".join(request_of(to.last_id, payload_of(1))))

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, MOST), at=st.integers(40, 200))
    def damage(self, which: int, at: int) -> None:
        to = self.take(which)
        self.doom(to, "AS814", damaged(request_of(to.last_id + 1, payload_of(1)), at))

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, MOST))
    def say_hello_again(self, which: int) -> None:
        self.doom(self.take(which), "AS820", b"".join(frame(Kind.HELLO, b"{}")))

    @precondition(lambda self: any(to.due or to.pings for to in self.open))
    @rule(which=st.integers(0, MOST))
    def listen(self, which: int) -> None:
        to = self.take(which)
        if (to.due or to.pings) and not to.ends:
            self.hear(to)

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, MOST), size=st.integers(1, 200))
    def leave_within_a_frame(self, which: int, size: int) -> None:
        to = self.take(which)
        self.send(to, b"".join(request_of(to.last_id + 1, payload_of(1)))[:size])
        to.peer.kill()
        self.open.remove(to)

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, MOST))
    def leave(self, which: int) -> None:
        to = self.take(which)
        self.finish(to)
        self.open.remove(to)

    def teardown(self) -> None:
        for to in self.open:
            self.finish(to)
        assert settled(lambda: not self.server.connections)
        assert_serves(self.server, self.half)
        whole = max(self.server.settings.memory_bytes, self.server.max_request_bytes)
        assert settled(lambda: self.server.free_bytes == whole)

    def send(self, to: Open, data: bytes) -> None:
        try:
            to.peer.end.sendall(data)
        except OSError:
            assert to.ends

    def doom(self, to: Open, code: str, data: bytes) -> None:
        """Send what the server closes the connection for."""
        self.send(to, data)
        to.ends = to.ends or code

    def hear(self, to: Open) -> bool:
        """Take in a message; whether it was the last."""
        header, body = to.peer.receive()
        if header.kind is Kind.PONG:
            assert to.pings.pop(0) == header.request_id
            return False
        if header.kind is Kind.ERROR and not header.request_id:
            assert error_of(body).code == to.ends
            return True
        due = to.due.pop(header.request_id)
        if header.kind is Kind.ERROR:
            assert error_of(body).code in due
            return False
        seed, samples = due
        assert header.kind is Kind.RESULT
        assert isinstance(seed, int)
        assert isinstance(samples, int)
        right = self.half.infer(payload_of(seed, samples))["logits"]
        np.testing.assert_allclose(read_result(body)[0]["logits"], right, rtol=1e-4, atol=1e-4)
        return False

    def finish(self, to: Open) -> None:
        """Hear everything that must come, and go."""
        with to.peer.end:
            if to.ends:
                while not self.hear(to):
                    pass
                return
            while to.due or to.pings:
                self.hear(to)
            to.peer.end.shutdown(socket.SHUT_WR)
            assert not to.peer.end.recv(1)


def test_clients_that_do_anything_in_any_order(plain: Server, half: CloudHalf) -> None:
    class Machine(Clients):
        def __init__(self) -> None:
            super().__init__(plain, half)

    run_state_machine_as_test(Machine, settings=settings(max_examples=60, stateful_step_count=30, deadline=None))
