"""Clients in a process of their own, to load a server.

`python -m autosplitc.bench.link_callers WHAT` reads its orders as JSON from stdin and prints seconds as JSON. `many`: so many connections
with one request in flight each (host, port, folder, clients, seconds); their frames are made once, so that they take little of the machine.
`one`: the runtime's client, which begins a frame when the one before is answered (host, port, folder, inputs, frames).
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from autosplitc.runtime.bundle import Bundle
from autosplitc.runtime.client import Client
from autosplitc.runtime.frames import HEADER_BYTES, VERSION, Kind, check_body, frame, read_header, text_frame
from autosplitc.runtime.tensors import request_body

LIMIT = 1 << 28


async def load(orders: dict[str, Any]) -> list[float]:
    """Return the seconds of all round trips of all clients, those of the first tenth of the time left out."""
    bundle = Bundle.load(Path(orders["folder"]))
    payload = np.random.default_rng(0).integers(0, 256, bundle.bytes_per_sample, np.uint8).tobytes()
    until_s = time.perf_counter() + orders["seconds"]
    taken_s: list[float] = []
    counted_s = time.perf_counter() + orders["seconds"] / 10
    await asyncio.gather(*(_client(orders, bundle, payload, counted_s, until_s, taken_s) for _ in range(orders["clients"])))
    return taken_s


async def _client(orders: dict[str, Any], bundle: Bundle, payload: bytes, counted_s: float, until_s: float, taken_s: list[float]) -> None:
    reader, writer = await asyncio.open_connection(orders["host"], orders["port"])
    hello = {"protocol": VERSION, "model": bundle.model, "layout": bundle.layout, "token": None, "client": "load"}
    writer.writelines(text_frame(Kind.HELLO, hello))
    await _message(reader, Kind.WELCOME, 0)
    request_id = 0
    body = request_body([payload])
    while time.perf_counter() < until_s:
        request_id += 1
        parts = frame(Kind.REQUEST, *body, request_id=request_id)
        started_s = time.perf_counter()
        writer.writelines(parts)
        await _message(reader, Kind.RESULT, request_id)
        ended_s = time.perf_counter()
        if started_s > counted_s:
            taken_s.append(ended_s - started_s)
    writer.close()


async def _message(reader: asyncio.StreamReader, kind: Kind, request_id: int) -> None:
    """Read a message that must be of a kind and id. Raises AssertionError otherwise."""
    header = read_header(await reader.readexactly(HEADER_BYTES), LIMIT)
    body = await reader.readexactly(header.length)
    check_body(header, body)
    if (header.kind, header.request_id) != (kind, request_id):
        raise AssertionError(f"{header.kind.name} {header.request_id} came, not {kind.name} {request_id}: {body[:200]!r}")


def one_by_one(orders: dict[str, Any]) -> dict[str, list[float]]:
    """Run frames one after the other; return the seconds of each frame, and of its edge, wire and cloud part."""
    bundle = Bundle.load(Path(orders["folder"]))
    with np.load(orders["inputs"]) as stored:
        inputs = {name: np.asarray(stored[name]) for name in stored.files}
    times_s: dict[str, list[float]] = {"total": [], "edge": [], "wire": [], "cloud": []}
    with Client(bundle, (orders["host"], orders["port"]), threads=1) as client:
        for i in range(orders["frames"]):
            answer = client.infer({name: value[i % len(value)][np.newaxis] for name, value in inputs.items()})
            for part, taken_s in times_s.items():
                taken_s.append(getattr(answer, f"{part}_s"))
    return times_s


def main(what: str) -> None:
    """Do what the orders say."""
    orders = json.load(sys.stdin)
    print(json.dumps(asyncio.run(load(orders)) if what == "many" else one_by_one(orders)))


if __name__ == "__main__":
    main(sys.argv[1])
