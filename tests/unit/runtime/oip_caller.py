"""What tests of the Open Inference Protocol share: a caller by the standard library, and what a bundle of pictures is asked."""

from __future__ import annotations

import http.client
import io
import json
import socket
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from autosplitc.runtime.bundle import Bundle
from autosplitc.runtime.oip import LENGTH_HEADER, read_response, request_message
from autosplitc.runtime.oip_tensors import Tensor
from autosplitc.runtime.server_settings import ServerSettings

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
