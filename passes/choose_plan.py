"""choose-plan: the fastest plan that keeps every limit, and a sentence that says why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from autosplitc.ir import CompileError, Diagnostic, Module

from .base import Env, Pass
from .codec_plans import open_plans
from .codecs import codec_of
from .cut_space import check_cut, is_wanted
from .facts import Choice, Plan, Request, Solutions, Splits
from .planner import ram_bytes, size_text
from .strategies import OURS

TIGHT = 0.95
"""Share of the memory limit from which on the sentence names it."""


@dataclass(frozen=True)
class ChoosePlan(Pass):
    """Gives `choice`: the plan that `--pick`, `--strategy` or `--cut` names, else the fastest feasible one.

    With a trace of the link the fastest is that of the least median latency over the trace, then of the least 95 %. Where no plan keeps
    every limit it is the one that breaks the fewest, the fastest of those.
    """

    name: ClassVar[str] = "choose-plan"
    summary: ClassVar[str] = "take the fastest plan that keeps every limit"
    needs: ClassVar = (Request, Splits, Solutions)
    gives: ClassVar = (Choice,)

    def apply(self, module: Module, env: Env) -> Module:
        """Return the module with the fact.

        Raises CompileError: AS152 for a `--cut` that is no cut, AS153 for a `--pick` beyond the list.
        """
        request, plans = module.fact(Request), module.fact(Solutions).plans
        check_cut(module)
        if request.pick is not None:
            index, opening = _picked(request.pick, len(plans)), f"--pick {request.pick} asks for it"
        elif request.strategy != OURS:
            index = next((i for i, plan in enumerate(plans) if plan.kind != "cloud-only"), 0)
            opening = f"--strategy {request.strategy} asks for it"
        elif request.cut:
            index, opening = _best(plans, [i for i in open_plans(module) if is_wanted(module, plans[i])]), "--cut asks for it"
        else:
            index, opening = _best(plans, open_plans(module)), ""
        return module.with_fact(explained_choice(module, env, index, opening))


def explained_choice(module: Module, env: Env, index: int, opening: str = "") -> Choice:
    """Return the choice of a plan with the sentence that says why; `opening`: what decided, where that is not the latency alone."""
    request, splits, plans = module.fact(Request), module.fact(Splits), module.fact(Solutions).plans
    sure = () if request.pick is not None else tuple(plans[i] for i in open_plans(module))
    unsure = tuple(p for p in plans if p.is_lossy and p.feasible and sure and p not in sure and p.typical_s < plans[index].typical_s)
    return Choice(module.main.name, index, _why(plans, index, opening, _Reasons(splits, ram_bytes(request, env), unsure)))


@dataclass(frozen=True, slots=True)
class _Reasons:
    """What else the sentence speaks of: why cuts are refused, the edge's memory, faster plans whose codec loses what was not measured."""

    splits: Splits
    ram_bytes: int
    unsure: tuple[Plan, ...] = ()


def _picked(number: int, count: int) -> int:
    if not 1 <= number <= count:
        raise CompileError(Diagnostic("AS153", f"there is no solution {number}: there are {count}", hint=f"--pick {count}"))
    return number - 1


def _best(plans: tuple[Plan, ...], among: list[int]) -> int:
    return min(among, key=lambda i: (len(plans[i].violations), plans[i].typical_s, plans[i].latency_p95_s or 0.0, i))


def _why(plans: tuple[Plan, ...], index: int, opening: str, reasons: _Reasons) -> str:
    """Return the sentence: what decided, the margin over the two ends, what is short, what stands in the way of others."""
    plan = plans[index]
    parts = [opening or _standing([p for p in plans if p not in reasons.unsure], plan)]
    parts += [_against(plan, other) for other in _ends(plans, plan)]
    if plan.kind == "split" and plan.feasible:
        parts.append(_bound_by(plan, reasons.ram_bytes))
    if plan.kind != "split":
        parts.append(_no_split(plans, plan, reasons.splits))
    parts += [f"{p.title} would take {p.typical_s * 1e3:.1f} ms if its accuracy holds, which was not measured" for p in reasons.unsure[:1]]
    return "; ".join(part for part in parts if part)


def _ends(plans: tuple[Plan, ...], chosen: Plan) -> list[Plan]:
    """Return the fastest Edge-Only and the fastest Cloud-Only that keep every limit, else the fastest; none of the kind that was chosen."""
    sure = [p for p in plans if not p.is_lossy]
    ends = [[p for p in sure if p.kind == kind] for kind in ("edge-only", "cloud-only") if kind != chosen.kind]
    return sorted((next((p for p in found if p.feasible), found[0]) for found in ends if found), key=lambda p: p.typical_s)


def _standing(plans: Sequence[Plan], plan: Plan) -> str:
    feasible = sum(p.feasible for p in plans)
    if not plan.feasible:
        return f"no plan keeps every limit: {', '.join(plan.violations)}"
    if feasible == 1:
        return "the only plan that keeps every limit"
    standing = f"the fastest of {feasible} plans that keep every limit"
    return standing if plan.latency_p50_s is None else f"{standing}, by the median over the trace"


def _against(plan: Plan, other: Plan) -> str:
    name = other.kind.replace("cloud-only", "Cloud-Only").replace("edge-only", "Edge-Only")
    name += f" as {codec_of(other.codec).title}" if other.codec else ""
    text = f"{name} takes {other.typical_s * 1e3:.1f} ms"
    if plan.typical_s and other.typical_s != plan.typical_s:
        ratio = other.typical_s / plan.typical_s
        text += f" ({ratio:.2f} x as long)"
    return text + (f" and breaks a limit: {', '.join(other.violations)}" if other.violations else "")


def _bound_by(plan: Plan, limit_bytes: int) -> str:
    link_s = plan.typical_s - plan.edge_s - plan.cloud_s
    name, seconds = max((("edge", plan.edge_s), ("link", link_s), ("cloud", plan.cloud_s)), key=lambda part: part[1])
    share = f"the {name} is {seconds / plan.typical_s:.0%} of the latency" if plan.typical_s else ""
    if plan.ram_bytes < TIGHT * limit_bytes:
        return share
    return f"{share}; memory is short: {size_text(plan.ram_bytes)} of {size_text(limit_bytes)}"


def _no_split(plans: tuple[Plan, ...], plan: Plan, splits: Splits) -> str:
    """Return why the fastest split did not win."""
    split = next((p for p in plans if p.kind == "split"), None)
    if split is not None and split.violations:
        return f'the nearest split, after "{split.after}"{split.extent}, breaks a limit: {", ".join(split.violations)}'
    if split is not None:
        slower = plan.kind == "cloud-only" and split.typical_s >= plan.typical_s
        opening = "no split is faster: the most promising one" if slower else "the best split"
        return f'{opening}, after "{split.after}"{split.extent}, takes {split.typical_s * 1e3:.1f} ms'
    reason = next((s.reason for s in splits.splits[1:-1] if s.reason), "")
    return f"no split can be made: {reason}" if reason else "there is nothing to split"
