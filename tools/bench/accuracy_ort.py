"""ONNX Runtime's own static quantisation, as its documentation uses it: the figures that ours have to beat."""

from __future__ import annotations

import io
import logging
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosplitc.zoo import resolve

from .accuracy_subject import Subject, numbers, read

METHODS = ("minmax", "percentile", "entropy")
PER_CHANNEL_OPSET = 13


def quantise(subject: Subject, method: str, path: Path) -> float:
    """Write the model at 8 bits, weights per output channel, calibrated by a method on the samples for calibration; return the seconds."""
    from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        """One sample at a time."""

        def __init__(self, samples: NDArray[np.float32]) -> None:
            self._left = iter(samples)

        def get_next(self) -> dict[str, NDArray[Any]] | None:
            """Return the next one, None at the end."""
            sample = next(self._left, None)
            return None if sample is None else {subject.input: sample[None]}

    methods = {"minmax": CalibrationMethod.MinMax, "percentile": CalibrationMethod.Percentile, "entropy": CalibrationMethod.Entropy}
    samples = numbers(read(subject.samples.calib)[subject.input], subject.samples.preprocess)
    logging.disable(logging.WARNING)
    started_s = time.perf_counter()
    ready = path.with_suffix(".ready.onnx")
    with redirect_stdout(io.StringIO()):
        quant_pre_process(_with_sizes(subject, path.with_suffix(".sizes.onnx")), ready, skip_symbolic_shape=True)
        quantize_static(
            ready,
            path,
            Reader(samples),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=methods[method],
        )
    logging.disable(logging.NOTSET)
    return time.perf_counter() - started_s


def _with_sizes(subject: Subject, path: Path) -> Path:
    """Write the model with its inputs' sizes for one sample, which ONNX Runtime's preparation needs of some models, and in an opset that
    has a scale a channel.
    """
    import onnx
    from onnx import version_converter

    model = onnx.load(subject.path)
    shapes = dict(resolve(subject.name).input_shapes)
    for value in model.graph.input:
        value.CopyFrom(onnx.helper.make_tensor_value_info(value.name, onnx.TensorProto.FLOAT, shapes[value.name]))
    del model.graph.value_info[:]
    if model.opset_import[0].version < PER_CHANNEL_OPSET:
        model = version_converter.convert_version(model, PER_CHANNEL_OPSET)
    onnx.save(model, path)
    return path
