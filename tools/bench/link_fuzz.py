"""Frames gone wrong against the readers, a server and a client: nothing may crash, hang, grow, or answer wrongly.

Run with `autosplitc bench link fuzz`. Most frames go through the readers in this process, where only a LinkError may come out. A server in
a process of its own gets the others over thousands of connections, right requests between them, and a client beside it goes on asking; each
answer to a right request is compared with the graph's. A frame counts as read where the server answered it or closed for it. Last, a client
gets damaged answers: each of its requests ends, with the right result or an error.
"""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import click
import numpy as np
from numpy.typing import NDArray

import autosplitc
from autosplitc.runtime.bundle import Bundle
from autosplitc.runtime.client_link import Link
from autosplitc.runtime.client_settings import ClientSettings
from autosplitc.runtime.client_wire import Hello
from autosplitc.runtime.cloud import CloudHalf
from autosplitc.runtime.errors import LinkError
from autosplitc.runtime.frames import HEADER_BYTES, Header, Kind, check_body, error_of, frame, read_header, read_text
from autosplitc.runtime.tensors import read_request, read_result, request_body

from .link_fuzz_client import PATIENCE_S, Seen, against_client
from .link_mutate import good_frames, mutated, numbered
from .link_server import serving
from .table import table

Codes: TypeAlias = NDArray[np.uint8]
Numbers: TypeAlias = NDArray[Any]

LIMIT_BYTES = 1 << 22
SHARES = {"readers": 0.78, "server": 0.215, "client": 0.005}
PER_CONNECTION = 12
FIRST_ID = 10_000
"""Ids of right requests begin here, beyond those of the frames that are mutated."""


@click.command()
@click.option("--frames", default=1_000_000, show_default=True, help="Gone wrong, in all.")
@click.option("--seed", default=0, show_default=True)
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="File for the figures as JSON.")
def fuzz(frames: int, seed: int, json_path: Path | None) -> None:
    """Throw frames gone wrong at the readers, a server and a client."""
    rng = random.Random(seed)
    with TemporaryDirectory() as scratch:
        out = Path(scratch) / "out"
        autosplitc.compile("zoo:fashion", cut=["waist/clip"]).save(out)
        bundle = Bundle.load(out)
        found = {
            "readers": _timed(lambda: against_readers(rng, bundle, round(frames * SHARES["readers"]))),
            "server": _timed(lambda: against_server(rng, bundle, round(frames * SHARES["server"]))),
            "client": _timed(lambda: against_client(rng, round(frames * SHARES["client"]))),
        }
    cells: list[tuple[str, ...]] = []
    for name, seen in found.items():
        counts = (f"{seen.frames:,}", f"{seen.read:,}", f"{seen.refused.total():,}", f"{seen.right:,}", str(len(seen.wrong)))
        cells.append((name, *counts, f"{seen.seconds:.0f}"))
    click.echo(table(("", "frames gone wrong", "read", "refused", "right answers", "wrong (goal 0)", "s"), cells))
    for name, seen in found.items():
        click.echo(f"{name}: {', '.join(f'{code} {count:,}' for code, count in sorted(seen.refused.items()))}{seen.notes}")
        for line in seen.wrong[:10]:
            click.echo(f"  WRONG: {line}")
    if json_path is not None:
        json_path.write_text(json.dumps({name: vars(seen) for name, seen in found.items()}, indent=1) + "\n")


def against_readers(rng: random.Random, bundle: Bundle, frames: int) -> Seen:
    """Read frames gone wrong in this process."""
    seen = Seen()
    good = good_frames(rng, bundle.bytes_per_sample, bundle.model, bundle.layout)
    for _ in range(frames):
        made = mutated(rng, good)
        seen.frames += 1
        try:
            _read(made.data, bundle.bytes_per_sample)
            seen.read += 1
        except LinkError as error:
            seen.refused[error.code] += 1
        except Exception as error:  # the finding this is for
            seen.wrong.append(f"{made.how}: {type(error).__name__}: {error}: {made.data[:200].hex()}")
    return seen


def _read(data: bytes, sample_bytes: int) -> None:
    """Read a frame as both sides do. Raises LinkError, and nothing else."""
    header = read_header(data[:HEADER_BYTES], LIMIT_BYTES)
    body = bytearray(data[HEADER_BYTES : HEADER_BYTES + header.length])
    check_body(header, body)
    if header.kind is Kind.REQUEST:
        read_request(body, 64, 2 * sample_bytes + 4096)
    elif header.kind is Kind.RESULT:
        read_result(body)
    elif header.kind is Kind.ERROR:
        error_of(body)
    elif header.kind in (Kind.HELLO, Kind.WELCOME):
        read_text(body)


def against_server(rng: random.Random, bundle: Bundle, frames: int) -> Seen:
    """Send frames gone wrong to a server, right requests between them."""
    seen = Seen()
    half = CloudHalf(bundle, threads=1)
    payloads = np.random.default_rng(0).integers(0, 256, (32, bundle.bytes_per_sample), np.uint8)
    right = [half.infer(payload[np.newaxis])["logits"] for payload in payloads]
    good = good_frames(rng, bundle.bytes_per_sample, bundle.model, bundle.layout)
    hello = next(data for data in good if data[5] == Kind.HELLO)
    with serving(bundle.folder, "127.0.0.1:0", "--threads", "1") as (port, pid):
        beside = _Beside(bundle, port, [payload.tobytes() for payload in payloads], right)
        for _ in range(200):
            _maltreat(Seen(), rng, port, hello, good, payloads, right)
        before = _size(pid)
        while seen.frames < frames:
            _maltreat(seen, rng, port, hello, good, payloads, right)
        time.sleep(2)
        after = _size(pid)
        beside.stop()
    seen.right += beside.right
    seen.wrong += beside.wrong
    seen.notes = (
        f"\n  memory of the server {before[0] / 1e6:.1f} MB before, {after[0] / 1e6:.1f} MB after; open files {before[1]} and {after[1]};"
        f" a client beside it had {beside.right:,} right answers"
    )
    return seen


def _maltreat(seen: Seen, rng: random.Random, port: int, hello: bytes, good: list[bytes], payloads: Codes, right: list[Numbers]) -> None:
    """Use one connection up: a HELLO, then right requests and frames gone wrong, then no more; take in what comes back."""
    expected: dict[int, int] = {}
    sent: list[bytes] = [hello]
    number, gone_wrong = FIRST_ID, 0
    for _ in range(PER_CONNECTION):
        number += 1
        if rng.random() < 0.3:
            expected[number] = rng.randrange(len(payloads))
            parts = frame(Kind.REQUEST, *request_body([payloads[expected[number]].tobytes()]), request_id=number)
            sent.append(b"".join(bytes(part) for part in parts))
            continue
        made = mutated(rng, good)
        gone_wrong += 1
        keeps_open = made.sealed and len(made.data) > HEADER_BYTES and made.data[5] == Kind.REQUEST and rng.random() < 0.8
        sent.append(numbered(made.data, number) if keeps_open else made.data)
    if rng.random() < 0.1:
        sent[0] = mutated(rng, [hello]).data
    seen.frames += gone_wrong
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as end:
            data = _exchange(end, b"".join(sent))
    except TimeoutError:
        seen.wrong.append("a connection was not over in time")
        return
    except ConnectionError:  # closed with bytes of ours unread
        return
    at = 0
    while at + HEADER_BYTES <= len(data):
        header = read_header(data[at : at + HEADER_BYTES], 1 << 30)
        body = data[at + HEADER_BYTES : at + HEADER_BYTES + header.length]
        check_body(header, body)
        at += HEADER_BYTES + header.length
        _take_in(seen, header, body, expected, right)


def _exchange(end: socket.socket, data: bytes) -> bytes:
    """Send bytes and no more; return all that comes back."""
    sender = threading.Thread(target=_send_all, args=(end, data), daemon=True)
    sender.start()
    back = bytearray()
    try:
        while came := end.recv(1 << 16):
            back += came
    except ConnectionResetError:
        return bytes(back)
    finally:
        sender.join(PATIENCE_S)
    return bytes(back)


def _send_all(end: socket.socket, data: bytes) -> None:
    try:
        end.sendall(data)
        end.shutdown(socket.SHUT_WR)
    except OSError:
        return


def _take_in(seen: Seen, header: Header, body: bytes, expected: dict[int, int], right: list[Numbers]) -> None:
    if header.kind is Kind.ERROR:
        error = error_of(body)
        seen.refused[error.code] += 1
        seen.read += 1
        if header.request_id in expected and error.code != "AS821":
            seen.wrong.append(f"a right request ended with {error.code}: {error.message}")
        if error.code == "AS849":
            seen.wrong.append(f"the server failed: {error.message}")
    elif header.kind is Kind.RESULT and header.request_id in expected:
        same = np.allclose(read_result(body)[0]["logits"], right[expected[header.request_id]], rtol=1e-4, atol=1e-4)
        seen.right += same
        if not same:
            seen.wrong.append(f"request {header.request_id} got another answer")
    elif header.kind in (Kind.RESULT, Kind.PONG):
        seen.read += 1


class _Beside:
    """A client that asks a server without pause while others maltreat it."""

    def __init__(self, bundle: Bundle, port: int, payloads: list[bytes], right: list[Numbers]) -> None:
        self.right = 0
        self.wrong: list[str] = []
        self._link = Link(("127.0.0.1", port), Hello(bundle.model, bundle.layout), ClientSettings())
        self._payloads = payloads
        self._answers = right
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        self._link.close()

    def _ask(self) -> None:
        i = 0
        while not self._stop.wait(0.002):
            i = (i + 1) % len(self._payloads)
            try:
                outputs = self._link.submit([self._payloads[i]]).result().outputs
            except LinkError as error:
                self.wrong.append(f"a client beside: {error.code}: {error.message}")
                continue
            if np.allclose(outputs["logits"], self._answers[i], rtol=1e-4, atol=1e-4):
                self.right += 1
            else:
                self.wrong.append("a client beside got another answer")


def _timed(work: Callable[[], Seen]) -> Seen:
    started_s = time.perf_counter()
    seen = work()
    seen.seconds = time.perf_counter() - started_s
    return seen


def _size(pid: int) -> tuple[int, int]:
    """Return a process's resident memory in bytes and its open files; zeros where the system does not tell."""
    folder = Path(f"/proc/{pid}")
    try:
        lines = (folder / "status").read_text(encoding="ascii").splitlines()
        files = sum(1 for _ in (folder / "fd").iterdir())
    except OSError:
        return 0, 0
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS")), files


if __name__ == "__main__":
    fuzz()
