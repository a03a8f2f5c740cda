"""A client whose server answers wrongly; what fuzzing saw."""

from __future__ import annotations

import random
import socket
import threading
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from autosplitc.runtime.client_link import Link
from autosplitc.runtime.client_settings import ClientSettings
from autosplitc.runtime.client_wire import Hello
from autosplitc.runtime.errors import LinkError
from autosplitc.runtime.frames import HEADER_BYTES, Header, Kind, frame, read_header
from autosplitc.runtime.tensors import read_request, result_body

from .link_mutate import good_frames, mutated

LIMIT_BYTES = 1 << 22
PATIENCE_S = 20.0
"""Longest time until a connection or a request that was maltreated must be over."""


@dataclass
class Seen:
    """What came of the frames at one place. read: frames that were taken in; wrong: what the goals forbid, told in words."""

    frames: int = 0
    read: int = 0
    right: int = 0
    refused: Counter[str] = field(default_factory=Counter[str])
    wrong: list[str] = field(default_factory=list[str])
    seconds: float = 0.0
    notes: str = ""


def against_client(rng: random.Random, frames: int) -> Seen:
    """Answer a client's requests with frames gone wrong, damaged or well formed; each request must end."""
    seen = Seen()
    hello = Hello("m" * 64, "l" * 64)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        liar = threading.Thread(target=_lie, args=(listener, rng, hello, seen), daemon=True)
        liar.start()
        settings = ClientSettings(window=4, backoff_s=1e-4, max_backoff_s=1e-3, deadline_s=0.15, max_sends=20)
        link = Link(("127.0.0.1", listener.getsockname()[1]), hello, settings)
        number = 0
        while seen.frames < frames:
            number += 1
            payload = number.to_bytes(8, "little")
            try:
                outputs = link.submit([payload]).result(PATIENCE_S).outputs
            except LinkError as error:
                seen.refused[error.code] += 1
            except TimeoutError:
                seen.wrong.append("a request did not end")
            else:
                same = "y" in outputs and outputs["y"].tobytes() == payload
                seen.right += same
                seen.read += not same
        link.close()
    seen.notes = "\n  read: results that were changed and sealed again, which no checksum tells"
    return seen


def _lie(listener: socket.socket, rng: random.Random, hello: Hello, seen: Seen) -> None:
    """Serve: a right welcome, then right answers, damaged ones, and ones of any kind."""
    good = good_frames(rng, 8, hello.model, hello.layout)
    welcome = next(data for data in good if data[5] == Kind.WELCOME)
    while True:
        try:
            end, _ = listener.accept()
        except OSError:
            return
        try:
            with end:
                end.settimeout(PATIENCE_S)
                _receive(end)
                end.sendall(welcome)
                while True:
                    header, body = _receive(end)
                    if header.kind is not Kind.REQUEST:
                        continue
                    payload = np.frombuffer(bytes(read_request(body, 64, 1 << 20).samples[0]), np.uint8)
                    answer = frame(Kind.RESULT, *result_body({"y": payload}), request_id=header.request_id)
                    data = b"".join(bytes(part) for part in answer)
                    if rng.random() < 0.5:
                        end.sendall(data)
                        continue
                    made = mutated(rng, [data, data, data, *good])
                    seen.frames += 1
                    end.sendall(made.data + (data if rng.random() < 0.5 else b""))
                    if not made.sealed:
                        break
        except (OSError, LinkError):
            continue


def _receive(end: socket.socket) -> tuple[Header, bytes]:
    head = _exactly(end, HEADER_BYTES)
    header = read_header(head, LIMIT_BYTES)
    return header, _exactly(end, header.length)


def _exactly(end: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        came = end.recv(size - len(data))
        if not came:
            raise ConnectionError("closed")
        data += came
    return bytes(data)
