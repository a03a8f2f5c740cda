"""A client: the edge half here, the cloud half behind a link, and what a bundle's fallback makes where there is no answer."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .client_link import Link
from .client_settings import DEFAULTS
from .client_wire import Hello
from .edge import EdgeHalf, Fallback
from .errors import LinkError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType
    from typing import Protocol

    from numpy.typing import NDArray

    from .bundle import Bundle
    from .client_requests import Reply
    from .client_settings import ClientSettings
    from .edge import EdgeResult
    from .frames import Buffer, CodecId

    class Sender(Protocol):
        """What takes samples of a payload to a cloud half, wherever it runs."""

        def submit(self, samples: Sequence[Buffer], codec: CodecId, *, block: bool = True) -> Future[Reply]:
            """Send samples; return what will hold the reply, or a LinkError."""
            ...

        def ask(self, samples: Sequence[Buffer], codec: CodecId) -> Future[Reply]:
            """As `submit`, for a caller that waits; the thread may be made use of until the reply is there."""
            ...

        def close(self) -> None:
            """End what is under way with AS835."""
            ...


@dataclass(frozen=True)
class Answer:
    """What a frame came to: all outputs of the model by their names.

    source: `cloud`, `fallback`, or `edge` where no cloud takes part. edge_s: graph and codec on the edge; wait_s: until it was sent;
    wire_s: there and back; cloud_s: in the server, its queue included; total_s: from the inputs to the answer. sent_bytes: of the payload
    on the link. trouble: why the fallback answered.
    """

    outputs: dict[str, NDArray[Any]]
    source: str
    edge_s: float
    wait_s: float = 0.0
    wire_s: float = 0.0
    cloud_s: float = 0.0
    total_s: float = 0.0
    sent_bytes: int = 0
    trouble: LinkError | None = None


class Client:
    """Runs frames through both halves, several at a time: the edge half of the next one while others are on the way.

    address: where the cloud half is served; None for an Edge-Only bundle. link: another way to a cloud half than ours.
    Raises LinkError as `EdgeHalf`, `Fallback` and `Link` do, and AS801 where a server is needed and none is named.
    """

    def __init__(
        self,
        bundle: Bundle,
        address: tuple[str, int] | None = None,
        settings: ClientSettings = DEFAULTS,
        providers: Sequence[str] = (),
        threads: int = 0,
        link: Callable[[], Sender] | None = None,
    ) -> None:
        """Load the edge half and begin to connect."""
        self.bundle = bundle
        self.edge = EdgeHalf(bundle, providers, threads)
        self._order = [str(place["output"]) for place in bundle.manifest["outputs"]]
        self._fallback: Fallback | None = None
        self._spare: ThreadPoolExecutor | None = None
        self.link: Sender | None = None
        if not bundle.has("cloud"):
            return
        falls_back = settings.fallback == "model"
        if falls_back:
            self._fallback = Fallback(bundle, providers, threads)
            self._spare = ThreadPoolExecutor(1, "fallback")
        if link is not None:
            self.link = link()
        elif address is None:
            raise LinkError("AS801", "the plan has a cloud half", str(bundle.folder), "--server HOST:PORT, where autosplitc serve runs")
        else:
            self.link = Link(address, Hello(bundle.model, bundle.layout), settings, fails_fast=falls_back)

    def submit(self, inputs: Mapping[str, NDArray[Any]], *, block: bool = True) -> Future[Answer]:
        """Run the edge half on a frame and send what it gives; return what will hold the answer, or the LinkError it ends with.

        Waits where as many frames are under way as may be; without `block`, raises LinkError (AS836) there. Raises as `EdgeHalf.run` does.
        """
        return self._begin(inputs, lambda link, samples: link.submit(samples, self.edge.codec, block=block))

    def infer(self, inputs: Mapping[str, NDArray[Any]]) -> Answer:
        """Return the answer to a frame. Raises LinkError as `submit` does, and what the request ends with."""
        return self._begin(inputs, lambda link, samples: link.ask(samples, self.edge.codec)).result()

    def close(self) -> None:
        """End; frames without an answer end with AS835."""
        if self.link is not None:
            self.link.close()
        if self._spare is not None:
            self._spare.shutdown()

    def __enter__(self) -> Client:
        """Return the client."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close."""
        self.close()

    def _begin(self, inputs: Mapping[str, NDArray[Any]], send: Callable[[Sender, Sequence[Buffer]], Future[Reply]]) -> Future[Answer]:
        """Run the edge half on a frame and send what it gives."""
        started_s = time.perf_counter()
        made = self.edge.run(inputs)
        answer: Future[Answer] = Future()
        answer.set_running_or_notify_cancel()
        if self.link is None:
            answer.set_result(Answer(self._ordered(made.outputs), "edge", made.edge_s, total_s=time.perf_counter() - started_s))
            return answer
        reply = send(self.link, made.samples)
        reply.add_done_callback(lambda done: self._ended(answer, done, inputs, made, started_s))
        return answer

    def _ended(
        self, answer: Future[Answer], done: Future[Reply], inputs: Mapping[str, NDArray[Any]], made: EdgeResult, started_s: float
    ) -> None:
        """Pass on how a request ended."""
        error = done.exception()
        if error is None:
            reply = done.result()
            server_s = reply.times.queue_s + reply.times.decode_s + reply.times.cloud_s
            try:
                outputs = self._ordered({**made.outputs, **reply.outputs})
            except LinkError as problem:
                answer.set_exception(problem)
                return
            wire_s = max(0.0, reply.round_trip_s - server_s)
            total_s, sent = time.perf_counter() - started_s, sum(map(len, made.samples))
            answer.set_result(Answer(outputs, "cloud", made.edge_s, reply.wait_s, wire_s, server_s, total_s, sent))
            return
        if self._fallback is None or self._spare is None or not isinstance(error, LinkError) or error.code == "AS835":
            answer.set_exception(error)
            return
        try:
            self._spare.submit(self._fall_back, self._fallback, answer, inputs, made, started_s, error)
        except RuntimeError:  # the client is being closed
            answer.set_exception(error)

    def _fall_back(
        self,
        fallback: Fallback,
        answer: Future[Answer],
        inputs: Mapping[str, NDArray[Any]],
        made: EdgeResult,
        started_s: float,
        trouble: LinkError,
    ) -> None:
        try:
            outputs = self._ordered(fallback.run(inputs))
        except Exception as error:  # whatever it is, the frame must end
            answer.set_exception(error)
            return
        answer.set_result(Answer(outputs, "fallback", made.edge_s, total_s=time.perf_counter() - started_s, trouble=trouble))

    def _ordered(self, outputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the model's outputs in its order. Raises LinkError: AS816 where one is missing."""
        missing = [name for name in self._order if name not in outputs]
        if missing:
            raise LinkError("AS816", f"the answer lacks output {missing[0]!r}")
        return {name: outputs[name] for name in self._order}
