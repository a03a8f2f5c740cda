"""Callers that read their own answers: beside the thread that reads for others, and through every way a request may end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from fake_server import HELLO, QUICK, Call, FakeServer, code_of, is_answer, payload

from autosplitc.runtime.client_link import Link
from autosplitc.runtime.client_settings import ClientSettings
from autosplitc.runtime.frames import Kind, frame
from autosplitc.runtime.tensors import result_body


@contextmanager
def linked(server: FakeServer, settings: ClientSettings = QUICK) -> Generator[Link]:
    """Yield a link whose thread has seen a caller read: from then on they take turns."""
    link = Link(server.address, HELLO, settings)
    assert is_answer(link.ask([payload(0)]), 0)
    assert is_answer(link.ask([payload(1)]), 1)
    yield link
    link.close()
    assert link.requests.unfinished == 0


def test_the_caller_s_own_thread_takes_the_answer_in() -> None:
    readers: list[str] = []
    with FakeServer() as server, linked(server) as link:
        for number in range(2, 10):
            future = link.ask([payload(number)])
            assert future.done()
            future.add_done_callback(lambda _: readers.append(threading.current_thread().name))
            assert is_answer(future, number)
        assert link.requests.counts.answered == 10
        assert server.connections == 1
    assert set(readers) == {threading.current_thread().name}


def test_callers_and_those_who_wait_for_nothing_share_a_connection() -> None:
    with FakeServer() as server, linked(server, replace(QUICK, window=8)) as link, ThreadPoolExecutor(6) as threads:

        def both(number: int) -> bool:
            sent = link.submit([payload(2 * number)])
            return is_answer(link.ask([payload(2 * number + 1)]), 2 * number + 1) and is_answer(sent, 2 * number)

        assert all(threads.map(both, range(1, 150)))
        assert server.connections == 1
        assert all(times == 1 for times in server.seen.values())


def test_after_a_caller_has_read_what_others_send_is_read_at_once() -> None:
    """The thread rests for `LULL_S` behind a caller, unless somebody else sends."""
    held: list[Call] = []
    with FakeServer() as server, linked(server) as link:
        server.script = held.append
        sent = [link.submit([payload(number)]) for number in range(2, 4)]
        until_s = time.monotonic() + 5
        while len(held) < 2 and time.monotonic() < until_s:
            time.sleep(0.001)
        for call in held:
            call.answer()
        assert is_answer(sent[0], 2)
        assert is_answer(sent[1], 3)


def test_a_caller_s_deadline_holds_while_nothing_comes_and_in_the_midst_of_an_answer() -> None:
    def begin_only(call: Call) -> None:
        call.end.sendall(b"ASLK\x01\x04")

    def ignore(_: Call) -> None:
        return

    for stall in (ignore, begin_only):
        with FakeServer() as server, linked(server, replace(QUICK, deadline_s=0.3)) as link:
            server.script = stall
            started_s = time.monotonic()
            assert code_of(link.ask([payload(2)])) == "AS833"
            assert 0.29 <= time.monotonic() - started_s < 2.0


def test_an_answer_that_comes_in_pieces_is_read_by_one_caller_after_the_other() -> None:
    """The first caller gives up in the midst of its answer; who reads next goes on where it stopped."""
    rest: list[bytes] = []

    def first_half(call: Call) -> None:
        if rest:
            call.end.sendall(rest.pop())
            call.answer()
            return
        doubled = np.frombuffer(call.payload, np.uint8)[np.newaxis].astype(np.int64) * 2
        whole = b"".join(bytes(part) for part in frame(Kind.RESULT, *result_body({"y": doubled}), request_id=call.header.request_id))
        call.end.sendall(whole[:40])
        rest.append(whole[40:])

    with FakeServer() as server, linked(server, replace(QUICK, deadline_s=0.3)) as link:
        server.script = first_half
        assert code_of(link.ask([payload(2)])) == "AS833"
        assert is_answer(link.ask([payload(3)]), 3)
        assert (server.connections, link.requests.counts.strays) == (1, 1)


@pytest.mark.parametrize("fault", [Call.hang_up, Call.answer_half, Call.answer_damaged])
def test_a_caller_whose_connection_breaks_gets_its_answer_over_the_next(fault: Callable[[Call], None]) -> None:
    came: list[bytes] = []

    def once(call: Call) -> None:
        came.append(call.payload)
        fault(call) if came.count(call.payload) == 1 and call.payload == payload(3) else call.answer()

    with FakeServer(once) as server, linked(server) as link:
        assert all(is_answer(link.ask([payload(number)]), number) for number in range(2, 6))
        assert (server.connections, link.requests.counts.resent) == (2, 1)


def test_a_server_that_goes_while_the_thread_rests_is_found_out() -> None:
    with FakeServer() as server:
        link = Link(server.address, HELLO, replace(QUICK, deadline_s=0.3))
        assert is_answer(link.ask([payload(0)]), 0)
        assert is_answer(link.ask([payload(1)]), 1)
        server.stop()
        assert code_of(link.ask([payload(2)])) in ("AS831", "AS833")
        link.close()


def test_closing_from_another_thread_ends_a_caller_that_reads() -> None:
    with FakeServer() as server, linked(server) as link:
        held: list[Call] = []
        server.script = held.append
        threading.Timer(0.1, link.close).start()
        assert code_of(link.ask([payload(2)])) == "AS835"
