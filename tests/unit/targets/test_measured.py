"""A profiled device as a target: times by width, predictions, packing, and what the profile does not speak of."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
import pytest

from autosplitc.ir import CompileError, DType, TensorType
from autosplitc.targets import (
    FLOAT_ROW,
    ROWS,
    MeasuredTarget,
    OpCost,
    OpView,
    Target,
    check_target,
    checked_cost,
    description,
    load_target,
    option_fields,
    pack_view,
    profile_problems,
    read_profile,
    row_of,
    unpack_view,
    unprofiled,
)

MakeOp: TypeAlias = Callable[..., OpView]
Read: TypeAlias = "Callable[[dict[str, Any]], MeasuredTarget]"


class MakeProfile(Protocol):
    """Makes the JSON of a profile."""

    def __call__(
        self,
        ops: Iterable[tuple[str, OpView]],
        times: Callable[[OpView, str], float],
        contexts: tuple[str, ...] = ...,
        wires: Iterable[tuple[int, int, float, float]] = ...,
        sha256: str = ...,
        runtime: str = ...,
    ) -> dict[str, Any]:
        """Return it."""
        ...


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Return a function that reads a profile back from a file."""

    def through_file(content: dict[str, Any]) -> MeasuredTarget:
        path = tmp_path / "board.json"
        path.write_text(json.dumps(content))
        return read_profile(path)

    return through_file


@pytest.fixture
def conv(make_op: MakeOp) -> OpView:
    """A convolution of 12,800 multiply-accumulates."""
    return conv_of(make_op, 8)


def conv_of(make_op: MakeOp, filters: int) -> OpView:
    op: OpView = make_op("conv", [(1, 4, 10, 10), (filters, 4, 1, 1)], [(1, filters, 10, 10)], strides=(1, 1))
    return replace(op, constant=(False, True))


def by_context(op: OpView, context: str) -> float:
    """1 ms an 8-bit op, 10 ms a float one, in between the narrower the slower."""
    return {"float": 0.01, "8": 0.001, "6": 0.002, "4": 0.003, "2": 0.004}[context] * max(op.macs, 1)


def cost_of(target: Target, op: OpView) -> OpCost:
    cost = checked_cost(target, op, "y")
    assert cost is not None
    return cost


def seconds(target: Target, op: OpView) -> list[float]:
    """Seconds by row: of the weights where the op has any, whatever the width of its input's codes; else of the first operand."""
    table = cost_of(target, op).compute_s
    if op.macs:
        assert (table[:FLOAT_ROW, :FLOAT_ROW] == table[0, :FLOAT_ROW]).all()
        assert (table[FLOAT_ROW] == table[FLOAT_ROW, FLOAT_ROW]).all()
    else:
        assert (table == table[:, :1]).all()
    return list(np.diagonal(table))


def test_an_op_takes_what_it_took_at_its_width(make_profile: MakeProfile, read: Read, conv: OpView) -> None:
    target = read(make_profile([("y", conv)], by_context, ("float", "8", "6", "4")))
    macs = conv.macs
    four, six, eight, exact = 0.003 * macs, 0.002 * macs, 0.001 * macs, 0.01 * macs
    assert seconds(target, conv) == [four, four, four, four, six, six, eight, eight, exact]
    cost = cost_of(target, conv)
    assert cost.measured_rows == {row_of(4), row_of(6), row_of(8), FLOAT_ROW}
    assert [t.shape for t in cost.traffic_bytes] == [(ROWS,)] * 3
    assert not np.any(cost.traffic_bytes)
    assert (cost.bandwidth_bytes_per_s, cost.overlap) == (1.0, False)
    assert cost.latency_s((0, 0, 0), (row_of(8), row_of(2))) == four
    assert cost.latency_s((0, 0, 0), (row_of(2), row_of(8))) == eight
    assert cost.latency_s((0, 0, 0), (FLOAT_ROW, row_of(8))) == exact


def test_wider_than_all_that_was_profiled_is_float(make_profile: MakeProfile, read: Read, conv: OpView) -> None:
    target = read(make_profile([("y", conv)], by_context, ("float", "4")))
    assert seconds(target, conv)[row_of(5)] == 0.01 * conv.macs
    assert cost_of(target, conv).measured_rows == {row_of(4), FLOAT_ROW}


def test_an_op_that_ran_in_fewer_contexts(make_profile: MakeProfile, read: Read, conv: OpView, make_op: MakeOp) -> None:
    softmax = make_op("softmax", [(1, 10)], [(1, 10)])
    content = make_profile([("y", conv), ("p", softmax)], by_context)
    del content["ops"][1]["times"]["8"]
    target = read(content)
    assert seconds(target, softmax) == [0.01] * ROWS
    assert cost_of(target, softmax).measured_rows == {FLOAT_ROW}


def test_ops_of_one_signature_are_averaged(make_profile: MakeProfile, read: Read, conv: OpView) -> None:
    content = make_profile([("y", conv), ("z", conv)], by_context)
    content["ops"][1]["times"]["8"]["median_s"] *= 3
    target = read(content)
    assert seconds(target, conv)[row_of(8)] == pytest.approx(0.002 * conv.macs)


def test_it_is_a_target_with_the_devices_limits(make_profile: MakeProfile, read: Read, conv: OpView) -> None:
    content = make_profile([("y", conv)], by_context, ("float", "8", "4"))
    content["limits"].update(storage_bytes=10**7, max_opset=21, weight_bits=[8, 2])
    target = read(content)
    assert check_target(target, "test") is target
    assert (target.name, target.ram_bytes, target.storage_bytes, target.max_opset) == ("bench", 2**30, 10**7, 21)
    assert (target.weight_bits, target.act_bits, target.float_bits, target.resident) == ((2, 8), (4, 8), 32, "int8")
    assert target.source == "measured on Cortex-A72, 4 cores, Linux: 10 runs of model.onnx, onnxruntime 1.32.0, level extended, threads 1"
    assert target == read(content)


def test_an_op_that_was_not_timed_lies_on_lines_over_its_kind(make_profile: MakeProfile, read: Read, make_op: MakeOp) -> None:
    """8 and 24 filters were timed, in float twice as slow: 16 lie half-way, 48 on the line beyond; other kinds play no part."""
    small, middle, large, huge = (conv_of(make_op, n) for n in (8, 16, 24, 48))
    pool = make_op("max_pool", [(1, 4, 10, 10)], [(1, 4, 5, 5)], kernel_shape=(2, 2), strides=(2, 2))
    known = {signature_text(small): 1.0, signature_text(large): 5.0, signature_text(pool): 100.0}
    content = make_profile(
        [("a", small), ("b", large), ("c", pool)], lambda op, context: known[signature_text(op)] * (1 + (context == "float"))
    )
    target = read(content)
    assert seconds(target, middle) == pytest.approx([3.0] * 8 + [6.0])
    assert seconds(target, huge) == pytest.approx([11.0] * 8 + [22.0])
    assert seconds(target, conv_of(make_op, 1)) == pytest.approx([1.0] * 8 + [2.0])
    assert cost_of(target, middle).measured_rows == frozenset()
    assert [target.holds(op) for op in (small, middle, pool)] == [True, False, True]


def signature_text(op: OpView) -> str:
    return str(op.results)


def test_an_op_of_a_kind_that_was_not_timed_lies_on_lines_over_all(make_profile: MakeProfile, read: Read, make_op: MakeOp) -> None:
    small, large = conv_of(make_op, 8), conv_of(make_op, 24)
    target = read(make_profile([("a", small), ("b", large)], lambda op, _: op.macs * 1e-6))
    gemm = make_op("gemm", [(1, 100), (50, 100)], [(1, 50)], transB=1)
    assert gemm.macs == 5000
    assert seconds(target, gemm) == pytest.approx([5e-3] * ROWS)


def test_ops_that_only_rename_take_nothing_unless_their_kind_was_timed(
    make_profile: MakeProfile, read: Read, conv: OpView, make_op: MakeOp
) -> None:
    flatten, reshape = make_op("flatten", [(1, 10)], [(1, 10)]), make_op("reshape", [(1, 10)], [(10, 1)])
    target = read(make_profile([("y", conv), ("f", flatten)], lambda _op, _context: 0.5))
    assert seconds(target, reshape) == [0.0] * ROWS
    assert seconds(target, make_op("flatten", [(1, 5)], [(1, 5)])) == [0.5] * ROWS


def test_times_never_fall_as_the_work_grows(make_profile: MakeProfile, read: Read, make_op: MakeOp) -> None:
    """A profile in which more filters took less time: those become one point at their mean."""
    ops = [(f"y{n}", conv_of(make_op, n)) for n in (8, 16, 24, 40)]
    took = dict(zip((op.macs for _, op in ops), (1.0, 4.0, 2.0, 6.0), strict=True))
    target = read(make_profile(ops, lambda op, _: took[op.macs]))
    assert seconds(target, ops[1][1])[0] == 4.0
    predictions = [seconds(target, replace(conv_of(make_op, n), attrs=ops[0][1].attrs.with_(group=1)))[0] for n in (8, 14, 20, 30, 40, 60)]
    assert predictions == pytest.approx([1.0, 2.0, 3.0, 4.5, 6.0, 9.0])


WIRES = ((100, 8, 1e-3, 2e-3), (300, 8, 3e-3, 6e-3), (100, 2, 4e-3, 5e-3), (100, 2, 6e-3, 5e-3))


def test_packing_and_unpacking(make_profile: MakeProfile, read: Read, conv: OpView) -> None:
    target = read(make_profile([("y", conv)], by_context, wires=WIRES))
    exact, between, beyond = (TensorType(DType.F32, (1, n)) for n in (100, 150, 500))
    pack = cost_of(target, pack_view(exact))
    assert [pack.latency_s((row, row), (row, FLOAT_ROW)) for row in (0, 1, 2, 7)] == pytest.approx([5e-3, 5e-3, 1e-3, 1e-3])
    assert pack.measured_rows == {row_of(2), row_of(8)}
    assert seconds(target, unpack_view(exact))[row_of(8)] == 2e-3
    assert seconds(target, pack_view(between))[row_of(8)] == pytest.approx(1.5e-3)
    assert cost_of(target, pack_view(between)).measured_rows == frozenset()
    assert seconds(target, pack_view(beyond))[row_of(8)] == pytest.approx(5e-3)
    assert seconds(target, pack_view(beyond))[row_of(2)] == pytest.approx(25e-3)


def test_packing_what_is_codes_already(make_profile: MakeProfile, read: Read, conv: OpView) -> None:
    content = make_profile([("y", conv)], by_context, wires=WIRES)
    assert seconds(read(content), pack_view(TensorType(DType.F32, (1, 100)), codes=True))[row_of(8)] == 1e-3
    for wire in content["wires"]:
        wire["pack_codes_s"], wire["pack_codes_spread_s"] = wire["pack_s"] / 4, 0.0
    target = read(content)
    pack = cost_of(target, pack_view(TensorType(DType.F32, (1, 100)), codes=True))
    assert pack.latency_s((0, 7), (row_of(8), FLOAT_ROW)) == pytest.approx(0.25e-3)
    assert pack.measured_rows == {row_of(2), row_of(8)}
    assert seconds(target, pack_view(TensorType(DType.F32, (1, 100))))[row_of(8)] == 1e-3


def test_without_wires_nothing_is_known_of_packing(make_profile: MakeProfile, read: Read, conv: OpView) -> None:
    target = read(make_profile([("y", conv)], by_context))
    assert target.cost(pack_view(conv.results[0])) is None
    assert target.cost(unpack_view(conv.results[0])) is None


def test_options(make_profile: MakeProfile, tmp_path: Path, conv: OpView) -> None:
    path = tmp_path / "board.json"
    path.write_text(json.dumps(make_profile([("y", conv)], by_context)))
    target = load_target(f"{path}:ram=64MB,interpolate=true,runtime=1.19.0,weight-bits=8")
    assert isinstance(target, MeasuredTarget)
    assert (target.ram_bytes, target.interpolate, target.runtime, target.weight_bits) == (64_000_000, True, "1.19.0", (8,))
    assert set(option_fields(target)) == {
        "ram", "storage", "weight-bits", "act-bits", "float-bits", "resident", "max-opset", "interpolate", "runtime"
    }  # fmt: skip
    with pytest.raises(CompileError, match=r"runtime must be a version such as 1\.19\.0, not latest"):
        load_target(f"{path}:runtime=latest")
    assert seconds(target, conv) == seconds(load_target(str(path)), conv)


def test_its_description_says_what_was_measured(make_profile: MakeProfile, tmp_path: Path, conv: OpView) -> None:
    content = make_profile([("y", conv), ("z", conv)], lambda _op, context: 0.02 if context == "float" else 0.01, wires=WIRES)
    content["ops"][0]["segment"] = "z"
    path = tmp_path / "board.json"
    path.write_text(json.dumps(content))
    lines = {line.field: (line.value, line.source) for line in description(load_target(f"{path}:ram=64MB,interpolate=true"))}
    assert lines == {
        "ram": ("64MB", "an option"),
        "storage": ("none", "the profile"),
        "weight-bits": ("4/8", "the profile"),
        "act-bits": ("8", "the profile"),
        "float-bits": ("32", "the profile"),
        "resident": ("int8", "the profile"),
        "max-opset": ("25", "the profile"),
        "interpolate": ("true", ""),
        "runtime": ("none", ""),
        "(model)": ("model.onnx", f"sha256 {'0' * 64}"),
        "(run in float)": ("40ms", "median of 10, interquartile range 0s"),
        "(run at 8 bits)": ("20ms", "median of 10, interquartile range 0s"),
        "(ops)": ("2 timed, 1 of them fused with another", ""),
        "(wire)": ("3 sizes and widths timed", ""),
    }


def test_ops_that_were_not_timed_are_named(make_profile: MakeProfile, read: Read, make_op: MakeOp, conv: OpView) -> None:
    target = read(make_profile([("y", conv)], by_context))
    others = [(f"z{n}", conv_of(make_op, n)) for n in range(10, 17)]
    assert unprofiled(target, "edge", [("y", conv)]) == ()
    assert unprofiled(load_target("eyeriss"), "edge", others) == ()
    (few,) = unprofiled(target, "cloud", [("y", conv), *others[:1]])
    assert few.render().splitlines()[:3] == [
        "error[AS444]: 1 of 2 ops are not in the profile",
        "  --> cloud target 'bench'",
        "  note: z10 (conv)",
    ]
    assert few.hint == f"--cloud {target.profile.file}:interpolate=true, or profile this model"
    (many,) = unprofiled(replace(target, interpolate=True), "edge", [("y", conv), *others])
    assert (many.code, many.severity) == ("AS445", "warning")
    assert many.message == "7 of 8 ops are not in the profile: their times are interpolated, so they are predictions"
    assert many.notes == ("z10 (conv), z11 (conv), z12 (conv), z13 (conv), z14 (conv) and 2 more",)


def test_a_profile_of_another_model(make_profile: MakeProfile, read: Read, conv: OpView) -> None:
    target = read(make_profile([("y", conv)], by_context, sha256="a" * 64))
    assert profile_problems(target, "edge", "net.onnx", "a" * 64, "1.32.1") == ()
    (problem,) = profile_problems(target, "edge", "net.onnx", "b" * 64, "1.32.1")
    assert problem.render() == (
        "error[AS442]: the profile is of another model\n"
        "  --> edge target 'bench'\n"
        "  note: profiled: model.onnx, sha256 aaaaaaaaaaaa...\n"
        "  note: this is net.onnx, sha256 bbbbbbbbbbbb...\n"
        f"  hint: -t {target.profile.file}:interpolate=true, or profile this model"
    )
    assert profile_problems(replace(target, interpolate=True), "edge", "net.onnx", "b" * 64, "1.32.1") == ()
    assert profile_problems(load_target("tpu"), "cloud", "net.onnx", "b" * 64, "1.32.1") == ()


def test_a_profile_of_another_runtime(make_profile: MakeProfile, read: Read, conv: OpView) -> None:
    target = read(make_profile([("y", conv)], by_context, sha256="a" * 64, runtime="1.19.2"))
    (problem,) = profile_problems(target, "cloud", "net.onnx", "a" * 64, "1.32.0")
    assert problem.render() == (
        "error[AS443]: the profile is of onnxruntime 1.19.2, not of this machine's 1.32.0\n"
        "  --> cloud target 'bench'\n"
        f"  hint: --cloud {target.profile.file}:runtime=1.19.2 if the device runs that"
    )
    for version in ("1.19.0", "1.19"):
        assert profile_problems(replace(target, runtime=version), "cloud", "net.onnx", "a" * 64, "1.32.0") == ()
    (problem,) = profile_problems(replace(target, runtime="1.20.0"), "cloud", "net.onnx", "a" * 64, "1.19.2")
    assert (problem.message, problem.hint) == ("the profile is of onnxruntime 1.19.2, not of the device's 1.20.0", "profile again")
    both = profile_problems(target, "edge", "net.onnx", "b" * 64, "1.32.0")
    assert [p.code for p in both] == ["AS442", "AS443"]


def test_a_hint_keeps_the_options_that_are_there(make_profile: MakeProfile, tmp_path: Path, conv: OpView) -> None:
    path = tmp_path / "board.json"
    path.write_text(json.dumps(make_profile([("y", conv)], by_context)))
    target = load_target(f"{path}:ram=64MB")
    (problem,) = profile_problems(target, "edge", "net.onnx", "b" * 64, "1.32.1")
    assert problem.hint == f"-t {path}:ram=64MB,interpolate=true, or profile this model"
