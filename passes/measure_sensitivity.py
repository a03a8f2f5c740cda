"""measure-sensitivity: quantisation errors of weights, activations and wires at every bit-width.

Weights are rounded as code generation rounds them, on data where `rounding` holds that. Activations' errors come from the histograms of
`ranges`, under the quantiser that the value would have: that of its root's range where ops of class `same` pass the root's codes on. With
calibration data each tensor is also quantised alone and the change at the network's outputs measured (`output_sensitivity.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import CompileError, Diagnostic, DType, Graph, Module, array_ref, read_array

from .base import Env, Pass
from .facts import Ranges, Request, Rounding, Sensitivity, TensorError
from .measured_outputs import measure_outputs
from .probes import Roundings
from .quantisers import Quantisers
from .quantize.errors import BITS, FORBIDDEN_NSR, Errors, activation_errors, forbidden, wire_errors
from .quantize.histogram import samples_of
from .roles import kept_float, roles
from .weight_errors import cached_weight_errors, with_rounding


@dataclass(frozen=True)
class MeasureSensitivity(Pass):
    """Gives `sensitivity`: noise-to-signal ratio and mean squared error at 1..8 bits, with data also the change of the outputs.

    samples: runs of the calibration data that the change of the outputs is measured on, evenly spaced.
    """

    name: ClassVar[str] = "measure-sensitivity"
    summary: ClassVar[str] = "measure the quantisation error of weights and activations at every bit-width"
    needs: ClassVar = (Ranges,)
    gives: ClassVar = (Sensitivity,)

    samples: int = 32

    def apply(self, module: Module, env: Env) -> Module:
        """Return the module with `sensitivity` of every quantised weight constant and of every f32 value.

        Raises CompileError: AS155 where `--keep-float` matches no op, AS158 where outputs are to be measured and there is no data, AS159
        where `samples` is below 1. Warns: AS327 where no output can be measured.
        """
        graph = module.main
        request = module.get(Request)
        keep_float = request.keep_float if request else ""
        if keep_float and not kept_float(graph, keep_float):
            notes = (f"ops: {', '.join(op.name for op in graph.ops[:3])} ...",)
            raise CompileError(Diagnostic("AS155", f"no op matches {keep_float!r}", notes=notes, hint="--keep-float REGEX"))
        if self.samples < 1:
            message = f"samples is {self.samples}: at least 1 is needed"
            raise CompileError(Diagnostic("AS159", message, hint=f"--set {self.name}.samples=32"))
        found = roles(graph, keep_float)
        roundings = Roundings.of(module.get(Rounding))
        measured = measure_outputs(module, env, found, self.samples) if _wants_outputs(request, env) else None
        outputs: Mapping[str, tuple[float, ...]] = measured.outputs if measured else {}
        weights: list[TensorError] = []
        for name, axis in env.progress.track(found.weight_axis.items(), "measure weights", len(found.weight_axis)):
            errors = with_rounding(cached_weight_errors(graph.const[name], axis, env.cache), graph.const[name], axis, roundings)
            output = outputs.get(name, ())
            weights.append(TensorError(name, errors.nsr, errors.mse, output and (FORBIDDEN_NSR, *output[1:])))
        records, wires = _activations(graph, module.fact(Ranges), found.root)
        activations = tuple(replace(record, output=_output(record, found.root, outputs)) for record in records)
        wire_nsr = array_ref(wires)
        fact = Sensitivity(graph.name, tuple(weights), activations, wire_nsr, _summed(request))
        if measured is not None:
            fact = replace(fact, measure="output", unit=measured.unit, samples=measured.samples)
        return module.with_fact(fact)


def _wants_outputs(request: Request | None, env: Env) -> bool:
    """Whether the change of the outputs is to be measured. Raises CompileError (AS158) where it cannot."""
    asked = request.sensitivity if request else ""
    if asked == "output" and env.calib is None:
        message = "the change of the outputs is measured on calibration data, of which there is none"
        raise CompileError(Diagnostic("AS158", message, "--sensitivity output", hint="--calib DATA, or --sensitivity sqnr"))
    return asked == "output" or (not asked and env.calib is not None)


def _summed(request: Request | None) -> str:
    """Return which error is summed where outputs are not measured."""
    return "mse" if request is not None and request.sensitivity == "mse" else "sqnr"


def _output(record: TensorError, root: Mapping[str, str], outputs: Mapping[str, tuple[float, ...]]) -> tuple[float, ...]:
    """Return the change of the outputs that a value makes: its own, else that of the value whose codes it has."""
    if not outputs:
        return ()
    if min(record.nsr) >= FORBIDDEN_NSR:
        return record.nsr
    return outputs.get(record.tensor) or outputs.get(root.get(record.tensor, ""), ())


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
    return read_array(ranges.histograms)
