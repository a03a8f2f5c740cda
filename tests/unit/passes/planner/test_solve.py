"""Proofs without a solver, what the solver is asked, and what happens when time is short."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

from autosplitc.passes.planner import (
    FORBIDDEN,
    NONE,
    Effort,
    Instance,
    Limits,
    Linear,
    Overlapped,
    Packets,
    Pair,
    Var,
    all_values,
    meeting_bound,
    out_of_reach,
    solve,
)

FREE = Limits(10**9)
NOTHING = Linear(0)


def instance(count: int, latency: Linear, *, error: Linear = NOTHING, limits: Limits = FREE, resident: Linear = NOTHING) -> Instance:
    """Return an instance of `count` weights at 2, 4 or 8 bits."""
    return Instance(
        tuple(Var("weight", i, (2, 4, 8)) for i in range(count)), latency, (), (), error, resident, (NOTHING,), NOTHING, limits
    )


def knapsack(count: int, limit: int) -> Instance:
    """Return an instance whose error limit binds."""
    latency = Linear(0, tuple((v, (0, 1_000 * v + 17, 3_000 * v + 23)) for v in range(count)))
    error = Linear(0, tuple((v, (900 + 31 * v, 400 + 7 * v, 0)) for v in range(count)))
    return instance(count, latency, error=error, limits=replace(FREE, error=limit))


def test_the_fewest_bits_win_where_no_limit_binds() -> None:
    found = solve(instance(2, Linear(5, ((0, (1, 2, 3)), (1, (4, 5, 6))))), Effort())
    assert (found.status, found.pick, found.bound_ns, found.spent_s) == ("optimal", (0, 0), 10, 0.0)


def test_bits_that_cost_no_time_go_to_accuracy() -> None:
    found = solve(instance(2, Linear(0, ((0, (1, 1, 3)),)), error=Linear(0, ((0, (9, 5, 1)), (1, (9, 5, 5))))), Effort())
    assert found.pick == (1, 1)


def test_memory_goes_before_accuracy_where_it_binds() -> None:
    tight = replace(FREE, ram_bits=6)
    sizes = Linear(0, ((0, (2, 4, 8)), (1, (2, 4, 8))))
    found = solve(instance(2, Linear(7), error=Linear(0, ((0, (9, 5, 1)), (1, (8, 3, 1)))), limits=tight, resident=sizes), Effort())
    assert (found.status, found.pick) == ("optimal", (0, 1))


def test_a_pair_that_is_forbidden_is_not_taken() -> None:
    wire = Pair(0, 1, ((0,) * 3,) * 3, ((0, FORBIDDEN, FORBIDDEN), (4, 0, FORBIDDEN), (6, 4, 0)))
    plain = instance(2, Linear(0, ((0, (0, 2, 9)), (1, (9, 1, 0)))))
    found = solve(replace(plain, pairs=(wire,)), Effort())
    assert (found.status, found.pick, found.bound_ns) == ("optimal", (1, 1), 3)


def test_values_excluded_by_pairs_leave_the_domains() -> None:
    wire = Pair(0, 1, ((0,) * 3,) * 3, ((FORBIDDEN,) * 3, (4, 0, FORBIDDEN), (FORBIDDEN,) * 3))
    assert all_values(replace(instance(2, NOTHING), pairs=(wire,))) == [[1], [0, 1]]


def test_an_overlapped_op_leaves_room_under_its_compute_time() -> None:
    op = Overlapped(NONE, NONE, ((100,),), Linear(10, ((0, (20, 40, 80)), (1, (20, 40, 80)))))
    one = replace(instance(2, NOTHING, error=Linear(0, ((0, (9, 5, 1)), (1, (9, 7, 1))))), overlapped=(op,))
    assert meeting_bound(one, all_values(one)) == (100, [[0, 1], [0, 1]])
    found = solve(one, Effort())
    assert (found.status, found.pick, found.bound_ns) == ("optimal", (1, 1), 100)


def test_overlapped_transfers_that_do_not_fit_together_are_told_apart() -> None:
    op = Overlapped(NONE, NONE, ((100,),), Linear(10, ((0, (20, 60, 80)), (1, (20, 60, 80)))))
    one = replace(instance(2, NOTHING, error=Linear(0, ((0, (9, 5, 1)), (1, (9, 7, 1))))), overlapped=(op,))
    assert meeting_bound(one, all_values(one)) == (100, [[0, 1], [0, 1]])
    found = solve(one, Effort())
    assert (found.status, found.pick, found.bound_ns) == ("optimal", (1, 0), 100)


def test_room_is_what_the_others_leave_at_their_least() -> None:
    op = Overlapped(NONE, NONE, ((100,),), Linear(50, ((0, (0, 20, 40)), (1, (0, 20, 60)))))
    one = replace(instance(2, Linear(0, ((0, (5, 0, 0)),))), overlapped=(op,))
    assert meeting_bound(one, all_values(one)) == (100, [[1, 2], [0, 1]])


def test_packets_leave_room_up_to_the_last_byte_of_one() -> None:
    sent = Packets(Linear(3, ((0, (4, 7, 8)), (1, (4, 5, 30)))), 14, 50)
    one = replace(instance(2, NOTHING, error=Linear(0, ((0, (9, 5, 1)), (1, (9, 7, 1))))), packets=sent)
    assert meeting_bound(one, all_values(one)) == (50, [[0, 1], [0, 1]])
    found = solve(one, Effort())
    assert (found.status, found.pick, found.bound_ns) == ("optimal", (1, 0), 50)


def test_a_packet_more_may_be_worth_it() -> None:
    sent = Packets(Linear(0, ((0, (1, 2, 4)), (1, (1, 2, 4)))), 2, 50)
    one = replace(instance(2, Linear(0, ((0, (90, 10, 0)), (1, (60, 20, 0))))), packets=sent)
    assert meeting_bound(one, all_values(one)) == (50, None)
    found = solve(one, Effort())
    assert (found.status, found.pick, found.bound_ns) == ("optimal", (1, 1), 130)


def test_what_no_assignment_keeps_is_named() -> None:
    tight = Limits(ram_bits=3, error=1)
    one = instance(1, NOTHING, error=Linear(0, ((0, (9, 5, 3)),)), limits=tight, resident=Linear(0, ((0, (4, 8, 16)),)))
    assert out_of_reach(one, all_values(one)) == {"ram": 1, "error": 2}
    assert solve(one, Effort()).status == "infeasible"


def test_only_plans_below_the_cutoff_count() -> None:
    one = instance(1, Linear(0, ((0, (3, 4, 5)),)))
    assert solve(one, Effort(), cutoff_ns=3).status == "infeasible"
    assert solve(one, Effort(), cutoff_ns=4).pick == (0,)


def test_a_binding_limit_is_solved_and_proven() -> None:
    found = solve(knapsack(12, 4_000), Effort())
    assert found.status == "optimal"
    assert found.pick is not None
    assert found.bound_ns == knapsack(12, 4_000).latency_at(found.pick)
    assert found.spent_s > 0


def test_the_same_input_gives_the_same_plan() -> None:
    assert solve(knapsack(20, 7_000), Effort(seed=3)) == solve(knapsack(20, 7_000), Effort(seed=3))


def test_no_time_leaves_a_valid_bound() -> None:
    hard = knapsack(40, 14_000)
    found = solve(hard, Effort(limit_s=1e-9))
    best = solve(hard, Effort())
    assert found.status in ("unknown", "feasible")
    assert best.status == "optimal"
    assert found.bound_ns <= best.bound_ns


def test_easy_instances_do_not_load_the_solver() -> None:
    code = (
        "import sys; from autosplitc.passes.planner import *;"
        "n = Linear(0); i = Instance((Var('weight', 0, (2, 4)),), Linear(0, ((0, (1, 2)),)), (), (), n, n, (n,), n, Limits(9));"
        "assert solve(i, Effort()).pick == (0,); assert 'ortools' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_ctrl_c_ends_a_running_search() -> None:
    code = (
        "import os, signal, threading; from autosplitc.passes.planner.cpsat import _interruptible\n"
        "class Endless:\n"
        "    stopped = threading.Event()\n"
        "    def solve(self, model): assert self.stopped.wait(30)\n"
        "    def stop_search(self): self.stopped.set()\n"
        "threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "try: _interruptible(Endless(), None)\n"
        "except KeyboardInterrupt: raise SystemExit(7)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=20).returncode == 7
