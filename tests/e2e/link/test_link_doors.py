"""Who may come, and how a server stops: tokens, TLS, drain, health."""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from link_peer import Brake, Peer, Serve, payload_of, raw_header, settled

from autosplitc.runtime.bundle import Bundle
from autosplitc.runtime.cloud import CloudHalf
from autosplitc.runtime.errors import LinkError
from autosplitc.runtime.frames import (
    VERSION,
    Kind,
    error_of,
    text_frame,
)
from autosplitc.runtime.server import Server


@pytest.mark.parametrize(("token", "code"), [("wrong", "AS822"), (None, "AS822"), ("\ud800", "AS822"), (["x"], "AS822"), ("right", "")])
def test_tokens(token: object, code: str, serve: Serve) -> None:
    with serve(token="right") as server:
        if code:
            with pytest.raises(LinkError, match="token") as caught:
                Peer(server, token=token)
            assert caught.value.code == code
        else:
            peer = Peer(server, token=token)
            peer.ask(1, payload_of(1))
            assert peer.logits(1).shape == (1, 10)


def test_tls(papers: dict[str, Path], serve: Serve, half: CloudHalf) -> None:
    with serve(certificate=papers["server"]) as server:
        with pytest.raises(ssl.SSLCertVerificationError):
            Peer(server, ssl.create_default_context(cafile=str(papers["other"])))
        with pytest.raises((EOFError, ConnectionError)):
            Peer(server)
        peer = Peer(server, ssl.create_default_context(cafile=str(papers["ca"])))
        payload = payload_of(5, 64)
        for number in range(1, 20):
            peer.ask(number, payload)
            np.testing.assert_allclose(peer.logits(number), half.infer(payload)["logits"], rtol=1e-4, atol=1e-4)
        peer.end.sendall(raw_header(length=1 << 63))
        assert peer.receive()[0].kind is Kind.ERROR


@pytest.mark.parametrize("client", ["client", "stranger", ""])
def test_mutual_tls(client: str, papers: dict[str, Path], serve: Serve) -> None:
    context = ssl.create_default_context(cafile=str(papers["ca"]))
    if client:
        context.load_cert_chain(papers[client])
    with serve(certificate=papers["server"], client_ca=papers["ca"]) as server:
        if client == "client":
            peer = Peer(server, context)
            peer.ask(1, payload_of(1))
            assert peer.logits(1).shape == (1, 10)
        else:
            with pytest.raises((ssl.SSLError, EOFError, ConnectionError)):
                Peer(server, context)
            assert not server.connections


def test_a_client_that_stalls_within_tls_is_cut_off(papers: dict[str, Path], serve: Serve) -> None:
    with serve(certificate=papers["server"], handshake_s=0.2) as server:
        end = socket.create_connection(("127.0.0.1", server.port), timeout=3)
        end.sendall(b"\x16\x03\x01")
        assert end.recv(100) == b""
        end.close()


def test_a_drain_ends_every_request_with_a_result_or_an_error(serve: Serve, brake: Brake) -> None:
    with serve(max_in_flight=8) as server:
        peers = [Peer(server) for _ in range(4)]
        for peer in peers:
            for number in range(1, 6):
                peer.ask(number, payload_of(number))
        assert settled(lambda: sum(connection.in_flight for connection in server.connections) == 20)
        drained = asyncio.run_coroutine_threadsafe(server.drain(), server.loop)
        kinds = [peer.receive()[0].kind for peer in peers]
        assert kinds == [Kind.DRAIN] * 4
        with pytest.raises(OSError, match=r"refused|reset"):
            Peer(server)
        peers[0].ask(6, payload_of(6))
        header, body = peers[0].receive()
        assert (header.request_id, error_of(body).code) == (6, "AS842")
        brake.free.set()
        for peer in peers:
            answers = [peer.receive()[0] for _ in range(5)]
            assert {answer.kind for answer in answers} == {Kind.RESULT}
            assert sorted(answer.request_id for answer in answers) == [1, 2, 3, 4, 5]
            with pytest.raises((EOFError, ConnectionError)):
                peer.receive()
        drained.result(10)


def test_a_drain_does_not_wait_longer_than_it_may(serve: Serve, brake: Brake) -> None:
    with serve(drain_s=0.2) as server:
        peer = Peer(server)
        peer.ask(1, payload_of(1))
        assert settled(lambda: any(connection.in_flight for connection in server.connections))
        drained = asyncio.run_coroutine_threadsafe(server.drain(), server.loop)
        assert peer.receive()[0].kind is Kind.DRAIN
        with pytest.raises((EOFError, ConnectionError)):
            peer.receive()
        brake.free.set()
        drained.result(10)


def test_sigterm_under_load_exits_with_0(bundle: Bundle) -> None:
    """In a process of its own: what was sent before the signal is answered."""
    command = [sys.executable, "-m", "autosplitc.runtime", "serve", str(bundle.folder), "--bind", "127.0.0.1:0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        port = int(line.partition("127.0.0.1:")[2].split()[0])
        with socket.create_connection(("127.0.0.1", port), timeout=10) as end:
            peer = Peer.__new__(Peer)
            peer.end = end
            peer.send(text_frame(Kind.HELLO, {"protocol": VERSION, "model": bundle.model, "layout": bundle.layout}))
            assert peer.receive()[0].kind is Kind.WELCOME
            for number in range(1, 21):
                peer.ask(number, payload_of(number, 16))
            assert peer.receive()[0].kind is Kind.RESULT
            process.send_signal(signal.SIGTERM)
            ended: dict[int, Kind] = {}
            try:
                while True:
                    header, _ = peer.receive()
                    if header.request_id:
                        ended[header.request_id] = header.kind
            except (EOFError, ConnectionError):
                assert sorted(ended) == list(range(2, 21))
        assert process.wait(10) == 0


def test_health_readiness_and_metrics(serve: Serve, brake: Brake) -> None:
    def get(server: Server, request: str) -> tuple[int, str]:
        with socket.create_connection(("127.0.0.1", server.http_port), timeout=5) as end:
            end.sendall(request.encode())
            text = b""
            while piece := end.recv(65536):
                text += piece
        head, _, body = text.decode().partition("\r\n\r\n")
        return int(head.split()[1]), body

    with serve(http=("127.0.0.1", 0), token="x") as server:
        with pytest.raises(LinkError):
            Peer(server, token="y")
        peer = Peer(server, token="x")
        peer.ask(1, payload_of(1, 3))
        brake.free.set()
        assert peer.logits(1).shape == (3, 10)
        assert get(server, "GET /healthz HTTP/1.1\r\n\r\n") == (200, "ok\n")
        assert get(server, "GET /readyz HTTP/1.1\r\n\r\n") == (200, "ready\n")
        assert get(server, "POST /metrics HTTP/1.1\r\n\r\n")[0] == 405
        assert get(server, "GET /other HTTP/1.1\r\n\r\n")[0] == 404
        assert get(server, "nonsense\r\n\r\n")[0] == 400
        pytest.importorskip("prometheus_client")
        status, text = get(server, "GET /metrics HTTP/1.1\r\n\r\n")
        assert status == 200
        for line in (
            "autosplitc_answered_total 1.0",
            'autosplitc_refused_total{code="AS822"} 1.0',
            "autosplitc_clients 1.0",
            "autosplitc_batch_samples_sum 3.0",
            "autosplitc_cloud_seconds_count 1.0",
            "autosplitc_request_seconds_count 1.0",
        ):
            assert line in text.splitlines()
        brake.free.clear()
        peer.ask(2, payload_of(1))
        assert settled(lambda: any(connection.in_flight for connection in server.connections))
        drained = asyncio.run_coroutine_threadsafe(server.drain(), server.loop)
        assert settled(lambda: server.draining)
        assert get(server, "GET /readyz HTTP/1.1\r\n\r\n")[0] == 503
        brake.free.set()
        drained.result(10)
