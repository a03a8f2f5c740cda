"""Errors as the planner sums them: tables in the measure that sensitivity was taken in, and how they become integers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import TypeAlias

from autosplitc.targets import Target

from ..facts import Request, Sensitivity, TensorError
from ..quantize.errors import FORBIDDEN_NSR
from .problem import Problem

ERROR_CAP = 10**12
"""Units at which the error of one tensor saturates, so that sums stay far below 2^63."""

LIMIT_UNITS = 10**6
"""Units that a limit on errors is parted into."""

LEAST_UNIT = 1e-18
"""Unit where all errors are 0."""

Row: TypeAlias = tuple[float, ...]
Units: TypeAlias = tuple[int, ...]


@dataclass(frozen=True)
class ErrorScale:
    """How errors become integers.

    unit: the error of one unit, in the measure that is summed. total: limit on the sum, in units. tensor_unit: where every tensor has a
    limit of its own on its noise-to-signal ratio, `LIMIT_UNITS` of which are that limit; None without one.
    """

    unit: float
    total: int | None
    tensor_unit: float | None

    def units(self, error: float) -> int:
        """Return an error of the measure in units, rounded up; what is no number counts as the greatest."""
        return _units(error, self.unit)

    def noise(self, nsr: float) -> int:
        """Return a noise-to-signal ratio in units of the limit on single tensors; 0 where there is none."""
        return 0 if self.tensor_unit is None else _units(nsr, self.tensor_unit)


def _units(error: float, unit: float) -> int:
    scaled = error / unit
    return math.ceil(scaled) if scaled < ERROR_CAP else ERROR_CAP


def error_scale(request: Request, sensitivity: Sensitivity, edge: Target) -> ErrorScale:
    """Return the scale of a request.

    The unit is 10^-6 of the bound on the sum; without one of what `min_sqnr_db` leaves to each tensor; where that is not in the measure
    that is summed, or accuracy is the constraint, 10^-6 of the sum over all tensors at the widest codes that the target takes.
    """
    if request.max_error is not None and not request.max_drop:
        return ErrorScale(request.max_error / LIMIT_UNITS, LIMIT_UNITS, None) if request.max_error > 0 else ErrorScale(1e-12, 0, None)
    unit = max(_least_sum(request, sensitivity, edge) / LIMIT_UNITS, LEAST_UNIT)
    if request.max_drop:
        return ErrorScale(unit, None if request.max_error is None else math.floor(request.max_error / unit), None)
    tensor_unit = 10 ** (-request.min_sqnr_db / 10) / LIMIT_UNITS
    return ErrorScale(tensor_unit if sensitivity.measure == "sqnr" else unit, None, tensor_unit)


def _least_sum(request: Request, sensitivity: Sensitivity, edge: Target) -> float:
    sides = (
        (sensitivity.weights, max(request.weight_bits or edge.weight_bits)),
        (sensitivity.activations, max(request.act_bits or edge.act_bits)),
    )
    rate = output_rate(sensitivity)
    rows = ((summed(e, sensitivity.measure, rate)[b - 1], e.nsr[b - 1]) for errors, b in sides for e in errors)
    return math.fsum(error for error, nsr in rows if nsr < FORBIDDEN_NSR and math.isfinite(error))


def error_rows(sensitivity: Sensitivity) -> Mapping[str, Row]:
    """Return the errors that are summed, at 1..8 bits, by tensor."""
    rate = output_rate(sensitivity)
    return {e.tensor: summed(e, sensitivity.measure, rate) for e in (*sensitivity.weights, *sensitivity.activations)}


def summed(error: TensorError, measure: str, rate: float) -> Row:
    """Return the errors of a tensor in a measure. What was not measured at the output is `rate` x its noise-to-signal ratio."""
    if measure == "mse":
        return error.mse
    if measure == "output":
        return error.output or tuple(rate * nsr for nsr in error.nsr)
    return error.nsr


def output_rate(sensitivity: Sensitivity) -> float:
    """Return what a tensor's noise-to-signal ratio of 1 changes at the network's output: the median over all measured; 1 without any."""
    measured = (e for e in (*sensitivity.weights, *sensitivity.activations) if e.output)
    pairs = (pair for e in measured for pair in zip(e.output, e.nsr, strict=True))
    return median([output / nsr for output, nsr in pairs if 0 < nsr < FORBIDDEN_NSR and output > 0] or [1.0])


def wire_rows(own: Sequence[float]) -> tuple[Row, ...]:
    """Return the errors that a wire adds, [held at 1..8 bits or float][wire of 1..8 bits], of a tensor whose own errors are `own`.

    It adds what its codes are worse than those of the activation that they are made of, nothing at equal bits. A wire wider than the
    activation is forbidden.
    """
    bits = range(len(own))
    held = [tuple(max(own[w] - own[a], 0.0) if w < a else 0.0 if w == a else FORBIDDEN_NSR for w in bits) for a in bits]
    return (*held, tuple(own))


def bounded(problem: Problem, error: int) -> Problem:
    """Return a problem whose limit on the sum of errors is `error` units, in units of 10^-6 of that, rounded up, where those are larger."""
    if error <= LIMIT_UNITS:
        return replace(problem, limits=replace(problem.limits, error=error))

    def row(units: Iterable[int]) -> Units:
        return tuple(min(-(-u * LIMIT_UNITS // error), ERROR_CAP) for u in units)

    return replace(
        problem,
        weights=tuple(replace(w, error=row(w.error)) for w in problem.weights),
        groups=tuple(replace(g, error=row(g.error)) for g in problem.groups),
        values=tuple(replace(v, wire_error=tuple(map(row, v.wire_error))) for v in problem.values),
        limits=replace(problem.limits, error=LIMIT_UNITS),
        error_unit=problem.error_unit * error / LIMIT_UNITS,
    )
