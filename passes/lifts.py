"""What stands before a fused activation whose channels have factors of their own (`act_lift`): where the activation is flat there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import ACT_LIFT, ArrayRef, Graph, Op, pre_activation, read_array

FLAT_BELOW = {"hard_swish": -3.0}
"""Activations that are the same for everything below a number."""


def lift_floors(op: Op) -> NDArray[np.float64] | None:
    """Return the numbers, f64[channels] or f64[1], below which what stands before an op's activation makes no difference; None: nowhere."""
    end = FLAT_BELOW.get(op.attrs.str_("act"))
    if end is None:
        return None
    lift = op.attrs.get(ACT_LIFT)
    return end / read_array(lift).astype(np.float64) if isinstance(lift, ArrayRef) else np.full(1, end)


def lifted_floors(graph: Graph) -> Mapping[str, NDArray[np.float32]]:
    """Return the floors of all ops with `act_lift`, by the name of what stands before the activation, shaped to meet axis 1."""
    found: dict[str, NDArray[np.float32]] = {}
    for op in graph.ops:
        floors = lift_floors(op) if ACT_LIFT in op.attrs else None
        if floors is not None:
            found[pre_activation(graph, op)] = floors.astype(np.float32).reshape(-1, *(1,) * (len(op.type.shape or ()) - 2))
    return found


def raised(values: dict[str, NDArray[Any]], floors: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[Any]]:
    """Return values with what is below its floor raised to it."""
    return {name: np.maximum(value, floors[name]) if name in floors else value for name, value in values.items()}
