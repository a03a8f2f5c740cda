"""A sweep over the rate of the link: where the best plan changes.

With x = 1/rate every plan's latency is a straight line in x, since nothing but the sending depends on the rate. The least of lines is
concave and piecewise linear; so where two plans are the best at the two ends of a range, and no plan is better where their lines cross,
one of them is the best everywhere between.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from math import floor

from autosplitc.ir import Diagnostic, Module
from autosplitc.passes import Choice, Plan, Request, Solutions, crossing_of, edge_names
from autosplitc.targets import Network, RateRange

from .driver import check_needs, passes_of, run_pipeline, start
from .hooks import Hooks, Watch
from .line import Line
from .options import Options
from .request import Model, find_devices, with_zoo_samples

_PLANNING = ("assign-bits", "choose-plan")
_PIPELINE = "simplify,analyze,assign-bits{keep=1},choose-plan"
"""Only the best plan of every rate is of interest, which spares the planner the next best cuts."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The best plan at a rate, and those of both ends (`edge` is None where the edge cannot run every op)."""

    plan: Plan
    line: Line
    cloud: tuple[Plan, Line] | None = None
    edge: tuple[Plan, Line] | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """A range of rates, in bits per second, with the plan that is the best all over it."""

    low_bps: Fraction
    high_bps: Fraction
    answer: Answer

    def ends_s(self, line: Line) -> tuple[float, float]:
        """Return a line's seconds at the two ends."""
        return float(line.at_ns(self.low_bps)) * 1e-9, float(line.at_ns(self.high_bps)) * 1e-9


@dataclass(frozen=True, slots=True)
class Sweep:
    """What a sweep found. solves: how often the planner ran. proven: each time with a proof, so the ends of the pieces are exact.

    doubt_ns: no plan is faster than the one named by more, at any whole rate in bits per second. limit_s: what `--max-latency` asks for.
    """

    request: Request
    links: RateRange
    pieces: tuple[Piece, ...]
    solves: int
    proven: bool
    doubt_ns: int
    limit_s: float | None = None

    @property
    def feasible(self) -> bool:
        """Whether the plans keep all limits, that on the latency aside."""
        return all(piece.answer.plan.feasible for piece in self.pieces)

    @property
    def kept_from_bps(self) -> Fraction | None:
        """Least rate of the range from which on the limit on the latency is kept; None where it is not, or where there is no limit."""
        if self.limit_s is None:
            return None
        limit_ns = Fraction(round(self.limit_s * 1e9))
        for piece in self.pieces:
            line = piece.answer.line
            if line.at_ns(piece.low_bps) <= limit_ns:
                return piece.low_bps
            if line.at_ns(piece.high_bps) <= limit_ns:
                return Fraction(line.bits * 10**9) / (limit_ns - line.fixed_ns)
        return None


def sweep_model(model: Model, options: Options, links: RateRange, watch: Watch) -> Sweep:
    """Return where the best plan of a model changes. `options.net` is not looked at; the limit on the latency is judged afterwards.

    Raises CompileError as `compile_model` does, but for what a bundle needs.
    """
    options = with_zoo_samples(options)
    asked = replace(options, net=links.low.text, max_latency_s=None, passes=_PIPELINE)
    passes = passes_of(asked)
    check_needs(passes)
    hooks = Hooks.of(asked, None, watch)
    job = start(model, asked, find_devices(asked.edge, asked.cloud, asked.net), passes, hooks)
    module = run_pipeline(job.module, [p for p in passes if p.name not in _PLANNING], job.env, hooks)
    planning = [p for p in passes if p.name in _PLANNING]
    told: set[str] = set()
    answers: dict[int, Answer] = {}

    def warn_once(diagnostic: Diagnostic) -> None:
        if diagnostic.code not in told:
            told.add(diagnostic.code)
            hooks.warn(diagnostic)

    def solve(rate_bps: int) -> Answer:
        if rate_bps not in answers:
            network = links.at(rate_bps)
            planned = run_pipeline(module, planning, replace(job.env, network=network, warn=warn_once), hooks)
            answers[rate_bps] = _answer(planned, network)
        return answers[rate_bps]

    low, high = (max(1, round(network.rate_bps)) for network in (links.low, links.high))
    pieces = find_pieces(solve, low, high)
    proven = all(a.plan.proof == "optimal" and a.plan.feasible for a in answers.values())
    doubt_ns = 4 * max(a.line.doubt_ns for a in answers.values())
    return Sweep(module.fact(Request), links, pieces, len(answers), proven, doubt_ns, options.max_latency_s)


def find_pieces(solve: Callable[[int], Answer], low_bps: int, high_bps: int) -> tuple[Piece, ...]:
    """Return the ranges of rates over which one plan is the best, in order. `solve` gives the best plan at a rate, the same every time."""
    pieces: list[Piece] = []
    start_bps = Fraction(low_bps)
    for end_bps, answer in _between(solve, low_bps, high_bps):
        if pieces and pieces[-1].answer.line == answer.line:
            pieces[-1] = replace(pieces[-1], high_bps=end_bps)
        else:
            pieces.append(Piece(start_bps, end_bps, answer))
        start_bps = end_bps
    return tuple(pieces)


def _between(solve: Callable[[int], Answer], low: int, high: int) -> list[tuple[Fraction, Answer]]:
    """Return plans with the rates up to which they are the best.

    The planner knows whole rates only: the plan of lower rates is tried at the last one before the crossing, that of higher rates at the
    first one behind it. A third plan that beats one of them there parts the range in two.
    """
    first, last = solve(low), solve(high)
    if not last.line.beats(first.line, high):
        return [(Fraction(high), first)]
    if not first.line.beats(last.line, low):
        return [(Fraction(high), last)]
    crossing = Fraction((last.line.bits - first.line.bits) * 10**9, first.line.fixed_ns - last.line.fixed_ns)
    before = floor(crossing)
    for rate, best in ((before, first), (before + 1, last)):
        if solve(rate).line.beats(best.line, rate):
            return [*_between(solve, low, rate), *_between(solve, rate, high)]
    return [(crossing, first), (Fraction(high), last)]


def _answer(module: Module, network: Network) -> Answer:
    plans = module.fact(Solutions).plans
    outputs = len(module.main.outputs)

    def line(plan: Plan) -> Line:
        parts = len(crossing_of(module.main, edge_names(module.main, plan))) + outputs + network.packets(plan.wire_bytes)
        fixed_s = (plan.edge_s, plan.cloud_s, network.rtt_s if plan.wire_bytes else 0.0)
        return Line(sum(round(s * 1e9) for s in fixed_s), network.sent_bits(plan.wire_bytes), 1 + -(-parts // 2))

    def first(kind: str) -> tuple[Plan, Line] | None:
        return next(((plan, line(plan)) for plan in plans if plan.kind == kind and not plan.codec), None)

    chosen = plans[module.fact(Choice).index]
    return Answer(chosen, line(chosen), first("cloud-only"), first("edge-only"))
