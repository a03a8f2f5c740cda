"""`run`: frames through the edge half and a server, a line each, and a summary of times measured beside those predicted."""

from __future__ import annotations

import json
import sys
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from .bundle import Bundle
from .client import Answer, Client
from .client_link import FATAL
from .client_settings import DEFAULTS, ClientSettings
from .errors import EXIT_LINK, LinkError
from .run_results import Results
from .run_summary import Summary
from .samples import Frame, frames

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeAlias

    from .client import Sender

    Pending: TypeAlias = tuple[Frame, Future[Answer]]

EXIT_INTERRUPTED = 130


@dataclass(frozen=True)
class RunSettings:
    """What `run` does.

    folder: of the bundle; source: of the frames, see `frames`; server: of the cloud half; model: its name
    at a server of the Open Inference Protocol. The fields up to `dead_s` are those of
    `ClientSettings`. output: .npz for all outputs; jsonl: a line a frame; json: the summary as JSON on stdout; quiet: no lines of frames.
    """

    folder: Path
    source: str
    server: tuple[str, int] | None = None
    protocol: str = "wire"
    model: str = ""
    token: str | None = None
    tls: bool = False
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    server_name: str = ""
    insecure: bool = False
    fallback: str = DEFAULTS.fallback
    deadline_s: float = DEFAULTS.deadline_s
    window: int = DEFAULTS.window
    queue: int = DEFAULTS.queue
    heartbeat_s: float = DEFAULTS.heartbeat_s
    dead_s: float = DEFAULTS.dead_s
    providers: tuple[str, ...] = ()
    threads: int = 0
    repeat: int = 1
    limit: int = 0
    output: Path | None = None
    jsonl: Path | None = None
    json: bool = False
    quiet: bool = False

    @property
    def client(self) -> ClientSettings:
        """What of this is the client's."""
        return ClientSettings(
            token=self.token,
            tls=self.tls,
            ca=self.ca,
            certificate=self.certificate,
            key=self.key,
            server_name=self.server_name,
            insecure=self.insecure,
            fallback=self.fallback,
            deadline_s=self.deadline_s,
            window=self.window,
            queue=self.queue,
            heartbeat_s=self.heartbeat_s,
            dead_s=self.dead_s,
        )


def run(settings: RunSettings) -> int:
    """Run the frames; return 0, 5 where some ended with an error, 130 where it was interrupted.

    Raises LinkError for what keeps the run from starting or the source from being read (AS80x), and where the server refuses the client
    for good; what was answered before that is shown.
    """
    bundle = Bundle.load(settings.folder)
    summary = Summary(bundle, settings)
    interrupted, problem = False, None
    with Results(settings) as results:
        client = Client(bundle, settings.server, settings.client, settings.providers, settings.threads, _link(settings, bundle))
        try:
            with client:
                summary.start()
                try:
                    for frame, answer in _answered(client, frames(bundle, settings.source, settings.repeat, settings.limit), settings):
                        summary.add(frame, answer)
                        results.add(frame, answer)
                        if isinstance(answer, LinkError) and answer.code in FATAL:
                            raise answer
                except LinkError as error:
                    problem = error
                finally:
                    summary.stop(client)
        except KeyboardInterrupt:
            interrupted = True
    _show(summary, settings)
    if problem is not None and not interrupted:
        raise problem
    return EXIT_INTERRUPTED if interrupted else EXIT_LINK if summary.failed else 0


def _answered(client: Client, source: Iterator[Frame], settings: RunSettings) -> Iterator[tuple[Frame, Answer | LinkError]]:
    """Yield each frame with its answer or error, in order, as they come; frames are sent ahead as far as the client takes them."""
    ahead = settings.window + (settings.queue if settings.fallback == "queue" else 0)
    pending: deque[Pending] = deque()
    try:
        for frame in source:
            pending.append((frame, client.submit(frame.inputs)))
            while pending and (len(pending) > ahead or pending[0][1].done()):
                yield _outcome(pending)
    except LinkError:
        while pending:
            yield _outcome(pending)
        raise
    while pending:
        yield _outcome(pending)


def _outcome(pending: deque[Pending]) -> tuple[Frame, Answer | LinkError]:
    """Return the first of the frames that are under way, once it has ended."""
    frame, future = pending[0]
    while not future.done():  # in steps, so that Ctrl-C is seen on every system
        _wait(future, 0.2)
    pending.popleft()
    try:
        return frame, future.result()
    except LinkError as error:
        return frame, error


def _wait(future: Future[Answer], seconds: float) -> None:
    from concurrent.futures import wait

    wait([future], timeout=seconds)


def _link(settings: RunSettings, bundle: Bundle) -> Callable[[], Sender] | None:
    """Return what makes a way to a server that speaks the Open Inference Protocol; None for our own."""
    if settings.protocol != "oip" or settings.server is None or not bundle.has("cloud"):
        return None
    from .oip_client import OipLink

    address = settings.server
    return lambda: OipLink(bundle, address, settings.client, settings.model)


def _show(summary: Summary, settings: RunSettings) -> None:
    """Write the summary: as JSON on stdout, or as text on stderr, where it does not mix with results."""
    out: TextIO = sys.stdout if settings.json else sys.stderr
    out.write(f"{json.dumps(summary.record())}\n" if settings.json else summary.text())
    out.flush()
