"""For random schedules of faults on the link, every request ends exactly once, with its own answer or a clear error."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import Future, wait
from dataclasses import replace

from fake_server import HELLO, Call, FakeServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autosplitc.runtime.client_link import Link
from autosplitc.runtime.client_requests import Reply
from autosplitc.runtime.client_settings import ClientSettings
from autosplitc.runtime.errors import LinkError

QUICK = ClientSettings(deadline_s=1.0, backoff_s=0.002, max_backoff_s=0.01, connect_s=1.0, max_sends=6, heartbeat_s=0.05, dead_s=0.2)
FAULTS = ("answer", "twice", "stray", "silence", "hang up", "half", "damage", "busy", "refuse", "stop", "drain", "restart")


class Schedule:
    """Does to each request what the schedule says next; when it is over, all is well."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = list(reversed(faults))
        self.lock = threading.Lock()

    def __call__(self, call: Call) -> None:
        with self.lock:
            fault = self.faults.pop() if self.faults else "answer"
        if fault in ("answer", "twice", "stray"):
            call.answer(None if fault != "stray" else call.header.request_id + 500)
        if fault in ("twice", "stray"):
            call.answer()
        elif fault == "half":
            call.answer_half()
        elif fault == "damage":
            call.answer_damaged()
        elif fault in ("busy", "refuse", "stop"):
            call.refuse({"busy": "AS840", "refuse": "AS843", "stop": "AS842"}[fault])
        elif fault == "drain":
            call.drain()
            call.answer()
        elif fault in ("hang up", "restart"):
            call.hang_up()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    faults=st.lists(st.sampled_from(FAULTS), max_size=10),
    count=st.integers(1, 16),
    window=st.integers(1, 5),
    fallback=st.sampled_from(("error", "queue")),
)
def test_every_request_ends_exactly_once(faults: list[str], count: int, window: int, fallback: str) -> None:
    ended: Counter[int] = Counter()
    futures: list[Future[Reply]] = []
    with FakeServer(Schedule(faults)) as server:
        link = Link(server.address, HELLO, replace(QUICK, window=window, fallback=fallback, deadline_s=0.05))
        for number in range(count):
            future = link.submit([bytes([number])])
            future.add_done_callback(lambda _, number=number: ended.update([number]))
            futures.append(future)
        assert not wait(futures, 20).not_done
        link.close()
    for number, future in enumerate(futures):
        error = future.exception()
        if error is None:
            assert future.result().outputs["y"].tolist() == [[2 * number]]
        else:
            assert isinstance(error, LinkError)
            assert error.code in ("AS833", "AS837", "AS840", "AS842", "AS843")
    counts = link.requests.counts
    assert counts.answered + counts.failed == count
    assert ended == Counter(range(count))
