"""Stock ONNX Runtime on emitted graphs: sessions that give the same bits every time, and what they are fed with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import CompileError, Diagnostic, Graph, Module
from autosplitc.passes import NOISE_FILLS, Data, Feed, Ranges, engine_message, feeds_of, noise_feeds

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, SessionOptions

T = TypeVar("T")

Level: TypeAlias = Literal["disabled", "basic", "extended", "all"]
"""How much ONNX Runtime rewrites a graph before it runs."""

Arrays: TypeAlias = dict[str, NDArray[Any]]
"""Values by name."""


@dataclass(frozen=True, eq=False)
class Engine:
    """A loaded graph; `file` names it in diagnostics."""

    session: InferenceSession
    file: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @staticmethod
    def load(model: Path | bytes, file: str, level: Level = "extended", *, precise: bool | None = None) -> Engine:
        """Load a graph for one thread. Raises CompileError AS702 where ONNX Runtime does not take it.

        precise: 8-bit weights do not saturate, see `session_options`; None: they do not where the engine can load the graph so.
        """
        if precise is None:
            try:
                return Engine.load(model, file, level, precise=True)
            except CompileError:
                return Engine.load(model, file, level, precise=False)
        from onnxruntime import InferenceSession

        try:
            session = InferenceSession(model, session_options(level, precise=precise), ["CPUExecutionProvider"])
        except Exception as error:
            raise CompileError(_refused("AS702", f"ONNX Runtime does not load {file}", level, error)) from None
        return Engine(session, file, tuple(i.name for i in session.get_inputs()), tuple(o.name for o in session.get_outputs()))

    def run(self, feed: Feed) -> Arrays:
        """Return all outputs of one run. Raises CompileError AS703 where it fails."""
        try:
            values = self.session.run(self.outputs, {name: feed[name] for name in self.inputs})
        except Exception as error:
            raise CompileError(_refused("AS703", f"ONNX Runtime does not run {self.file}", "", error)) from None
        return dict(zip(self.outputs, values, strict=True))


def session_options(level: Level, *, precise: bool = True) -> SessionOptions:
    """Return options for one thread at an optimisation level.

    precise: ONNX Runtime turns INT8 weights into UINT8, which do not saturate on processors with AVX2 but no VNNI. Version 1.32 then
    refuses graphs in which two quantisers share weights, or one that has a scale a channel lacks a zero point.
    """
    from onnxruntime import GraphOptimizationLevel, SessionOptions

    levels = {
        "disabled": GraphOptimizationLevel.ORT_DISABLE_ALL,
        "basic": GraphOptimizationLevel.ORT_ENABLE_BASIC,
        "extended": GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
        "all": GraphOptimizationLevel.ORT_ENABLE_ALL,
    }
    options = SessionOptions()
    options.graph_optimization_level = levels[level]
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.enable_cpu_mem_arena = False
    options.add_session_config_entry("session.x64quantprecision", "1" if precise else "0")
    return options


def _refused(code: str, message: str, level: str, error: Exception) -> Diagnostic:
    at_level = (f"at optimisation level {level}",) if level else ()
    return Diagnostic(code, message, notes=(engine_message(error), *at_level))


def sample_feeds(module: Module, data: Data | None, seed: int, count: int, fill: int = NOISE_FILLS[0]) -> Iterator[Feed]:
    """Yield at most `count` runs of samples; without data seeded noise within the ranges that the inputs were seen to have.

    Integer inputs of noise hold `fill`.
    """
    if data is not None:
        yield from islice(feeds_of(module.main, data.batches()), count)
        return
    found = module.get(Ranges)
    ranges = {r.value: (r.low, r.high) for r in found.values} if found is not None and found.calibrated else {}
    for feed in noise_feeds(module.main, seed, count, fill):
        yield {name: _within(array, *ranges[name]) if name in ranges else array for name, array in feed.items()}


def for_some_fill(module: Module, data: Data | None, action: Callable[[int], T]) -> T:
    """Return what `action` gives for the first of the fills of noise that the model runs on, as `calibrate` takes them.

    Raises what `action` raises: AS703 only where no fill is left.
    """
    if data is None and any(not value.type.dtype.is_float for value in module.main.inputs):
        for fill in NOISE_FILLS[:-1]:
            try:
                return action(fill)
            except CompileError as error:
                if error.diagnostics[0].code != "AS703":
                    raise
        return action(NOISE_FILLS[-1])
    return action(NOISE_FILLS[0])


def _within(noise: NDArray[Any], low: float, high: float) -> NDArray[Any]:
    """Return normal noise moved to the middle of a range, four standard deviations wide, and cut off at its ends."""
    return np.clip((low + high) / 2 + noise * ((high - low) / 4), low, high).astype(noise.dtype)


def in_one_batch(graph: Graph, feeds: Sequence[Feed]) -> Feed | None:
    """Return several runs as one batch; None where the graph's batch is fixed or an input is not made of samples."""
    if len(feeds) < 2 or not all(_is_batched(graph, name) for name in graph.input):
        return None
    return {name: np.concatenate([feed[name] for feed in feeds]) for name in graph.input}


def _is_batched(graph: Graph, name: str) -> bool:
    shape = graph.input[name].type.shape
    return bool(shape) and isinstance(shape[0], str)



def tensors_of(values: Mapping[str, Any]) -> Arrays:
    """Return the tensors among outputs and inside them: `out[0]` in a sequence, `out[key]` in a map; an absent optional has none."""
    found: Arrays = {}
    for name, value in values.items():
        if isinstance(value, np.ndarray):
            found[name] = value
        elif isinstance(value, list | tuple):
            found.update(tensors_of({f"{name}[{i}]": item for i, item in enumerate(_listed(value))}))
        elif isinstance(value, dict):
            found.update(tensors_of({f"{name}[{key}]": item for key, item in _paired(value)}))
        elif value is not None:
            found[name] = np.asarray(value)
    return found


def _listed(value: Any) -> list[Any]:
    return list(value)


def _paired(value: Any) -> list[tuple[Any, Any]]:
    return sorted(value.items())


def outputs_of_halves(places: Mapping[str, tuple[str, str]], edge: Arrays, cloud: Arrays) -> Arrays:
    """Return the model's outputs from those of the halves; `places` maps an output to (side, name there)."""
    return {output: (edge if side == "edge" else cloud)[name] for output, (side, name) in places.items()}
