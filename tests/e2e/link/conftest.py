"""A bundle, servers of it, a brake on the cloud half, and certificates."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from link_peer import Brake, Serve

import autosplitc
from autosplitc.runtime.bundle import Bundle
from autosplitc.runtime.cloud import CloudHalf
from autosplitc.runtime.server import Server, ServerSettings, start


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Return the bundle of a split of a small network; its cloud half takes any batch."""
    folder = tmp_path_factory.mktemp("link") / "out"
    autosplitc.compile("zoo:fashion", edge="eyeriss", network="3mbps", cut=["waist/clip"]).save(folder)
    return Bundle.load(folder)


@pytest.fixture(scope="module")
def half(bundle: Bundle) -> CloudHalf:
    """Return the cloud half, to know the right answers."""
    return CloudHalf(bundle)


@pytest.fixture
def serve(bundle: Bundle) -> Serve:
    """Return a context manager that serves the bundle in a thread, with settings."""

    @contextmanager
    def served(**settings: Any) -> Generator[Server]:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        server = asyncio.run_coroutine_threadsafe(start(ServerSettings(bundle.folder, port=0, **settings)), loop).result(20)
        try:
            yield server
        finally:
            asyncio.run_coroutine_threadsafe(server.close(), loop).result(20)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(10)
            loop.close()

    return served


@pytest.fixture(scope="module")
def plain(bundle: Bundle) -> Iterator[Server]:
    """Return a server with the defaults, that many tests maltreat one after the other."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(start(ServerSettings(bundle.folder, port=0)), loop).result(20)
    yield server
    asyncio.run_coroutine_threadsafe(server.close(), loop).result(20)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


@pytest.fixture
def brake(half: CloudHalf, monkeypatch: pytest.MonkeyPatch) -> Iterator[Brake]:
    """Return a brake on all cloud halves; it is let go at the end."""
    assert half.free_batch
    made = Brake(monkeypatch)
    yield made
    made.free.set()


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return certificates: the server's and a client's of one authority, and a client's of another."""
    trustme = pytest.importorskip("trustme")
    folder = tmp_path_factory.mktemp("papers")
    ours, others = trustme.CA(), trustme.CA()
    made = {"server": ours.issue_cert("127.0.0.1"), "client": ours.issue_cert("client"), "stranger": others.issue_cert("client")}
    found = {name: folder / f"{name}.pem" for name in (*made, "ca", "other")}
    for name, cert in made.items():
        cert.private_key_and_cert_chain_pem.write_to_path(str(found[name]))
    ours.cert_pem.write_to_path(str(found["ca"]))
    others.cert_pem.write_to_path(str(found["other"]))
    return found
