"""Verification: the emitted halves against the uncut quantised model, bit for bit, in stock ONNX Runtime.

`check_bundle` is what ends every compile. At ORT_ENABLE_EXTENDED the halves and `whole` must agree in every bit of every output, alone and
in a batch where the batch is free; at ORT_ENABLE_ALL, where the engine changes layouts of float parts, the difference is reported and not
judged. Deviation from the float model is no matter of this file: see `measure.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import CompileError, Diagnostic, Module
from autosplitc.passes import Env, Feed, Request, WireLayout

from .codegen import write_scratch
from .engine import Arrays, Engine, Level, for_some_fill, in_one_batch, outputs_of_halves, sample_feeds, tensors_of
from .runnable import Runnable

SAMPLES = 3
"""Runs that the halves are checked on, each alone and all as one batch."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How far an output of the halves is from that of the whole in one run.

    differing: elements that are not bit-equal, of `elements`. max_abs: largest difference, in the output's own unit; max_rel: the same as a
    part of the largest magnitude in the whole's output. Both are None where they are no finite numbers.
    """

    output: str
    run: int
    differing: int
    elements: int
    max_abs: float | None
    max_rel: float | None


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What the comparison found.

    runs: how many were compared; the last one was a batch of `batch` samples where the batch is free (1 where it is not).
    first: the first output that differs at the extended level (None: bit-equal). deterministic: the whole gave the same bits when it ran
    again (looked at only where something differs). max_rel_all: largest relative difference at the level `all`.
    payload_bytes: bytes a sample that the edge made.
    """

    runs: int
    batch: int
    first: Difference | None
    deterministic: bool
    max_rel_all: float
    payload_bytes: int

    @property
    def equal(self) -> bool:
        """Whether halves and whole agree bit for bit at the extended level."""
        return self.first is None

    def as_json(self) -> dict[str, Any]:
        """Return the report as measurements.json holds it."""
        return {
            "halves_equal_whole": self.equal,
            "level": "extended",
            "runs": self.runs,
            "batch": self.batch,
            "deterministic": self.deterministic,
            "first_difference": None if self.first is None else asdict(self.first),
            "max_relative_difference_at_level_all": self.max_rel_all,
            "payload_bytes": self.payload_bytes,
        }


def check_bundle(module: Module, folder: Path, env: Env) -> dict[str, Any]:
    """Check `edge.onnx` and `cloud.onnx` in a folder against the module's `whole`; return the report for measurements.json.

    Samples are the first of the calibration data, or seeded noise. Raises CompileError: AS701 halves and whole differ, AS702 a graph does
    not load, AS703 a graph does not run, AS704 the payload has another size than the manifest says. Warns: AS705 outputs are random,
    AS706 custom ops, before which the comparison ends.
    """
    seed = module.fact(Request).seed
    runnable = Runnable.of(module)
    if runnable.foreign:
        names = ", ".join(dict.fromkeys(op.kind.removeprefix("onnx.") for op in runnable.foreign))
        message = f"the halves are compared only up to the ops that ONNX Runtime does not have: {names}"
        env.warn(Diagnostic("AS706", message, severity="warning"))

    def compared(fill: int) -> CheckReport:
        return _report(runnable, folder, list(sample_feeds(module, env.calib, seed, SAMPLES, fill)))

    report = for_some_fill(module, env.calib, compared)
    if not report.equal and report.deterministic:
        raise CompileError(_differ(report))
    if not report.equal:
        env.warn(Diagnostic("AS705", "the model gives other outputs every time, so that its halves cannot be checked", severity="warning"))
    return report.as_json()


def _report(runnable: Runnable, folder: Path, feeds: list[Feed]) -> CheckReport:
    """Return the comparison on every feed alone and, where the batch is free, on all as one batch."""
    module = runnable.module
    batch = in_one_batch(module.graph("whole"), feeds)
    runs = feeds if batch is None else [*feeds, batch]
    with TemporaryDirectory(prefix="autosplitc-") as scratch:
        edge = whole = runnable.file("edge", folder, Path(scratch))
        cloud = runnable.file("cloud", folder, Path(scratch)) if module.has_graph("cloud") else None
        if not _is_uncut(module):
            whole = Path(scratch) / "whole.onnx"
            write_scratch(module.graph("whole"), whole)
        report = check_halves(edge, cloud, whole, module.fact(WireLayout), runs)
    return replace(report, batch=1 if batch is None else len(feeds))


def _is_uncut(module: Module) -> bool:
    """Whether the edge graph is the whole: Edge-Only."""
    edge, whole = module.graph("edge"), module.graph("whole")
    return not module.has_graph("cloud") and (edge.ops, edge.outputs) == (whole.ops, whole.outputs)


def check_halves(
    edge: Path | bytes, cloud: Path | bytes | None, whole: Path | bytes, layout: WireLayout, runs: Sequence[Feed]
) -> CheckReport:
    """Run the halves and the whole on `runs` and compare; `cloud` is None for Edge-Only. Raises CompileError AS702, AS703, AS704.

    Where `whole` is the very object `edge`, it is loaded and run once a level.
    """
    try:
        return _compared(_Trio(edge, cloud, whole, layout, runs, precise=True))
    except CompileError as error:
        if error.diagnostics[0].code not in ("AS702", "AS703"):
            raise
    return _compared(_Trio(edge, cloud, whole, layout, runs, precise=False))


@dataclass(frozen=True)
class _Trio:
    """Three graphs, what they are run on, and how: all in the same way, so that their bits can be compared."""

    edge: Path | bytes
    cloud: Path | bytes | None
    whole: Path | bytes
    layout: WireLayout
    runs: Sequence[Feed]
    precise: bool

    def run_whole(self, level: Level) -> Iterator[list[Arrays]]:
        """Yield the outputs of every run, as often as they are asked for."""
        engine = Engine.load(self.whole, "the whole model", level, precise=self.precise)
        while True:
            yield [engine.run(feed) for feed in self.runs]

    def run_halves(self, level: Level) -> list[Arrays]:
        """Return the model outputs of every run. One graph is loaded at a time."""
        engine = Engine.load(self.edge, "edge.onnx", level, precise=self.precise)
        from_edge = [engine.run(feed) for feed in self.runs]
        del engine
        for made in from_edge:
            _check_payload(self.layout, made)
        from_cloud: list[Arrays] = [{} for _ in self.runs]
        if self.cloud is not None:
            engine = Engine.load(self.cloud, "cloud.onnx", level, precise=self.precise)
            from_cloud = [engine.run({name: made[name] for name in engine.inputs}) for made in from_edge]
        places = {p.output: (p.side, p.name) for p in self.layout.outputs}
        return [outputs_of_halves(places, *pair) for pair in zip(from_edge, from_cloud, strict=True)]


def _compared(trio: _Trio) -> CheckReport:
    made = trio.run_halves("extended")
    if trio.whole is trio.edge:
        trio.run_halves("all")
        return CheckReport(len(trio.runs), 1, None, True, 0.0, trio.layout.nbytes)
    whole = trio.run_whole("extended")
    expected = next(whole)
    first = next(iter(_differences(made, expected)), None)
    deterministic = first is None or not _differences(next(whole), expected)
    del whole
    at_all = _differences(trio.run_halves("all"), next(trio.run_whole("all")))
    max_rel_all = max((d.max_rel or 0.0 for d in at_all), default=0.0)
    return CheckReport(len(trio.runs), 1, first, deterministic, max_rel_all, trio.layout.nbytes)


def _check_payload(layout: WireLayout, made: Arrays) -> None:
    if not layout.payload:
        return
    payload = made[layout.payload]
    if payload.dtype != np.uint8 or payload.ndim != 2 or payload.shape[1] != layout.nbytes:
        message = f"the payload is {payload.dtype}{list(payload.shape)}, where {layout.nbytes} bytes a sample were planned"
        raise CompileError(Diagnostic("AS704", message, "edge.onnx"))


def _differences(made: Sequence[Arrays], expected: Sequence[Arrays]) -> list[Difference]:
    """Return what differs, run by run."""
    found: list[Difference] = []
    for run, (mine, wanted) in enumerate(zip(made, expected, strict=True)):
        got = tensors_of(mine)
        for output, value in tensors_of(wanted).items():
            difference = _difference(output, run, got.get(output, _NOTHING), value)
            if difference is not None:
                found.append(difference)
    return found


_NOTHING: NDArray[Any] = np.zeros(0, np.void)
"""What stands for a tensor that is not there."""


def _difference(output: str, run: int, mine: NDArray[Any], wanted: NDArray[Any]) -> Difference | None:
    if mine.shape != wanted.shape or mine.dtype != wanted.dtype:
        return Difference(output, run, wanted.size, wanted.size, None, None)
    same = _same_bits(mine, wanted)
    if same.all():
        return None
    differing = int(same.size - np.count_nonzero(same))
    if wanted.dtype.kind not in "fiub":
        return Difference(output, run, differing, wanted.size, None, None)
    exact = np.asarray(wanted, np.float64)
    with np.errstate(invalid="ignore"):
        apart = float(np.max(np.abs(np.asarray(mine, np.float64) - exact)))
    largest = float(np.max(np.abs(exact)))
    if not (math.isfinite(apart) and math.isfinite(largest)):
        return Difference(output, run, differing, wanted.size, None, None)
    return Difference(output, run, differing, wanted.size, apart, apart / largest if largest > 0 else None)


def _same_bits(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.bool_]:
    """Return where two arrays of one type agree; equal NaN bits agree, 0.0 and -0.0 do not."""
    if a.dtype.kind != "f":
        return np.asarray(a == b).reshape(-1)
    bits = f"u{a.dtype.itemsize}"
    return np.ascontiguousarray(a).reshape(-1).view(bits) == np.ascontiguousarray(b).reshape(-1).view(bits)


def _differ(report: CheckReport) -> Diagnostic:
    first = report.first
    if first is None:
        raise ValueError("nothing differs")
    size = "" if first.max_abs is None else f", by up to {first.max_abs:.3g}"
    notes = (
        f'output "{first.output}", run {first.run} of {report.runs}: {first.differing} of {first.elements} elements differ{size}',
        "this is a fault of the compiler or of this build of ONNX Runtime, not of the model",
    )
    return Diagnostic("AS701", "the halves and the whole model give different outputs", notes=notes, hint="--dump-ir DIR")
