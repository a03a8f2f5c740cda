"""Finds weights that are no numbers: nothing sensible can be computed from them, and quantising them would hide it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .blob import Bytes, numpy_dtype
from .diagnostics import Diagnostic
from .edit import sub_graphs
from .graph import Const, Graph
from .op_table import op_row
from .types import DType

_CHUNK_BYTES = 1 << 22
_BF16_EXPONENT = 0x7F80


def non_finite_weights(graph: Graph, source: str) -> tuple[Diagnostic, ...]:
    """Return a diagnostic (AS304) for every float constant with NaN or infinity that an op with multiply-accumulates, or a batch
    normalisation, reads. Other constants may hold infinities: masks do.
    """
    return tuple(_in_graph(graph, source))


def _in_graph(graph: Graph, source: str) -> Iterator[Diagnostic]:
    for const in graph.consts:
        readers = graph.users.get(const.name, ())
        if const.type.dtype.is_float and any(op_row(op.kind).quant == "mac" or op.kind == "batch_norm" for op in readers):
            bad = count_non_finite(const)
            if bad:
                what = "is not a number" if bad == 1 else "are not numbers"
                message = f"{bad} of {const.type.elements} weights {what} (NaN or infinite)"
                yield Diagnostic("AS304", message, f'{source}: initializer "{const.name}"', hint="export the model from a sound checkpoint")
    for op in graph.ops:
        for inner in sub_graphs(op):
            yield from _in_graph(inner, source)


def count_non_finite(const: Const) -> int:
    """Number of NaN and infinite elements of a float constant. Reads a few megabytes at a time."""
    data = const.blob.read()
    step = _CHUNK_BYTES
    return sum(_count(data[i : i + step], const.type.dtype) for i in range(0, data.size, step))


def _count(data: Bytes, dtype: DType) -> int:
    if dtype is DType.BF16:
        exponents = data.view(np.uint16) & _BF16_EXPONENT
        return int(np.count_nonzero(exponents == _BF16_EXPONENT))
    return int(np.count_nonzero(~np.isfinite(data.view(numpy_dtype(dtype)))))
