"""Whatever was measured, a profiled device's costs are times: finite, never below zero, never falling as the work grows."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from autosplitc.ir import Attrs, DType, TensorType
from autosplitc.targets import FLOAT_ROW, MeasuredTarget, OpView, checked_cost, pack_view, read_profile, row_of, unpack_view

MakeProfile = Callable[..., dict[str, Any]]

KINDS = ("softmax", "relu", "sigmoid")
CONTEXTS = st.sets(st.sampled_from("2468"), max_size=3).map(lambda found: ("float", *sorted(found)))
SECONDS = st.floats(1e-9, 1e4)
SIZES = st.integers(1, 10**9)
WIRES = st.lists(st.tuples(SIZES, st.integers(1, 8), SECONDS, SECONDS), max_size=6)
TIMED = st.lists(st.tuples(st.sampled_from(KINDS[:2]), SIZES, SECONDS), min_size=1, max_size=8)


def op_of(kind: str, elements: int, axis: int = 0) -> OpView:
    x = TensorType(DType.F32, (1, elements))
    return OpView(kind, Attrs.of(axis=axis), (x,), (x,), (False,), 0)


def target_of(make_profile: MakeProfile, timed: list[tuple[str, int, float]], contexts: tuple[str, ...], wires: Any = ()) -> MeasuredTarget:
    """Return the target of ops with these times, the same in every context."""
    seconds = iter(s for _, _, s in timed for _ in contexts)

    def next_time(_op: OpView, _context: str) -> float:
        return next(seconds)

    content = make_profile([("y", op_of(kind, n)) for kind, n, _ in timed], next_time, contexts, wires)
    content["limits"]["act_bits"] = [8]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "board.json"
        path.write_text(json.dumps(content))
        return read_profile(path)


@given(timed=TIMED, contexts=CONTEXTS, kind=st.sampled_from(KINDS), sizes=st.lists(SIZES, min_size=2, max_size=6))
def test_predictions_grow_with_the_work(
    make_profile: MakeProfile, timed: list[tuple[str, int, float]], contexts: tuple[str, ...], kind: str, sizes: list[int]
) -> None:
    target = target_of(make_profile, timed, contexts)
    before = np.zeros(())
    for elements in sorted(sizes):
        cost = checked_cost(target, op_of(kind, elements, axis=1), "y")
        assert cost is not None
        assert not cost.measured_rows
        assert (cost.compute_s > 0).all()
        assert (cost.compute_s >= before * (1 - 1e-9)).all()
        before = cost.compute_s


@given(timed=TIMED, contexts=CONTEXTS)
def test_what_was_timed_is_given_back(make_profile: MakeProfile, timed: list[tuple[str, int, float]], contexts: tuple[str, ...]) -> None:
    target = target_of(make_profile, timed, contexts)
    measured = {FLOAT_ROW if c == "float" else row_of(int(c)) for c in contexts}
    for kind, elements, _ in timed:
        cost = checked_cost(target, op_of(kind, elements), "y")
        assert cost is not None
        times = [s for k, n, s in timed if (k, n) == (kind, elements)]
        assert cost.measured_rows == measured
        assert np.allclose(cost.compute_s, sum(times) / len(times), rtol=1e-12, atol=0)


@given(wires=WIRES, elements=SIZES)
def test_packing_is_a_time_too(make_profile: MakeProfile, wires: list[tuple[int, int, float, float]], elements: int) -> None:
    target = target_of(make_profile, [("relu", 1, 1.0)], ("float",), wires)
    for view in (pack_view(TensorType(DType.F32, (elements,))), unpack_view(TensorType(DType.F32, (elements,)))):
        cost = checked_cost(target, view, "x")
        assert (cost is None) == (not wires)
        if cost is not None:
            assert (cost.compute_s > 0).all()
            assert cost.measured_rows == {row_of(bits) for n, bits, _, _ in wires if n == elements}
