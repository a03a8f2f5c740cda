"""Our client of the Open Inference Protocol, against our server and against none."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autosplitc.runtime.bundle import Bundle
from autosplitc.runtime.client import Client
from autosplitc.runtime.client_settings import ClientSettings
from autosplitc.runtime.errors import LinkError
from autosplitc.runtime.oip_client import OipLink
from autosplitc.runtime.server_settings import ServerSettings

from .conftest import Serving
from .oip_caller import expected, pixels, settings_for


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
