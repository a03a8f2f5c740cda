"""GoogLeNet (Szegedy et al. 2014, arXiv:1409.4842) with batch normalisation and without auxiliary heads, seeded weights.

As torchvision lays it out: what the paper has as 5x5 convolutions are 3x3 there, and poolings count a last window that hangs over.
224 x 224, 1000 classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .seeded import Feature, SeededNetwork

if TYPE_CHECKING:
    from onnx import ModelProto

EPSILON = 1e-3

INCEPTIONS = {
    "inception3a": (64, 96, 128, 16, 32, 32),
    "inception3b": (128, 128, 192, 32, 96, 64),
    "inception4a": (192, 96, 208, 16, 48, 64),
    "inception4b": (160, 112, 224, 24, 64, 64),
    "inception4c": (128, 128, 256, 24, 64, 64),
    "inception4d": (112, 144, 288, 32, 64, 64),
    "inception4e": (256, 160, 320, 32, 128, 128),
    "inception5a": (256, 160, 320, 32, 128, 128),
    "inception5b": (384, 192, 384, 48, 128, 128),
}
"""Table 1 of the paper: channels of the 1x1 branch, of the second branch's 1x1 and 3x3, of the third's two, and behind the pooling."""

POOLS = {"inception3b": ("maxpool3", 3), "inception4e": ("maxpool4", 2)}
"""Poolings of stride 2 that follow an inception, with their kernels."""


def build(properties: Mapping[str, str]) -> ModelProto:
    """Return the model `input` f32[N,3,224,224] -> `logits` f32[N,1000]."""
    network = SeededNetwork()
    x = _convolution(network, "conv1", Feature("input", 3, 224, 224), 64, 7, stride=2)
    x = network.max_pool("maxpool1", x, 3, 2, ceil=True)
    x = _convolution(network, "conv2", x, 64, 1)
    x = _convolution(network, "conv3", x, 192, 3)
    x = network.max_pool("maxpool2", x, 3, 2, ceil=True)
    for name, channels in INCEPTIONS.items():
        x = _inception(network, name, x, channels)
        if name in POOLS:
            pool, kernel = POOLS[name]
            x = network.max_pool(pool, x, kernel, 2, ceil=True)
    network.classifier(x, 1000)
    return network.record.model("googlenet", {"input": ("N", 3, 224, 224)}, {"logits": ("N", 1000)}, properties)


def _inception(network: SeededNetwork, name: str, x: Feature, channels: tuple[int, ...]) -> Feature:
    one, two_reduced, two, three_reduced, three, pooled = channels
    branch1 = _convolution(network, f"{name}.branch1", x, one, 1)
    branch2 = _convolution(network, f"{name}.branch2.1", _convolution(network, f"{name}.branch2.0", x, two_reduced, 1), two, 3)
    branch3 = _convolution(network, f"{name}.branch3.1", _convolution(network, f"{name}.branch3.0", x, three_reduced, 1), three, 3)
    pool = network.max_pool(f"{name}.branch4.0", x, 3, 1, padding=1)
    branch4 = _convolution(network, f"{name}.branch4.1", pool, pooled, 1)
    return network.concat(f"{name}.concat", (branch1, branch2, branch3, branch4))


def _convolution(network: SeededNetwork, name: str, x: Feature, channels: int, kernel: int, *, stride: int = 1) -> Feature:
    y = network.convolution(f"{name}.conv", x, channels, kernel, stride=stride)
    return network.unary("Relu", f"{name}.relu", network.batch_norm(f"{name}.bn", y, epsilon=EPSILON))
