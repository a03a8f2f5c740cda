"""The samples of `--eval` as the judge of plans: the float model runs on them once, the halves of every plan that is tried as deployed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import numpy as np

from autosplitc.ir import Graph, Module
from autosplitc.passes import Data, Env, Feed, WireLayout, feeds_of, rows_a_run

from .bundle import write_graphs
from .codec_link import CodecLink
from .codegen import write_scratch
from .drop import Drop
from .engine import Arrays, Engine, in_one_batch, outputs_of_halves, tensors_of
from .manifest import sha256_of_file
from .metric_functions import Reference, default_metric, new_tally
from .runnable import Runnable
from .spool import Spool

CHUNK_RUNS = 32
CHUNK_BYTES = 32 << 20
"""Where the batch is free so many runs go into the engine at once, and inputs of so many bytes unless one run takes more."""


@dataclass
class Evaluation:
    """Measures drops. `metric` is "" for what data and model allow; it has its name after the first measurement.

    `folder` holds temporary files; who gave it removes it. Drops are kept by the digests of the halves, with the limits
    above which measuring may have ended.
    """

    data: Data
    metric: str
    folder: Path
    reference: Reference | None = None
    known: dict[str, tuple[Drop, float]] = field(default_factory=dict[str, tuple[Drop, float]])
    runs: int = 0

    def of_plan(self, module: Module, env: Env, limit: float) -> Drop:
        """Write the halves of a lowered module as a bundle holds them, run them, and return the drop.

        The evaluation ends early where no drop within `limit` is possible any more. Raises CompileError as `of_folder` does.
        """
        self.runs += 1
        scratch = self.folder / f"plan-{self.runs}"
        scratch.mkdir(parents=True)
        try:
            write_graphs(module, env, scratch)
            return self.of_folder(module, scratch, env, limit)
        finally:
            _remove(scratch)

    def of_folder(self, module: Module, folder: Path, env: Env, limit: float = np.inf) -> Drop:
        """Return the drop of `edge.onnx` and `cloud.onnx` in a folder; what was measured in full on the same files is not run again.

        Raises CompileError AS702, AS703 where a graph does not load or run, AS161 to AS164 for the metric.
        """
        key = _digest(folder) + CodecLink.of(module).loses
        found, ended_at = self.known.get(key, (None, 0.0))
        if found is None or not (found.complete or limit <= ended_at):
            found = self._measured(module, folder, env, limit)
            self.known[key] = found, limit
        return found

    def prepare(self, graph: Graph, env: Env) -> Reference:
        """Return what the float model gives on all samples; it runs when this is first asked for, and the metric gets its name."""
        if self.reference is None:
            path = self.folder / "float.onnx"
            write_scratch(graph, path)
            engine = Engine.load(path, "the float model")
            outputs = Spool(self.folder / "float")
            chunks = _chunks(graph, self.data)
            for feeds, rows in env.progress.track(chunks, "float model", None):
                outputs.append(_run(engine, graph, feeds), rows)
            self.reference = Reference(outputs, self.data.labels(), sum(rows for _, rows in outputs.kept))
            self.metric = self.metric or default_metric(self.reference)
            new_tally(self.metric, self.reference, self.folder / "probe")
        return self.reference

    def _measured(self, module: Module, folder: Path, env: Env, limit: float) -> Drop:
        runnable = Runnable.of(module)
        reference = self.prepare(runnable.module.main, env)
        scratch = self.folder / f"run-{len(self.known)}"
        scratch.mkdir(parents=True, exist_ok=True)
        try:
            halves = Halves.load(runnable, folder, scratch)
            tally = new_tally(self.metric, reference, scratch)
            chunks = zip(_chunks(runnable.module.main, self.data), reference.outputs.chunks(), strict=True)
            for (feeds, _), (expected, rows) in env.progress.track(chunks, f"{self.metric} on --eval", len(reference.outputs.kept)):
                tally.add(expected, halves.run(feeds), rows)
                if tally.least() > limit:
                    break
            return tally.drop()
        finally:
            _remove(scratch)


@dataclass(frozen=True)
class Halves:
    """The emitted graphs of a lowered module, loaded."""

    edge: Engine
    cloud: Engine | None
    graph: Graph
    places: Mapping[str, tuple[str, str]]
    link: CodecLink

    @staticmethod
    def load(runnable: Runnable, folder: Path, scratch: Path) -> Halves:
        """Load the files in `folder`; `scratch` is for halves that are cut off at custom ops. Raises CompileError AS702."""
        module = runnable.module
        cloud = Engine.load(runnable.file("cloud", folder, scratch), "cloud.onnx") if module.has_graph("cloud") else None
        places = {p.output: (p.side, p.name) for p in module.fact(WireLayout).outputs if p.output in module.main.outputs}
        edge = Engine.load(runnable.file("edge", folder, scratch), "edge.onnx")
        return Halves(edge, cloud, module.graph("edge"), places, CodecLink.of(module))

    def run(self, feeds: Sequence[Feed]) -> Arrays:
        """Return the model's outputs for several runs, as one batch where the edge graph takes one. Raises CompileError AS703."""
        batch = in_one_batch(self.graph, feeds)
        return _joined([tensors_of(self._run(feed)) for feed in ((batch,) if batch is not None else feeds)])

    def _run(self, feed: Feed) -> Arrays:
        from_edge = self.link.sent(self.edge.run(feed))
        from_cloud = self.cloud.run({name: from_edge[name] for name in self.cloud.inputs}) if self.cloud is not None else {}
        return outputs_of_halves(self.places, from_edge, from_cloud)


def _run(engine: Engine, graph: Graph, feeds: Sequence[Feed]) -> Arrays:
    batch = in_one_batch(graph, feeds)
    if batch is not None:
        return tensors_of(engine.run(batch))
    return _joined([tensors_of(engine.run(feed)) for feed in feeds])


def _joined(runs: Sequence[Arrays]) -> Arrays:
    """Return the outputs of several runs one after the other along the first axis."""
    if len(runs) == 1:
        return runs[0]
    return {name: np.concatenate([np.atleast_1d(run[name]) for run in runs]) for name in runs[0]}


def _chunks(graph: Graph, data: Data) -> Iterator[tuple[list[Feed], int]]:
    """Yield all runs of the data with how many samples they are, several at once where every input and output has a free first size."""
    most = CHUNK_RUNS if _is_batched(graph) else 1
    chunk: list[Feed] = []
    samples = size = 0
    for batch in data.batches():
        rows = max(rows_a_run(graph.input[name].type, array.ndim) for name, array in batch.items())
        for feed in feeds_of(graph, [batch]):
            nbytes = sum(array.nbytes for array in feed.values())
            if chunk and (len(chunk) == most or size + nbytes > CHUNK_BYTES):
                yield chunk, samples
                chunk, samples, size = [], 0, 0
            chunk.append(feed)
            samples += rows
            size += nbytes
    if chunk:
        yield chunk, samples


def _is_batched(graph: Graph) -> bool:
    shapes = [value.type.shape for value in graph.inputs] + [graph.type_of(name).shape for name in graph.outputs]
    firsts = {shape[0] if shape else None for shape in shapes}
    return len(firsts) == 1 and isinstance(next(iter(firsts)), str)


def _digest(folder: Path) -> str:
    """Return the digest of the halves in a folder, with what lies beside them."""
    files = sorted(p for p in folder.iterdir() if p.name.startswith(("edge.onnx", "cloud.onnx")))
    return sha256(json.dumps([(p.name, sha256_of_file(p)) for p in files]).encode()).hexdigest()


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
