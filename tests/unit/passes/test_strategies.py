"""Other methods' plans in place of ours."""

from __future__ import annotations

from pathlib import Path

import pytest

import autosplitc
from autosplitc.ir import CompileError
from autosplitc.passes import EMITTED, Choice, check_strategy
from autosplitc.runtime.bundle import Bundle

NET = "3mbps"


@pytest.mark.parametrize("strategy", [name for name in EMITTED if name != "auto-split"])
def test_every_strategy_gives_a_bundle(strategy: str, tmp_path: Path) -> None:
    result = autosplitc.compile("zoo:fashion", network=NET, strategy=strategy, passes="all")
    assert f"--strategy {strategy} asks for it" in result.module.fact(Choice).why
    assert result.best.proof == "feasible"
    bundle = Bundle.load(result.save(tmp_path / "out"))
    assert bundle.kind == result.best.kind
    bundle.check_files("edge")


@pytest.mark.parametrize(("strategy", "bits"), [("u8", 8), ("u4", 4), ("u2", 2)])
def test_uniform_bits_are_uniform(strategy: str, bits: int) -> None:
    best = autosplitc.compile("zoo:fashion", network=NET, strategy=strategy, passes="simplify,analyze,plan").best
    assert best.kind == "edge-only"
    assert {chosen.bits for chosen in best.weight_bits} == {bits}


def test_the_papers_search_has_no_more_error_than_ours_and_is_no_faster() -> None:
    ours, theirs = (
        autosplitc.compile("zoo:fashion", network="1mbps", edge_memory="64KiB", strategy=strategy, passes="simplify,analyze,plan").best
        for strategy in ("auto-split", "auto-split-paper")
    )
    assert theirs.error <= ours.error * (1 + 1e-6)
    assert theirs.feasible
    free = autosplitc.compile(
        "zoo:fashion", network="1mbps", edge_memory="64KiB", max_error=theirs.error, passes="simplify,analyze,plan"
    ).best
    assert free.latency_s <= theirs.latency_s


@pytest.mark.parametrize(
    ("strategy", "said"), [("dads", "in float"), ("qdmp", "in float"), ("u9", "no strategy 'u9'"), ("", "no strategy ''")]
)
def test_names_that_are_refused(strategy: str, said: str) -> None:
    with pytest.raises(CompileError, match=said) as caught:
        check_strategy(strategy)
    assert [d.code for d in caught.value.diagnostics] == ["AS167"]


def test_widths_that_the_edge_does_not_take() -> None:
    with pytest.raises(CompileError, match="u2 has no plan") as caught:
        autosplitc.compile("zoo:fashion", edge="coral-edge-tpu", network=NET, strategy="u2", passes="simplify,analyze,plan")
    assert [d.code for d in caught.value.diagnostics] == ["AS168"]
