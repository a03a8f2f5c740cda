"""From a request to its answer: in at the gate, decoded, run by the batcher, framed. Every request is ended in the event loop, once."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .admission import Gate
from .codecs import decode
from .errors import LinkError
from .frames import CodecId, Kind, error_frame, frame
from .tensors import ServerTimes, read_request, result_body

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    from numpy.typing import NDArray

    from .bundle import Bundle
    from .cloud import Batcher, Job, Made
    from .connection import Reply
    from .frames import Buffer, Header
    from .metrics import Metrics
    from .server_settings import ServerSettings

    class Cancellable(Protocol):
        """Work that is under way."""

        def cancel(self) -> object:
            """Let go of it, if nobody has begun."""
            ...


SLACK_BYTES = 4096
"""What a request may take besides its samples."""


class Asked(NamedTuple):
    """A request under way: started_s, entered_s: moments (`time.monotonic`) at which it was there and was let in; until_s: its deadline."""

    request_id: int
    samples: int
    started_s: float
    entered_s: float
    until_s: float | None
    reply: Reply


class Outcome(NamedTuple):
    """What a request came to: the frame of its result, empty where it was cancelled or is sent already; or an error.

    times: those in the frame, None without one; taken_s: seconds from the request to here. is_out: whether nothing is left to send.
    """

    parts: list[Buffer]
    times: ServerTimes | None = None
    taken_s: float = 0.0
    error: Exception | None = None
    is_out: bool = False


class Started(NamedTuple):
    """A job that the batcher has."""

    batcher: Batcher
    job: Job

    def cancel(self) -> None:
        """Let go of it, if nobody has begun."""
        self.batcher.drop(self.job)


class Answers:
    """Answers requests with the cloud half of a bundle; of one event loop."""

    def __init__(self, settings: ServerSettings, bundle: Bundle, batcher: Batcher, metrics: Metrics) -> None:
        """Open the gate."""
        self._settings = settings
        self._bundle = bundle
        self._batcher = batcher
        self._metrics = metrics
        self._loop = asyncio.get_running_loop()
        self._gate = Gate(settings.queue)
        self._outcomes: deque[tuple[Asked, Outcome]] = deque()
        self._decoders = ThreadPoolExecutor(2, "decode")

    def close(self) -> None:
        """Let the threads end."""
        self._decoders.shutdown(wait=False)

    def begin(self, header: Header, body: memoryview, reply: Reply) -> Cancellable | None:
        """Answer a request: `reply.end` is called with the frame, now or later. Returns what goes on meanwhile."""
        started_s = time.monotonic()
        size = self._bundle.bytes_per_sample
        try:
            most = size if header.codec is CodecId.NONE else 2 * size + SLACK_BYTES
            samples = read_request(body, self._settings.max_samples, most).samples
            until_s = started_s + header.deadline_ms / 1e3 if header.deadline_ms else None
            asked = Asked(header.request_id, len(samples), started_s, started_s, until_s, reply)
            if header.codec is CodecId.NONE:
                payload = self._plain(samples, body)
                if self._gate.enter_now(len(samples)):
                    return self._run_now(asked, payload)
        except Exception as error:  # a fault of ours must not leave the client without an answer
            reply.end(self.refusal(header.request_id, error))
            return None
        return self._loop.create_task(self._answer_later(asked, header.codec, samples, body))

    def settle(self) -> None:
        """End the requests whose answers are made. For the event loop alone."""
        while self._outcomes:
            asked, outcome = self._outcomes.popleft()
            try:
                self._finish(asked, outcome)
            except Exception as error:  # a fault of ours with one request must not reach another's connection
                self.refusal(asked.request_id, error)

    def wake(self) -> None:
        """Let the event loop end requests, if any are left for it; from any thread.

        Where an answer is out this has time: a client that asks again wakes the loop anyway.
        """
        if self._outcomes:
            with suppress(RuntimeError):  # the loop is closed: nobody is left to tell
                self._loop.call_soon_threadsafe(self.settle)

    def refusal(self, request_id: int, error: BaseException) -> list[Buffer]:
        """Return the frame that tells an error, and count it; what is no LinkError is a fault of ours."""
        if not isinstance(error, LinkError):
            sys.stderr.write(f"error[AS849]: request {request_id}: {type(error).__name__}: {error}\n")
            error = LinkError("AS849", f"the server failed: {type(error).__name__}")
        self._metrics.failed(error.code)
        return error_frame(error, request_id)

    def _run_now(self, asked: Asked, payload: NDArray[np.uint8]) -> Cancellable:
        """Run a request that was let in. Raises LinkError as `Batcher.start` does."""

        def on_done(made: Made | Exception | None) -> None:
            outcome = _outcome(asked, made)
            self._outcomes.append((asked, outcome))
            if not outcome.is_out:
                self.wake()

        try:
            return Started(self._batcher, self._batcher.start(payload, asked.until_s, 0.0, on_done))
        except BaseException:
            self._gate.leave(asked.samples)
            raise

    def _finish(self, asked: Asked, outcome: Outcome) -> None:
        self._gate.leave(asked.samples)
        if outcome.error is not None:
            asked.reply.end(self.refusal(asked.request_id, outcome.error))
            return
        asked.reply.end(outcome.parts)
        if outcome.times is not None:
            self._metrics.answered(outcome.times, outcome.taken_s)

    async def _answer_later(self, asked: Asked, codec: CodecId, samples: Sequence[memoryview], body: memoryview) -> None:
        """Answer a request that must wait, or be decoded."""
        parts: list[Buffer] = []
        try:
            await self._enter(asked)
            try:
                asked = asked._replace(entered_s=time.monotonic())
                payload = await self._decoded(codec, samples, body)
                future = self._batcher.submit(payload, asked.until_s, time.monotonic() - asked.entered_s)
                parts, times = _framed(asked, await asyncio.wrap_future(future))
                self._metrics.answered(times, time.monotonic() - asked.started_s)
            finally:
                self._gate.leave(asked.samples)
        except Exception as error:  # a fault of ours must not leave the client without an answer
            parts = self.refusal(asked.request_id, error)
        finally:
            asked.reply.end(parts)

    async def _enter(self, asked: Asked) -> None:
        """Wait for room among the samples that are held. Raises LinkError: AS840 where none came in time, AS833 past the deadline."""
        patience_s = self._settings.queue_wait_s
        left_s = patience_s if asked.until_s is None else asked.until_s - time.monotonic()
        if await self._gate.enter(asked.samples, min(patience_s, left_s)):
            return
        if left_s < patience_s:
            raise LinkError("AS833", "the deadline passed before the server came to the request")
        raise LinkError("AS840", f"the server is busy: it has {self._gate.inside:,} samples already", hint="send it again later")

    def _plain(self, samples: Sequence[memoryview], body: memoryview) -> NDArray[np.uint8]:
        """Return samples that went through no codec: u8[samples, bytes], a view. Raises LinkError: AS818 for another size."""
        size = self._bundle.bytes_per_sample
        for sample in samples:
            decode(CodecId.NONE, sample, size, None)
        return np.frombuffer(body, np.uint8)[-len(samples) * size :].reshape(-1, size)

    async def _decoded(self, codec: CodecId, samples: Sequence[memoryview], body: memoryview) -> NDArray[np.uint8]:
        """Return samples decoded: u8[samples, bytes]. Raises LinkError as `decode` does."""
        if codec is CodecId.NONE:
            return self._plain(samples, body)
        size, picture = self._bundle.bytes_per_sample, self._bundle.picture

        def decoded() -> NDArray[np.uint8]:
            return np.stack([np.frombuffer(decode(codec, sample, size, picture), np.uint8) for sample in samples])

        return await self._loop.run_in_executor(self._decoders, decoded)


def _outcome(asked: Asked, made: Made | Exception | None) -> Outcome:
    """Return what a job came to; its frame is made in the thread that ran it, and sent from there if it can be."""
    if made is None or isinstance(made, Exception):
        return Outcome([], error=made)
    try:
        parts, times = _framed(asked, made)
        is_sent = asked.reply.send_now(parts)
        is_out = is_sent and not asked.reply.owes
        return Outcome([] if is_sent else parts, times, time.monotonic() - asked.started_s, is_out=is_out)
    except Exception as error:
        return Outcome([], error=error)


def _framed(asked: Asked, made: Made) -> tuple[list[Buffer], ServerTimes]:
    """Return the frame of a result, and the server's times in it."""
    times = ServerTimes(made.times.queue_s + asked.entered_s - asked.started_s, made.times.decode_s, made.times.cloud_s)
    return frame(Kind.RESULT, *result_body(made.outputs, times), request_id=asked.request_id), times
