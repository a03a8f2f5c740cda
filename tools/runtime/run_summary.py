"""The summary of a run: what became of the frames, and times measured beside those that the plan was chosen by."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from .client import Answer
from .client_link import Link
from .errors import LinkError
from .run_results import top1

if TYPE_CHECKING:
    from .bundle import Bundle
    from .client import Client
    from .run import RunSettings
    from .samples import Frame

PARTS = ("edge", "wait", "wire", "cloud", "total")
_PREDICTED = {"edge": "edge_s", "wire": "link_s", "cloud": "cloud_s", "total": "latency_s"}
"""The manifest's names of the predicted times."""

_LINK = ("sent", "resent", "strays", "connections", "most_in_flight")


class Summary:
    """Counts frames and collects their times. failed: frames that ended with an error."""

    def __init__(self, bundle: Bundle, settings: RunSettings) -> None:
        """Begin with nothing."""
        self.failed = 0
        self._bundle = bundle
        self._settings = settings
        self._sources = {"edge": 0, "cloud": 0, "fallback": 0}
        self._errors: dict[str, int] = {}
        self._first: LinkError | None = None
        self._times: dict[str, list[float]] = {part: [] for part in PARTS}
        self._sent_bytes: list[int] = []
        self._labelled = 0
        self._right = 0
        self._started_s = 0.0
        self._taken_s = 0.0
        self._link: dict[str, int] = {}

    def start(self) -> None:
        """Begin to take the time."""
        self._started_s = time.perf_counter()

    def stop(self, client: Client) -> None:
        """Take the time, and what the link counted."""
        self._taken_s = time.perf_counter() - self._started_s
        if isinstance(client.link, Link):
            self._link = {name: getattr(client.link.requests.counts, name) for name in _LINK}

    def add(self, frame: Frame, answer: Answer | LinkError) -> None:
        """Take in how a frame ended. Times are of those that went the whole way."""
        trouble = answer if isinstance(answer, LinkError) else answer.trouble
        self._first = self._first or trouble
        if isinstance(answer, LinkError):
            self.failed += 1
            self._errors[answer.code] = self._errors.get(answer.code, 0) + 1
            return
        self._sources[answer.source] += 1
        label = top1(answer.outputs)
        if frame.label is not None and label is not None:
            self._labelled += 1
            self._right += label == frame.label
        if answer.source != "fallback":
            for part in PARTS:
                self._times[part].append(getattr(answer, f"{part}_s"))
            self._sent_bytes.append(answer.sent_bytes)

    def record(self) -> dict[str, Any]:
        """Return the summary as JSON: seconds, bytes, frames a second; `null` where nothing is known."""
        answered = sum(self._sources.values())
        predicted, codec = self._bundle.manifest["predicted"], self._bundle.manifest["wire"].get("codec")
        payload = {"measured_mean": float(np.mean(self._sent_bytes)) if self._sent_bytes else None}
        payload["predicted"] = codec["sent_bytes"] if codec else predicted["payload_bytes"]
        return {
            "kind": self._bundle.kind,
            "frames": answered + self.failed,
            "answered": answered,
            "failed": self.failed,
            "fallbacks": self._sources["fallback"],
            "errors": dict(self._errors),
            "first_error": None if self._first is None else {"code": self._first.code, "message": self._first.message},
            "times_s": {part: _quantiles(self._times[part], predicted.get(_PREDICTED.get(part, ""))) for part in PARTS},
            "payload_bytes": payload,
            "seconds": self._taken_s,
            "frames_per_s": answered / self._taken_s if self._taken_s > 0 else None,
            "top1": self._right / self._labelled if self._labelled else None,
            "link": self._link or None,
        }

    def text(self) -> str:
        """Return the summary as text."""
        found = self.record()
        pace = f", {found['frames_per_s']:.1f} a second" if found["frames_per_s"] else ""
        lines = [
            f"{found['kind']}: {found['frames']} frames: {found['answered']} answered ({found['fallbacks']} by the fallback), "
            f"{found['failed']} failed; {found['seconds']:.2f} s{pace}"
        ]
        if any(self._times.values()):
            lines.append(f" {'ms':8}{'p50':>10}{'p95':>10}{'p99':>10}{'predicted':>12}")
            for part in PARTS if self._sources["cloud"] else ("edge", "total"):
                times = found["times_s"][part]
                shown = "".join(f"{times[name] * 1e3:10.2f}" for name in ("p50", "p95", "p99"))
                lines.append(
                    f" {part:8}{shown}" + (f"{times['predicted'] * 1e3:12.2f}" if times["predicted"] is not None else f"{'-':>12}")
                )
        payload = found["payload_bytes"]
        if payload["measured_mean"] is not None and self._sources["cloud"]:
            lines.append(f" payload  {payload['measured_mean']:,.0f} bytes a frame; {payload['predicted']:,.0f} predicted")
        if found["top1"] is not None:
            lines.append(f" top-1    {found['top1']:.2%} of {self._labelled} labelled frames")
        if self._link:
            counted = ", ".join(f"{value} {name.replace('_', ' ')}" for name, value in self._link.items())
            lines.append(f" link     {counted}")
        if self._first is not None:
            by_code = ", ".join(f"{count} x {code}" for code, count in self._errors.items())
            lines.append(f" errors   {by_code or 'none'}; the first trouble: {self._first.message} ({self._first.code})")
        return "\n".join(lines) + "\n"


def _quantiles(times: list[float], predicted: float | None) -> dict[str, float | None]:
    """Return median, 95 % and 99 % of times in seconds beside the predicted one."""
    if not times:
        return {"p50": None, "p95": None, "p99": None, "predicted": predicted}
    p50, p95, p99 = (float(value) for value in np.quantile(times, (0.5, 0.95, 0.99)))
    return {"p50": p50, "p95": p95, "p99": p99, "predicted": predicted}
