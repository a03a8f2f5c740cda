"""Networks with seeded weights: layers as an exporter leaves them, with statistics that keep activations of one size.

Convolutions and matrix products are He normal (He et al. 2015, arXiv:1502.01852), normalisations near identity; the last one of a residual
branch is damped, so that sums over many blocks do not grow. Every weight has a random stream of its own, so a file is the same on every
machine.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .nodes import NodeRecorder

SEED = 0
EPSILON = 1e-5
BRANCH_SCALE = 0.3
"""Mean scale of the normalisation that ends a residual branch."""

Weights = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature map: its ONNX name, channels, rows and columns."""

    name: str
    channels: int
    rows: int
    columns: int


@dataclass(frozen=True, slots=True)
class Filters:
    """Weights of a square convolution: names of the weight and the bias (if any), channels of the result, kernel."""

    operands: tuple[str, ...]
    channels: int
    kernel: int


class SeededNetwork:
    """Records layers with seeded weights, and counts its learned parameters (no running statistics)."""

    def __init__(self) -> None:
        """Start empty."""
        self.record = NodeRecorder()
        self.parameters = 0

    def convolution(
        self, name: str, x: Feature, channels: int, kernel: int, *, stride: int = 1, groups: int = 1, bias: bool = False, gain: float = 2.0
    ) -> Feature:
        """Add a square convolution that keeps the size at stride 1. gain: variance of the result over that of the input."""
        shape = (channels, x.channels // groups, kernel, kernel)
        return self.apply_convolution(name, x, self.filters(name, shape, bias=bias, gain=gain), stride=stride, groups=groups)

    def filters(self, name: str, shape: tuple[int, int, int, int], *, bias: bool = False, gain: float = 2.0) -> Filters:
        """Add the weights of a convolution, [channels, inputs of a group, kernel, kernel], for one or several layers."""
        operands = [self._weight(f"{name}.weight", _normal(f"{name}.weight", shape) * _deviation(shape, gain))]
        if bias:
            operands.append(self._weight(f"{name}.bias", np.float32(0.1) * _normal(f"{name}.bias", shape[:1])))
        return Filters(tuple(operands), shape[0], shape[-1])

    def apply_convolution(self, name: str, x: Feature, filters: Filters, *, stride: int = 1, groups: int = 1) -> Feature:
        """Add a convolution with weights that are there, padded by half its kernel."""
        geometry = {"kernel_shape": [filters.kernel] * 2, "strides": [stride] * 2, "pads": [filters.kernel // 2] * 4}
        self.record.node("Conv", name, (x.name, *filters.operands), **geometry, group=groups)
        return Feature(name, filters.channels, _strided(x.rows, stride), _strided(x.columns, stride))

    def batch_norm(self, name: str, x: Feature, *, scale: float = 1.0, epsilon: float = EPSILON) -> Feature:
        """Add a normalisation whose scales lie around `scale`."""
        parts = {part: _normal(f"{name}.{part}", (x.channels,)) for part in ("weight", "bias", "running_mean", "running_var")}
        values = {
            f"{name}.weight": np.float32(scale) * (np.float32(1) + np.float32(0.1) * parts["weight"]),
            f"{name}.bias": np.float32(0.1) * parts["bias"],
            f"{name}.running_mean": np.float32(0.1) * parts["running_mean"],
            f"{name}.running_var": (np.float32(1) + np.float32(0.1) * np.abs(parts["running_var"])).astype(np.float32),
        }
        self.parameters += 2 * x.channels
        self.record.batch_norm(name, x.name, values, epsilon)
        return Feature(name, x.channels, x.rows, x.columns)

    def linear(self, name: str, x: str, size: int, results: int, gain: float = 1.0) -> str:
        """Add a Gemm from `size` to `results` features and return its name."""
        weight = self._weight(f"{name}.weight", _normal(f"{name}.weight", (results, size)) * _deviation((results, size), gain))
        bias = self._weight(f"{name}.bias", np.float32(0.1) * _normal(f"{name}.bias", (results,)))
        return self.record.node("Gemm", name, (x, weight, bias), transB=1)

    def max_pool(self, name: str, x: Feature, kernel: int, stride: int, *, padding: int = 0, ceil: bool = False) -> Feature:
        """Add a square maximum pooling; `ceil` counts a last window that hangs over."""
        rows, columns = (_pooled(size, kernel, stride, padding, ceil=ceil) for size in (x.rows, x.columns))
        sizes = {"kernel_shape": [kernel, kernel], "strides": [stride, stride], "pads": [padding] * 4}
        self.record.node("MaxPool", name, (x.name,), **sizes, **({"ceil_mode": 1} if ceil else {}))
        return Feature(name, x.channels, rows, columns)

    def upsample(self, name: str, x: Feature) -> Feature:
        """Add a nearest-neighbour upsampling by 2."""
        scales = self.record.constant(f"{name}.scales", np.array([1, 1, 2, 2], np.float32))
        modes = {"coordinate_transformation_mode": "asymmetric", "mode": "nearest", "nearest_mode": "floor"}
        self.record.node("Resize", name, (x.name, "", scales), **modes)
        return Feature(name, x.channels, 2 * x.rows, 2 * x.columns)

    def concat(self, name: str, parts: Sequence[Feature]) -> Feature:
        """Add a concatenation of channels."""
        self.record.node("Concat", name, [part.name for part in parts], axis=1)
        return Feature(name, sum(part.channels for part in parts), parts[0].rows, parts[0].columns)

    def add(self, name: str, first: Feature, second: Feature) -> Feature:
        """Add a sum of two features of one shape."""
        return self.unary("Add", name, first, second.name)

    def unary(self, kind: str, name: str, x: Feature, *operands: str, **attributes: object) -> Feature:
        """Add a node that keeps the shape of its first input."""
        self.record.node(kind, name, (x.name, *operands), **attributes)
        return Feature(name, x.channels, x.rows, x.columns)

    def classifier(self, x: Feature, classes: int) -> str:
        """Add what ends a classifier, global average pooling and a Gemm `logits`, and return its name."""
        pooled = self.record.node("GlobalAveragePool", "avgpool", (x.name,))
        flat = self.record.node("Flatten", "flatten", (pooled,), axis=1)
        return self.linear("logits", flat, x.channels, classes)

    def _weight(self, name: str, values: Weights) -> str:
        self.parameters += values.size
        return self.record.weight(name, values.astype(np.float32))


def _normal(name: str, shape: tuple[int, ...]) -> Weights:
    seed = [SEED, int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")]
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def _deviation(shape: tuple[int, ...], gain: float) -> np.float32:
    return np.float32(math.sqrt(gain / math.prod(shape[1:])))


def _strided(size: int, stride: int) -> int:
    """Return the rows of a convolution padded by half its kernel."""
    return (size - 1) // stride + 1


def _pooled(size: int, kernel: int, stride: int, padding: int, *, ceil: bool) -> int:
    span = size + 2 * padding - kernel
    return (-(-span // stride) if ceil else span // stride) + 1
