"""The client's way to a server of the Open Inference Protocol: ours, Triton, KServe or OpenVINO Model Server.

Requests go over as many kept HTTP connections as may be in flight, each with a thread of its own. One that the server never answered is
sent again, until its deadline; inference has no side effects, so that it may be run twice, but it is answered once.
"""

from __future__ import annotations

import http.client
import json
import queue
import random
import ssl
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np

from .client_requests import Reply
from .client_settings import DEFAULTS, client_tls
from .codecs import decode
from .errors import LinkError
from .export_triton import model_name
from .frames import CodecId
from .oip import LENGTH_HEADER, read_error, read_response, request_message
from .oip_service import CODEC
from .oip_tensors import Tensor, bytes_tensor, tensor_of
from .tensors import ServerTimes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .bundle import Bundle
    from .client_settings import ClientSettings
    from .frames import Buffer

OURS = "autosplitc"
"""What our server calls itself; it decodes payloads."""
_BY_STATUS = {401: "AS822", 403: "AS822", 503: "AS840", 429: "AS840", 504: "AS833"}
_AGAIN = (429, 503)
"""Statuses that say: later."""


@dataclass
class _Task:
    samples: list[bytes]
    codec: CodecId
    until_s: float
    since_s: float = field(default_factory=time.monotonic)
    future: Future[Reply] = field(default_factory=Future)


class OipLink:
    """Sends payloads to a model of a server. model: its name there, "" for the name that `export --to triton` gives it.

    Raises LinkError as `client_tls` does.
    """

    def __init__(self, bundle: Bundle, address: tuple[str, int], settings: ClientSettings = DEFAULTS, model: str = "") -> None:
        """Begin; the first request connects."""
        self.bundle = bundle
        self.address = address
        self.settings = settings
        self.path = f"/v2/models/{quote(model or model_name(bundle.manifest), safe='')}/infer"
        self._names = bundle.outputs("cloud")
        self._tls = client_tls(address[0], settings)
        self._tasks: queue.Queue[_Task | None] = queue.Queue()
        self._room = threading.Semaphore(settings.window + (settings.queue if settings.keeps else 0))
        self._closed = threading.Event()
        self._decodes: bool | None = None
        self._threads = [threading.Thread(target=self._work, name=f"oip {i}", daemon=True) for i in range(settings.window)]
        for thread in self._threads:
            thread.start()

    def submit(self, samples: Sequence[Buffer], codec: CodecId = CodecId.NONE, *, block: bool = True) -> Future[Reply]:
        """Send samples; return what will hold the reply, or a LinkError. Without `block`, raises LinkError (AS836) where no room is."""
        if not self._room.acquire(blocking=block):
            raise LinkError("AS836", "as many requests wait already as may", hint="--window or --queue, or send fewer")
        until_s = float("inf") if self.settings.keeps else time.monotonic() + self.settings.deadline_s
        task = _Task([bytes(sample) for sample in samples], codec, until_s)
        task.future.set_running_or_notify_cancel()
        task.future.add_done_callback(lambda _: self._room.release())
        if self._closed.is_set():
            task.future.set_exception(_closed())
        else:
            self._tasks.put(task)
        return task.future

    def ask(self, samples: Sequence[Buffer], codec: CodecId = CodecId.NONE) -> Future[Reply]:
        """As `submit`."""
        return self.submit(samples, codec)

    def close(self) -> None:
        """End: what is under way is answered or ends by its deadline, what waits ends with AS835."""
        self._closed.set()
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join(self.settings.deadline_s)

    def _work(self) -> None:
        connection: http.client.HTTPConnection | None = None
        while True:
            task = self._tasks.get()
            if task is None:
                break
            if self._closed.is_set():
                task.future.set_exception(_closed())
                continue
            try:
                connection, reply = self._sent(task, connection)
                task.future.set_result(reply)
            except LinkError as error:
                connection = None
                task.future.set_exception(error)
            except Exception as error:  # whatever it is, the request must end
                connection = None
                task.future.set_exception(LinkError("AS865", f"the server's answer cannot be used: {type(error).__name__}: {error}"))
        if connection is not None:
            connection.close()

    def _sent(self, task: _Task, connection: http.client.HTTPConnection | None) -> tuple[http.client.HTTPConnection, Reply]:
        """Send a task until it is answered, or too late; return the connection to keep, and the reply. Raises LinkError."""
        pause_s, last = self.settings.backoff_s, ""
        while True:
            try:
                connection = connection or self._connection(task)
                return connection, self._exchanged(task, connection)
            except _LaterError as later:
                last = str(later)
            except (OSError, http.client.HTTPException) as error:
                if isinstance(error, ssl.SSLError) and not isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
                    raise LinkError("AS832", f"TLS failed: {error.reason or error}", f"{self.address[0]}:{self.address[1]}") from None
                last = f"{type(error).__name__}: {error}" if not isinstance(error, OSError) else error.strerror or str(error) or "too late"
                if connection is not None:
                    connection.close()
                connection = None
            wait_s = pause_s * random.uniform(0.5, 1.0)
            pause_s = min(2 * pause_s, self.settings.max_backoff_s)
            if self.settings.fallback == "model" or time.monotonic() + wait_s >= task.until_s or self._closed.wait(wait_s):
                host, port = self.address
                hint = "is autosplitc serve --protocol oip, or another server of the protocol, running there?"
                raise LinkError("AS831", f"no answer from the server: {last}", f"{host}:{port}", hint)

    def _connection(self, task: _Task) -> http.client.HTTPConnection:
        host, port = self.address
        patience_s = max(0.001, min(self.settings.connect_s, task.until_s - time.monotonic()))
        made = http.client.HTTPConnection(host, port, timeout=patience_s)
        made.connect()
        if self._tls is not None and made.sock is not None:
            made.sock = self._tls.wrap_socket(made.sock, server_hostname=self.settings.server_name or host)
        return made

    def _exchanged(self, task: _Task, connection: http.client.HTTPConnection) -> Reply:
        if self._decodes is None and task.codec is not CodecId.NONE:
            self._decodes = self._is_ours(connection)
        started_s = time.monotonic()
        headers, parts = request_message([self._input(task)], list(self._names), parameters=self._parameters(task))
        status, length, body = self._exchange(task, connection, "POST", self.path, headers, b"".join(bytes(part) for part in parts))
        ended_s = time.monotonic()
        if status != 200:
            said = read_error(body)
            if status in _AGAIN:
                raise _LaterError(said)
            raise LinkError(_BY_STATUS.get(status, "AS865"), f"the server refused the request with HTTP status {status}: {said}", self.path)
        outputs: dict[str, NDArray[Any]] = {}
        for name, tensor in read_response(body, length).outputs.items():
            if name in self._names:
                outputs[self._names[name]] = _array(tensor)
        return Reply(outputs, ServerTimes(), started_s - task.since_s, ended_s - started_s)

    def _exchange(
        self, task: _Task, connection: http.client.HTTPConnection, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, str | None, bytes]:
        """Return status, the header with the JSON's length, and body. Raises OSError and HTTPException."""
        left_s = task.until_s - time.monotonic()
        if left_s <= 0:
            raise LinkError("AS833", "the deadline passed before there was an answer", self.path)
        token = {} if self.settings.token is None else {"Authorization": f"Bearer {self.settings.token}"}
        if connection.sock is not None:
            connection.sock.settimeout(min(left_s, self.settings.dead_s))
        connection.request(method, path, body, {**headers, **token})
        response = connection.getresponse()
        most = self.settings.max_result_bytes
        if int(response.headers.get("Content-Length") or 0) > most:
            raise LinkError("AS866", f"the answer has more than {most:,} bytes", self.path)
        data = response.read(most + 1)
        if len(data) > most:
            raise LinkError("AS866", f"the answer has more than {most:,} bytes", self.path)
        return response.status, response.headers.get(LENGTH_HEADER), data

    def _is_ours(self, connection: http.client.HTTPConnection) -> bool:
        """Tell whether the server is ours, which decodes payloads."""
        task = _Task([], CodecId.NONE, time.monotonic() + self.settings.connect_s)
        status, _, body = self._exchange(task, connection, "GET", "/v2", {}, b"")
        try:
            return status == 200 and json.loads(body)["name"] == OURS
        except (ValueError, TypeError, KeyError):
            return False

    def _input(self, task: _Task) -> Tensor:
        """Return the payload: raw, or through its codec where the server decodes."""
        name, size = self.bundle.payload_name, self.bundle.bytes_per_sample
        if task.codec is not CodecId.NONE and self._decodes:
            return bytes_tensor(name, task.samples, {CODEC: task.codec.name.lower()})
        raw = [decode(task.codec, sample, size, self.bundle.picture) for sample in task.samples]
        return tensor_of(name, np.frombuffer(b"".join(raw), np.uint8).reshape(-1, size))

    def _parameters(self, task: _Task) -> dict[str, Any]:
        left_s = task.until_s - time.monotonic()
        return {} if left_s == float("inf") else {"timeout": max(1, int(left_s * 1e6))}


class _LaterError(Exception):
    """The server takes nothing now."""


def _array(tensor: Tensor) -> NDArray[Any]:
    if isinstance(tensor.data, tuple):
        return np.array([element.decode("utf-8", "replace") for element in tensor.data], np.str_).reshape(tensor.shape)
    return tensor.data


def _closed() -> LinkError:
    return LinkError("AS835", "the client was closed")
