"""Every way of placing a model beside ours, under one cost model. All figures are predicted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from autosplitc.ir import CompileError, Diagnostic, Graph, Module
from autosplitc.passes import (
    Choice,
    Effort,
    Env,
    LinearSpace,
    Placed,
    Plan,
    Problem,
    Request,
    Solutions,
    Space,
    Splits,
    WireSizes,
    algorithm1,
    as_float,
    bounded,
    build,
    cut_of,
    excess,
    min_cut,
    neurosurgeon,
    placed,
    prefix,
    search,
    sent_raw,
    size_text,
    space_of,
    uniform,
)

from .driver import Job, check_needs, passes_of, run_pipeline, start
from .hooks import Hooks, Watch
from .options import Options
from .request import Model, find_devices, with_zoo_samples

PIPELINE = "simplify,analyze,assign-bits,choose-plan"
PLACED_IN_FLOAT = "calibrate,measure-sensitivity,liveness,estimate-cost"
"""What DADS needs of the model as it was imported; its samples are noise, since nothing is quantised."""

OURS = "auto-split"
ROUNDING = 1e-4
"""Share by which errors may differ and count as equal: each tensor's is rounded up to a millionth of the bound."""

ANY_DROP = (1.0,)
"""With accuracy as the constraint no tensor has a limit of its own, so that baselines may take any bits."""


@dataclass(frozen=True, slots=True)
class Row:
    """A strategy's answer. Times in seconds; error in the measure that sensitivity was taken in, None in float.

    kind, after: as in `Plan`; ops: on the edge. why: what limit it breaks, "" where it keeps all. ours_s: latency of the fastest plan of
    ours with no more error and within the limits; None for a float edge or a lossy codec, where there is no such bound. ours_proven: no
    plan of ours is faster. space: the cuts that ours is sought among, `dag` where the row's edge ops are no prefix of the order. codec: as
    in `Plan`; the bytes are those on the wire then, measured on the calibration samples. accuracy: share in `metric` (`top1`, `agreement`),
    measured on n evaluation samples, with its 95 % interval; None where it was not measured.
    """

    strategy: str
    kind: str
    after: str
    ops: int
    edge_s: float
    link_s: float
    cloud_s: float
    payload_bytes: int
    ram_bytes: int
    storage_bytes: int
    error: float | None
    why: str = ""
    ours_s: float | None = None
    ours_proven: bool = False
    space: str = "linear"
    codec: str = ""
    metric: str = ""
    accuracy: float | None = None
    accuracy_low: float | None = None
    accuracy_high: float | None = None
    n: int = 0

    @property
    def latency_s(self) -> float:
        """End-to-end latency."""
        return self.edge_s + self.link_s + self.cloud_s


@dataclass(frozen=True, slots=True)
class Comparison:
    """All strategies, ours last."""

    request: Request
    rows: tuple[Row, ...]

    @property
    def cloud_only_s(self) -> float | None:
        """Latency of sending the raw input, which others are normalised by; None where it cannot be sent."""
        return next((row.latency_s for row in self.rows if row.strategy == "cloud-only"), None)

    @property
    def beaten_by(self) -> tuple[Row, ...]:
        """Baselines that keep the limits and are faster than our proven fastest plan with no more error; there should be none."""
        fitting = (r for r in self.rows if not r.why and r.ours_s is not None and r.ours_proven)
        return tuple(r for r in fitting if r.ours_s is not None and r.latency_s < r.ours_s - 0.5e-9)


def compare_model(model: Model, options: Options, watch: Watch) -> Comparison:
    """Return how every strategy places a model.

    Raises CompileError as `compile_model` does, but for what a bundle needs; AS912 where a baseline is faster than our proven optimum.
    """
    options = with_zoo_samples(options)
    asked = replace(options, passes=PIPELINE, strategy=OURS, evaluation=None, max_drop=None)
    passes = passes_of(asked)
    check_needs(passes)
    hooks = Hooks.of(asked, None, watch)
    job = start(model, asked, find_devices(asked.edge, asked.cloud, asked.net), passes, hooks)
    module = run_pipeline(job.module, passes, job.env, hooks)
    plans = module.fact(Solutions).plans
    chosen = plans[module.fact(Choice).index]
    lenient = module.with_fact(replace(module.fact(Request), max_drop=ANY_DROP))
    free, uncoded = (build(m, job.env) for m in (lenient, _without_codecs(lenient)))
    coded = [plan for plan in plans if plan.kind == "cloud-only" and plan.codec]
    rows = [*_baselines(module, job.env, uncoded, chosen), *_dads(job, hooks)]
    rows += [row_of_plan(plan, f"cloud-only {plan.codec}") for plan in coded]
    exact = [plan for plan in coded if plan.feasible and not plan.is_lossy]
    beside = _Ours(module, free, min((plan.latency_s for plan in exact), default=None), job.env.seed)
    found = Comparison(module.fact(Request), tuple(map(beside.beside, (*rows, row_of_plan(chosen, OURS)))))
    if found.beaten_by:
        notes = tuple(f"{r.strategy}: {r.latency_s * 1e3:.6f} ms, ours {(r.ours_s or 0) * 1e3:.6f} ms" for r in found.beaten_by)
        raise CompileError(Diagnostic("AS912", "a baseline is faster than the plan proven to be the fastest", notes=notes))
    return found


def row_of_plan(plan: Plan, strategy: str) -> Row:
    """Return a plan of ours as a row; what a lossy codec does to the answer is not in our measure of errors."""
    return Row(
        strategy,
        plan.kind,
        plan.after,
        plan.position,
        plan.edge_s,
        plan.link_s,
        plan.cloud_s,
        plan.wire_bytes,
        plan.ram_bytes,
        plan.storage_bytes,
        None if plan.is_lossy else plan.error,
        "; ".join(plan.violations),
        space="dag" if plan.edge_ops else "linear",
        codec=plan.codec,
    )


def _without_codecs(module: Module) -> Module:
    """Return a module in which nothing that crosses was sized behind a codec: no baseline has one."""
    sizes = module.get(WireSizes)
    return module if sizes is None else module.with_fact(replace(sizes, sizes=()))


def _baselines(module: Module, env: Env, free: Problem, chosen: Plan) -> Iterator[Row]:
    """Yield the strategies that place the simplified graph."""
    graph, whole = module.main, prefix(free, len(free.ops))
    in_float = as_float(free, env.edge.float_bits)
    raw = uniform(free, prefix(free, 0), 8)
    if raw is not None:
        yield _row("cloud-only", graph, free, raw)
    everywhere = prefix(in_float, len(in_float.ops))
    if not everywhere.refusal:
        yield _row("edge-only float", graph, in_float, placed(in_float, everywhere, sent_raw(in_float, everywhere)), measured=False)
    chain, qdmp = neurosurgeon(in_float), min_cut(in_float)
    if chain is not None:
        yield _row("neurosurgeon", graph, in_float, chain, measured=False)
    if qdmp is not None:
        yield _row("qdmp", graph, in_float, _with_memory_of_all(in_float, qdmp), measured=False)
        yield _row("qdmp-e", graph, in_float, qdmp, measured=False)
        small = uniform(free, cut_of(free, qdmp.cut.ops), 4)
        if small is not None and qdmp.cut.ops:
            yield _row("qdmp-e+u4", graph, free, small)
    widths = sorted(set(env.edge.weight_bits) & set(env.edge.act_bits) & {2, 4, 6, 8})
    for bits in widths:
        everything = uniform(free, whole, bits)
        if everything is not None:
            yield _row(f"u{bits}", graph, free, everything)
    potential = [s.position for s in module.fact(Splits).splits if s.potential and not s.reason and s.position]
    bound = max(round(chosen.error / free.error_unit), 0)
    published = algorithm1(replace(free, limits=replace(free.limits, error=bound)), potential, widths)
    if published is not None:
        yield _row("auto-split-paper", graph, free, published)


def _dads(job: Job, hooks: Hooks) -> Iterator[Row]:
    """Yield the minimum cut of the graph as it was imported."""
    request = replace(job.module.fact(Request), max_drop=ANY_DROP, sensitivity="sqnr", keep_float="")
    passes = passes_of(Options(request.edge, request.net, request.cloud, passes=PLACED_IN_FLOAT))
    env = replace(job.env, calib=None, warn=_not_told)
    module = run_pipeline(job.module.with_fact(request), passes, env, hooks)
    problem = as_float(build(module, env), env.edge.float_bits)
    found = min_cut(problem)
    if found is not None:
        yield _row("dads", module.main, problem, found, measured=False)


def _not_told(warning: Diagnostic) -> None:
    """Drop a warning: those of the graph that DADS places speak of samples that it does not need."""
    del warning


def _with_memory_of_all(problem: Problem, found: Placed) -> Placed:
    """Return a placement whose memory and file are those of the whole model, which QDMP keeps on the edge."""
    whole = prefix(problem, len(problem.ops))
    if whole.refusal:
        return found
    every = placed(problem, whole, sent_raw(problem, whole)).figures
    return replace(found, figures=replace(found.figures, ram_bits=every.ram_bits, storage_bits=every.storage_bits))


def _row(name: str, graph: Graph, problem: Problem, found: Placed, *, measured: bool = True) -> Row:
    """Return a placement as a row; `measured`: its error is in our measure."""
    figures, count = found.figures, len(found.cut.ops)
    over = excess(replace(problem.limits, latency_ns=None), figures)
    names = {"ram": "RAM", "storage": "storage", "error": "error"}
    amounts = {key: f"{amount * problem.error_unit:.3g}" if key == "error" else size_text(amount / 8) for key, amount in over.items()}
    return Row(
        name,
        "cloud-only" if not count else "edge-only" if count == len(problem.ops) else "split",
        graph.ops[found.cut.ops[-1]].name if count else "",
        count,
        figures.edge_ns * 1e-9,
        figures.link_ns * 1e-9,
        figures.cloud_ns * 1e-9,
        figures.payload_bytes,
        -(-figures.ram_bits // 8),
        -(-figures.storage_bits // 8),
        figures.error * problem.error_unit if measured else None,
        "; ".join(f"{names[key]} over by {text}" for key, text in amounts.items()),
        space="linear" if found.cut.ops == tuple(range(count)) else "dag",
    )


@dataclass(frozen=True, slots=True)
class _Ours:
    """What stands beside the baselines: our search without limits on single tensors, and Cloud-Only through a lossless codec."""

    module: Module
    free: Problem
    coded_s: float | None
    seed: int

    def beside(self, row: Row) -> Row:
        """Return a row with the latency of our fastest plan that has no more error, sought among prefixes, or where the row's cut lies."""
        if row.error is None:
            return row
        error = round(row.error / self.free.error_unit * (1 + ROUNDING)) + 1
        problem = bounded(replace(self.free, limits=replace(self.free.limits, latency_ns=None)), error)
        found = search(problem, self._space(row, problem), Effort(10.0, self.seed))
        best_ns = found.solutions[0].figures.latency_ns if found.solutions else None
        proven = found.open_ns is None or (best_ns is not None and found.open_ns >= best_ns)
        known = [s for s in (self.coded_s, None if best_ns is None else best_ns * 1e-9) if s is not None]
        return replace(row, ours_s=min(known, default=None), ours_proven=proven)

    def _space(self, row: Row, problem: Problem) -> Space:
        if row.space == "linear":
            return LinearSpace(range(len(problem.ops) + 1))
        return space_of(self.module.with_fact(replace(self.module.fact(Request), space="dag", cut=())), problem)
