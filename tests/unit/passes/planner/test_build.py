"""From facts to integers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from autosplitc.ir import CompileError
from autosplitc.passes.planner import NONE, Link, Problem, Value
from autosplitc.targets import FLOAT_ROW, parse_network

if TYPE_CHECKING:
    from .conftest import Toy


def value(problem: Problem, name: str) -> Value:
    return next(v for v in problem.values if v.name == name)


def test_values_groups_and_aliases(toy: Toy) -> None:
    problem = toy.problem()
    assert [(v.name, v.elements, v.width_bits) for v in problem.values] == [
        ("x", 32, 32),
        ("c1", 64, 32),
        ("c2", 64, 32),
        ("sum", 64, 32),
        ("flat", 64, 32),
        ("y", 10, 32),
    ]
    assert [g.name for g in problem.groups] == ["x", "c1", "c2", "sum", "y"]
    assert value(problem, "flat").group == value(problem, "sum").group
    assert value(problem, "flat").alias_of == 3
    assert value(problem, "x").raw
    assert value(problem, "x").wire_bits == (8,)
    assert value(problem, "y").is_output


def test_widths_that_break_the_sqnr_of_one_tensor_are_not_offered(toy: Toy) -> None:
    problem = toy.problem(min_sqnr_db=20.0)
    assert [w.bits for w in problem.weights] == [(4, 8)] * 3
    assert [g.bits for g in problem.groups] == [(8,), (4, 8), (4, 8), (4, 8), (8,)]
    problem = toy.problem(min_sqnr_db=23.0)
    assert [w.bits for w in problem.weights] == [(4, 8)] * 3
    assert [g.bits for g in problem.groups] == [(8,)] * 5


def test_the_widest_stays_where_none_keeps_the_sqnr_and_fixed_bits_are_exempt(toy: Toy) -> None:
    assert [w.bits for w in toy.problem(min_sqnr_db=99.0).weights] == [(8,)] * 3
    assert [w.bits for w in toy.problem(min_sqnr_db=99.0, weight_bits=(2,)).weights] == [(2,)] * 3
    assert [w.bits for w in toy.problem(max_error=1e-6).weights] == [(2, 4, 8)] * 3


def test_errors_are_units_of_the_bound_rounded_up(toy: Toy) -> None:
    by_sum = toy.problem(max_error=0.5)
    assert by_sum.limits.error == 10**6
    assert by_sum.limits.tensor_error is None
    assert by_sum.weights[0].error[:4] == (500_000, 125_000, 31_250, 7_813)
    by_tensor = toy.problem(min_sqnr_db=30.0)
    assert by_tensor.limits.error is None
    assert by_tensor.limits.tensor_error == 10**6
    assert by_tensor.weights[0].error[4] == 976_563
    assert toy.problem(max_error=0.0).limits.error == 0


def test_times_are_nanoseconds(toy: Toy) -> None:
    problem = toy.problem()
    conv = problem.ops[0]
    assert conv.compute_ns[0][0] == 1_000_000
    assert conv.traffic_ns[0][7] == 32_000
    assert conv.traffic_ns[1][3] == 36_000
    assert conv.traffic_ns[3][8] == 256_000
    assert conv.cloud_ns == 100_000 + 4 * (32 + 72 + 4 + 64) * 1_000
    assert problem.link.fixed_ns == 20_000_000
    assert problem.link.bytes_ns(1) == 1_000_000


def test_operands_weights_and_constants(toy: Toy) -> None:
    problem = toy.problem()
    conv, add, flatten = problem.ops[0], problem.ops[2], problem.ops[3]
    assert [(o.value, o.weight) for o in conv.inputs] == [(0, NONE), (NONE, 0), (NONE, NONE)]
    assert conv.mac == (0, 1)
    assert add.mac == (0, NONE)
    assert (flatten.mac, flatten.on_codes) == ((0, NONE), False)
    assert [problem.constants[c].memory_bits for c in conv.constants] == [4 * 32]
    assert [w.scale_bits for w in problem.weights] == [4 * 32, 4 * 32, 10 * 32]


def test_ops_that_the_target_refuses(make_toy: Callable[..., Toy]) -> None:
    problem = make_toy(refuses="add").problem()
    assert [op.refusal for op in problem.ops] == ["", "", "the target does not take add", "", ""]


@pytest.mark.parametrize("asked", [{"weight_bits": (3,)}, {"act_bits": (4, 6)}])
def test_bits_that_the_target_does_not_take(toy: Toy, asked: dict[str, tuple[int, ...]]) -> None:
    with pytest.raises(CompileError) as caught:
        toy.problem(**asked)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "AS151"
    assert diagnostic.hint in ("--weight-bits 2,4,8", "--act-bits 4,8")


def test_limits_of_the_user_go_before_the_target(toy: Toy) -> None:
    assert toy.problem().limits.ram_bits == 8 * 10**9
    limits = toy.problem(edge_ram_bytes=100, edge_storage_bytes=50, max_latency_s=0.25).limits
    assert (limits.ram_bits, limits.storage_bits, limits.latency_ns) == (800, 400, 250_000_000)


def test_packing_is_in_nanoseconds_for_what_crosses_as_codes(make_toy: Callable[..., Toy]) -> None:
    toy = make_toy(packing_s=1e-4, measured=frozenset({3, 7}))
    problem = toy.problem()
    times = tuple(100_000 * b for b in range(1, 9))
    packed = {v.name: (v.pack_ns, v.unpack_ns, v.pack_measured) for v in problem.values}
    assert packed == dict.fromkeys(("x", "c1", "c2", "sum", "flat"), (times, (0,) * 8, (4, 8))) | {"y": ((), (), ())}
    assert all(op.measured_rows == (3, 7) and not op.cloud_measured for op in problem.ops)
    unpacked = replace(toy, edge=replace(toy.edge, packing_s=0.0), cloud=replace(toy.edge, measured=frozenset({FLOAT_ROW}))).problem()
    assert (unpacked.values[1].pack_ns, unpacked.values[1].unpack_ns, unpacked.values[1].unpack_measured) == ((0,) * 8, times, ())
    assert all(op.cloud_measured for op in unpacked.ops)


def test_targets_that_pack_for_nothing_leave_no_trace(toy: Toy) -> None:
    assert {v.pack_ns for v in toy.problem().values} == {()}


def test_packets_of_the_link(toy: Toy) -> None:
    plain = replace(toy, network=parse_network("8mbps,rtt=10ms,overhead=40B")).problem().link
    assert plain == Link(8_000_000, 10_040_000, 0, 40, 0)
    cut = replace(toy, network=parse_network("8mbps,rtt=10ms,overhead=40B,packet=1500B,header=100B")).problem().link
    assert cut == Link(8_000_000, 10_040_000, 1400, 40, 100_000)


@pytest.mark.parametrize(
    "text", ["3mbps", "ble", "1kbps,packet=23B,header=3B", "3.3mbps,overhead=60B,packet=1500B", "1gbps,rtt=1ms,packet=9kB,header=38B"]
)
def test_the_link_takes_the_time_that_the_network_says(toy: Toy, text: str) -> None:
    network = parse_network(text)
    link = replace(toy, network=network).problem().link
    for nbytes in (0, 1, 19, 20, 21, 22, 1400, 1460, 1461, 150_528, 12_345_678):
        rounding_ns = 3 + 0.5 * link.packets(nbytes) + 1e9 * network.transfer_s(nbytes) / network.rate_bps
        assert abs(link.message_ns([nbytes]) - 1e9 * network.transfer_s(nbytes)) <= rounding_ns
        assert link.packets(nbytes) == network.packets(nbytes) or not nbytes
