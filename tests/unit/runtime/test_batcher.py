"""The batcher's rest: who is told that a batch is over, and when."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from autosplitc.runtime.bundle import Bundle
from autosplitc.runtime.cloud import Batcher, CloudHalf

WAIT_S = 5.0


@pytest.fixture
def half(tiny_bundle: Path) -> CloudHalf:
    """Return a cloud half."""
    return CloudHalf(Bundle.load(tiny_bundle))


def test_a_worker_that_has_no_more_to_do_says_so(half: CloudHalf) -> None:
    rested = threading.Event()
    batcher = Batcher(half, on_rest=rested.set)
    payload = np.zeros((1, half.bundle.bytes_per_sample), np.uint8)
    assert not rested.is_set()
    batcher.submit(payload).result(WAIT_S)
    assert rested.wait(WAIT_S)
    batcher.close()


def test_a_worker_with_more_to_do_says_so_before_it_goes_on(half: CloudHalf) -> None:
    """Requests that are over give their room back before the next graph runs, however long that takes."""
    events: list[str] = []

    def ran(samples: int, taken_s: float) -> None:
        assert (samples, taken_s > 0) == (1, True)
        events.append("ran")

    batcher = Batcher(half, max_batch=1, on_batch=ran, on_rest=lambda: events.append("rest"))
    payload = np.zeros((1, half.bundle.bytes_per_sample), np.uint8)
    for future in [batcher.submit(payload) for _ in range(20)]:
        future.result(WAIT_S)
    batcher.close()
    assert events == ["ran", "rest"] * 20


def test_closing_does_not_wait_for_a_rest(half: CloudHalf) -> None:
    rested: list[float] = []
    batcher = Batcher(half, on_rest=lambda: rested.append(time.monotonic()))
    batcher.submit(np.zeros((1, half.bundle.bytes_per_sample), np.uint8))
    batcher.close()
    assert len(rested) == 1
