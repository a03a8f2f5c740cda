"""Signatures of ops."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autosplitc.ir import UNKNOWN_TYPE, ArrayRef, Attrs, DType, EmptyList, Graph, TensorType, Value, blob_from_array
from autosplitc.targets import OpView, signature

X = TensorType(DType.F32, (1, 3, 8, 8))
Y = TensorType(DType.F32, (1, 4, 8, 8))
CONV = OpView(
    "conv", Attrs.of(strides=(1, 1), pads=(1, 1, 1, 1), act="relu"), (X, TensorType(DType.F32, (4, 3, 3, 3))), (Y,), (False, True), 6912
)
PRINT_CONV = """
from autosplitc.ir import Attrs, DType, TensorType
from autosplitc.targets import OpView, signature
f = lambda *s: TensorType(DType.F32, s)
attrs = Attrs.of(act="relu", pads=(1, 1, 1, 1), strides=(1, 1))
print(signature(OpView("conv", attrs, (f(1, 3, 8, 8), f(4, 3, 3, 3)), (f(1, 4, 8, 8),), (False, True), 6912)))
"""


def test_signature_is_the_same_in_another_process() -> None:
    """Hash seeds of the interpreter play no part, nor does the order in which attributes were given."""
    found = {
        subprocess.run(
            [sys.executable, "-c", PRINT_CONV], env={"PYTHONHASHSEED": s}, capture_output=True, text=True, check=True
        ).stdout.strip()
        for s in ("1", "2")
    }
    assert found == {signature(CONV)}
    assert len(signature(CONV)) == 32


def test_factors_that_calibration_data_decides_on_do_not_count() -> None:
    factors = ArrayRef(TensorType(DType.F32, (4,)), blob_from_array(np.full(4, 2, np.float32)))
    changed = replace(CONV, attrs=CONV.attrs.with_(act_gain=factors, act_lift=factors))
    assert signature(changed) == signature(CONV)


@pytest.mark.parametrize(
    "other",
    [
        replace(CONV, kind="conv_transpose"),
        replace(CONV, attrs=CONV.attrs.with_(act="relu6")),
        replace(CONV, attrs=CONV.attrs.with_(strides=(2, 2))),
        replace(CONV, attrs=CONV.attrs.with_(act=None)),
        replace(CONV, inputs=(X, TensorType(DType.F32, (4, 3, 5, 5)))),
        replace(CONV, inputs=(X.with_dtype(DType.U8), CONV.inputs[1])),
        replace(CONV, inputs=(*CONV.inputs, UNKNOWN_TYPE), constant=(False, True, False)),
        replace(CONV, results=(TensorType(DType.F32, (1, 4, 8, "N")),)),
        replace(CONV, results=(TensorType(DType.F32, (1, 4, 8, None)),)),
        replace(CONV, constant=(False, False)),
    ],
)
def test_signature_tells_ops_apart(other: OpView) -> None:
    """Kind, attributes, types and constant flags all count."""
    assert signature(other) != signature(CONV)


def test_signature_of_numbers_that_are_equal() -> None:
    """1 and 1.0, 0.0 and -0.0 are equal attributes; 1 and "1" are not."""
    views = [replace(CONV, attrs=Attrs.of(alpha=value)) for value in (1, 1.0, "1", 0.0, -0.0, 0.5, float("inf"), b"1")]
    one, one_float, one_text, zero, minus_zero, *rest = map(signature, views)
    assert one == one_float
    assert zero == minus_zero
    assert len({one, one_text, zero, *rest}) == 6


def test_signature_of_nested_attributes() -> None:
    """Sub-graphs, arrays, types, empty lists: what they hold counts, not the object."""

    def with_graph(shape: tuple[int, ...], dtype: DType = DType.F32) -> str:
        graph = Graph("body", (("", 21),), (Value("x", TensorType(dtype, shape)),), (), (), ("x",))
        return signature(replace(CONV, attrs=Attrs.of(body=graph)))

    def with_array(*values: float) -> str:
        return signature(
            replace(CONV, attrs=Attrs.of(value=ArrayRef(TensorType(DType.F32, (2,)), blob_from_array(np.array(values, "f4")))))
        )

    assert with_graph((1, 2)) == with_graph((1, 2))
    assert with_array(1, 2) == with_array(1, 2)
    several = [with_graph((1, 2)), with_graph((2, 1)), with_graph((1, 2), DType.I64), with_array(1, 2), with_array(2, 1)]
    several += [signature(replace(CONV, attrs=Attrs.of(value=v))) for v in (X, EmptyList("ints"), EmptyList("floats"), (1, 2), "ints")]
    assert len(set(several)) == len(several)


def test_signature_of_no_attribute() -> None:
    """What the IR does not know as an attribute has no signature."""
    odd: Any = {1, 2}
    with pytest.raises(TypeError, match="no signature for"):
        signature(replace(CONV, attrs=Attrs((("x", odd),))))


dims = st.one_of(st.integers(0, 5), st.sampled_from(["N", "1"]), st.none())
shapes = st.one_of(st.none(), st.lists(dims, max_size=3).map(tuple))
types = st.builds(TensorType, st.sampled_from([DType.F32, DType.U8]), shapes)
values = st.one_of(
    st.integers(-2, 2),
    st.sampled_from(["1", "a", "[1]"]),
    st.floats(allow_nan=False),
    st.lists(st.integers(0, 2), min_size=1, max_size=2).map(tuple),
)
attrs = st.dictionaries(st.sampled_from(["a", "b"]), values).map(Attrs.of)
views = st.builds(OpView, st.sampled_from(["add", "mul"]), attrs, st.tuples(types), st.tuples(types), st.tuples(st.booleans()), st.just(0))


@given(views, views)
def test_signatures_are_equal_where_views_are(one: OpView, other: OpView) -> None:
    """Two views have one signature exactly where they are equal."""
    assert (signature(one) == signature(other)) == (one == other)
