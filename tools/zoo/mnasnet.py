"""MnasNet 1.0 (Tan et al. 2019, arXiv:1807.11626, figure 7) with seeded weights, as torchvision lays it out. 224 x 224, 1000 classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .seeded import BRANCH_SCALE, Feature, SeededNetwork

if TYPE_CHECKING:
    from onnx import ModelProto

STACKS = ((24, 3, 2, 3, 3), (40, 5, 2, 3, 3), (80, 5, 2, 6, 3), (96, 3, 1, 6, 2), (192, 5, 2, 6, 4), (320, 3, 1, 6, 1))
"""Output channels, kernel, stride of the first block, expansion, blocks."""


def build(properties: Mapping[str, str]) -> ModelProto:
    """Return the model `input` f32[N,3,224,224] -> `logits` f32[N,1000]."""
    network = SeededNetwork()
    x = _convolution(network, "stem.conv", Feature("input", 3, 224, 224), 32, 3, stride=2)
    x = _convolution(network, "stem.depthwise", x, 32, 3, groups=32)
    x = _convolution(network, "stem.project", x, 16, 1, active=False)
    for stack, (channels, kernel, stride, expansion, blocks) in enumerate(STACKS):
        for block in range(blocks):
            x = _inverted_residual(network, f"stack{stack}.{block}", x, channels, kernel, stride if block == 0 else 1, expansion)
    x = _convolution(network, "head", x, 1280, 1)
    network.classifier(x, 1000)
    return network.record.model("mnasnet1_0", {"input": ("N", 3, 224, 224)}, {"logits": ("N", 1000)}, properties)


def _inverted_residual(
    network: SeededNetwork, name: str, x: Feature, channels: int, kernel: int, stride: int, expansion: int
) -> Feature:
    wide = x.channels * expansion
    adds = stride == 1 and x.channels == channels
    y = _convolution(network, f"{name}.expand", x, wide, 1, gain=1.0)
    y = _convolution(network, f"{name}.depthwise", y, wide, kernel, stride=stride, groups=wide)
    y = _convolution(network, f"{name}.project", y, channels, 1, scale=BRANCH_SCALE if adds else 1.0, active=False)
    return network.add(f"{name}.add", y, x) if adds else y


def _convolution(
    network: SeededNetwork,
    name: str,
    x: Feature,
    channels: int,
    kernel: int,
    *,
    stride: int = 1,
    groups: int = 1,
    scale: float = 1.0,
    gain: float = 2.0,
    active: bool = True,
) -> Feature:
    y = network.convolution(f"{name}.conv", x, channels, kernel, stride=stride, groups=groups, gain=gain)
    y = network.batch_norm(f"{name}.bn", y, scale=scale)
    return network.unary("Relu", f"{name}.relu", y) if active else y
