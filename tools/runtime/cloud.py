"""The cloud half: its graph, and the worker that runs requests through it, as many at once as wait where the graph's batch is free."""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .errors import LinkError
from .tensors import ServerTimes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    from numpy.typing import NDArray

    from .bundle import Bundle

    Arrays: TypeAlias = dict[str, NDArray[Any]]
    OnDone: TypeAlias = Callable[["Made | Exception | None"], None]


REST_S = 0.002
"""How long a worker waits for the next job before it rests."""


class Made(NamedTuple):
    """What a request came to: the model's outputs by the names of the manifest, and the seconds it took."""

    outputs: Arrays
    times: ServerTimes


class Job:
    """A request on its way: payload u8[samples, bytes]; until_s: moment of `time.monotonic` after which nobody waits, or None.

    on_done: called once, in the thread that ran it: with what was made or what went wrong; with None, where it was dropped.
    """

    __slots__ = ("decode_s", "on_done", "payload", "since_s", "until_s")

    def __init__(self, payload: NDArray[np.uint8], until_s: float | None, decode_s: float, on_done: OnDone) -> None:
        """Note the moment."""
        self.payload = payload
        self.until_s = until_s
        self.decode_s = decode_s
        self.on_done = on_done
        self.since_s = time.monotonic()

    @property
    def samples(self) -> int:
        """Number of samples."""
        return len(self.payload)


class CloudHalf:
    """The cloud graph of a bundle. Raises LinkError as `Bundle.session` does, and AS807 where the plan has no cloud half."""

    def __init__(self, bundle: Bundle, providers: Sequence[str] = (), threads: int = 0) -> None:
        """Load the graph."""
        if not bundle.has("cloud"):
            hint = "autosplitc run needs no server for it"
            raise LinkError("AS807", "the plan is Edge-Only: there is no cloud half to serve", str(bundle.folder), hint)
        self.bundle = bundle
        self.names = bundle.outputs("cloud")
        self.free_batch = bundle.has_free_batch("cloud")
        self._session = bundle.session("cloud", providers, threads)

    def infer(self, payload: NDArray[np.uint8]) -> Arrays:
        """Return the outputs for a payload u8[samples, bytes], by the manifest's names; all but a batch of one where the batch is free."""
        values = self._session.run(list(self.names), {self.bundle.payload_name: payload})
        return {self.names[name]: values[i] for i, name in enumerate(self.names)}


class Batcher:
    """Runs jobs in threads of its own, begun in order; those that wait are run together.

    max_batch: most samples at once. max_wait_s: how long a job waits for others to join it. limit: most samples that wait.
    on_batch: told the samples of every batch, and the seconds it took. workers: batches that run at once. on_rest: called behind every
    batch, as soon as more jobs are there or a moment (`REST_S`) has passed without.
    """

    def __init__(
        self,
        half: CloudHalf,
        max_batch: int = 8,
        max_wait_s: float = 0.0,
        limit: int = 1024,
        on_batch: Callable[[int, float], None] | None = None,
        workers: int = 1,
        on_rest: Callable[[], None] | None = None,
    ) -> None:
        """Start the threads."""
        self.half = half
        self.max_batch = max(1, max_batch) if half.free_batch else 1
        self.max_wait_s = max_wait_s
        self.limit = limit
        self.on_batch = on_batch
        self.on_rest = on_rest
        self._jobs: deque[Job] = deque()
        self._waiting = 0
        self._closed = False
        self._changed = threading.Condition()
        self._threads = [threading.Thread(target=self._work, name=f"cloud half {i}", daemon=True) for i in range(workers)]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Samples that wait."""
        return self._waiting

    def submit(self, payload: NDArray[np.uint8], until_s: float | None = None, decode_s: float = 0.0) -> Future[Made]:
        """As `start`; return what will hold what was made, or what went wrong."""
        future: Future[Made] = Future()

        def on_done(made: Made | Exception | None) -> None:
            if made is None or not future.set_running_or_notify_cancel():
                return
            if isinstance(made, Exception):
                future.set_exception(made)
            else:
                future.set_result(made)

        job = self.start(payload, until_s, decode_s, on_done)
        future.add_done_callback(lambda done: self.drop(job) if done.cancelled() else None)
        return future

    def start(self, payload: NDArray[np.uint8], until_s: float | None, decode_s: float, on_done: OnDone) -> Job:
        """Take a job. Raises LinkError: AS840 where too many wait already, AS842 once closed.

        It ends with what was made, or a LinkError: AS833 where the deadline passed before it was run, AS843 where the graph failed.
        """
        job = Job(payload, until_s, decode_s, on_done)
        with self._changed:
            if self._closed:
                raise LinkError("AS842", "the server is stopping", hint="send it again to another server, or later")
            if self._jobs and self._waiting + job.samples > self.limit:
                raise LinkError("AS840", f"the server is busy: {self._waiting:,} samples wait already", hint="send it again later")
            self._jobs.append(job)
            self._waiting += job.samples
            self._changed.notify()
        return job

    def drop(self, job: Job) -> None:
        """Let go of a job, if nobody has begun with it."""
        with self._changed:
            if job not in self._jobs:
                return
            self._jobs.remove(job)
            self._waiting -= job.samples
        job.on_done(None)

    def close(self) -> None:
        """Take no more; what was taken is run, then the threads end."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while True:
            jobs = self._next()
            if jobs is None:
                return
            live = [job for job in jobs if not _expired(job)]
            if live:
                self._run(live)
            self._rest()

    def _rest(self) -> None:
        if self.on_rest is None:
            return
        with self._changed:
            if not (self._jobs or self._closed):
                self._changed.wait(REST_S)
        self.on_rest()

    def _next(self) -> list[Job] | None:
        with self._changed:
            while not self._jobs:
                if self._closed:
                    return None
                self._changed.wait()
            until_s = time.monotonic() + self.max_wait_s
            while self._waiting < self.max_batch and not self._closed and (left_s := until_s - time.monotonic()) > 0:
                self._changed.wait(left_s)
            if not self._jobs:  # another worker took them
                return []
            jobs = [self._jobs.popleft()]
            while self._jobs and sum(job.samples for job in jobs) + self._jobs[0].samples <= self.max_batch:
                jobs.append(self._jobs.popleft())
            self._waiting -= sum(job.samples for job in jobs)
            return jobs

    def _run(self, jobs: list[Job]) -> None:
        started_s = time.monotonic()
        try:
            outputs = self._outputs(jobs)
        except Exception as error:  # onnxruntime raises many types of its own
            if len(jobs) > 1:
                for job in jobs:
                    self._run([job])
                return
            reason = str(error).partition("\n")[0][:300]
            jobs[0].on_done(LinkError("AS843", f"the cloud graph failed: {reason}"))
            return
        taken_s = time.monotonic() - started_s
        for index, job in enumerate(jobs):
            job.on_done(Made(outputs[index], ServerTimes(started_s - job.since_s, job.decode_s, taken_s)))
        if self.on_batch is not None:
            self.on_batch(sum(job.samples for job in jobs), taken_s)

    def _outputs(self, jobs: list[Job]) -> list[Arrays]:
        """Return the outputs of each job. Raises ValueError where a graph's outputs do not have a row for each sample."""
        if not self.half.free_batch:
            return [_joined([self.half.infer(job.payload[i : i + 1]) for i in range(job.samples)]) for job in jobs]
        if len(jobs) == 1:
            return [self.half.infer(jobs[0].payload)]
        together = self.half.infer(np.concatenate([job.payload for job in jobs]))
        total = sum(job.samples for job in jobs)
        if any(value.ndim == 0 or len(value) != total for value in together.values()):
            raise ValueError("outputs without a row for each sample")
        found: list[Arrays] = []
        at = 0
        for job in jobs:
            found.append({name: value[at : at + job.samples] for name, value in together.items()})
            at += job.samples
        return found


def _joined(parts: list[Arrays]) -> Arrays:
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _expired(job: Job) -> bool:
    if job.until_s is None or time.monotonic() < job.until_s:
        return False
    job.on_done(LinkError("AS833", "the deadline passed before the server came to the request"))
    return True
