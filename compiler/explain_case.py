"""A bundle as `explain` reads it: the planning problem, the chosen plan, the plans listed beside it, and what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from autosplitc.ir import CompileError, Diagnostic
from autosplitc.passes import Assignment, ClosedSpace, Cut, Figures, LinearSpace, Only, Problem, Space, cut_of, evaluate

from .bundle import MEASUREMENTS
from .bundle_tables import Listed, bundle_manifest, damaged, json_of, layer_rows, listed_plans, problem_of


@dataclass(frozen=True)
class Case:
    """A plan to explain.

    cut, bits: of the chosen plan. plans: all that were listed, the fastest first. options: the request. input_shapes: of the model, by
    name. accuracy: what measurements.json says of it, None where nothing bounded it. barred: values that can cross no cut.
    """

    problem: Problem
    cut: Cut
    bits: Assignment
    plans: tuple[Listed, ...]
    options: Mapping[str, Any]
    decision: Mapping[str, Any]
    input_shapes: Mapping[str, Sequence[int | str | None]]
    accuracy: Mapping[str, Any] | None = None
    barred: frozenset[int] = frozenset()

    @cached_property
    def figures(self) -> Figures:
        """What the chosen plan costs."""
        return evaluate(self.problem, self.cut, self.bits)

    @property
    def chosen(self) -> Listed:
        """The chosen plan as it is listed."""
        return next(p for p in self.plans if p.chosen)

    @property
    def kind(self) -> str:
        """`cloud-only`, `split` or `edge-only`."""
        return str(self.decision["kind"])

    @property
    def bounded_by_accuracy(self) -> bool:
        """Whether a limit on the measured drop decided which errors are admitted."""
        return bool(self.options.get("max_drop"))

    @property
    def forced(self) -> str:
        """The flag that took the choice from the planner; "" where none did."""
        strategy = str(self.options.get("strategy") or "auto-split")
        if self.options.get("pick") is not None:
            return f"--pick {self.options['pick']}"
        if self.options.get("cut"):
            return f"--cut {','.join(self.options['cut'])}"
        return "" if strategy == "auto-split" else f"--strategy {strategy}"

    @cached_property
    def bounded(self) -> Problem:
        """The problem with no more error than the chosen plan has, where accuracy is the constraint; else the problem as it is.

        What errors accuracy admits is known where it was measured: at the chosen plan.
        """
        if not self.bounded_by_accuracy:
            return self.problem
        return replace(self.problem, limits=replace(self.problem.limits, error=self.figures.error))

    @cached_property
    def refused(self) -> Mapping[int, str]:
        """Why cuts at positions of the order cannot be taken, where the problem itself does not tell."""
        found: dict[int, str] = {}
        for v in sorted(self.barred):
            value, made, readers = self.problem.values[v], self.problem.producer.get(v, -1), self.problem.readers[v]
            last = -1 if value.constant else max(readers, default=-1)
            found.update((position, f"{value.name!r} cannot be sent") for position in range(made + 1, last + 1))
        return found

    @cached_property
    def space(self) -> Space:
        """The cuts that the planner chose among."""
        if self.options.get("cut"):
            return Only(self.cut.ops)
        if self.options.get("space") == "dag":
            return ClosedSpace(ends=True, barred=self.barred)
        return LinearSpace(tuple(p for p in range(len(self.problem.ops) + 1) if p not in self.refused))


def read_case(folder: Path) -> Case:
    """Return the case of a bundle.

    Raises CompileError: AS630 there is no bundle, AS631 its manifest does not fit the schema, AS632 it has no planning problem, AS633 a
    file of it is damaged, AS634 the folder holds several bundles; AS64x its planning problem is damaged.
    """
    manifest = bundle_manifest(folder)
    problem, barred = problem_of(folder)
    rows = layer_rows(folder)
    index = {op.name: i for i, op in enumerate(problem.ops)}
    names = [row["node"] for row in rows if row["side"] == "edge" and row["kind"] != "pack"]
    bits = manifest["bits"]
    try:
        cut = cut_of(problem, (index[name] for name in names))
        chosen = Assignment(
            {w: bits["weights"][problem.weights[w].name] for w in cut.weights},
            {g: bits["activations"][problem.groups[g].name] for g in cut.acts},
            {w.value: bits["wire"][problem.values[w.value].name] for w in cut.wires},
        )
    except KeyError as error:
        message = f"problem.json and the manifest are not of one compile: {error.args[0]!r} is missing"
        raise CompileError(Diagnostic("AS633", message, str(folder), hint="compile again")) from None
    plans = listed_plans(folder)
    problem, cut, chosen = _through_codec(problem, cut, chosen, plans)
    if sum(p.chosen for p in plans) != 1:
        raise CompileError(Diagnostic("AS633", "no plan, or more than one, is marked as chosen", str(folder / "solutions.csv")))
    measured = json_of(folder / MEASUREMENTS)
    accuracy = measured.get("accuracy")
    if accuracy is not None and not _is_accuracy(accuracy):
        raise damaged(folder / MEASUREMENTS, ValueError("`accuracy` is not what a compile writes"))
    return Case(
        problem=problem,
        cut=cut,
        bits=chosen,
        plans=plans,
        options=manifest["options"],
        decision=manifest["decision"],
        input_shapes={value["name"]: value["shape"] or () for value in manifest["graphs"]["edge"]["inputs"]},
        accuracy=accuracy,
        barred=barred,
    )


def _is_accuracy(found: object) -> bool:
    """Whether a value has what is read of the accuracy: plans that were measured, each with its number, kind and drop."""
    trials: object = cast("dict[str, object]", found).get("evaluations") if isinstance(found, dict) else None
    if not isinstance(trials, list):
        return False
    known = cast("list[object]", trials)
    return all(isinstance(t, dict) and {"solution", "kind", "drop"} <= cast("dict[str, object]", t).keys() for t in known)


def _through_codec(problem: Problem, cut: Cut, bits: Assignment, plans: Sequence[Listed]) -> tuple[Problem, Cut, Assignment]:
    """Return a case in which what Cloud-Only sends takes the bytes and the time of the chosen plan's codec; as it is without one."""
    plan = next((p for p in plans if p.chosen), None)
    if plan is None or plan.kind != "cloud-only" or not plan.codec or len(cut.crossing) != 1:
        return problem, cut, bits
    (v,), figures = cut.crossing, evaluate(problem, cut, bits)
    encode, decode = round(plan.edge_s * 1e9) - figures.edge_ns, round(plan.cloud_s * 1e9) - figures.cloud_ns
    width = problem.values[v].width_bits if not problem.values[v].wire_bits else bits.wires[v]
    coded = replace(problem.values[v], wire_bits=(width,), sent_bytes=(plan.payload_bytes,) * 8)
    coded = replace(coded, pack_ns=(coded.packing_ns(width) + encode,) * 8, unpack_ns=(coded.unpacking_ns(width) + decode,) * 8)
    problem = replace(problem, values=(*problem.values[:v], coded, *problem.values[v + 1 :]))
    return problem, cut_of(problem, cut.ops), replace(bits, wires={**bits.wires, v: width})


def milliseconds_text(seconds: float) -> str:
    """Return seconds for people: `11.0 ms`."""
    ms = seconds * 1e3
    return f"{ms:,.0f} ms" if ms >= 1000 else f"{ms:.3g} ms" if ms < 10 else f"{ms:.1f} ms"


def rate_text(rate_bps: float) -> str:
    """Return a rate as flags take it: `2.413741mbps`."""
    unit, factor = next(((u, f) for u, f in (("gbps", 1e9), ("mbps", 1e6), ("kbps", 1e3)) if rate_bps >= f), ("bps", 1.0))
    return f"{rate_bps / factor:.7g}{unit}"
