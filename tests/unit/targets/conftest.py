"""What the target tests share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import pytest

from autosplitc.ir import Attrs, AttrValue, DType, TensorType, op_macs
from autosplitc.targets import OpView

Shape: TypeAlias = Sequence[int | None]
MakeOp: TypeAlias = Callable[..., OpView]


def _type(shape: Shape | TensorType) -> TensorType:
    return shape if isinstance(shape, TensorType) else TensorType(DType.F32, tuple(shape))


@pytest.fixture(scope="session")
def make_op() -> MakeOp:
    """Return a function that makes what a target sees of an op from shapes (f32) or types."""

    def make(kind: str, inputs: Sequence[Shape | TensorType], results: Sequence[Shape | TensorType], **attrs: AttrValue) -> OpView:
        in_types, out_types = tuple(map(_type, inputs)), tuple(map(_type, results))
        packed = Attrs.of(attrs)
        return OpView(kind, packed, in_types, out_types, (False,) * len(in_types), op_macs(kind, packed, in_types, out_types))

    return make
