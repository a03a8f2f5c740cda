"""MobileNetV2 for ImageNet from torchvision's V1 checkpoint (Sandler et al. 2018, arXiv:1801.04381, table 2).

3,504,872 parameters, 0.30 GMAC at 224 x 224; published top-1 71.88 %. BatchNormalization and Clip (Relu6) stay nodes, as an
exporter leaves them. Input: RGB in 0..1, less mean (0.485, 0.456, 0.406), over deviation (0.229, 0.224, 0.225).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from autosplitc.ir import CompileError, Diagnostic

from .nodes import NodeRecorder
from .torch_stream import Array, read_state_dict

if TYPE_CHECKING:
    from onnx import ModelProto

BLOCKS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""Rows of table 2: expansion, output channels, repeats, stride of the first repeat."""

EPSILON = 1e-5


def convert(checkpoint: bytes, properties: Mapping[str, str]) -> ModelProto:
    """Return the model `input` f32[N,3,224,224] -> `logits` f32[N,1000].

    Raises `CompileError` AS684 when the checkpoint does not hold exactly the parameters of this network.
    """
    state = read_state_dict(checkpoint, "mobilenet_v2 checkpoint")
    parameters = {name: values for name, values in state.items() if not name.endswith("num_batches_tracked")}
    network = _Network(parameters)
    try:
        features = network.features("input")
        pooled = network.record.node("GlobalAveragePool", "pool", (features,))
        flat = network.record.node("Flatten", "flatten", (pooled,), axis=1)
        operands = (flat, network.weight("classifier.1.weight"), network.weight("classifier.1.bias"))
        network.record.node("Gemm", "logits", operands, transB=1)
    except KeyError as error:
        raise _mismatch(f"missing parameter {error}") from error
    if network.unused:
        raise _mismatch("unused parameters: " + ", ".join(sorted(network.unused)))
    return network.record.model("mobilenet_v2", {"input": ("N", 3, 224, 224)}, {"logits": ("N", 1000)}, properties)


class _Network:
    """Records the layers; every parameter is taken once."""

    def __init__(self, parameters: Mapping[str, Array]) -> None:
        self.record = NodeRecorder()
        self.unused = set(parameters)
        self._parameters = parameters

    def weight(self, name: str) -> str:
        return self.record.weight(name, self._take(name))

    def features(self, x: str) -> str:
        x = self._convolution(x, "features.0.0", "features.0.1", stride=2)
        channels, index = 32, 1
        for expansion, wanted, repeats, first_stride in BLOCKS:
            for repeat in range(repeats):
                stride = first_stride if repeat == 0 else 1
                result = self._inverted_residual(x, f"features.{index}", expansion, channels, stride)
                keeps_shape = stride == 1 and channels == wanted
                x = self.record.node("Add", f"features.{index}.add", (x, result)) if keeps_shape else result
                channels, index = wanted, index + 1
        return self._convolution(x, f"features.{index}.0", f"features.{index}.1")

    def _inverted_residual(self, x: str, prefix: str, expansion: int, channels: int, stride: int) -> str:
        step = 0
        if expansion != 1:
            x = self._convolution(x, f"{prefix}.conv.0.0", f"{prefix}.conv.0.1")
            step = 1
        x = self._convolution(x, f"{prefix}.conv.{step}.0", f"{prefix}.conv.{step}.1", stride=stride, groups=channels * expansion)
        return self._convolution(x, f"{prefix}.conv.{step + 1}", f"{prefix}.conv.{step + 2}", relu6=False)

    def _convolution(self, x: str, conv: str, norm: str, *, stride: int = 1, groups: int = 1, relu6: bool = True) -> str:
        kernel = self._parameters[f"{conv}.weight"].shape[2]
        x = self.record.node(
            "Conv",
            conv,
            (x, self.weight(f"{conv}.weight")),
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[kernel // 2] * 4,
            group=groups,
        )
        names = [f"{norm}.{part}" for part in ("weight", "bias", "running_mean", "running_var")]
        x = self.record.batch_norm(norm, x, {name: self._take(name) for name in names}, EPSILON)
        if not relu6:
            return x
        bounds = [self.record.constant(f"{norm}.{end}", np.array(value, np.float32)) for end, value in (("min", 0), ("max", 6))]
        return self.record.node("Clip", f"{norm}.relu6", (x, *bounds))

    def _take(self, name: str) -> Array:
        self.unused.discard(name)
        return self._parameters[name].astype(np.float32)


def _mismatch(note: str) -> CompileError:
    return CompileError(Diagnostic("AS684", "the checkpoint is not MobileNetV2's", location="mobilenet_v2 checkpoint", notes=(note,)))
