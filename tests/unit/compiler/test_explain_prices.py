"""Prices and breakpoints of a problem that can be worked out by hand."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from autosplitc.bundle_tables import Listed
from autosplitc.explain import Deep, Explanation, Price, Stays, explain
from autosplitc.explain_case import Case
from autosplitc.explain_deep import deepen
from autosplitc.explain_text import explanation_text
from autosplitc.passes.planner import (
    NONE,
    ClosedSpace,
    Effort,
    Group,
    Limits,
    LinearSpace,
    Link,
    Operand,
    OpItem,
    Problem,
    Solution,
    Value,
    Weight,
    best_effort,
    prefix,
    search,
)

ZEROS = (0,) * 9
WEIGHT_NS = (0, 0, 0, 10_000, 0, 0, 0, 20_000, 0)
WIRE_ERROR = (*((0,) * 8,) * 8, (0, 0, 0, 100, 0, 0, 0, 10))


def toy(limits: Limits) -> Problem:
    """1,000 bytes in; `first` makes 100 values in 1 ms and 10 us (20 us) with weights of 4 (8) bits; `last` takes 9 ms on the edge.

    1 Mbit/s. Split: 1.61 ms (W4, 4 bits sent, error 150), 1.62 (W8, 4; 105), 2.01 (W4, 8; 60), 2.02 (W8, 8; 15). Cloud-Only 8.3 ms.
    Edge-Only 10.01 ms and more.
    """

    def op(name: str, inputs: tuple[Operand, ...], result: int, edge_ns: int, cloud_ns: int, *, on_codes: bool) -> OpItem:
        traffic = tuple(WEIGHT_NS if o.weight != NONE else ZEROS for o in (*inputs, Operand(result)))
        return OpItem(name, inputs, (Operand(result),), on_codes, (NONE, NONE), ((edge_ns,) * 9,) * 9, traffic, cloud_ns)

    return Problem(
        values=(
            Value("x", 1000, 32, is_input=True, raw=True, wire_bits=(8,)),
            Value("v", 100, 32, group=0, wire_bits=(4, 8), wire_error=WIRE_ERROR),
            Value("y", 10, 32, is_output=True),
        ),
        groups=(Group("v", (4, 8), (0, 0, 0, 100, 0, 0, 0, 10)),),
        weights=(Weight("w", 100, (4, 8), (0, 0, 0, 50, 0, 0, 0, 5), 0, (4,) * 4 + (8,) * 4),),
        constants=(),
        ops=(
            op("first", (Operand(0), Operand(weight=0)), 1, 1_000_000, 100_000, on_codes=True),
            op("last", (Operand(1),), 2, 9_000_000, 200_000, on_codes=False),
        ),
        link=Link(1_000_000, 0),
        limits=limits,
        overlap=False,
        packed=True,
    )


KINDS = ("cloud-only", "split", "edge-only")


def listed(problem: Problem, number: int, solution: Solution, *, chosen: bool) -> Listed:
    figures, at = solution.figures, solution.position
    seconds = figures.edge_ns * 1e-9, figures.link_ns * 1e-9, figures.cloud_ns * 1e-9
    sizes = figures.payload_bytes, figures.ram_bits // 8, figures.storage_bits // 8
    after = problem.ops[at - 1].name if at else ""
    total = figures.latency_ns * 1e-9
    return Listed(number, chosen, KINDS[at], after, at, *seconds, total, *sizes, float(figures.error), feasible=True, violations="")


def case_of(problem: Problem, **options: object) -> Case:
    found = search(problem, LinearSpace((0, 1, 2)), Effort(5.0, 0), 3).solutions
    plans = tuple(listed(problem, i + 1, s, chosen=i == 0) for i, s in enumerate(found))
    best = found[0]
    return Case(problem, best.cut, best.bits, plans, options, {"kind": plans[0].kind, "proof": "optimal"}, {"x": [1, 1, 20, 50]})


def deep_of(case: Case) -> tuple[Explanation, Deep]:
    found = deepen(explain(case), case, 60.0)
    assert found.deep is not None
    assert found.deep.complete
    assert found.deep.proven
    return found, found.deep


def price(deep: Deep, name: str) -> Price:
    return next(p for p in deep.prices if p.name == name)


def stays(deep: Deep, name: str) -> Stays:
    return next(s for s in deep.stays if s.name == name)


FREE = Limits(10**9)


def test_with_no_limit_near_nothing_binds_but_the_link() -> None:
    found, deep = deep_of(case_of(toy(FREE)))
    assert found.decision == (
        'split after "first": 1.61 ms; Cloud-Only takes 8.3 ms (5.16 x as long); Edge-Only takes 10.0 ms (6.22 x as long)'
    )
    assert [p.name for p in deep.prices if p.binding == "binds"] == ["rate"]
    assert [s.gain_s for s in price(deep, "RAM").steps] == [0.0, 0.0]
    assert price(deep, "RAM").changes_at is None
    one_mbps, one_percent = price(deep, "rate").steps
    assert one_mbps.gain_s == pytest.approx(200e-6, abs=2e-9)
    assert one_percent.gain_s == pytest.approx(400e-6 - 400e-6 / 1.01, abs=2e-9)


def test_the_rates_at_which_the_decision_changes_are_where_the_lines_cross() -> None:
    found, deep = deep_of(case_of(toy(FREE)))
    rates = stays(deep, "rate")
    assert rates.low == pytest.approx(400e9 / 8.8e6, rel=1e-9)
    assert rates.high == pytest.approx(7600e9 / 0.91e6, rel=1e-9)
    assert (rates.below, rates.above) == ("Edge-Only", "Cloud-Only")
    assert [(r.name, r.rate_bps, r.above) for r in found.rivals] == [
        ("Edge-Only", pytest.approx(rates.low), False),
        ("Cloud-Only", pytest.approx(rates.high), True),
    ]


def test_a_byte_less_memory_than_the_split_takes_costs_all_that_it_wins() -> None:
    """W4 and 4 bits: 32,000 bits of input, 400 of result, 400 of weights."""
    _, deep = deep_of(case_of(toy(Limits(32_799))))
    ram = price(deep, "RAM")
    assert ram.binding == "binds"
    assert ram.used == 0
    assert (ram.changes_from, ram.changes_at) == (32_799 / 8, 32_800 / 8)
    assert ram.steps[0].gain_s == pytest.approx(6.69e-3)
    assert ram.free_gain_s == pytest.approx(6.69e-3)
    memory = stays(deep, "RAM")
    assert (memory.low, memory.high, memory.below) == (0, 4100, "")


def test_the_error_budget_has_a_price_where_it_keeps_wider_weights() -> None:
    """110 admits W8 with 4 bits sent (105); W4 takes 150 and is 10 us faster."""
    _, deep = deep_of(case_of(toy(Limits(10**9, error=110))))
    error = price(deep, "error")
    assert error.binding == "binds"
    assert error.free_gain_s == pytest.approx(10e-6)
    assert error.steps[0].gain_s == 0
    assert (error.changes_from, error.changes_at) == (pytest.approx(149e-6), pytest.approx(150e-6))
    assert price(deep, "RAM").binding == "slack"


def test_no_limit_on_single_tensors_has_no_price() -> None:
    _, deep = deep_of(case_of(toy(FREE), min_sqnr_db=30.0))
    assert price(deep, "noise").binding == "none"


def test_a_decibel_less_brings_widths_back_that_missed_the_limit_by_less() -> None:
    """Weights of 4 bits have an error of 50: a limit of 45 keeps 8 bits alone, and 1 dB more admits 56."""
    problem = toy(Limits(10**9, tensor_error=45))
    other = replace(problem.weights[0], name="other", error=(0, 0, 0, 40, 0, 0, 0, 5))
    problem = replace(
        problem,
        weights=(replace(problem.weights[0], bits=(8,)), other),
        groups=(replace(problem.groups[0], bits=(8,), error=(90,) * 7 + (10,)),),
        values=(problem.values[0], replace(problem.values[1], wire_bits=(8,)), problem.values[2]),
    )
    _, deep = deep_of(case_of(problem, min_sqnr_db=30.0))
    noise = price(deep, "noise")
    assert noise.binding == "binds"
    assert noise.steps[0].gain_s == pytest.approx(10e-6)


def test_a_limit_on_latency_binds_where_it_is_broken_and_tells_the_plan_nothing() -> None:
    _, deep = deep_of(case_of(toy(Limits(10**9, latency_ns=2_000_000))))
    assert price(deep, "latency").binding == "slack"
    assert price(deep, "latency").limit == pytest.approx(2e-3)
    assert price(deep, "latency").note == "some plan keeps it from 506.329kbps on"  # 1.21 ms + 400 bits / rate = 2 ms


def test_where_no_plan_keeps_the_limits_the_amounts_are_those_from_which_one_does() -> None:
    """1.21 ms + 400 bits / rate = 1.5 ms at 1.379310 Mbit/s."""
    _, deep = deep_of(case_of(toy(Limits(10**9, latency_ns=1_500_000))))
    assert deep.note.startswith("no plan keeps the limits")
    rate = price(deep, "rate")
    assert rate.changes_at == pytest.approx(400e9 / 0.29e6, abs=5)
    assert [(step.enough, step.gain_s) for step in rate.steps] == [(True, None), (False, 0.0)]
    assert price(deep, "RAM").binding == "slack"
    assert price(deep, "latency").binding == "binds"
    assert not deep.stays


def test_time_that_is_up_is_told() -> None:
    ticks = itertools.count()
    case = case_of(toy(FREE))
    found = deepen(explain(case), case, 3.0, lambda: float(next(ticks))).deep
    assert found is not None
    assert not found.complete
    assert found.solves <= 3


def test_a_picked_plan_is_not_taken_for_the_fastest() -> None:
    problem = toy(FREE)
    cloud = best_effort(problem, prefix(problem, 0), Effort(5.0, 0))
    assert cloud is not None
    case = case_of(problem, pick=2)
    plans = tuple(replace(p, chosen=p.kind == "cloud-only") for p in case.plans)
    case = replace(case, cut=cloud.cut, bits=cloud.bits, plans=plans, decision={"kind": "cloud-only", "proof": "optimal"})
    found, deep = deep_of(case)
    assert "as --pick 2 asks for" in found.decision
    assert deep.note.startswith("the fastest plan within these limits takes 1.61 ms")
    assert next(row for row in found.cuts if row.after == "first").reason == "faster by 6.69 ms, but --pick 2 asks for the chosen one"


def test_cuts_say_why_they_were_not_chosen() -> None:
    found, _ = deep_of(case_of(toy(FREE)))
    assert [(row.position, row.kind, row.chosen, row.reason) for row in found.cuts] == [
        (0, "cloud-only", False, "slower by 6.69 ms (5.16 x)"),
        (1, "split", True, "chosen"),
        (2, "edge-only", False, "slower by 8.4 ms (6.22 x)"),
    ]


def diamond() -> Problem:
    """`slow` and `thin` both read the input; `join` reads both. Only `thin` makes little of much: its cut is no prefix of the order."""

    def op(name: str, reads: tuple[int, ...], result: int, edge_ns: int, cloud_ns: int) -> OpItem:
        rows = (ZEROS,) * (len(reads) + 1)
        table = ((edge_ns,) * 9,) * 9
        return OpItem(name, tuple(map(Operand, reads)), (Operand(result),), False, (NONE, NONE), table, rows, cloud_ns)

    return Problem(
        values=(
            Value("small", 10, 32, is_input=True),
            Value("large", 1000, 32, is_input=True),
            Value("s", 1000, 32),
            Value("t", 10, 32),
            Value("y", 10, 32, is_output=True),
        ),
        groups=(),
        weights=(),
        constants=(),
        ops=(
            op("slow", (0,), 2, 50_000_000, 100_000),
            op("thin", (1,), 3, 100_000, 50_000),
            op("join", (2, 3), 4, 9_000_000, 100_000),
        ),
        link=Link(1_000_000, 0),
        limits=FREE,
        overlap=False,
        packed=True,
    )


def test_a_cut_that_is_no_prefix_has_neighbours_of_its_own() -> None:
    """40 bytes of the small input and 40 of `t`: 0.64 ms, 0.1 on the edge and 0.2 in the cloud."""
    problem = diamond()
    best = search(problem, ClosedSpace(ends=True), Effort(5.0, 0), 1).solutions[0]
    assert best.cut.ops == (1,)
    figures = best.figures
    assert figures.latency_ns == 640_000 + 100_000 + 200_000
    plan = Listed(1, True, "split", "thin", 1, 1e-4, 6.4e-4, 2e-4, 9.4e-4, 80, figures.ram_bits // 8, 0, 0.0, feasible=True, violations="")
    options = {"space": "dag"}
    case = Case(problem, best.cut, best.bits, (plan,), options, {"kind": "split", "proof": "optimal"}, {})
    found, deep = deep_of(case)
    rows = [(row.position, row.after, row.chosen, row.prefix, row.ops, row.basis) for row in found.cuts]
    assert rows == [
        (0, "", False, True, (), "solved"),
        (1, "thin", True, False, (1,), "listed"),
        (2, "thin", False, True, (0, 1), "solved"),
        (3, "join", False, True, (), "solved"),
    ]
    assert found.cuts[0].reason == "slower by 31.6 ms (34.65 x)"
    assert stays(deep, "rate").low == pytest.approx(640e9 / (59.1e6 - 0.3e6), rel=1e-6)
    assert stays(deep, "rate").below == "Edge-Only"
    assert "(no prefix)" in explanation_text(found)
