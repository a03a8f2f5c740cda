"""Going on from a dump: which facts a changed request leaves standing."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from autosplitc.ir import CompileError, Fact, Graph, Module
from autosplitc.manifest import sha256_of_file
from autosplitc.options import PLAN_FIELDS, Options
from autosplitc.passes import FACT_TYPES, Choice, Request, Solutions, Splits, WireLayout, pass_class
from autosplitc.request import changed_fields, check_calibration, check_trace, override, target_digests
from autosplitc.targets import parse_network

REQUEST = Request("", "m.onnx", "0" * 64, "eyeriss", "tpu", "3mbps")


def empty(kind: type[Fact]) -> Fact:
    """Return a fact with as little in it as its fields allow."""
    blank: dict[str, Any] = {"int": 0, "float": 0.0, "bool": False, "str": "main", "ArrayRef": None, "ArrayRef | None": None}
    return kind(**{f.name: blank.get(str(f.type), ()) for f in fields(kind)})


def graph(name: str) -> Graph:
    return Graph(name, (("", 21),), (), (), (), ())


MODULE = Module(
    tuple(graph(name) for name in ("main", "edge", "cloud", "whole")), (REQUEST, *(empty(t) for t in FACT_TYPES if t is not Request))
)


@pytest.mark.parametrize(
    ("change", "gone"),
    [
        ({}, ()),
        ({"net": "3mbps"}, ()),
        ({"codec": "none"}, ("wire-sizes", "solutions", "choice", "refinement", "wire-layout")),
        ({"pick": 2}, ("choice", "refinement", "wire-layout")),
        ({"net": "1mbps"}, ("solutions", "choice", "refinement", "wire-layout")),
        ({"edge_ram_bytes": 9}, ("splits", "solutions", "choice", "refinement", "wire-layout")),
        ({"edge": "tpu"}, ("costs", "wire-sizes", "splits", "solutions", "choice", "refinement", "wire-layout")),
        ({"edge_sha256": "1" * 64}, ("costs", "wire-sizes", "splits", "solutions", "choice", "refinement", "wire-layout")),
        ({"cloud_sha256": "1" * 64}, ("costs", "splits", "solutions", "choice", "refinement", "wire-layout")),
        (
            {"calib_sha256": "1" * 64},
            ("ranges", "rounding", "sensitivity", "wire-sizes", "solutions", "choice", "refinement", "wire-layout"),
        ),
    ],
)
def test_a_change_drops_what_no_longer_holds(change: dict[str, object], gone: tuple[str, ...]) -> None:
    after = override(MODULE, change)
    assert {f.name for f in MODULE.facts} - {f.name for f in after.facts} == set(gone)
    assert [g.name for g in after.graphs] == (["main"] if gone else ["main", "edge", "cloud", "whole"])
    assert type(after.facts[0]) is Request


@pytest.mark.parametrize("field", PLAN_FIELDS)
def test_every_field_unsettles_at_least_the_choice(field: str) -> None:
    old = getattr(REQUEST, field)
    after = override(MODULE, {field: (3,) if isinstance(old, tuple) or old is None else type(old)(7) if old != 7 else 8})
    assert after.get(Choice) is None
    assert after.get(WireLayout) is None


def test_only_given_options_override() -> None:
    options = Options(edge="tpu", net="1mbps", seed=5, edge_ram_bytes=100)
    assert changed_fields(options, (), None, None) == {}
    assert changed_fields(options, ("net", "seed"), None, None) == {"net": "1mbps", "net_sha256": "", "seed": 5}


def test_a_trace_comes_with_its_digest(tmp_path: Path) -> None:
    path = tmp_path / "walk.csv"
    path.write_text("time_s,rate_mbps\n0,3\n", encoding="utf-8")
    changes = changed_fields(Options(edge="tpu", net=f"{path},rtt=5ms"), ("net",), None, None)
    assert changes == {"net": f"{path},rtt=5ms", "net_sha256": sha256_of_file(path)}
    asked = replace(REQUEST, **changes)
    check_trace(asked, parse_network(asked.net))
    path.write_text("time_s,rate_mbps\n0,4\n", encoding="utf-8")
    with pytest.raises(CompileError) as caught:
        check_trace(asked, parse_network(asked.net))
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.code, caught.value.exit_code) == ("AS407", 1)
    assert diagnostic.hint == f"--net {asked.net} plans again with what it holds now"


def test_target_files_come_with_their_digests(tmp_path: Path) -> None:
    path = tmp_path / "acme.toml"
    path.write_text("a", encoding="utf-8")
    asked = replace(REQUEST, edge=f"{path}:clock=1MHz", edge_sha256=sha256_of_file(path))
    assert target_digests(REQUEST, {}) == {"edge_sha256": "", "cloud_sha256": ""}
    assert override(MODULE, target_digests(REQUEST, {})).facts[1:] == MODULE.facts[1:]
    assert target_digests(asked, {}) == {"edge_sha256": asked.edge_sha256, "cloud_sha256": ""}
    assert target_digests(asked, {"edge": "tpu"}) == {"edge_sha256": "", "cloud_sha256": ""}
    path.write_text("b", encoding="utf-8")
    assert target_digests(asked, {})["edge_sha256"] == sha256_of_file(path) != asked.edge_sha256


def test_a_target_file_that_is_gone_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "acme.toml"
    with pytest.raises(CompileError) as caught:
        target_digests(replace(REQUEST, cloud=str(path)), {})
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.code, caught.value.exit_code) == ("AS439", 1)
    assert diagnostic.hint == "--cloud FILE, where it is now, or another target"
    assert target_digests(replace(REQUEST, cloud=str(path)), {"cloud": "tpu"})["cloud_sha256"] == ""


def test_calibrating_a_dump_again_needs_its_data() -> None:
    asked = Request("", "m.onnx", "0" * 64, "eyeriss", "tpu", "3mbps", calib_sha256="1" * 64)
    with pytest.raises(CompileError) as caught:
        check_calibration(asked, None, [pass_class("calibrate")()])
    assert caught.value.diagnostics[0].code == "AS118"
    check_calibration(asked, None, [pass_class("liveness")()])
    check_calibration(REQUEST, None, [pass_class("calibrate")()])


def test_solutions_and_splits_stay_when_only_the_pick_changes() -> None:
    after = override(MODULE, {"pick": 1})
    assert after.get(Solutions) is not None
    assert after.get(Splits) is not None
