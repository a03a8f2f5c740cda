"""What is measured on the emitted files; everything here goes to measurements.json and varies from machine to machine.

`measure_bundle` compares the halves with the float model on evaluation data, else on calibration data, else on seeded noise:
signal-to-noise ratio of every output, and for classifiers top-1 accuracy (with labels) and agreement. It also takes file sizes, run times,
and the memory of the edge half in a process of its own.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import Module
from autosplitc.passes import Data, Env, Feed, Request, WireLayout

from .codec_link import CodecLink
from .codegen import write_scratch
from .engine import Arrays, Engine, for_some_fill, outputs_of_halves, sample_feeds, tensors_of
from .metrics import Share, agreement, top1
from .runnable import Runnable
from .runtime_options import runtime_of
from .sizes import edge_rss_bytes, sizes_of

Json = dict[str, Any]

SAMPLES = 16
"""Runs that are compared with the float model where there is no evaluation data; 4 of noise."""
NOISE_SAMPLES = 4

_HELD_BYTES = 128 << 20
"""Feeds and outputs of the float model that are held at a time."""


def measure_bundle(module: Module, folder: Path, env: Env, evaluation: Data | None) -> Json:
    """Measure `edge.onnx` and `cloud.onnx` in a folder.

    Returns, for measurements.json: `data` (what was run, how many samples), `quality` (`sqnr_db`: the least over float outputs; each
    output's own; `top1` and `agreement` with n and 95 % interval where an output is a classifier's), `times_s` (medians, one thread),
    `file_bytes`, `payload_bytes` a sample, `edge_rss_bytes` (None where the system does not tell), `sizes` (these beside what was
    predicted, see `sizes_of`), `codec` (sizes and times of the payload through the plan's codec, where it has one).
    Raises CompileError AS650, AS651, AS702, AS703.
    """
    quality = measure_quality(module, folder, env, evaluation)
    file_bytes = {p.name: p.stat().st_size for p in sorted(folder.iterdir()) if ".onnx" in p.suffixes}
    rss_bytes = edge_rss_bytes(folder / "edge.onnx", runtime_of(module))
    return {
        **quality,
        "file_bytes": file_bytes,
        "payload_bytes": module.fact(WireLayout).nbytes,
        "edge_rss_bytes": rss_bytes,
        "sizes": sizes_of(module, env.edge, sum(size for name, size in file_bytes.items() if name.startswith("edge.onnx")), rss_bytes),
    }


def measure_quality(module: Module, folder: Path, env: Env, evaluation: Data | None) -> Json:
    """Run the float model and the halves; return `data`, `quality` and `times_s` of `measure_bundle`. Raises CompileError AS702, AS703."""
    data = evaluation if evaluation is not None else env.calib
    named = "evaluation" if evaluation is not None else "calibration" if data is not None else "noise"
    count = evaluation.samples if evaluation is not None else SAMPLES if data is not None else NOISE_SAMPLES
    seed = module.fact(Request).seed
    runnable = Runnable.of(module)

    def compared(fill: int) -> _Comparison:
        feeds = env.progress.track(sample_feeds(module, data, seed, count, fill), "measure", count)
        return _compare(runnable.module, files, feeds)

    with TemporaryDirectory(prefix="autosplitc-") as scratch:
        files = _Files.of(runnable, folder, Path(scratch))
        comparison = for_some_fill(module, data, compared)
    return {
        "data": {"source": named, "samples": comparison.samples},
        "quality": comparison.quality(data.labels() if data is not None else None),
        "times_s": comparison.times(),
        **comparison.codec(module),
    }


@dataclass
class _Powers:
    """Sums of squares of an output of the float model and of its error; `reshaped` counts runs in which the halves gave another shape."""

    signal: float = 0.0
    noise: float = 0.0
    reshaped: int = 0

    def add(self, exact: NDArray[Any], value: NDArray[Any] | None) -> None:
        if value is None or value.shape != exact.shape:
            self.reshaped += 1
            return
        flat = np.asarray(exact, np.float64).reshape(-1)
        error = flat - np.asarray(value, np.float64).reshape(-1)
        self.signal += float(np.dot(flat, flat))
        self.noise += float(np.dot(error, error))

    @property
    def sqnr_db(self) -> float | None:
        """Signal-to-noise ratio in dB; None where it is not finite (no error at all, or no numbers)."""
        if not (math.isfinite(self.signal) and math.isfinite(self.noise)) or self.noise <= 0 or self.signal <= 0:
            return None
        return 10 * math.log10(self.signal / self.noise)

    @property
    def exact(self) -> bool:
        return self.noise == 0.0 and not self.reshaped


@dataclass
class _Comparison:
    """Running sums over samples; logits are those of the first float output where it is a classifier's."""

    link: CodecLink | None = None
    samples: int = 0
    powers: dict[str, _Powers] = field(default_factory=dict[str, _Powers])
    logits: str = ""
    exact: list[NDArray[Any]] = field(default_factory=list[NDArray[Any]])
    mine: list[NDArray[Any]] = field(default_factory=list[NDArray[Any]])
    edge_s: list[float] = field(default_factory=list[float])
    cloud_s: list[float] = field(default_factory=list[float])
    float_s: list[float] = field(default_factory=list[float])

    def add(self, expected: Arrays, made: Arrays) -> None:
        """Take in the outputs of one run."""
        for name, value in expected.items():
            if value.dtype.kind == "f":
                self.powers.setdefault(name, _Powers()).add(value, made.get(name))
        if not self.logits:
            self.logits = next((name for name, value in expected.items() if _is_logits(value)), "")
        if self.logits:
            self.exact.append(_as_logits(expected[self.logits]))
            self.mine.append(_as_logits(made[self.logits]))
        self.samples += 1

    def quality(self, labels: NDArray[Any] | None) -> Json:
        """Return the figures of `quality`."""
        outputs = [
            {"output": name, "sqnr_db": p.sqnr_db, "exact": p.exact, "other_shape_in_runs": p.reshaped} for name, p in self.powers.items()
        ]
        known = [p.sqnr_db for p in self.powers.values() if p.sqnr_db is not None]
        found: Json = {"sqnr_db": min(known, default=None), "outputs": outputs, "top1": None, "agreement": None}
        if not self.logits:
            return found
        exact, mine = np.concatenate(self.exact), np.concatenate(self.mine)
        found["agreement"] = _share(agreement(exact, mine))
        if labels is not None and labels.ndim == 1 and len(labels) >= len(mine):
            wanted = labels[: len(mine)]
            found["top1"] = {**_share(top1(mine, wanted)), "float": _share(top1(exact, wanted))}
        return found

    def codec(self, module: Module) -> Json:
        """Return `codec`, what was measured of the plan's; nothing without one."""
        found = self.link.measured(module) if self.link is not None else None
        return {} if found is None else {"codec": found}

    def times(self) -> Json:
        """Return median run times in seconds."""
        parts = (("edge", self.edge_s), ("cloud", self.cloud_s), ("float_model", self.float_s))
        return {name: statistics.median(seconds) if seconds else None for name, seconds in parts}


def _is_logits(value: NDArray[Any]) -> bool:
    """Whether an output is a vector of at least two figures a sample."""
    if value.dtype.kind != "f" or value.ndim < 2:
        return False
    classes = max(value.shape[1:])
    return classes > 1 and value.size == value.shape[0] * classes


def _as_logits(value: NDArray[Any]) -> NDArray[Any]:
    return value.reshape(value.shape[0], -1)


def _share(share: Share) -> Json:
    low, high = share.interval
    return {"value": share.value, "n": share.n, "interval95": [low, high]}


@dataclass(frozen=True, slots=True)
class _Files:
    """The graphs that are compared: the float model, and the halves."""

    float_model: Path
    edge: Path
    cloud: Path | None

    @staticmethod
    def of(runnable: Runnable, folder: Path, scratch: Path) -> _Files:
        """Write what is not among the emitted files."""
        module = runnable.module
        write_scratch(module.main, scratch / "float.onnx")
        cloud = runnable.file("cloud", folder, scratch) if module.has_graph("cloud") else None
        return _Files(scratch / "float.onnx", runnable.file("edge", folder, scratch), cloud)


def _compare(module: Module, files: _Files, feeds: Iterator[Feed]) -> _Comparison:
    """Run the float model and the halves on every feed; compared is what both give."""
    link = CodecLink.of(module)
    found = _Comparison(link)
    places = {p.output: (p.side, p.name) for p in module.fact(WireLayout).outputs if p.output in module.main.outputs}
    edge: Engine | None = None
    cloud: Engine | None = None
    for feed, expected in _run_float(files.float_model, feeds, found.float_s):
        if edge is None:
            edge = Engine.load(files.edge, "edge.onnx")
            cloud = Engine.load(files.cloud, "cloud.onnx") if files.cloud is not None else None
            _halves(edge, cloud, CodecLink.of(module), feed)
        from_edge, from_cloud, edge_s, cloud_s = _halves(edge, cloud, link, feed)
        found.edge_s.append(edge_s)
        if cloud is not None:
            found.cloud_s.append(cloud_s)
        made = outputs_of_halves(places, from_edge, from_cloud)
        found.add(tensors_of({name: expected[name] for name in made}), tensors_of(made))
    return found


def _run_float(model: Path, feeds: Iterator[Feed], seconds: list[float]) -> Iterator[tuple[Feed, Arrays]]:
    """Yield every feed with the float model's outputs. Where the data is small the model is gone before the first is yielded."""
    engine = Engine.load(model, "the float model")
    held: list[tuple[Feed, Arrays]] = []
    held_bytes = 0
    for feed in feeds:
        started_s = time.perf_counter()
        outputs = engine.run(feed)
        seconds.append(time.perf_counter() - started_s)
        held.append((feed, outputs))
        held_bytes += sum(array.nbytes for array in (*feed.values(), *tensors_of(outputs).values()))
        if held_bytes > _HELD_BYTES:
            yield from held
            held, held_bytes = [], 0
    del engine
    yield from held


def _halves(edge: Engine, cloud: Engine | None, link: CodecLink, feed: Feed) -> tuple[Arrays, Arrays, float, float]:
    """Return what edge and cloud give, and how long each took, the codec between them aside."""
    started_s = time.perf_counter()
    from_edge = edge.run(feed)
    edge_s = time.perf_counter() - started_s
    arrived = link.sent(from_edge, timed=True)
    started_s = time.perf_counter()
    from_cloud = cloud.run({name: arrived[name] for name in cloud.inputs}) if cloud is not None else {}
    return from_edge, from_cloud, edge_s, time.perf_counter() - started_s
