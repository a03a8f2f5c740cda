"""The server of the Open Inference Protocol, by the standard library's HTTP client, and our client against it."""

from __future__ import annotations

import http.client
import io
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from autosplitc.runtime.bundle import Bundle
from autosplitc.runtime.client import Client
from autosplitc.runtime.client_settings import ClientSettings
from autosplitc.runtime.errors import LinkError
from autosplitc.runtime.oip import LENGTH_HEADER, read_response, request_message
from autosplitc.runtime.oip_client import OipLink
from autosplitc.runtime.oip_tensors import Tensor, bytes_tensor, tensor_of
from autosplitc.runtime.server_settings import ServerSettings

from .conftest import Serving

Array = NDArray[Any]
INFER = "/v2/models/picture/infer"


class Caller:
    """Speaks HTTP to a server, one kept connection."""

    def __init__(self, port: int) -> None:
        """Connect at the first call."""
        self.http = http.client.HTTPConnection("127.0.0.1", port, timeout=20)

    def __call__(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, Any]:
        """Return status and what the JSON of the answer holds."""
        self.http.request(method, path, body, headers)
        response = self.http.getresponse()
        data = response.read()
        return response.status, json.loads(data) if data else None

    def infer(self, tensor: Tensor, path: str = INFER) -> tuple[int, Any]:
        """Return status and outputs, or what the error says."""
        headers, parts = request_message([tensor], ["logits"], "77")
        self.http.request("POST", path, b"".join(bytes(part) for part in parts), headers)
        response = self.http.getresponse()
        data = response.read()
        if response.status != 200:
            return response.status, json.loads(data)["error"]
        answer = read_response(data, response.headers[LENGTH_HEADER])
        assert answer.id == "77"
        return 200, answer.outputs["logits"].array


def settings_for(folder: Path, **more: Any) -> ServerSettings:
    return ServerSettings(folder, model="picture", **more)


def pixels(samples: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(0, 256, (samples, 784), np.uint8)


def expected(folder: Path, rows: Array) -> Array:
    bundle = Bundle.load(folder)
    return bundle.session("cloud").run(None, {bundle.payload_name: rows})[0]


def png(row: Array, size: tuple[int, int] = (28, 28)) -> bytes:
    out = io.BytesIO()
    Image.fromarray(row.reshape(size)).save(out, "PNG")
    return out.getvalue()


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


def exchange(port: int, data: bytes, *, ends: bool = False) -> bytes:
    """Send bytes and return what comes until the server closes. ends: the server is told that no more follows."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as end:
        end.sendall(data)
        if ends:
            end.shutdown(socket.SHUT_WR)
        found = b""
        while chunk := end.recv(65536):
            found += chunk
        return found


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


def client_of(folder: Path, port: int, settings: ClientSettings, model: str = "picture") -> Client:
    bundle = Bundle.load(folder)
    return Client(bundle, None, settings, link=lambda: OipLink(bundle, ("127.0.0.1", port), settings, model))


def test_our_client_sends_pictures_and_gets_results(serving: Serving, picture_bundle: Path) -> None:
    images = pixels(6).astype(np.float32).reshape(6, 1, 1, 28, 28)
    with serving(settings_for(picture_bundle, token="t")) as server, client_of(picture_bundle, server.port, ClientSettings("t")) as client:
        answers = [future.result(20) for future in [client.submit({"image": image}) for image in images]]
    made = np.concatenate([answer.outputs["logits"] for answer in answers])
    assert np.allclose(made, expected(picture_bundle, pixels(6)), atol=1e-5)
    assert {answer.source for answer in answers} == {"cloud"}


def test_a_server_of_others_gets_the_raw_payload(serving: Serving, picture_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that does not call itself ours takes no PNG; the parameter `codec` would be an error for it."""
    monkeypatch.setattr("autosplitc.runtime.oip_client.OURS", "another")
    monkeypatch.setattr("autosplitc.runtime.oip_service.decode", None)
    with serving(settings_for(picture_bundle)) as server, client_of(picture_bundle, server.port, ClientSettings()) as client:
        answer = client.infer({"image": pixels(1).astype(np.float32).reshape(1, 1, 28, 28)})
    assert np.array_equal(answer.outputs["logits"], expected(picture_bundle, pixels(1)))


def test_the_client_outlives_its_server(serving: Serving, tiny_bundle: Path) -> None:
    """A server that goes and comes again: requests meanwhile wait, and each is answered once."""
    image = {"x": np.ones((1, 3, 32, 32), np.float32)}
    bundle = Bundle.load(tiny_bundle)
    settings = ClientSettings(deadline_s=20, backoff_s=0.05)
    with serving(ServerSettings(tiny_bundle)) as server:
        link = OipLink(bundle, ("127.0.0.1", server.port), settings)
        client = Client(bundle, None, settings, link=lambda: link)
        assert client.infer(image).source == "cloud"
    waiting = [client.submit(image) for _ in range(3)]
    time.sleep(0.2)
    assert not any(future.done() for future in waiting)
    with serving(ServerSettings(tiny_bundle)) as server, client:
        link.address = ("127.0.0.1", server.port)
        assert [future.result(20).source for future in waiting] == ["cloud"] * 3


@pytest.mark.parametrize(("model", "token", "code"), [("other", "t", "AS865"), ("picture", "wrong", "AS822")])
def test_a_refusal_ends_a_request(serving: Serving, picture_bundle: Path, model: str, token: str, code: str) -> None:
    image = pixels(1).astype(np.float32).reshape(1, 1, 28, 28)
    settings = ClientSettings(token)
    with (
        serving(settings_for(picture_bundle, token="t")) as server,
        client_of(picture_bundle, server.port, settings, model) as client,
        pytest.raises(LinkError) as caught,
    ):
        client.infer({"image": image})
    assert caught.value.code == code


def test_mutual_tls(serving: Serving, tiny_bundle: Path, tmp_path: Path) -> None:
    trustme = pytest.importorskip("trustme")
    ours, theirs = trustme.CA(), trustme.CA()
    ours.cert_pem.write_to_path(tmp_path / "ca.pem")
    theirs.cert_pem.write_to_path(tmp_path / "other.pem")
    for name in ("server", "client"):
        made = ours.issue_cert("cloud.example" if name == "server" else "edge.example")
        made.private_key_pem.write_to_path(tmp_path / f"{name}.key")
        made.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.pem")
    pem = {name: tmp_path / f"{name}.pem" for name in ("ca", "other", "server", "client")}
    mine: dict[str, Any] = {"certificate": pem["client"], "key": tmp_path / "client.key", "server_name": "cloud.example"}
    image = {"x": np.zeros((1, 3, 32, 32), np.float32)}

    def outcome(**more: Any) -> str:
        try:
            with client_of(tiny_bundle, server.port, ClientSettings(deadline_s=1, **more), "m") as client:
                return client.infer(image).source
        except LinkError as error:
            return error.code

    safe = ServerSettings(tiny_bundle, model="m", certificate=pem["server"], key=tmp_path / "server.key", client_ca=pem["ca"])
    with serving(safe) as server:
        assert outcome(ca=pem["ca"], **mine) == "cloud"
        assert outcome(ca=pem["other"], **mine) == "AS832"
        assert outcome(ca=pem["ca"], **{**mine, "server_name": "another.example"}) == "AS832"
        assert outcome(ca=pem["ca"], server_name="cloud.example") in ("AS832", "AS831")
        assert outcome() == "AS831"
        assert outcome(ca=pem["ca"], **mine) == "cloud"


def test_nobody_there_ends_at_the_deadline(tiny_bundle: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    started_s = time.monotonic()
    with client_of(tiny_bundle, port, ClientSettings(deadline_s=0.5)) as client, pytest.raises(LinkError) as caught:
        client.infer({"x": np.zeros((1, 3, 32, 32), np.float32)})
    assert caught.value.code == "AS831"
    assert time.monotonic() - started_s < 3


def test_a_silent_server_ends_at_the_deadline(tiny_bundle: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with client_of(tiny_bundle, port, ClientSettings(deadline_s=0.5)) as client, pytest.raises(LinkError) as caught:
            client.infer({"x": np.zeros((1, 3, 32, 32), np.float32)})
    assert caught.value.code in ("AS831", "AS833")


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
