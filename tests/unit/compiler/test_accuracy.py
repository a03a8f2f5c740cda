"""The search for the fastest plan within a limit on the drop: what is measured, what is passed over, how it ends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autosplitc.accuracy import Verdict, accuracy_json, search
from autosplitc.decide import candidates, warning_of_few, warnings_of
from autosplitc.drop import Drop
from autosplitc.passes import Plan, Request

REQUEST = Request("", "m.onnx", "0" * 64, "eyeriss", "tpu", "3mbps")


def plan(kind: str, ms: float, error: float, *, feasible: bool = True) -> Plan:
    violations = () if feasible else ("RAM 2 KB, 1 KB over the limit of 1 KB",)
    return Plan(kind, 1, f"op at {ms}", ms * 1e-3, 0, 0, 8, 8, 8, error, "optimal", 0, feasible, violations, (), (), ())


SPLITS = tuple(plan("split", ms, error) for ms, error in ((1, 0.8), (2, 0.9), (3, 0.4), (4, 0.2), (5, 0.3), (6, 0.1)))
CLOUD = plan("cloud-only", 7, 0.0)
PLANS = (*SPLITS, CLOUD, plan("edge-only", 8, 0.01))
DROPS = (0.30, 0.00, 0.08, 0.03, 0.02, 0.004, 0.0, 0.0)


@dataclass
class Bench:
    """Measures plans from a table, and remembers which."""

    drops: Sequence[float]
    asked: list[tuple[int, float]] = field(default_factory=list[tuple[int, float]])

    def __call__(self, index: int, limit: float) -> Drop:
        self.asked.append((index, limit))
        drop = self.drops[index]
        return Drop("top1", 0.9 - drop, 0.9, drop, (drop - 0.01, drop + 0.01), 1000, complete=drop <= limit)

    def search(self, *limits: float, max_evals: int = 20, plans: Sequence[Plan] = PLANS) -> tuple[Verdict, ...]:
        return search(plans, range(len(plans)), limits, self, max_evals)


def test_the_fastest_that_holds_is_taken_and_each_measurement_halves_what_is_open() -> None:
    bench = Bench(DROPS)
    (verdict,) = bench.search(0.05)
    assert (verdict.chosen.index, verdict.ending, verdict.holds) == (3, "fastest", True)
    assert [index for index, _ in bench.asked] == [3, 0, 2], "once 3 holds only the faster are open: 0 and 2, for 1 is no better than 0"
    assert verdict.nearest is not None
    assert (verdict.nearest.index, verdict.nearest.drop.drop) == (2, 0.08)


def test_a_plan_with_no_less_predicted_error_than_one_that_failed_is_passed_over() -> None:
    bench = Bench(DROPS)
    (verdict,) = bench.search(0.05)
    assert 1 not in [index for index, _ in bench.asked]
    assert verdict.passed_over == (1,)
    assert Bench(DROPS).search(0.05, plans=(*PLANS[:1], plan("edge-only", 2, 0.9), *PLANS[2:]))[0].chosen.index == 1, "another kind"


def test_limits_share_measurements_and_each_gets_its_fastest() -> None:
    bench = Bench(DROPS)
    found = bench.search(0.0, 0.01, 0.05, 0.1)
    assert [v.chosen.index for v in found] == [6, 5, 3, 2]
    assert [index for index, _ in bench.asked] == [3, 5, 0, 6, 2], "plan 4 has more predicted error than plan 3, which failed 1 %"
    assert [limit for _, limit in bench.asked] == [0.1, 0.01, 0.1, 0.0, 0.1], "the loosest limit that the plan may be the answer for"
    assert [len(v.trials) for v in found] == [5, 5, 5, 5]
    for limit, verdict in zip((0.0, 0.01, 0.05, 0.1), found, strict=True):
        alone = Bench(DROPS).search(limit)[0]
        assert (alone.chosen.index, alone.ending) == (verdict.chosen.index, verdict.ending)


def test_cloud_only_is_the_answer_where_no_plan_with_an_edge_part_holds() -> None:
    (verdict,) = Bench(DROPS).search(0.001)
    assert (verdict.chosen.index, verdict.ending) == (6, "cloud-only")
    assert verdict.nearest is not None
    assert verdict.nearest.index == 5
    (warning,) = warnings_of(verdict, PLANS)
    assert warning.code == "AS507"
    assert warning.notes[0] == 'the split after "op at 6", 6 ms, loses 0.4 points, n = 1,000, ended early'


def test_cloud_only_that_is_the_fastest_is_no_fallback() -> None:
    plans = (plan("cloud-only", 0.5, 0.0), *SPLITS)
    (verdict,) = Bench((0.0, *DROPS[:6])).search(0.01, plans=plans)
    assert (verdict.chosen.index, verdict.ending, verdict.nearest) == (0, "fastest", None)


def test_cloud_only_that_fails_leaves_the_slower_plans_to_be_tried() -> None:
    (verdict,) = Bench((*DROPS[:6], 0.01, 0.0005)).search(0.001)
    assert (verdict.chosen.index, verdict.ending, verdict.holds) == (7, "fastest", True)


def test_where_nothing_holds_the_least_drop_is_the_best_effort() -> None:
    (verdict,) = Bench((0.5, 0.5, 0.4, 0.3, 0.3, 0.2, 0.1, 0.15)).search(0.05)
    assert (verdict.chosen.index, verdict.ending, verdict.holds) == (6, "broken", False)
    assert verdict.nearest is not None
    assert verdict.nearest.index == 7


@pytest.mark.parametrize("most", [1, 2])
def test_never_more_evaluations_than_allowed(most: int) -> None:
    bench = Bench((0.5, 0.5, 0.4, 0.3, 0.3, 0.2, 0.0, 0.0))
    found = bench.search(0.0, 0.05, max_evals=most)
    assert len(bench.asked) == most
    assert {v.chosen.index for v in found} == {6}, "the last evaluation is kept for the surest plan"
    assert {v.ending for v in found} == {"evaluations"}
    assert [w.code for w in warnings_of(found[0], PLANS)] == ["AS508"]


def test_fast_plans_do_not_use_up_the_evaluations() -> None:
    plans = (*(plan("split", 1 + i, 60.0 - i) for i in range(60)), plan("cloud-only", 100, 0.0))
    bench = Bench((*([0.5] * 50), *([0.005] * 10), 0.0))
    (verdict,) = bench.search(0.01, max_evals=6, plans=plans)
    assert plans[verdict.chosen.index].kind == "split", "six fastest first would all have failed, and left Cloud-Only"
    assert verdict.holds


def test_a_measurement_that_ended_for_one_limit_tells_nothing_of_a_looser_one() -> None:
    """Plan 5 ends early at 1 % when plan 3 holds 5 % already; it may keep 5 % and rules out no plan for it."""
    plans = (*(plan("split", 1 + i, 1.0 - i / 10) for i in range(7)), CLOUD)
    drops = (0.5, 0.04, 0.3, 0.045, 0.04, 0.03, 0.0, 0.0)
    bench = Bench(drops)
    _, loose = bench.search(0.01, 0.05, plans=plans)
    stopped = [t for t in loose.trials if not t.drop.complete and t.limit < 0.05]
    assert stopped
    assert not any(t.fails(0.05) for t in stopped)
    assert all(t.fails(0.01) for t in stopped)
    assert (loose.chosen.index, loose.holds) == (1, True)


def fastest_first(plans: Sequence[Plan], drops: Sequence[float], limit: float) -> int | None:
    """Return what trying every plan gives, the fastest first."""
    return next((i for i in range(len(plans)) if drops[i] <= limit), None)


@st.composite
def problems(draw: st.DrawFn, *, monotone: bool, kinds: tuple[str, ...]) -> tuple[tuple[Plan, ...], list[float], list[float]]:
    """Return plans, the fastest first, of any predicted errors, with their drops (rising with the error a kind where asked) and limits."""
    n = draw(st.integers(1, 40))
    plans = tuple(plan(draw(st.sampled_from(kinds)), 1 + i, draw(st.integers(0, 30)) / 10) for i in range(n))
    drops = draw(st.lists(st.sampled_from([0.0, 0.004, 0.02, 0.08, 0.3]), min_size=n, max_size=n))
    if monotone:
        levels = {kind: sorted(draw(st.lists(st.sampled_from([0.0, 0.004, 0.02, 0.08, 0.3]), min_size=31, max_size=31))) for kind in kinds}
        drops = [levels[p.kind][round(p.error * 10)] for p in plans]
    limits = draw(st.lists(st.sampled_from([0.0, 0.01, 0.05, 0.1]), min_size=1, max_size=4, unique=True))
    return plans, drops, sorted(limits)


@settings(max_examples=200, deadline=None)
@given(problems(monotone=True, kinds=("split",)), st.booleans())
def test_monotone_drops_give_the_exhaustive_answer_in_a_logarithm(
    problem: tuple[tuple[Plan, ...], list[float], list[float]], cloud_too: bool
) -> None:
    plans, drops, limits = problem
    if cloud_too:
        plans, drops = (*plans, plan("cloud-only", 1000, 0.0)), [*drops, 0.0]
    bench = Bench(drops)
    for limit, verdict in zip(limits, bench.search(*limits, max_evals=1000, plans=plans), strict=True):
        wanted = fastest_first(plans, drops, limit)
        assert verdict.holds is (wanted is not None)
        assert wanted is None or verdict.chosen.index == wanted
        assert verdict.ending != "evaluations"
    assert len(bench.asked) <= len(limits) * (math.log2(len(plans)) + 2)
    assert len(bench.asked) == len({index for index, _ in bench.asked})


@settings(max_examples=200, deadline=None)
@given(problems(monotone=True, kinds=("split", "edge-only", "cloud-only")))
def test_monotone_drops_of_several_kinds_give_the_exhaustive_answer(problem: tuple[tuple[Plan, ...], list[float], list[float]]) -> None:
    plans, drops, limits = problem
    bench = Bench(drops)
    for limit, verdict in zip(limits, bench.search(*limits, max_evals=1000, plans=plans), strict=True):
        wanted = fastest_first(plans, drops, limit)
        assert verdict.holds is (wanted is not None)
        assert wanted is None or verdict.chosen.index == wanted
    assert len(bench.asked) <= len(limits) * 3 * (math.log2(len(plans)) + 2)


@settings(max_examples=200, deadline=None)
@given(problems(monotone=False, kinds=("split", "edge-only", "cloud-only")), st.integers(1, 12))
def test_any_drops_give_a_plan_that_was_measured_to_hold(problem: tuple[tuple[Plan, ...], list[float], list[float]], most: int) -> None:
    plans, drops, limits = problem
    bench = Bench(drops)
    found = bench.search(*limits, max_evals=most, plans=plans)
    measured = {index for index, _ in bench.asked}
    assert 1 <= len(bench.asked) == len(measured) <= most
    for limit, verdict in zip(limits, found, strict=True):
        held = [t.index for t in verdict.trials if t.drop.complete and t.drop.drop <= limit]
        assert verdict.chosen.index in measured
        assert verdict.holds is bool(held)
        assert not held or verdict.chosen.index == min(held), "the fastest of those measured to hold"
        assert (verdict.ending == "broken") is (not held)
    assert found == Bench(drops).search(*limits, max_evals=most, plans=plans)


def test_one_evaluation_goes_to_the_surest_plan_even_for_many_limits() -> None:
    bench = Bench(DROPS)
    assert [v.chosen.index for v in bench.search(0.0, 0.5, max_evals=1)] == [6, 6]


def test_an_evaluation_that_ended_early_never_holds() -> None:
    early = Drop("top1", 0.8, 0.9, 0.005, None, 100, complete=False)
    assert not early.holds(0.01)
    assert Drop("sqnr", None, None, math.inf, None, 10).holds(1.0) is False


def test_candidates_keep_the_other_limits() -> None:
    plans = (plan("edge-only", 0.1, 0.5, feasible=False), *PLANS)
    assert candidates(REQUEST, plans, 1) == tuple(range(1, len(plans)))
    assert candidates(REQUEST, plans, 0) == (0,), "no plan keeps them: the best effort is only measured"


def test_what_is_fixed_is_left_alone() -> None:
    assert candidates(Request("", "m", "0" * 64, "e", "c", "n", pick=3), PLANS, 2) == (2,)
    assert candidates(Request("", "m", "0" * 64, "e", "c", "n", cut=("x",)), PLANS, 0) == (0, 1, 2, 3, 4, 5), "bits at the cut are free"


def test_too_few_samples_are_told() -> None:
    warning = warning_of_few(Drop("top1", 0.9, 0.9, 0.0, None, 20), 0.01)
    assert (warning.code, warning.severity) == ("AS506", "warning")
    assert warning.message == "n = 20: one sample is 5 points, more than the limit of 1 point"
    few = [(20, 0.01, True), (20, 0.05, False), (99, 0.0, True), (100, 0.0, False), (100, 0.01, False)]
    assert [Drop("top1", 0.9, 0.9, 0.0, None, n).too_few(limit) for n, limit, _ in few] == [wanted for *_, wanted in few]
    assert not Drop("sqnr", 20.0, None, 0.01, None, 4, scored=False).too_few(0.01), "no sample has a score of its own"


def test_measurements_name_every_trial() -> None:
    (verdict,) = Bench(DROPS).search(0.05)
    found = accuracy_json(verdict, PLANS, verdict.chosen.drop)
    assert {"metric": "top1", "drop": 0.03, "threshold": 0.05, "holds": True, "n": 1000}.items() <= found.items()
    assert [trial["solution"] for trial in found["evaluations"]] == [4, 1, 3]
    assert [trial["complete"] for trial in found["evaluations"]] == [True, False, False]
    assert found["nearest_miss"]["solution"] == 3
    assert found["passed_over"] == [2]
