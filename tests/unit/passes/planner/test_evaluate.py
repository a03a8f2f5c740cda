"""What a plan costs, checked on paper, and what a cut has to decide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from autosplitc.passes.planner import NONE, Assignment, Link, Wire, evaluate, excess, formulate, prefix, wire_choices

if TYPE_CHECKING:
    from .conftest import Toy

X, C1, C2, SUM, FLAT, Y = range(6)
NODE, WEIGHT, CHANNEL = 8 * 400, 8 * 1100, 72
"""Bits that an op, a weight constant and an output channel add to the model file."""


def test_cloud_only_sends_the_input_at_input_bits(toy: Toy) -> None:
    problem = toy.problem(input_bits=6)
    cut = prefix(problem, 0)
    assert (cut.crossing, cut.acts, cut.wires) == ((X,), (), (Wire(X, NONE),))
    figures = evaluate(problem, cut, Assignment({}, {}, {X: 6}))
    assert figures.payload_bytes == 24
    assert figures.link_ns == 20_000_000 + 24_000_000
    assert (figures.edge_ns, figures.storage_bits, figures.error) == (0, 0, 0)
    assert figures.cloud_ns == sum(op.cloud_ns for op in problem.ops)
    assert figures.ram_bits == 0


def test_a_value_that_only_the_wire_reads_has_one_quantiser_at_wire_bits(toy: Toy) -> None:
    problem = toy.problem()
    cut = prefix(problem, 1)
    assert cut.crossing == (C1,)
    assert cut.source[C1] == ("wire", C1)
    assert cut.acts == (0,)
    figures = evaluate(problem, cut, Assignment({0: 4}, {0: 8}, {C1: 2}))
    assert figures.edge_ns == 1_000_000 + 32_000 + 36_000 + 4 * 4 * 1_000 + 64 * 2 // 8 * 1_000
    assert figures.payload_bytes == 16
    static = 72 * 4 + 4 * 32 + 4 * 32
    assert figures.ram_bits == static + 32 * 8 + 64 * 2
    assert figures.storage_bits == 72 * 4 + 4 * 32 + 4 * CHANNEL + WEIGHT + NODE
    limit = 1e-3
    assert abs(figures.error * problem.error_unit - (4**-4 + 2 * 4**-2)) < limit * 2e-6


def test_a_skip_connection_crosses_beside_what_the_last_op_made(toy: Toy) -> None:
    problem = toy.problem(max_error=1.0)
    cut = prefix(problem, 2)
    assert cut.crossing == (C1, C2)
    assert cut.wires == (Wire(C1, 1), Wire(C2, NONE))
    figures = evaluate(problem, cut, Assignment({0: 8, 1: 8}, {0: 8, 1: 8}, {C1: 4, C2: 4}))
    assert figures.payload_bytes == 64
    static = (72 + 144) * 8 + 3 * 4 * 32
    end = 64 * 8 + 64 * 4 + 64 * 8
    assert figures.ram_bits == static + max(32 * 8 + 64 * 8, 64 * 8 + 64 * 4, end)
    weights, acts, wire = 2 * 4.0**-8, 2 * 4.0**-8, 2 * 4.0**-4 - 2 * 4.0**-8
    assert abs(figures.error * problem.error_unit - (weights + acts + wire + 2 * 4.0**-4)) < 6e-6


def test_equal_wire_bits_add_no_error(toy: Toy) -> None:
    problem = toy.problem(max_error=1.0)
    cut = prefix(problem, 2)
    held = Assignment({0: 8, 1: 8}, {0: 8, 1: 4}, {C1: 4, C2: 8})
    fewer = Assignment({0: 8, 1: 8}, {0: 8, 1: 8}, {C1: 8, C2: 8})
    added = evaluate(problem, cut, held).error - evaluate(problem, cut, fewer).error
    assert abs(added * problem.error_unit - (2 * 4.0**-4 - 2 * 4.0**-8)) < 2e-6


def test_an_alias_shares_memory_and_codes(toy: Toy) -> None:
    problem = toy.problem()
    cut = prefix(problem, 4)
    assert cut.crossing == (FLAT,)
    assert cut.wires == (Wire(FLAT, 3),)
    figures = evaluate(problem, cut, Assignment({0: 8, 1: 8}, {0: 8, 1: 8, 2: 8, 3: 8}, {FLAT: 8}))
    static = (72 + 144) * 8 + 3 * 4 * 32
    assert figures.ram_bits == static + 3 * 64 * 8


def test_edge_only_sends_nothing_unless_the_result_is_wanted(toy: Toy) -> None:
    full = Assignment({0: 8, 1: 8, 2: 8}, {0: 8, 1: 8, 2: 8, 3: 8, 4: 8}, {})
    problem = toy.problem()
    figures = evaluate(problem, prefix(problem, 5), full)
    assert (figures.payload_bytes, figures.link_ns, figures.cloud_ns) == (0, 0, 0)
    problem = toy.problem(return_result=True)
    figures = evaluate(problem, prefix(problem, 5), full)
    assert (figures.payload_bytes, figures.link_ns) == (40, 60_000_000)


def test_overlapped_transfers_hide_behind_compute(make_toy: Callable[..., Toy]) -> None:
    problem = make_toy(overlap=True, op_s=100e-6).problem()
    cut = prefix(problem, 1)
    slow = evaluate(problem, cut, Assignment({0: 8}, {0: 8}, {C1: 8}))
    quick = evaluate(problem, cut, Assignment({0: 2}, {0: 8}, {C1: 1}))
    assert slow.edge_ns == (32 + 72 + 4 * 4 + 64) * 1_000
    assert quick.edge_ns == 100_000


def test_a_device_without_packing_holds_bytes(make_toy: Callable[..., Toy]) -> None:
    bits = Assignment({0: 4}, {0: 8}, {C1: 4})
    packed, wide = make_toy().problem(), make_toy(resident="int8").problem()
    a, b = (evaluate(p, prefix(p, 1), bits) for p in (packed, wide))
    assert b.ram_bits - a.ram_bits == 72 * 4 + 64 * 4
    assert b.storage_bits == a.storage_bits


def test_constants_that_stay_in_the_storage_take_no_memory(make_toy: Callable[..., Toy]) -> None:
    bits = Assignment({0: 4}, {0: 8}, {C1: 4})
    wide, flash = make_toy(resident="int8").problem(), make_toy(resident="storage").problem()
    a, b = (evaluate(p, prefix(p, 1), bits) for p in (wide, flash))
    assert a.ram_bits - b.ram_bits == formulate(wide, prefix(wide, 1)).resident.high() > 0
    assert b.storage_bits == a.storage_bits
    assert formulate(flash, prefix(flash, 1)).resident.high() == 0


def test_wire_bits_never_exceed_the_activation(toy: Toy) -> None:
    problem = toy.problem(max_error=1.0, wire_bits=(4, 8))
    assert wire_choices(problem, Wire(C1, 1)) == ((4, 4), (8, 4), (8, 8))
    assert wire_choices(problem, Wire(C1, NONE)) == ((0, 4), (0, 8))


def test_a_wire_keeps_the_sqnr_of_one_tensor_unless_it_is_fixed(toy: Toy) -> None:
    problem = toy.problem(min_sqnr_db=20.0, wire_bits=(2, 4, 8))
    assert wire_choices(problem, Wire(C1, 1)) == ((4, 4), (8, 4), (8, 8))
    problem = toy.problem(min_sqnr_db=20.0, wire_bits=(2,))
    assert wire_choices(problem, Wire(C1, 1)) == ((4, 2), (8, 2))
    problem = toy.problem(min_sqnr_db=20.0, wire_bits=(1, 2))
    assert wire_choices(problem, Wire(C1, NONE)) == ((0, 2),)


def test_a_wire_wider_than_its_activation_refuses_the_cut(toy: Toy) -> None:
    problem = toy.problem(max_error=1.0, act_bits=(4,), wire_bits=(8,))
    assert prefix(problem, 1).refusal == ""
    assert prefix(problem, 2).refusal == "'c1' would cross at 8 bits or more but is held at 4 or fewer"


def test_excess_names_every_broken_limit(toy: Toy) -> None:
    problem = toy.problem(edge_ram_bytes=10, edge_storage_bytes=700, max_error=1e-3, max_latency_s=1e-3)
    cut = prefix(problem, 1)
    figures = evaluate(problem, cut, Assignment({0: 4}, {0: 8}, {C1: 2}))
    over = excess(problem.limits, figures)
    assert set(over) == {"ram", "storage", "error", "latency"}
    assert over["ram"] == figures.ram_bits - 80
    assert excess(toy.problem().limits, figures) == {}


def test_packing_counts_on_the_edge_and_unpacking_in_the_cloud(make_toy: Callable[..., Toy]) -> None:
    plain, packing = make_toy().problem(), make_toy(packing_s=1e-3).problem()
    half = replace(packing, values=tuple(replace(v, unpack_ns=(7,) * 3 + (50,) * 5) if v.pack_ns else v for v in packing.values))
    for position, bits, pack_ns, unpack_ns in (
        (0, Assignment({}, {}, {X: 8}), 8_000_000, 50),
        (2, Assignment({0: 8, 1: 8}, {0: 8, 1: 8}, {C1: 4, C2: 2}), 4_000_000 + 2_000_000, 57),
        (5, Assignment({0: 8, 1: 8, 2: 8}, {0: 8, 1: 8, 2: 8, 3: 8, 4: 8}, {}), 0, 0),
    ):
        free, timed = (evaluate(p, prefix(p, position), bits) for p in (plain, half))
        assert timed == replace(free, edge_ns=free.edge_ns + pack_ns, cloud_ns=free.cloud_ns + unpack_ns)


def test_what_crosses_at_its_own_width_is_not_packed(make_toy: Callable[..., Toy]) -> None:
    problem = make_toy(packing_s=1e-3).problem()
    raw = replace(problem, values=tuple(replace(v, wire_bits=()) for v in problem.values))
    assert evaluate(raw, prefix(raw, 0), Assignment({}, {}, {})).edge_ns == 0


def test_a_message_begins_packets(toy: Toy) -> None:
    problem = toy.problem()
    cut = replace(problem, link=replace(problem.link, capacity_bytes=20, overhead_bytes=10, packet_ns=3))
    for wire_bits, payload, packets in ((1, 8, 1), (2, 16, 2), (4, 32, 3), (8, 64, 4)):
        bits = Assignment({0: 4}, {0: 8}, {C1: wire_bits})
        free, timed = (evaluate(p, prefix(p, 1), bits) for p in (problem, cut))
        assert (timed.payload_bytes, timed.link_ns - free.link_ns) == (payload, 3 * packets)
    nothing = evaluate(cut, prefix(cut, 5), Assignment({0: 8, 1: 8, 2: 8}, {0: 8, 1: 8, 2: 8, 3: 8, 4: 8}, {}))
    assert nothing.link_ns == 0


def test_packets_of_a_message() -> None:
    assert [Link(1, 0, 20, 10, 1).packets(n) for n in (1, 10, 11, 30, 31)] == [1, 1, 2, 2, 3]
    assert [Link(1, 0).packets(n) for n in (1, 10**6)] == [0, 0]
    assert Link(8 * 10**9, 100, 20, 10, 7).message_ns([6, 5]) == 100 + 11 + 14
    assert Link(8 * 10**9, 100, 20, 10, 7).message_ns([0, 0]) == Link(8 * 10**9, 100, 20, 10, 7).message_ns([]) == 0
