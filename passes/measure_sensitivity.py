"""measure-sensitivity: quantisation errors of weights, activations and wires at every bit-width.

Weights are rounded as code generation rounds them. Activations' errors come from the histograms of `ranges`, under the quantiser that the
value would have: that of its root's range where ops of class `same` pass the root's codes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import ArrayRef, CompileError, Diagnostic, DType, Graph, Module, TensorType, blob_from_array

from .base import Env, Pass
from .facts import Ranges, Request, Sensitivity, TensorError
from .quantisers import Quantisers
from .quantize.errors import BITS, FORBIDDEN_NSR, Errors, activation_errors, forbidden, weight_errors, wire_errors
from .quantize.histogram import samples_of
from .roles import kept_float, roles


@dataclass(frozen=True)
class MeasureSensitivity(Pass):
    """Gives `sensitivity`: noise-to-signal ratio and mean squared error at 1..8 bits."""

    name: ClassVar[str] = "measure-sensitivity"
    summary: ClassVar[str] = "measure the quantisation error of weights and activations at every bit-width"
    needs: ClassVar = (Ranges,)
    gives: ClassVar = (Sensitivity,)

    def apply(self, module: Module, env: Env) -> Module:
        """Return the module with `sensitivity` of every quantised weight constant and of every f32 value.

        Raises CompileError (AS155) where `--keep-float` matches no op.
        """
        graph = module.main
        request = module.get(Request)
        keep_float = request.keep_float if request else ""
        if keep_float and not kept_float(graph, keep_float):
            notes = (f"ops: {', '.join(op.name for op in graph.ops[:3])} ...",)
            raise CompileError(Diagnostic("AS155", f"no op matches {keep_float!r}", notes=notes, hint="--keep-float REGEX"))
        found = roles(graph, keep_float)
        weights: list[TensorError] = []
        for name, axis in env.progress.track(found.weight_axis.items(), "measure weights", len(found.weight_axis)):
            weights.append(_record(name, weight_errors(graph.const[name].array(), axis)))
        activations, wires = _activations(graph, module.fact(Ranges), found.root)
        wire_nsr = ArrayRef(TensorType(DType.F64, wires.shape), blob_from_array(wires))
        return module.with_fact(Sensitivity(graph.name, tuple(weights), tuple(activations), wire_nsr))


def _record(name: str, errors: Errors) -> TensorError:
    return TensorError(name, errors.nsr, errors.mse)


def _activations(graph: Graph, ranges: Ranges, root: Mapping[str, str]) -> tuple[list[TensorError], NDArray[np.float64]]:
    """Return the errors of every f32 value, and of its wires f64[values, 9, 8]."""
    quantisers = Quantisers(ranges)
    rows: NDArray[Any] = _rows(ranges)
    values = [r for r in ranges.values if graph.types[r.value].dtype is DType.F32]
    records: list[TensorError] = []
    wires = np.full((len(values), len(BITS) + 1, len(BITS)), FORBIDDEN_NSR)
    for index, value in enumerate(values):
        if value.histogram < 0:
            records.append(_record(value.value, forbidden()))
            continue
        samples = samples_of(rows[value.histogram], value.low, value.high, exact=value.exact)
        affines = quantisers.affines(root.get(value.value, value.value))
        records.append(_record(value.value, activation_errors(samples, affines)))
        wires[index] = wire_errors(samples, affines)
    return records, wires


def _rows(ranges: Ranges) -> NDArray[Any]:
    if ranges.histograms is None:
        return np.zeros((0, 0))
    return ranges.histograms.blob.read().view(np.float64).reshape(ranges.histograms.type.dims)
