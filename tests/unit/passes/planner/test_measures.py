"""Which errors are summed, in what units, and what limits a single tensor."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from autosplitc.ir import Module
from autosplitc.passes import Choice, Sensitivity, Solutions, TensorError
from autosplitc.passes.assign_bits import AssignBits
from autosplitc.passes.planner import Assignment, Problem, bounded, build, cut_of, evaluate, plan_layers, wire_choices, wire_rows
from autosplitc.passes.quantize.errors import FORBIDDEN_NSR

if TYPE_CHECKING:
    from .conftest import Toy

OUTPUT = tuple(8.0**-b for b in range(1, 9))


def measured(toy: Toy, measure: str, **request: Any) -> Module:
    """Return the toy's module with errors in a measure: 16^-b as MSE, 8^-b at the output (not measured for `sum`)."""
    module = toy.module(**request)
    known = module.fact(Sensitivity)

    def record(error: TensorError) -> TensorError:
        mse = tuple(16.0**-b for b in range(1, 9))
        return replace(error, mse=mse, output=() if error.tensor == "sum" else OUTPUT)

    weights, activations = (tuple(map(record, side)) for side in (known.weights, known.activations))
    return module.with_fact(replace(known, measure=measure, unit="kl", weights=weights, activations=activations))


def problem_of(toy: Toy, measure: str, **request: Any) -> Problem:
    return build(measured(toy, measure, **request), toy.env())


def error_after_c1(problem: Problem, weight: int, act: int, wire: int) -> float:
    """Return the error of the cut behind c1, which the edge reads: conv c2 is on the edge too."""
    cut = cut_of(problem, range(2))
    bits = Assignment(dict.fromkeys(cut.weights, weight), dict.fromkeys(cut.acts, act), {w.value: wire for w in cut.wires})
    bits = replace(bits, acts={g: problem.groups[g].bits[0] if problem.groups[g].name == "x" else act for g in cut.acts})
    return evaluate(problem, cut, bits).error * problem.error_unit


@pytest.mark.parametrize(("measure", "base", "act_share"), [("sqnr", 4.0, 2.0), ("mse", 16.0, 1.0), ("output", 8.0, 1.0)])
def test_errors_of_the_measure_are_summed(toy: Toy, measure: str, base: float, act_share: float) -> None:
    problem = problem_of(toy, measure, max_drop=(0.01,))
    weights, act, wires = 2 * base**-4, act_share * base**-8, act_share * (base**-4 - base**-8) + act_share * base**-4
    assert error_after_c1(problem, 4, 8, 4) == pytest.approx(weights + act + wires, rel=1e-4)


def test_what_was_not_measured_at_the_output_follows_its_noise(toy: Toy) -> None:
    module = measured(toy, "output", max_drop=(0.01,))
    problem = build(module, toy.env())
    by_name = {g.name: g.error for g in problem.groups}
    pairs = [
        (o / n)
        for e in (*module.fact(Sensitivity).weights, *module.fact(Sensitivity).activations)
        for o, n in zip(e.output, e.nsr, strict=bool(e.output))
    ]
    middle = sorted(pairs)[len(pairs) // 2 - 1 : len(pairs) // 2 + 1]
    rate = sum(middle) / 2
    assert by_name["sum"][3] * problem.error_unit == pytest.approx(rate * 2 * 4.0**-4, rel=1e-3)
    assert by_name["c1"][3] * problem.error_unit == pytest.approx(8.0**-4, rel=1e-3)


def test_a_wire_adds_what_its_own_errors_have_above_the_activations() -> None:
    rows = wire_rows(OUTPUT)
    assert rows[7][3] == OUTPUT[3] - OUTPUT[7]
    assert rows[8] == OUTPUT
    assert [rows[b][b] for b in range(8)] == [0.0] * 8
    assert rows[3][7] == FORBIDDEN_NSR
    assert wire_rows((0.1, 0.3))[1][0] == 0.0, "a measured error may rise with the bits; a wire takes nothing away"


@pytest.mark.parametrize("measure", ["sqnr", "mse", "output"])
def test_the_limit_of_a_tensor_is_on_its_noise_in_every_measure(toy: Toy, measure: str) -> None:
    problem = problem_of(toy, measure, min_sqnr_db=23.0)
    assert [w.bits for w in problem.weights] == [(4, 8)] * 3
    assert {g.bits for g in problem.groups if g.name != "x"} == {(8,)}, "2 x 4^-4 is more than -23 dB"


@pytest.mark.parametrize("measure", ["mse", "output"])
def test_wires_are_limited_by_noise_as_under_sqnr(toy: Toy, measure: str) -> None:
    same = [problem_of(toy, m, min_sqnr_db=20.0) for m in ("sqnr", measure)]
    chosen = [[wire_choices(p, wire) for wire in cut_of(p, range(k)).wires] for p in same for k in (1, 2, 3, 4)]
    assert chosen[:4] == chosen[4:]
    assert any(w < 8 for choices in chosen for pairs in choices for _, w in pairs)


def test_accuracy_as_the_constraint_leaves_tensors_free(toy: Toy) -> None:
    problem = problem_of(toy, "sqnr", max_drop=(0.01,), min_sqnr_db=30.0)
    assert problem.limits.error is None
    assert problem.limits.tensor_error is None
    assert [w.bits for w in problem.weights] == [(2, 4, 8)] * 3
    limited = problem_of(toy, "output", max_drop=(0.01,), max_error=0.5)
    assert (limited.limits.error or 0) * limited.error_unit == pytest.approx(0.5, rel=1e-5)


def test_a_bounded_problem_never_understates(toy: Toy) -> None:
    problem = problem_of(toy, "sqnr", max_drop=(0.01,))
    limit = 987_654_321
    rough = bounded(problem, limit)
    assert rough.limits.error == 10**6
    assert rough.error_unit == pytest.approx(problem.error_unit * limit / 10**6)
    for fine, coarse in zip(problem.weights, rough.weights, strict=True):
        assert all(c * limit >= f * 10**6 > (c - 1) * limit for f, c in zip(fine.error, coarse.error, strict=True))
    assert bounded(problem, 10**6).weights == problem.weights


def test_layers_show_what_they_change_at_the_output(toy: Toy) -> None:
    module = measured(toy, "output", weight_bits=(4,), act_bits=(8,), max_drop=(0.01,))
    module = AssignBits().apply(module, toy.env())
    plans = module.fact(Solutions).plans
    index = next(i for i, p in enumerate(plans) if p.kind == "edge-only")
    layers = {layer.name: layer for layer in plan_layers(module.with_fact(Choice("main", index, "")), toy.env())}
    assert layers["c1"].output_change == pytest.approx(8.0**-4 + 8.0**-8)
    assert layers["sum"].output_change is None
    assert layers["sum"].sqnr_db is not None
