"""Our quantisation of whole networks: every Conv and Gemm on the edge at given widths, as a compile to an Edge-Only plan makes them."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from autosplitc.codegen import write_side
from autosplitc.driver import passes_of, run_pipeline, start
from autosplitc.hooks import Hooks, Watch
from autosplitc.ir import Module
from autosplitc.options import Options
from autosplitc.passes import Choice, Env, Plan, Request, Solutions
from autosplitc.passes.planner import plan_at_mean_bits
from autosplitc.request import find_devices
from autosplitc.zoo import ZooData

from .accuracy_subject import Subject

EDGE = Path(__file__).with_name("accuracy-edge.toml")
MIXED_BITS = (2, 4, 6, 8)
ANY_DROP = (1.0,)
"""With accuracy as the constraint no tensor has a limit of its own."""

_UNIFORM = "simplify,calibrate,measure-sensitivity,liveness,estimate-cost,enumerate-splits"
_MIXED = "simplify,calibrate,round-weights,measure-sensitivity,liveness,estimate-cost,enumerate-splits"


class Compiler:
    """Analyses a model once, when it is first needed, for all widths."""

    def __init__(self, subject: Subject, effort: str, cache: Path | None) -> None:
        """effort: as `--effort`. cache: folder for results of long computations, None: nothing is kept."""
        self._subject = subject
        self._effort = effort
        self._cache = cache
        self._analysed: dict[str, tuple[Module, Env, float]] = {}

    def uniform(self, weight_bits: int, act_bits: int, path: Path) -> float:
        """Write the model with all weights and activations at given widths; return the seconds, analysis included."""
        module, env, analysis_s = self._analyse(_UNIFORM)
        return analysis_s + self._lower(module, env, (weight_bits,), act_bits, 8.0, path)

    def mixed(self, mean_bits: float, path: Path) -> float:
        """Write the model with the widths of weights that cost least accuracy at so many bits in the mean; return the seconds."""
        module, env, analysis_s = self._analyse(_MIXED)
        return analysis_s + self._lower(module, env, MIXED_BITS, 8, mean_bits, path)

    def _analyse(self, passes: str) -> tuple[Module, Env, float]:
        if passes not in self._analysed:
            started_s = time.perf_counter()
            sensitivity = "sqnr" if passes == _UNIFORM else "output"
            module, env = run_passes(self._subject.samples, self._subject.name, passes, self._effort, sensitivity, self._cache)
            self._analysed[passes] = module, env, time.perf_counter() - started_s
        return self._analysed[passes]

    def _lower(self, module: Module, env: Env, weight_bits: tuple[int, ...], act_bits: int, mean_bits: float, path: Path) -> float:
        started_s = time.perf_counter()
        request = replace(module.fact(Request), weight_bits=weight_bits, act_bits=(act_bits,), max_drop=ANY_DROP)
        asked = module.with_fact(request)
        found = plan_at_mean_bits(asked, env, mean_bits)
        if found is None:
            raise RuntimeError(f"{self._subject.name} does not run on the edge as a whole")
        lowered = run_pipeline(
            planned(asked, found[0]), passes_of(_options(self._subject.samples, "lower", self._effort)), env, Hooks(Watch())
        )
        write_side(lowered.graph("edge"), path)
        return time.perf_counter() - started_s


def planned(module: Module, plan: Plan) -> Module:
    """Return a module with one plan, which is chosen."""
    return module.with_fact(Solutions(module.main.name, (plan,)), Choice(module.main.name, 0, "the whole network on the edge"))


def run_passes(samples: ZooData, name: str, passes: str, effort: str, sensitivity: str, cache: Path | None = None) -> tuple[Module, Env]:
    """Return a model after some passes with `MIXED_BITS` as its weights' widths, and what the passes work with."""
    options = replace(_options(samples, passes, effort), sensitivity=sensitivity, cache=cache, no_cache=cache is None)
    pipeline, hooks = passes_of(options), Hooks(Watch())
    job = start(f"zoo:{name}", options, find_devices(options.edge, options.cloud, options.net), pipeline, hooks)
    return run_pipeline(job.module, pipeline, job.env, hooks), job.env


def _options(samples: ZooData, passes: str, effort: str) -> Options:
    return Options(
        str(EDGE),
        "1Gbps",
        str(EDGE),
        calib=str(samples.calib),
        weight_bits=MIXED_BITS,
        act_bits=(8,),
        preprocess=samples.preprocess,
        max_drop=ANY_DROP,
        effort=effort,
        passes=passes,
    )
