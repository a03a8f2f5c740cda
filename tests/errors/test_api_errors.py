"""Arguments of `autosplitc.compile` of a wrong type or range: a usage error that names the argument, before anything is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import autosplitc
from autosplitc.ir import EXIT_USAGE, CompileError

NAN = float("nan")


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("edge", None),
        ("cloud", 3),
        ("network", 3),
        ("edge_memory", -400),
        ("edge_memory", 0),
        ("edge_memory", 400.5),
        ("edge_memory", True),
        ("edge_storage", -1),
        ("input_bits", 9),
        ("weight_bits", []),
        ("act_bits", [9]),
        ("wire_bits", ["4"]),
        ("min_sqnr_db", NAN),
        ("max_error", -1),
        ("max_latency_s", "5ms"),
        ("keep_float", "("),
        ("pick", 0),
        ("max_opset", 1.5),
        ("time_limit_s", NAN),
        ("seed", -3),
    ],
)
def test_a_bad_argument_is_a_usage_error(tmp_path: Path, argument: str, value: Any) -> None:
    arguments: dict[str, Any] = {argument: value}
    with pytest.raises(CompileError) as caught:
        autosplitc.compile("missing.onnx", output=tmp_path / "out", **arguments)
    (found,) = caught.value.diagnostics
    assert (found.code, caught.value.exit_code) == ("AS103", EXIT_USAGE)
    assert found.location.startswith(f"{argument}=")
    assert f"{argument}=" in found.hint
    assert not list(tmp_path.iterdir())


def test_every_bad_argument_is_named_at_once() -> None:
    with pytest.raises(CompileError) as caught:
        autosplitc.compile("missing.onnx", edge_memory=-1, seed=-1)
    assert [found.location for found in caught.value.diagnostics] == ["edge_memory=-1", "seed=-1"]


def test_good_arguments_come_to_the_model() -> None:
    with pytest.raises(CompileError, match="AS201"):
        autosplitc.compile("missing.onnx", edge_memory=400, weight_bits=[8, 4], max_latency_s=0, keep_float="a|b", pick=1, max_opset=21)


def test_a_path_is_a_target(tmp_path: Path) -> None:
    with pytest.raises(CompileError, match="AS430"):
        autosplitc.compile("zoo:fashion", edge=tmp_path / "missing.toml")
