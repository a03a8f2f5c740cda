"""From the list of solutions to the plan for every limit on the drop: plans are lowered, emitted, run and measured until one holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from autosplitc.ir import Diagnostic, Fact, Module
from autosplitc.passes import OURS, Choice, Env, Plan, Request, Solutions, codec_of, explained_choice

from .accuracy import Trial, Verdict, search
from .drop import Drop, limit_text, lost_text, points
from .evaluation import Evaluation

Lower = Callable[[Module, Env], tuple[Module, ...]]
"""What runs the lowering passes: the module after each."""


@dataclass(frozen=True)
class Decision:
    """The plan for one limit. stages: the module after every lowering pass, with the choice explained and what was broken marked."""

    verdict: Verdict
    stages: tuple[Module, ...]
    warnings: tuple[Diagnostic, ...]

    @property
    def module(self) -> Module:
        """The lowered module."""
        return self.stages[-1]


@dataclass
class _Lowered:
    """Plans that were lowered and may yet be chosen, with the warnings of the passes that did it."""

    stages: dict[int, tuple[tuple[Module, ...], tuple[Diagnostic, ...]]]
    least: Trial | None = None

    def keep(self, trial: Trial, stages: tuple[Module, ...], warned: Sequence[Diagnostic], limit: float) -> None:
        """Keep what holds the loosest limit, and of the others the one that lost least."""
        held = trial.drop.holds(limit)
        if not held and self.least is not None:
            if (not trial.drop.complete, trial.drop.drop) >= (not self.least.drop.complete, self.least.drop.drop):
                return
            self.stages.pop(self.least.index, None)
        if not held:
            self.least = trial
        self.stages[trial.index] = stages, tuple(warned)


def decide(module: Module, lower: Lower, env: Env, evaluation: Evaluation) -> tuple[Decision, ...]:
    """Return the decision for each of the request's limits, ascending; plans for several limits are measured once.

    Raises CompileError: what the lowering passes raise, AS161 to AS164 for the metric, AS702 and AS703 where a half does not run.
    """
    request, plans = module.fact(Request), module.fact(Solutions).plans
    limits = request.max_drop
    kept = _Lowered({})

    def lowered(index: int) -> tuple[tuple[Module, ...], tuple[Diagnostic, ...]]:
        warned: list[Diagnostic] = []
        stages = lower(module.with_fact(replace(module.fact(Choice), index=index)), replace(env, warn=warned.append))
        return stages, tuple(warned)

    def measure(index: int, limit: float) -> Drop:
        stages, warned = lowered(index)
        drop = evaluation.of_plan(stages[-1], env, limit)
        kept.keep(Trial(index, drop, limit), stages, warned, max(limits))
        return drop

    verdicts = search(plans, candidates(request, plans, module.fact(Choice).index), limits, measure, request.max_evals)
    found: list[Decision] = []
    for verdict in verdicts:
        index = verdict.chosen.index
        stages, warned = kept.stages.get(index) or lowered(index)
        facts = _facts(module, env, replace(request, metric=evaluation.metric, max_drop=(verdict.limit,)), verdict)
        found.append(Decision(verdict, tuple(stage.with_fact(*facts) for stage in stages), (*warned, *warnings_of(verdict, plans))))
    return tuple(found)


def candidates(request: Request, plans: Sequence[Plan], chosen: int) -> tuple[int, ...]:
    """Return the plans that may be the answer, the fastest first: those that keep every other limit; what is fixed is left alone.

    With `--pick` that is the one picked, with `--strategy` that strategy's; with `--cut` plans at that cut. Where none keeps
    the other limits it is the one chosen by them.
    """
    if request.pick is not None or request.strategy != OURS or not plans[chosen].feasible:
        return (chosen,)
    at_cut = plans[chosen].kind if request.cut else ""
    return tuple(i for i, plan in enumerate(plans) if plan.feasible and (not at_cut or plan.kind == at_cut))


def broken_text(metric: str, limit: float) -> str:
    """Return the violation of a plan that lost more than the limit; without figures, which vary from machine to machine."""
    return f"accuracy: {metric} loses more than the limit of {limit_text(metric, limit)}"


def warnings_of(verdict: Verdict, plans: Sequence[Plan]) -> tuple[Diagnostic, ...]:
    """Return what should be known of an answer: Cloud-Only for want of accuracy (AS507), evaluations that ran out (AS508)."""
    found: list[Diagnostic] = []
    metric, limit = verdict.chosen.drop.metric, limit_text(verdict.chosen.drop.metric, verdict.limit)
    if verdict.ending == "cloud-only":
        sent = sent_text(plans[verdict.chosen.index])
        message = f"no plan with an edge part was measured to lose no more than {limit} ({metric}): {sent}"
        nearest = (nearest_text(plans[verdict.nearest.index], verdict.nearest.drop),) if verdict.nearest else ()
        found.append(Diagnostic("AS507", message, notes=(*nearest, *_over_note(verdict)), severity="warning"))
    if verdict.ending == "evaluations":
        message = f"--max-evals ended the search: faster plans that may lose no more than {limit} ({metric}) were not measured"
        found.append(Diagnostic("AS508", message, hint=f"--max-evals {2 * len(verdict.trials)}", severity="warning"))
    return tuple(found)


def sent_text(plan: Plan) -> str:
    """Return what a Cloud-Only plan does: `the raw input is sent`, `the input is sent as JPEG q85`."""
    return f"the input is sent as {codec_of(plan.codec).title}" if plan.codec else "the raw input is sent"


def warning_of_few(drop: Drop, limit: float) -> Diagnostic:
    """Return the warning for samples that cannot tell a limit (AS506)."""
    return Diagnostic("AS506", few_text(drop, limit), "--eval", hint="--eval with more samples", severity="warning")


def few_text(drop: Drop, limit: float) -> str:
    """Return that the samples cannot tell a limit: `n = 20: one sample is 5 points, more than the limit of 1 point`."""
    return f"n = {drop.n}: one sample is {points(1 / drop.n)} points, more than the limit of {limit_text(drop.metric, limit)}"


def nearest_text(plan: Plan, drop: Drop) -> str:
    """Return a plan that missed the limit, and by what: `the split after "conv", 24.1 ms, loses 1.4 points, n = 500`."""
    ends = {"edge-only": "Edge-Only", "cloud-only": "Cloud-Only"}
    name = ends.get(plan.kind, f'the split after "{plan.after}"{plan.extent}')
    return f"{name}, {plan.typical_s * 1e3:.4g} ms, loses {lost_text(drop)}"


def _over_note(verdict: Verdict) -> tuple[str, ...]:
    over = len(verdict.passed_over)
    return (f"{over} plans were not measured: one with no more predicted error had failed",) if over else ()


def _facts(module: Module, env: Env, request: Request, verdict: Verdict) -> tuple[Fact, ...]:
    """Return request, solutions and choice as they are for one limit."""
    solutions = module.fact(Solutions)
    broken = broken_text(request.metric, verdict.limit)
    violations = {t.index: broken for t in verdict.trials if t.fails(verdict.limit)}
    over = f"accuracy: no less error is predicted than for a plan over the limit of {limit_text(request.metric, verdict.limit)}"
    violations |= dict.fromkeys(verdict.passed_over, over)
    plans = tuple(
        replace(plan, feasible=False, violations=(*plan.violations, violations[i])) if i in violations else plan
        for i, plan in enumerate(solutions.plans)
    )
    marked = module.with_fact(request).with_fact(replace(solutions, plans=plans))
    return request, marked.fact(Solutions), explained_choice(marked, env, verdict.chosen.index, _opening(request, verdict))


def _opening(request: Request, verdict: Verdict) -> str:
    limit = limit_text(request.metric, verdict.limit)
    if request.pick is not None:
        return f"--pick {request.pick} asks for it"
    if request.strategy != OURS:
        return f"--strategy {request.strategy} asks for it"
    if request.cut:
        return "--cut asks for it"
    return {
        "fastest": f"the fastest plan that was measured to lose no more than {limit} ({request.metric})",
        "cloud-only": f"no plan with an edge part was measured to lose no more than {limit} ({request.metric})",
        "evaluations": f"the fastest of those measured to lose no more than {limit} ({request.metric}); not all faster ones were measured",
        "broken": "",
    }[verdict.ending]
