"""Plans over a trace of the link: sought at several rates, compared by their median over the trace."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from autosplitc.passes import Choice, Plan, Solutions
from autosplitc.passes.assign_bits import AssignBits
from autosplitc.passes.choose_plan import ChoosePlan
from autosplitc.targets import Network, Trace

if TYPE_CHECKING:
    from .conftest import Toy

SLOW, MIDDLE, FAST = 2e3, 8e3, 4e6
TRACE = Trace("walk.csv", "0" * 64, tuple(float(i) for i in range(20)), (*(SLOW,) * 5, 0.0, *(MIDDLE,) * 8, *(FAST,) * 6))
"""Twenty seconds: slow, an outage, middling, fast."""


def at(toy: Toy, network: Network, **request: Any) -> tuple[tuple[Plan, ...], Choice]:
    traced = replace(toy, network=network)
    module = ChoosePlan().apply(AssignBits().apply(traced.module(**request), traced.env()), traced.env())
    return module.fact(Solutions).plans, module.fact(Choice)


@pytest.fixture
def link(toy: Toy) -> Network:
    return replace(toy.network, trace=TRACE)


def test_without_a_trace_there_are_no_quantiles(toy: Toy) -> None:
    found, _ = at(toy, toy.network)
    assert {(p.latency_p50_s, p.latency_p95_s) for p in found} == {(None, None)}
    assert all(p.typical_s == p.latency_s for p in found)


def test_every_plan_has_its_quantiles_and_they_order_the_list(toy: Toy, link: Network) -> None:
    found, choice = at(toy, link, min_sqnr_db=20.0)
    for plan in found:
        expected = tuple(plan.edge_s + plan.cloud_s + sent_s for sent_s in link.quantiles_s(plan.payload_bytes))
        assert (plan.latency_p50_s, plan.latency_p95_s) == expected
        assert plan.typical_s == plan.latency_p50_s
    assert [p.typical_s for p in found] == sorted(p.typical_s for p in found)
    assert found[choice.index].typical_s == min(p.typical_s for p in found if p.feasible)
    assert {"cloud-only", "edge-only"} <= {p.kind for p in found}
    assert len({replace(p, proof="", gap=0.0) for p in found}) == len(found)


def test_the_plan_is_the_best_of_those_for_the_rates_of_the_trace(toy: Toy, link: Network) -> None:
    asked: dict[str, Any] = {"wire_bits": (1,), "edge_ram_bytes": 150}
    found, choice = at(toy, link, **asked)
    seen: set[float] = set()
    for rate_bps in (SLOW, MIDDLE, FAST):
        plans, chosen = at(toy, replace(toy.network, rate_bps=rate_bps), **asked)
        best = plans[chosen.index]
        seen.add(best.edge_s + best.cloud_s + link.quantiles_s(best.payload_bytes)[0])
    assert found[choice.index].typical_s <= min(seen)
    assert len(seen) > 1


def test_the_sentence_says_what_decided(toy: Toy, link: Network) -> None:
    found, choice = at(toy, link, wire_bits=(1,), edge_ram_bytes=150)
    cloud = next(p for p in found if p.kind == "cloud-only")
    assert choice.why.startswith(
        f"the fastest of {sum(p.feasible for p in found)} plans that keep every limit, by the median over the trace"
    )
    assert f"Cloud-Only takes {cloud.typical_s * 1e3:.1f} ms" in choice.why


def test_a_limit_on_the_latency_is_one_on_the_median(toy: Toy, link: Network) -> None:
    free, choice = at(toy, link, cut=("c1",), edge_ram_bytes=150, wire_bits=(1,))
    best = free[choice.index]
    assert best.latency_p50_s is not None
    kept, choice = at(toy, link, cut=("c1",), edge_ram_bytes=150, wire_bits=(1,), max_latency_s=best.latency_p50_s + 1e-9)
    assert kept[choice.index].feasible
    missed, choice = at(toy, link, cut=("c1",), edge_ram_bytes=150, wire_bits=(1,), max_latency_s=best.latency_p50_s / 2)
    (violation,) = missed[choice.index].violations
    assert violation.startswith(f"latency {best.latency_p50_s * 1e3:.4g} ms at the median of the trace, ")


@pytest.mark.usefixtures("no_relaxation")
def test_where_the_time_ends_the_proof_is_taken_back_once(toy: Toy, link: Network) -> None:
    traced = replace(toy, network=link)
    module = traced.module(max_error=0.02, edge_ram_bytes=900)
    plans = AssignBits(time_limit_s=1e-9).apply(module, traced.env()).fact(Solutions).plans
    assert [w.code for w in toy.warnings if w.code == "AS502"] == ["AS502"]
    assert next(p for p in plans if p.feasible).proof == "feasible"
