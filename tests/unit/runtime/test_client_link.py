"""The client's link against a server with faults: every request ends once, with its own answer or a clear error."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from fake_server import HELLO, QUICK, Call, FakeServer, code_of, is_answer, payload

from autosplitc.runtime.client_link import Link
from autosplitc.runtime.client_settings import ClientSettings
from autosplitc.runtime.client_wire import Hello
from autosplitc.runtime.errors import LinkError


def send(server: FakeServer, count: int, settings: ClientSettings = QUICK) -> Link:
    """Send requests 0, 1, 2 ... over a new link and check that each gets its own answer."""
    link = Link(server.address, HELLO, settings)
    futures = [link.submit([payload(number)]) for number in range(count)]
    assert all(is_answer(future, number) for number, future in enumerate(futures))
    link.close()
    assert link.requests.counts.answered == count
    assert link.requests.unfinished == 0
    return link


def nth(fault: Callable[[Call], None], *numbers: int) -> Callable[[Call], None]:
    """Return a script that shows a fault at these requests, counted over all connections, and answers the others."""
    lock, came = threading.Lock(), [0]

    def script(call: Call) -> None:
        with lock:
            number, came[0] = came[0], came[0] + 1
        (fault if number in numbers else Call.answer)(call)

    return script


@pytest.mark.parametrize("fault", [Call.hang_up, Call.answer_half, Call.answer_damaged])
def test_a_connection_that_breaks_is_made_anew_and_what_had_no_answer_is_sent_again(fault: Callable[[Call], None]) -> None:
    with FakeServer(nth(fault, 3, 9)) as server:
        link = send(server, 20)
        assert server.connections == link.requests.counts.connections == 3
        assert link.requests.counts.resent >= 2
        assert set(server.seen) == {payload(number) for number in range(20)}


def test_an_answer_that_comes_twice_or_to_no_request_counts_once() -> None:
    def twice(call: Call) -> None:
        call.answer()
        call.answer()

    with FakeServer(twice) as server:
        link = send(server, 10)
        assert server.connections == 1
        assert 9 <= link.requests.counts.strays <= 10
    with FakeServer(nth(lambda call: (call.answer(99_999), call.answer())[1], 0, 1)) as server:
        assert send(server, 5).requests.counts.strays == 2


def test_answers_out_of_order_reach_their_own_requests() -> None:
    held: list[Call] = []

    def reversed_pairs(call: Call) -> None:
        held.append(call)
        if len(held) == 2:
            while held:
                held.pop().answer()

    with FakeServer(reversed_pairs) as server:
        send(server, 20)


def test_as_many_requests_are_in_flight_as_the_window_lets() -> None:
    held: list[Call] = []
    arrived = threading.Semaphore(0)

    def hold(call: Call) -> None:
        held.append(call)
        arrived.release()

    with FakeServer(hold) as server:
        link = Link(server.address, HELLO, replace(QUICK, window=3))
        futures = [link.submit([payload(number)]) for number in range(3)]
        assert all(arrived.acquire(timeout=5) for _ in range(3))
        with pytest.raises(LinkError, match="wait already") as caught:
            link.submit([payload(3)], block=False)
        assert caught.value.code == "AS836"
        assert not any(future.done() for future in futures)
        for call in held:
            call.answer()
        assert all(is_answer(future, number) for number, future in enumerate(futures))
        assert link.requests.counts.most_in_flight == 3
        link.close()


def test_the_server_s_own_bound_on_requests_in_flight_is_kept() -> None:
    most, open_calls, lock = [0], [0], threading.Lock()

    def count(call: Call) -> None:
        with lock:
            open_calls[0] += 1
            most[0] = max(most[0], open_calls[0])

        def later() -> None:
            with lock:
                open_calls[0] -= 1
            call.answer()

        threading.Timer(0.02, later).start()

    with FakeServer(count, welcome={"max_in_flight": 3}) as server:
        send(server, 12, replace(QUICK, window=8))
    assert most[0] == 2


def test_a_server_that_is_killed_and_started_again_in_mid_stream_loses_nothing() -> None:
    with FakeServer(nth(Call.hang_up, 5)) as first:
        link = Link(first.address, HELLO, replace(QUICK, fallback="queue"))
        futures = [link.submit([payload(number)]) for number in range(8)]
        first.stop()
        resting = [link.submit([payload(number)]) for number in range(8, 10)]
        with FakeServer(port=first.address[1]) as second:
            assert all(is_answer(future, number) for number, future in enumerate([*futures, *resting]))
            link.close()
            assert all(times == 1 for times in second.seen.values())


def test_a_stalled_link_ends_requests_at_their_deadline_and_late_answers_reach_nobody() -> None:
    held: list[Call] = []
    with FakeServer(held.append) as server:
        link = Link(server.address, HELLO, replace(QUICK, deadline_s=0.2))
        started_s = time.monotonic()
        future = link.submit([payload(0)])
        assert code_of(future) == "AS833"
        assert 0.19 <= time.monotonic() - started_s < 1.0
        held[0].answer()
        server.script = Call.answer
        assert is_answer(link.submit([payload(1)]), 1)
        assert (link.requests.counts.strays, link.requests.counts.failed) == (1, 1)
        link.close()


def test_a_connection_on_which_nothing_moves_is_given_up() -> None:
    """The script of the first connection never returns, so neither answers nor PONGs come."""
    stop = threading.Event()
    with FakeServer(lambda call: call.answer() if call.connection else (stop.wait(10), None)[1]) as server:
        send(server, 2, replace(QUICK, heartbeat_s=0.1, dead_s=0.3))
        assert server.connections == 2
        stop.set()


def test_idle_connections_are_kept_with_pings() -> None:
    with FakeServer() as server:
        link = Link(server.address, HELLO, replace(QUICK, heartbeat_s=0.05, dead_s=0.5))
        assert is_answer(link.submit([payload(0)]), 0)
        until_s = time.monotonic() + 3
        while server.pings < 4 and time.monotonic() < until_s:
            time.sleep(0.01)
        assert server.pings >= 4
        assert is_answer(link.submit([payload(1)]), 1)
        assert server.connections == 1
        link.close()


def test_a_server_that_is_busy_or_stops_gets_the_request_again_under_another_id() -> None:
    ids: dict[bytes, list[int]] = {}

    def busy_once(call: Call) -> None:
        ids.setdefault(call.payload, []).append(call.header.request_id)
        call.answer() if len(ids[call.payload]) > 1 else call.refuse("AS840")

    with FakeServer(busy_once) as server:
        send(server, 6)
        assert server.connections == 1
        assert all(len(tried) == 2 and tried[0] < tried[1] for tried in ids.values())
    with FakeServer(nth(lambda call: (call.drain(), call.refuse("AS842"))[1], 2)) as server:
        send(server, 6)
        assert server.connections == 2


def test_other_refusals_of_a_request_are_its_error() -> None:
    with FakeServer(nth(lambda call: call.refuse("AS843"), 1)) as server:
        link = Link(server.address, HELLO, QUICK)
        futures = [link.submit([payload(number)]) for number in range(3)]
        assert code_of(futures[1]) == "AS843"
        assert is_answer(futures[0], 0)
        assert is_answer(futures[2], 2)
        link.close()


def test_ids_are_kept_over_connections_and_grow_on_each() -> None:
    ids: dict[int, list[tuple[int, bytes]]] = {}

    def note(call: Call) -> None:
        ids.setdefault(call.connection, []).append((call.header.request_id, call.payload))
        call.hang_up() if call.connection == 0 and len(ids[0]) == 3 else call.answer()

    with FakeServer(note) as server:
        send(server, 12)
    for calls in ids.values():
        numbers = [number for number, _ in calls]
        assert numbers == sorted(set(numbers))
    assert len({(number, data) for calls in ids.values() for number, data in calls}) == 12


@pytest.mark.parametrize(
    ("hello", "token", "code"),
    [
        (Hello("x" * 64, HELLO.layout), None, "AS823"),
        (Hello(HELLO.model, "x" * 64), None, "AS824"),
        (HELLO, "wrong", "AS822"),
    ],
)
def test_a_client_that_does_not_fit_is_told_at_once_and_tries_no_more(hello: Hello, token: str | None, code: str) -> None:
    with FakeServer() as server:
        link = Link(server.address, hello, replace(QUICK, token=token))
        assert code_of(link.submit([payload(0)])) == code
        assert code_of(link.submit([payload(1)])) == code
        time.sleep(0.1)
        assert server.connections == 1
        link.close()


def test_a_server_with_another_model_is_found_out_by_the_client_too() -> None:
    with FakeServer(welcome={"model": "other"}) as server:
        link = Link(server.address, HELLO, QUICK)
        assert code_of(link.submit([payload(0)])) == "AS823"
        link.close()


def test_without_a_server_requests_end_at_their_deadline_or_at_once_or_wait() -> None:
    with FakeServer() as gone:
        address = gone.address
    link = Link(address, HELLO, replace(QUICK, deadline_s=0.2))
    assert code_of(link.submit([payload(0)])) == "AS831"
    link.close()
    link = Link(address, HELLO, replace(QUICK, deadline_s=60), fails_fast=True)
    assert [code_of(link.submit([payload(number)])) for number in range(3)] == ["AS831"] * 3
    link.close()
    link = Link(address, HELLO, replace(QUICK, deadline_s=0.1, fallback="queue", window=1, queue=4))
    futures = [link.submit([payload(number)]) for number in range(5)]
    with pytest.raises(LinkError):
        link.submit([payload(5)], block=False)
    time.sleep(0.3)
    assert not any(future.done() for future in futures)
    with FakeServer(port=address[1]):
        assert all(is_answer(future, number) for number, future in enumerate(futures))
    link.close()


def test_a_request_that_breaks_every_connection_is_given_up() -> None:
    poison = payload(1)
    with FakeServer(lambda call: call.hang_up() if call.payload == poison else call.answer()) as server:
        link = Link(server.address, HELLO, replace(QUICK, max_sends=3, fallback="queue", window=1))
        futures = [link.submit([payload(number)]) for number in range(3)]
        assert code_of(futures[1]) == "AS837"
        assert is_answer(futures[2], 2)
        assert server.seen[poison] == 3
        link.close()


def test_closing_ends_what_is_under_way() -> None:
    with FakeServer(lambda _: None) as server:
        link = Link(server.address, HELLO, QUICK)
        futures = [link.submit([payload(number)]) for number in range(4)]
        link.close()
        assert [code_of(future) for future in futures] == ["AS835"] * 4
        assert code_of(link.submit([payload(4)])) == "AS835"


def test_a_token_goes_nowhere_in_the_clear_but_on_this_machine() -> None:
    with pytest.raises(LinkError, match="for all to read") as caught:
        Link(("192.0.2.1", 1), HELLO, replace(QUICK, token="secret"))
    assert caught.value.code == "AS801"
