"""A client of the soak: sends as fast as it is taken, and writes down what becomes of every request before it goes on.

`python -m autosplitc.bench.link_soak_client FOLDER PORT LOG FALLBACK`. The log has a line a request that was handed to the link (`sent N`)
and one for its end (`answered N`, `wrong N`, `failed N CODE`), written without a buffer, so that a killed client leaves a true one. On
SIGTERM it waits for what is under way and writes `over STRAYS RESENT`.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosplitc.runtime.bundle import Bundle
from autosplitc.runtime.client_link import Link
from autosplitc.runtime.client_requests import Reply
from autosplitc.runtime.client_settings import ClientSettings
from autosplitc.runtime.client_wire import Hello
from autosplitc.runtime.cloud import CloudHalf
from autosplitc.runtime.errors import LinkError

PAYLOADS = 61
SETTINGS = ClientSettings(deadline_s=2.0, window=8, queue=64, max_backoff_s=0.5, heartbeat_s=1.0, dead_s=3.0, connect_s=2.0)
PATIENCE_S = 30.0
"""How long requests may take to end after SIGTERM."""


def main(folder: str, port: str, log: str, fallback: str) -> None:
    """Send until SIGTERM."""
    bundle = Bundle.load(Path(folder))
    half = CloudHalf(bundle, threads=1)
    payloads = np.random.default_rng(os.getpid()).integers(0, 256, (PAYLOADS, bundle.bytes_per_sample), np.uint8)
    right = [half.infer(payload[np.newaxis]) for payload in payloads]
    stop = threading.Event()

    def on_term(*_: object) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_term)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    link = Link(("127.0.0.1", int(port)), Hello(bundle.model, bundle.layout), replace(SETTINGS, fallback=fallback))
    ended = threading.Semaphore(0)
    number = 0
    while not stop.is_set():
        os.write(out, f"sent {number}\n".encode())
        link.submit([payloads[number % PAYLOADS].tobytes()]).add_done_callback(_writer(out, number, right[number % PAYLOADS], ended))
        number += 1
    for _ in range(number):
        if not ended.acquire(timeout=PATIENCE_S):
            break
    counts = link.requests.counts
    link.close()
    os.write(out, f"over {counts.strays} {counts.resent}\n".encode())


def _writer(out: int, number: int, right: dict[str, NDArray[Any]], ended: threading.Semaphore) -> Callable[[Future[Reply]], None]:
    def write(done: Future[Reply]) -> None:
        error = done.exception()
        if error is not None:
            line = f"failed {number} {error.code if isinstance(error, LinkError) else type(error).__name__}"
        else:
            outputs = done.result().outputs
            same = all(np.allclose(outputs[name], value, rtol=1e-4, atol=1e-4) for name, value in right.items())
            line = f"answered {number}" if same else f"wrong {number}"
        os.write(out, f"{line}\n".encode())
        ended.release()

    return write


if __name__ == "__main__":
    main(*sys.argv[1:])
