"""Planning problems as JSON: what is read equals what was written; what does not fit is named, once."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import fields, replace
from importlib.resources import files
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autosplitc.ir import CompileError
from autosplitc.passes.planner import (
    FixedConst,
    Group,
    Limits,
    Link,
    Operand,
    OpItem,
    Problem,
    Value,
    Weight,
    problem_from_json,
    problem_text,
    problem_to_json,
)

if TYPE_CHECKING:
    from .conftest import Problems

Json = dict[str, Any]

BAD: tuple[object, ...] = (None, "x", -5, 1.5, [], {}, True, 10**6)


@settings(max_examples=150, derandomize=True, deadline=None)
@given(seed=st.integers(0, 10**9))
def test_what_is_read_equals_what_was_written(problems: Problems, seed: int) -> None:
    r = random.Random(seed)
    problem = problems.tight(seed, ops=6)
    limits = replace(problem.limits, storage_bits=r.choice((None, 10**12)), latency_ns=r.choice((None, 5)))
    problem = replace(problem, limits=limits, error_unit=r.choice((1e-6, r.random(), 1e-18, 3e-300)))
    text = problem_text(problem_to_json(problem))
    again = problem_from_json(json.loads(text))
    assert again == problem
    assert problem_text(problem_to_json(again)) == text


def test_every_field_stands_in_the_schema() -> None:
    schema = json.loads(files("autosplitc.passes.planner").joinpath("problem.schema.json").read_text(encoding="utf-8"))
    kinds = {
        "weight": Weight,
        "constant": FixedConst,
        "group": Group,
        "value": Value,
        "operand": Operand,
        "op": OpItem,
        "link": Link,
        "limits": Limits,
    }
    for name, kind in kinds.items():
        assert set(schema["$defs"][name]["properties"]) - {"kind"} == {f.name for f in fields(kind)}, name
    assert set(schema["properties"]) - {"schema", "about"} == {f.name for f in fields(Problem)}


def places(found: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the paths of all values in a JSON value."""
    inner: list[tuple[str | int, ...]] = []
    if isinstance(found, dict):
        inner = [p for key, value in cast("Json", found).items() for p in places(value, (*path, key))]
    elif isinstance(found, list):
        inner = [p for i, value in enumerate(cast("list[object]", found)) for p in places(value, (*path, i))]
    return [path, *inner]


@settings(max_examples=200, derandomize=True, deadline=None)
@given(seed=st.integers(0, 10**9))
def test_damaged_problems_are_read_or_refused_with_one_diagnostic(problems: Problems, seed: int) -> None:
    r = random.Random(seed)
    found = json.loads(problem_text(problem_to_json(problems.loose(seed % 50))))
    path = r.choice(places(found)[1:])
    inside: Any = found
    for step in path[:-1]:
        inside = inside[step]
    if r.random() < 0.3:
        del inside[path[-1]]
    else:
        inside[path[-1]] = r.choice(BAD)
    try:
        problem_from_json(found, "some.json")
    except CompileError as error:
        (diagnostic,) = error.diagnostics
        assert diagnostic.code in ("AS641", "AS642", "AS643")
        assert diagnostic.location == "some.json"
        assert diagnostic.hint


DAMAGES: list[tuple[Callable[[Json], object], str, str]] = [
    (lambda p: p.update(schema="other/1"), "AS641", "other/1"),
    (lambda p: p.update(valves=[]), "AS642", "valves"),
    (lambda p: p["link"].update(rate_bps=0), "AS642", "$.link.rate_bps"),
    (lambda p: p["ops"][0]["inputs"][0].update(value=99), "AS643", "no index 99"),
    (lambda p: p["ops"].reverse(), "AS643", "before it is made"),
    (lambda p: p["ops"][0]["traffic_ns"].pop(), "AS643", "traffic_ns"),
]


@pytest.mark.parametrize(("damage", "code", "said"), DAMAGES)
def test_what_is_wrong_is_named(problems: Problems, damage: Callable[[Json], object], code: str, said: str) -> None:
    made = (problems.loose(seed) for seed in range(100))
    problem = next(p for p in made if any(v in p.ops[0].makes for v in p.ops[1].reads))
    found = json.loads(problem_text(problem_to_json(problem)))
    damage(found)
    with pytest.raises(CompileError) as caught:
        problem_from_json(found)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == code
    assert said in diagnostic.message
