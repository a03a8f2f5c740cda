"""The front as a fact: its cells and points, what an interruption leaves, and what a second run need not seek again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

from autosplitc.ir import Module, read_dump, verify, write_dump
from autosplitc.passes import FACT_TYPES, Env, Front, Silent, Solutions
from autosplitc.passes.assign_bits import AssignBits
from autosplitc.passes.find_front import FindFront
from autosplitc.passes.planner import Seeker

if TYPE_CHECKING:
    from .conftest import Toy

T = TypeVar("T")


@dataclass
class Memory:
    """A cache in memory."""

    held: dict[str, bytes] = field(default_factory=dict[str, bytes])

    def get(self, key: str) -> bytes | None:
        return self.held.get(key)

    def put(self, key: str, value: bytes) -> None:
        self.held[key] = value


@dataclass(frozen=True)
class CtrlC:
    """A progress that is interrupted after some items."""

    after: int

    def track(self, items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
        del description, total
        for i, item in enumerate(items):
            if i == self.after:
                raise KeyboardInterrupt
            yield item


def planned(toy: Toy, env: Env) -> Module:
    return AssignBits().apply(toy.module(max_error=1.0), env)


def found(module: Module, env: Env, pass_: FindFront | None = None) -> Module:
    after = (pass_ or FindFront()).apply(module, env)
    assert verify(after) == ()
    return after


def test_the_front_has_cells_and_points_and_its_plans_are_solutions(toy: Toy, tmp_path: Path) -> None:
    module = found(planned(toy, toy.env()), toy.env(), FindFront(error_levels=5, memory_levels=3))
    front = module.fact(Front)
    assert not front.partial
    assert len(front.cells) == 15
    assert {cell.proof for cell in front.cells} == {"optimal"}
    assert {"cloud-only", "edge-only"} <= {plan.kind for plan in front.points}
    for cell in front.cells:
        plan = front.points[cell.point]
        assert plan.error <= cell.max_error
        assert plan.ram_bytes <= cell.max_ram_bytes
    merits = [(p.latency_s, p.error, p.ram_bytes) for p in front.points]
    assert merits == sorted(merits)
    cuts = {(p.position, p.weight_bits, p.act_bits, p.wire_bits) for p in module.fact(Solutions).plans}
    assert any((p.position, p.weight_bits, p.act_bits, p.wire_bits) in cuts for p in front.points if p.kind == "split")
    assert read_dump(write_dump(module, tmp_path, 0, "front"), FACT_TYPES).fact(Front) == front


def test_an_interruption_keeps_what_is_known_and_the_next_run_goes_on(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Memory()
    env = replace(toy.env(), cache=cache)
    module = planned(toy, env)
    part = found(module, replace(env, progress=CtrlC(3))).fact(Front)
    assert part.partial
    assert {cell.proof for cell in part.cells} == {"optimal", "unsought"}
    assert {"cloud-only", "edge-only"} <= {plan.kind for plan in part.points}
    kept = len(cache.held)
    whole = found(module, replace(env, progress=Silent())).fact(Front)
    assert len(cache.held) > kept > 0
    assert whole == found(module, toy.env()).fact(Front)

    def sought_again(*_: object) -> None:
        raise AssertionError("a cell that is known was sought again")

    monkeypatch.setattr(Seeker, "solved", sought_again)
    assert found(module, env).fact(Front) == whole


def test_a_damaged_cell_is_sought_again(toy: Toy) -> None:
    cache = Memory()
    env = replace(toy.env(), cache=cache)
    module = planned(toy, env)
    whole = found(module, env).fact(Front)
    for i, key in enumerate(cache.held):
        cache.held[key] = (b"", b"{}", b"[]", b'{"solution": 3}')[i % 4]
    assert found(module, env).fact(Front) == whole


def test_an_interruption_at_once_leaves_the_ends(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    module = planned(toy, toy.env())
    monkeypatch.setattr(Seeker, "solved", interrupted)
    front = found(module, toy.env()).fact(Front)
    assert front.partial
    assert front.cells == ()
    assert {plan.kind for plan in front.points} == {"cloud-only", "edge-only"}


def test_an_edge_only_that_breaks_a_limit_stands_beside_the_front_and_answers_no_cell(make_toy: Callable[..., Toy]) -> None:
    toy = make_toy(ram_bytes=10**9, storage_bytes=1_500)
    front = found(planned(toy, toy.env()), toy.env()).fact(Front)
    whole = next(i for i, p in enumerate(front.points) if p.kind == "edge-only")
    assert not front.points[whole].feasible
    assert whole not in {cell.point for cell in front.cells}
    assert all(front.points[cell.point].feasible for cell in front.cells)
