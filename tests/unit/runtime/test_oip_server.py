"""The server of the Open Inference Protocol, by the standard library's HTTP client."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pytest

from autosplitc.runtime.oip import request_message
from autosplitc.runtime.oip_tensors import Tensor, bytes_tensor, tensor_of

from .conftest import Serving
from .oip_caller import INFER, Caller, exchange, expected, pixels, png, settings_for


def test_what_it_says_of_itself_and_of_the_model(serving: Serving, picture_bundle: Path) -> None:
    with serving(settings_for(picture_bundle)) as server:
        call = Caller(server.port)
        assert call("GET", "/v2/health/live") == (200, None)
        assert call("GET", "/v2/health/ready") == (200, None)
        status, said = call("GET", "/v2")
        assert (status, said["name"], said["extensions"]) == (200, "autosplitc", ["binary_tensor_data"])
        for path in ("/v2/models/picture", "/v2/models/picture/versions/1"):
            assert call("GET", path) == (
                200,
                {
                    "name": "picture",
                    "versions": ["1"],
                    "platform": "onnxruntime_onnx",
                    "inputs": [{"name": "payload", "datatype": "UINT8", "shape": [-1, 784]}],
                    "outputs": [{"name": "logits", "datatype": "FP32", "shape": [-1, 10]}],
                },
            )
        assert call("GET", "/v2/models/picture/ready") == (200, None)
        assert call("GET", "/v2/models/other")[0] == 404
        assert call("GET", "/v2/models/picture/versions/2")[0] == 404
        assert call("GET", "/v1")[0] == 404
        assert call("GET", INFER)[0] == 405
        assert call("DELETE", "/v2")[0] == 405


def test_binary_and_json_give_what_the_graph_gives(serving: Serving, picture_bundle: Path) -> None:
    rows = pixels(3)
    with serving(settings_for(picture_bundle)) as server:
        call = Caller(server.port)
        status, logits = call.infer(tensor_of("payload", rows))
        assert status == 200
        assert np.array_equal(logits, expected(picture_bundle, rows))
        asked = {"id": "q", "inputs": [{"name": "payload", "shape": [3, 784], "datatype": "UINT8", "data": rows.tolist()}]}
        status, said = call("POST", INFER, json.dumps(asked).encode())
        (output,) = said["outputs"]
        assert (status, said["id"], output["shape"], output["datatype"]) == (200, "q", [3, 10], "FP32")
        assert np.array_equal(np.float32(output["data"]).reshape(3, 10), logits)


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        (tensor_of("payload", np.zeros((1, 783), np.uint8)), "is UINT8[samples, 784]"),
        (tensor_of("payload", np.zeros((1, 784), np.float32)), "is UINT8[samples, 784]"),
        (tensor_of("payload", np.zeros((0, 784), np.uint8)), "1 to 64 samples"),
        (tensor_of("payload", np.zeros((65, 784), np.uint8)), "1 to 64 samples"),
        (tensor_of("image", np.zeros((1, 784), np.uint8)), 'one input, "payload"'),
        (bytes_tensor("payload", [b"x"], {"codec": "gzip"}), "the codec of the payload is 'gzip'"),
        (bytes_tensor("payload", [b"x"], {"codec": "png"}), "AS819"),
        (bytes_tensor("payload", [b"x"] * 65, {"codec": "png"}), "at most 64"),
        (bytes_tensor("payload", [png(np.zeros(8000 * 8000, np.uint8), (8000, 8000))], {"codec": "png"}), "8000x8000"),
        (tensor_of("payload", np.zeros((1, 784), np.uint8), {"codec": "png"}), "BYTES, one element a sample"),
    ],
    ids=["short", "floats", "none", "many", "name", "codec", "no-png", "many-pngs", "bomb", "raw-as-png"],
)
def test_what_is_refused_leaves_the_connection_as_it_was(serving: Serving, picture_bundle: Path, tensor: Tensor, words: str) -> None:
    with serving(settings_for(picture_bundle)) as server:
        call = Caller(server.port)
        status, said = call.infer(tensor)
        assert status == 400
        assert words in said
        assert call.infer(tensor_of("payload", pixels(1)))[0] == 200


def test_pictures_are_decoded(serving: Serving, picture_bundle: Path) -> None:
    rows = pixels(2)
    with serving(settings_for(picture_bundle)) as server:
        tensor = bytes_tensor("payload", [png(row) for row in rows], {"codec": "png"})
        status, logits = Caller(server.port).infer(tensor)
    assert status == 200
    assert np.array_equal(logits, expected(picture_bundle, rows))


def test_a_token_is_asked_for(serving: Serving, picture_bundle: Path) -> None:
    with serving(settings_for(picture_bundle, token="s3cret")) as server:
        call = Caller(server.port)
        assert call("GET", "/v2/health/live")[0] == 200
        assert call("GET", "/v2")[0] == 401
        assert call("POST", INFER, b"{}", Authorization="Bearer wrong")[0] == 401
        assert call("POST", INFER, b"{}", Authorization="Basic s3cret")[0] == 401
        assert call("GET", "/v2", Authorization="Bearer s3cret")[0] == 200


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x00\xff\x16\x03\r\n\r\n", b"400"),
        (b"POST /v2 HTTP/1.1\r\nHost: h\r\nContent-Length: 9223372036854775808\r\n\r\n", b"413"),
        (b"POST /v2 HTTP/1.1\r\nHost: h\r\nContent-Length: -5\r\n\r\n", b"400"),
        (b"POST /v2 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", b"400"),
        (b"POST /v2 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n", b"413"),
        (b"GET /v2 HTTP/1.1\r\nHost: h\r\nX: " + b"a" * 1_000_000 + b"\r\n\r\n", b"431"),
    ],
    ids=["noise", "2^63", "negative", "two-lengths", "chunks", "long-head"],
)
def test_what_is_no_http_ends_the_connection(serving: Serving, picture_bundle: Path, data: bytes, status: bytes) -> None:
    with serving(settings_for(picture_bundle)) as server:
        assert exchange(server.port, data).split(b" ")[1] == status
        assert Caller(server.port)("GET", "/v2/health/live")[0] == 200


def test_slow_clients_are_let_go(serving: Serving, picture_bundle: Path) -> None:
    slow = settings_for(picture_bundle, handshake_s=0.3, body_s=0.3, slowest_bytes_per_s=1e9)
    with serving(slow) as server:
        started_s = time.monotonic()
        for data in (b"GET /v2 HT", b"POST /v2 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab"):
            assert exchange(server.port, data) == b""
        assert time.monotonic() - started_s < 5


def test_many_clients_get_their_own_results(serving: Serving, picture_bundle: Path) -> None:
    rows = pixels(64)
    wanted = expected(picture_bundle, rows)
    with serving(settings_for(picture_bundle, max_wait_s=0.002)) as server:

        def ask(first: int) -> bool:
            call = Caller(server.port)
            made = [call.infer(tensor_of("payload", rows[i : i + 1]))[1] for i in range(first, first + 8)]
            return np.allclose(np.concatenate(made), wanted[first : first + 8], atol=1e-5)

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(ask, range(0, 64, 8)))


def test_a_fault_of_ours_is_an_answer(serving: Serving, picture_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autosplitc.runtime.oip_service.tensor_of", None)
    with serving(settings_for(picture_bundle)) as server:
        call = Caller(server.port)
        assert call.infer(tensor_of("payload", pixels(1))) == (500, "AS849: the server failed: TypeError")
        assert call("GET", "/v2")[0] == 200


def test_damaged_requests_get_an_answer_or_an_end(serving: Serving, picture_bundle: Path) -> None:
    """Requests with bytes changed, lost or added: each gets one whole answer, or the connection ends; the server lives on."""
    random = np.random.default_rng(5)
    headers, parts = request_message([tensor_of("payload", pixels(1))], ["logits"])
    head = f"POST {INFER} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    whole = f"{head}\r\n".encode() + b"".join(bytes(part) for part in parts)
    limits = settings_for(picture_bundle, handshake_s=0.1, body_s=0.1, slowest_bytes_per_s=1e9)
    with serving(limits) as server:

        def ask(seed: int) -> bytes:
            mine = np.random.default_rng(seed)
            data = bytearray(whole)
            for _ in range(mine.integers(1, 4)):
                at = int(mine.integers(0, 500))
                data[at : at + int(mine.integers(0, 4))] = mine.bytes(int(mine.integers(0, 4)))
            try:
                return exchange(server.port, bytes(data), ends=True)
            except ConnectionError:
                return b""

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(ask, random.integers(0, 2**31, 300).tolist()))
        assert {answer[:9] for answer in answers} <= {b"HTTP/1.1 ", b""}
        statuses = [answer[9:12] for answer in answers if answer]
        assert set(statuses) <= {b"200", b"400", b"404", b"405", b"413", b"431"}
        assert len(statuses) > 100
        assert Caller(server.port).infer(tensor_of("payload", pixels(1)))[0] == 200


def test_health_and_metrics_at_an_address_of_their_own(serving: Serving, picture_bundle: Path) -> None:
    pytest.importorskip("prometheus_client")
    with serving(replace(settings_for(picture_bundle), http=("127.0.0.1", 0))) as server:
        assert Caller(server.port)("GET", "/v1")[0] == 404
        for path, found in (("/healthz", "ok"), ("/readyz", "ready")):
            with urlopen(f"http://127.0.0.1:{server.http_port}{path}", timeout=10) as answer:
                assert answer.read().decode().strip() == found
        with urlopen(f"http://127.0.0.1:{server.http_port}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
    assert any(line.startswith("autosplitc_failed_total{code=") and line.endswith("} 1.0") for line in lines)
    assert "autosplitc_answered_total 0.0" in lines
    assert "autosplitc_clients 1.0" in lines or "autosplitc_clients 0.0" in lines
