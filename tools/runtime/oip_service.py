"""What a server of the Open Inference Protocol answers, for one bundle: the model, its health, and inference. No socket is touched here."""

from __future__ import annotations

import asyncio
import hmac
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import numpy as np

from .codecs import codec_id, decode
from .errors import LinkError
from .export_triton import model_name
from .metrics import Metrics
from .oip import InferRequest, error_message, json_message, read_request, response_message
from .oip_tensors import BYTES, Tensor, datatype_of, malformed, tensor_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from .cloud import Batcher, Made
    from .frames import CodecId
    from .oip import Headers
    from .oip_tensors import Buffer

VERSION = "1"
"""The only version of the model."""
CODEC = "codec"
"""Parameter of the input that names the codec its elements went through."""
_STATUS = {"AS822": 401, "AS833": 504, "AS840": 503, "AS842": 503, "AS843": 500, "AS849": 500, "AS861": 404, "AS862": 405, "AS863": 413}
_BAD_REQUEST = 400


@dataclass(frozen=True)
class Reply:
    """An answer to a request."""

    status: int
    headers: Headers
    parts: list[Buffer]


@dataclass(frozen=True)
class Service:
    """A served bundle. name: what the model is called, "" for the source model's name. token: what clients must show, None for none.

    max_samples: most in a request. deadline_s: how long a request may take that names no time of its own. is_ready: whether new requests
    are taken. metrics: what counts requests.
    """

    batcher: Batcher
    name: str = ""
    token: str | None = None
    max_samples: int = 1024
    deadline_s: float = 60.0
    is_ready: Callable[[], bool] = lambda: True
    metrics: Metrics = field(default_factory=Metrics)

    @property
    def model(self) -> str:
        """What the model is called."""
        return self.name or model_name(self.batcher.half.bundle.manifest)

    async def answer(self, method: str, target: str, headers: Mapping[str, str], body: Buffer) -> Reply:
        """Return the answer to a request; headers by their names in lower case. Faults are answers as well: nothing is raised."""
        try:
            return await self._answer(method, target, headers, body)
        except LinkError as error:
            self.metrics.failed(error.code)
            return refusal(error)
        except Exception as error:  # a fault of ours must not leave the client without an answer
            self.metrics.failed("AS849")
            sys.stderr.write(f"error[AS849]: {method} {target}: {type(error).__name__}: {error}\n")
            return refusal(LinkError("AS849", f"the server failed: {type(error).__name__}"))

    async def _answer(self, method: str, target: str, headers: Mapping[str, str], body: Buffer) -> Reply:
        words = [unquote(word) for word in target.partition("?")[0].strip("/").split("/")]
        if words == ["v2", "health", "live"]:
            return self._state(method, well=True)
        if words == ["v2", "health", "ready"]:
            return self._state(method, well=self.is_ready())
        self._check_token(headers)
        if words == ["v2"]:
            _check_method(method, "GET")
            version = self.batcher.half.bundle.manifest["compiler"]["version"]
            return Reply(200, *json_message({"name": "autosplitc", "version": version, "extensions": ["binary_tensor_data"]}))
        rest = self._of_the_model(words, target)
        if rest == ["infer"]:
            _check_method(method, "POST")
            return await self._infer(headers, body)
        if rest == ["ready"]:
            return self._state(method, well=self.is_ready())
        if rest:
            raise LinkError("AS861", f"nothing is at {target}")
        _check_method(method, "GET")
        return Reply(200, *json_message(self.metadata()))

    def metadata(self) -> dict[str, Any]:
        """Return what the protocol tells of a model: name, versions, platform, inputs and outputs."""
        graph = self.batcher.half.bundle.manifest["graphs"]["cloud"]
        values = {key: [_described(value) for value in graph[key]] for key in ("inputs", "outputs")}
        return {"name": self.model, "versions": [VERSION], "platform": "onnxruntime_onnx", **values}

    def _of_the_model(self, words: list[str], target: str) -> list[str]:
        """Return the rest of a path behind `/v2/models/NAME[/versions/1]`. Raises LinkError (AS861)."""
        if words[:2] != ["v2", "models"] or len(words) < 3:
            raise LinkError("AS861", f"nothing is at {target}")
        if words[2] != self.model:
            raise LinkError("AS861", f'there is no model "{words[2]}"', hint=f'"{self.model}" is served')
        if words[3:4] != ["versions"]:
            return words[3:]
        if words[4:5] != [VERSION]:
            raise LinkError("AS861", f'the model "{self.model}" has version {VERSION} alone')
        return words[5:]

    def _check_token(self, headers: Mapping[str, str]) -> None:
        if self.token is None:
            return
        scheme, _, shown = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(shown.strip().encode(), self.token.encode()):
            raise LinkError("AS822", "the token is missing or wrong", hint="Authorization: Bearer TOKEN")

    def _state(self, method: str, *, well: bool) -> Reply:
        _check_method(method, "GET")
        return Reply(200 if well else _BAD_REQUEST, {"Content-Length": "0"}, [])

    async def _infer(self, headers: Mapping[str, str], body: Buffer) -> Reply:
        started_s = time.monotonic()
        if headers.get("content-encoding", "identity") != "identity":
            raise malformed(f"the body is compressed as {headers['content-encoding']}, which is not spoken here")
        loop = asyncio.get_running_loop()
        request = read_request(body, headers.get("inference-header-content-length"))
        names = self.batcher.half.names
        wanted = request.wanted(list(names))
        payload = await loop.run_in_executor(None, self._payload, request)
        decoded_s = time.monotonic()
        future = self.batcher.submit(payload, started_s + self._timeout_s(request), decoded_s - started_s)
        made: Made = await asyncio.wrap_future(future)
        self.metrics.answered(made.times, time.monotonic() - started_s)
        outputs = [(tensor_of(output.name, made.outputs[names[output.name]]), output.binary) for output in wanted]
        return Reply(200, *response_message(self.model, VERSION, request.id, outputs))

    def _timeout_s(self, request: InferRequest) -> float:
        timeout_us = request.parameters.get("timeout")
        if timeout_us is None:
            return self.deadline_s
        if not isinstance(timeout_us, int) or timeout_us <= 0:
            raise malformed('"timeout" is no number of microseconds')
        return min(timeout_us * 1e-6, self.deadline_s)

    def _payload(self, request: InferRequest) -> NDArray[np.uint8]:
        """Return the payload u8[samples, bytes] of a request, decoded where it names a codec. Raises LinkError."""
        bundle = self.batcher.half.bundle
        tensor, size = request.input(bundle.payload_name), bundle.bytes_per_sample
        codec = tensor.parameters.get(CODEC)
        if codec is None:
            if tensor.datatype != "UINT8" or len(tensor.shape) != 2 or tensor.shape[1] != size:
                found = f"{tensor.datatype}{list(tensor.shape)}"
                raise malformed(f'input "{tensor.name}" is UINT8[samples, {size}], and the request gives {found}')
            rows = np.ascontiguousarray(tensor.array)
        else:
            codec = self._codec(codec, tensor)
            data = [np.frombuffer(decode(codec, element, size, bundle.picture), np.uint8) for element in _elements(tensor)]
            rows = np.stack(data) if data else np.zeros((0, size), np.uint8)
        if not 1 <= len(rows) <= self.max_samples:
            raise malformed(f"a request holds 1 to {self.max_samples:,} samples, and this one {len(rows):,}")
        return rows

    def _codec(self, codec: object, tensor: Tensor) -> CodecId:
        """Return a codec that this bundle's payload can have gone through, where no more samples came than are taken. Raises LinkError."""
        picture = self.batcher.half.bundle.picture is not None
        known = ["zstd", *(["png", "jpeg"] if picture else [])]
        if not isinstance(codec, str) or codec.partition(":")[0] not in known:
            raise malformed(f"the codec of the payload is {codec!r}", hint=f"known here: {', '.join(known)}")
        if tensor.datatype != BYTES or len(_elements(tensor)) > self.max_samples:
            raise malformed(f"a payload through {codec} is BYTES, one element a sample, at most {self.max_samples:,}")
        return codec_id(codec)


def refusal(error: LinkError) -> Reply:
    """Return the answer that says an error."""
    status = _STATUS.get(error.code, _BAD_REQUEST)
    headers, parts = error_message(f"{error.code}: {error.message}" + (f" ({error.hint})" if error.hint else ""))
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Reply(status, headers, parts)


def _check_method(method: str, wanted: str) -> None:
    if method != wanted:
        raise LinkError("AS862", f"{method} is not taken here", hint=wanted)


def _elements(tensor: Tensor) -> tuple[bytes, ...]:
    return tensor.data if isinstance(tensor.data, tuple) else ()


def _described(value: Mapping[str, Any]) -> dict[str, Any]:
    sizes = [-1] if value["shape"] is None else value["shape"]
    shape = [size if isinstance(size, int) else -1 for size in sizes]
    return {"name": value["name"], "datatype": datatype_of(value["dtype"]), "shape": shape}
