"""The conformance kit: what has to hold of any target, tried on probe ops (`probe_ops.py`). `autosplitc targets check NAME` runs it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from autosplitc.ir import CompileError, op_row

from .checks import checked_cost, target_problems
from .measured import MeasuredTarget
from .probe_ops import Sizes, probes, unknown_size
from .target import FLOAT_ROW, OpCost, OpView, Target, row_of
from .traffic import plain_traffic

Costs = Mapping[str, OpCost | None]
"""Costs of the probes by their names; None where an op cannot run."""

MOST_S_PER_OP = 1e-3
"""A cost table of an op should take no longer: 2,000 ops then take 2 s."""

SIZES = (Sizes(), Sizes(side=28, channels_in=16, channels_out=96, taps=5))
_FEWEST_MACS_PER_S, _MOST_MACS_PER_S = 1e4, 1e17
_BIG = Sizes(side=56, channels_in=256, channels_out=256)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found: `problems` is empty where it holds; `note` says what was looked at or left out."""

    check: str
    problems: tuple[str, ...]
    note: str

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def conformance(target: Target, again: Callable[[], Target]) -> tuple[Finding, ...]:
    """Run all checks on a target; `again` makes another object of the same target.

    Checks after the first two need costs: they are left out where a member is wrong or a cost cannot be had. Raises CompileError (AS420)
    where a cost cannot be had at a size that only a later check asks for.
    """
    members = Finding("members", target_problems(target), f"name {target.name}, source: {target.source}")
    costs, unusable = _costs_of(target)
    if costs and not any(costs.values()):
        unusable = (*unusable, "no probe op can run")
    usable = Finding("costs", unusable, _runs(costs))
    if not (members.holds and usable.holds):
        return members, usable
    return (
        members,
        usable,
        _eight_bit(target),
        _pure(target, again(), costs),
        _units(target, costs),
        _monotone_in_bits(target, costs),
        _monotone_in_sizes(target),
        _speed(target),
    )


def _costs_of(target: Target) -> tuple[Costs, tuple[str, ...]]:
    """Return the costs of all probes, and why some cannot be had."""
    costs: dict[str, OpCost | None] = {}
    problems: list[str] = []
    for name, op in _all_probes():
        try:
            costs[name] = checked_cost(target, op, name)
        except CompileError as error:
            problems.extend(f"{name}: {d.message}" + "".join(f" ({note})" for note in d.notes) for d in error.diagnostics)
    return costs, tuple(problems)


def _all_probes() -> Iterator[tuple[str, OpView]]:
    yield from probes(SIZES[0]).items()
    yield "an op of unknown size", unknown_size()


def _runs(costs: Costs) -> str:
    refused = [name for name, cost in costs.items() if cost is None]
    return f"{len(costs) - len(refused)} of {len(costs)} probe ops run" + (f"; not {', '.join(refused)}" if refused else "")


def _eight_bit(target: Target) -> Finding:
    lacking = [name for name, bits in (("weight_bits", target.weight_bits), ("act_bits", target.act_bits)) if 8 not in bits]
    return Finding("8 bit", tuple(f"{name} lack 8: raw inputs and most ops need it" for name in lacking), "weights and activations")


def _pure(target: Target, other: Target, costs: Costs) -> Finding:
    """The same view gives the same answer: asked again, in the other order, and of another object."""
    problems: list[str] = []
    for name, op in reversed(list(_all_probes())):
        first = costs[name]
        for maker, whose in ((target, "asked again"), (other, "asked of another object")):
            if not _same(first, checked_cost(maker, op, name)):
                problems.append(f"{name}: {whose} it answers something else")
    return Finding("purity", tuple(problems), "asked again, in another order, of another object")


def _same(first: OpCost | None, second: OpCost | None) -> bool:
    if first is None or second is None:
        return first is second
    return (
        np.array_equal(first.compute_s, second.compute_s)
        and all(map(np.array_equal, first.traffic_bytes, second.traffic_bytes))
        and (first.bandwidth_bytes_per_s, first.overlap, first.measured_rows)
        == (second.bandwidth_bytes_per_s, second.overlap, second.measured_rows)
    )


def _units(target: Target, costs: Costs) -> Finding:
    """Seconds and bytes, not milliseconds or bits: rates and traffic are within what any device can have."""
    problems: list[str] = []
    conv = probes(_BIG)["conv"]
    cost = checked_cost(target, conv, "a large conv")
    note = "a large convolution cannot run"
    if cost is not None:
        at_8 = _latency_s(cost, conv, row_of(8))
        rate = conv.macs / at_8 if at_8 else np.inf
        note = f"a convolution of {conv.macs:,} MACs runs at {rate:.3g} MAC/s at 8 bits"
        if not _FEWEST_MACS_PER_S <= rate <= _MOST_MACS_PER_S:
            problems.append(f"{note}: is compute_s in seconds and the bandwidth in bytes per second?")
    add, once = costs["add"], plain_traffic(probes(SIZES[0])["add"], target.float_bits)
    if add is not None:
        for moved, least in zip(add.traffic_bytes, once, strict=True):
            for row, text in ((row_of(8), "8 bits"), (FLOAT_ROW, "float")):
                if moved[row] and not 0.24 <= moved[row] / least[row] <= 4.1:
                    problems.append(f"add moves {moved[row]:,.0f} bytes of an operand of {least[row]:,.0f} at {text}: bits, or elements?")
    return Finding("units", tuple(dict.fromkeys(problems)), note)


def _rests_on_measurements(target: Target, *costs: OpCost) -> bool:
    """Whether costs are measured, or interpolated between what was."""
    return isinstance(target, MeasuredTarget) or any(cost.measured_rows for cost in costs)


def _monotone_in_bits(target: Target, costs: Costs) -> Finding:
    """More bits never cost less, among the widths that the target takes. What was measured is not judged."""
    problems: list[str] = []
    rows = sorted({row_of(b) for b in (*target.weight_bits, *target.act_bits)})
    judged = {name: cost for name, cost in costs.items() if cost is not None and not _rests_on_measurements(target, cost)}
    for name, cost in judged.items():
        table = cost.compute_s[np.ix_(rows, rows)]
        if (np.diff(table, axis=0) < 0).any() or (np.diff(table, axis=1) < 0).any():
            problems.append(f"{name}: compute_s falls with more bits")
        if any((np.diff(moved[rows]) < 0).any() for moved in cost.traffic_bytes):
            problems.append(f"{name}: traffic_bytes falls with more bits")
    left_out = sum(cost is not None for cost in costs.values()) - len(judged)
    note = f"{len(judged)} ops" + (f"; {left_out} measured ones not judged" if left_out else "")
    return Finding("monotone in bits", tuple(problems), note)


def _monotone_in_sizes(target: Target) -> Finding:
    """Twice as many pixels, channels or taps never cost less. What was measured, or rests on measurements, is not judged."""
    problems: list[str] = []
    judged = 0
    for sizes in SIZES:
        small = probes(sizes)
        for what, larger in sizes.doubled():
            for name, op in probes(larger).items():
                before, after = checked_cost(target, small[name], name), checked_cost(target, op, name)
                if before is None or after is None or _rests_on_measurements(target, before, after):
                    continue
                judged += 1
                for row, text in ((row_of(8), "8 bits"), (FLOAT_ROW, "float")):
                    least, most = _latency_s(before, small[name], row), _latency_s(after, op, row)
                    if most < least * (1 - 1e-9):
                        problems.append(f"{name}: {least * 1e6:.4g} us, but {most * 1e6:.4g} us with {what} doubled, at {text}")
    return Finding("monotone in sizes", tuple(problems), f"{judged} pairs of ops")


def _speed(target: Target) -> Finding:
    ops = list(probes(SIZES[1]).values())
    best_s = min(_seconds(target, ops) for _ in range(3)) / len(ops)
    problems = (f"{best_s * 1e3:.2f} ms an op: a graph of 2,000 ops takes {2000 * best_s:.1f} s",) if best_s > MOST_S_PER_OP else ()
    return Finding("speed", problems, f"{best_s * 1e6:.0f} us an op, measured")


def _seconds(target: Target, ops: list[OpView]) -> float:
    started_s = time.perf_counter()
    for op in ops:
        target.cost(op)
    return time.perf_counter() - started_s


def _latency_s(cost: OpCost, op: OpView, row: int) -> float:
    """Return the latency of an op with all its float operands at one row of the tables."""
    two_operands = op_row(op.kind).quant == "mac" and len(op.inputs) > 1
    return cost.latency_s((row,) * len(cost.traffic_bytes), (row, row if two_operands else FLOAT_ROW))
