"""Ops that a user keeps in float."""

from __future__ import annotations

from pathlib import Path

import pytest

from autosplitc.ir import CompileError, Module, import_onnx
from autosplitc.passes import Env, Request, Sensitivity, expand, pass_class, roles
from autosplitc.targets import load_target, parse_network

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "fashion" / "fashion.onnx"
ENV = Env(load_target("eyeriss"), load_target("tpu"), parse_network("3mbps"))


def module(keep_float: str) -> Module:
    request = Request("", "fashion.onnx", "0" * 64, "eyeriss", "tpu", "3mbps", keep_float=keep_float)
    made = Module((import_onnx(EXAMPLE),), (request,))
    for name in (*expand("simplify"), "calibrate"):
        made = pass_class(name)().apply(made, ENV)
    return made


def test_matching_ops_are_float_and_the_rest_is_not() -> None:
    graph = module("").main
    every, some = roles(graph), roles(graph, r"^stage1/|waist/conv")
    left = every.quantised - some.quantised
    assert {name.split("/")[0] for name in left} == {"stage1", "waist"}
    assert "waist/clip" in left
    assert not any(name.startswith("stage1/") for name in some.weight_axis)
    assert {name for name in some.quantised if name.startswith("stage2/")} == {n for n in every.quantised if n.startswith("stage2/")}


def test_sensitivity_has_no_record_of_their_weights() -> None:
    found = pass_class("measure-sensitivity")().apply(module("^stage1/"), ENV).fact(Sensitivity)
    assert not any(e.tensor.startswith("stage1/") for e in found.weights)


def test_a_pattern_that_matches_nothing_is_a_usage_error() -> None:
    with pytest.raises(CompileError) as caught:
        pass_class("measure-sensitivity")().apply(module("nobody"), ENV)
    assert (caught.value.diagnostics[0].code, caught.value.exit_code) == ("AS155", 2)
