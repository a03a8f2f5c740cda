"""What must hold of an object before it is used as a target, and of a cost before it is believed."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import combinations
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import CompileError, Diagnostic

from .target import BIT_ROWS, ROWS, OpCost, OpView, Target


def check_target(candidate: object, where: str) -> Target:
    """Return the object as a Target.

    Raises CompileError (AS413) with one diagnostic for each attribute that is missing or makes no sense; `where` says who made it.
    """
    problems = target_problems(candidate)
    if problems or not isinstance(candidate, Target):
        kind, hint = type(candidate).__name__, "see docs/new-target.md"
        raise CompileError(Diagnostic("AS413", f"{kind} object is no valid target: {p}", where, hint=hint) for p in problems)
    return candidate


def target_problems(candidate: object) -> tuple[str, ...]:
    """Return what keeps an object from being a target: attributes that are missing or make no sense."""
    problems: list[str] = []
    for name, (wanted, holds) in _ATTRIBUTES.items():
        try:
            value = getattr(candidate, name)
        except AttributeError:
            problems.append(f"{name} is missing: {wanted}")
            continue
        if not holds(value):
            problems.append(f"{name} is {value!r}, not {wanted}")
    return tuple(problems)


_ASCENDING_BITS = tuple(bits for count in BIT_ROWS for bits in combinations(BIT_ROWS, count))


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_bits(value: object) -> bool:
    return isinstance(value, tuple) and value in _ASCENDING_BITS


_ATTRIBUTES: dict[str, tuple[str, Callable[[object], bool]]] = {
    "name": ("a text that is not empty", lambda v: isinstance(v, str) and bool(v)),
    "source": ("a text", lambda v: isinstance(v, str)),
    "weight_bits": ("a tuple of bit-widths from 1 to 8, ascending", _is_bits),
    "act_bits": ("a tuple of bit-widths from 1 to 8, ascending", _is_bits),
    "float_bits": ("16, 32 or 64", lambda v: v in (16, 32, 64)),
    "ram_bytes": ("a whole number above zero", _is_count),
    "storage_bytes": ("a whole number above zero, or None", lambda v: v is None or _is_count(v)),
    "resident": ('"packed", "int8" or "storage"', lambda v: v in ("packed", "int8", "storage")),
    "max_opset": ("a whole number above zero", _is_count),
    "cost": ("a method", callable),
}


_LONGEST_S = 1e100
"""No op takes longer; sums of such times in nanoseconds are still finite."""


def checked_cost(target: Target, op: OpView, name: str) -> OpCost | None:
    """Return what the target says that op `name` costs.

    Raises CompileError (AS420) where it raises, or returns something that is no OpCost of the right shapes with finite values that are not
    negative.
    """
    try:
        cost = _call(target, op)
    except (Exception, SystemExit) as error:
        note = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise CompileError(_bad_cost(target, op, name, "its cost method raised an exception", note)) from error
    if cost is None:
        return None
    if not isinstance(cost, OpCost):
        raise CompileError(_bad_cost(target, op, name, f"its cost method returned a {type(cost).__name__}, not an OpCost or None"))
    problem = _problem(cost, len(op.inputs) + len(op.results))
    if problem:
        raise CompileError(_bad_cost(target, op, name, problem))
    return cost


def _call(target: Target, op: OpView) -> object:
    """Whatever the method returns: a plug-in may not keep to its annotations."""
    return target.cost(op)


def _problem(cost: OpCost, operands: int) -> str:
    """Return what is wrong with a cost, "" if nothing is."""
    stranger = next((a for a in (cost.compute_s, *cost.traffic_bytes) if not _is_array(a)), None)
    if stranger is not None:
        return f"compute_s or traffic_bytes holds a {type(stranger).__name__}, not an array of numbers"
    if cost.compute_s.shape != (ROWS, ROWS):
        return f"compute_s has shape {cost.compute_s.shape}, not {(ROWS, ROWS)}"
    if len(cost.traffic_bytes) != operands:
        return f"traffic_bytes has {len(cost.traffic_bytes)} arrays for {operands} inputs and results"
    if any(row.shape != (ROWS,) for row in cost.traffic_bytes):
        return f"an array of traffic_bytes is not of shape {(ROWS,)}"
    if not _are_amounts(np.concatenate((cost.compute_s.reshape(-1), *cost.traffic_bytes))):
        in_compute = not _are_amounts(cost.compute_s)
        worst = _worst(cost.compute_s if in_compute else np.stack(cost.traffic_bytes))
        return f"{'compute_s' if in_compute else 'traffic_bytes'} holds {worst}"
    if not (math.isfinite(cost.bandwidth_bytes_per_s) and cost.bandwidth_bytes_per_s > 0):
        return f"bandwidth_bytes_per_s is {cost.bandwidth_bytes_per_s}"
    if not _are_rows(cost.measured_rows):
        return f"measured_rows is {cost.measured_rows}, not a frozenset of rows from 0 to {ROWS - 1}"
    longest_s = max(float(cost.compute_s.max()), sum(float(row.max()) for row in cost.traffic_bytes) / cost.bandwidth_bytes_per_s)
    return f"it takes {longest_s:.3g} s, more than can be planned with" if longest_s > _LONGEST_S else ""


def _is_array(value: object) -> bool:
    """Whether this is a numpy array of real numbers: a plug-in may not keep to its annotations."""
    return isinstance(value, np.ndarray) and cast("NDArray[Any]", value).dtype.kind in "fiu"


def _are_rows(value: object) -> bool:
    return isinstance(value, frozenset) and cast("frozenset[object]", value) <= frozenset(range(ROWS))


def _are_amounts(values: NDArray[np.float64]) -> bool:
    """Whether all are finite and not negative (NaN fails both comparisons)."""
    return bool(((values >= 0) & (values < np.inf)).all())


def _worst(values: NDArray[np.float64]) -> float:
    return float(values[~((values >= 0) & (values < np.inf))].flat[0])


def _bad_cost(target: Target, op: OpView, name: str, problem: str, *notes: str) -> Diagnostic:
    message = f"target {target.name!r} gives no usable cost for {op.kind}: {problem}"
    return Diagnostic("AS420", message, f'op "{name}"', notes, "the target has to be mended: see docs/new-target.md")
