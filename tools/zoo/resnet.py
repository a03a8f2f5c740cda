"""ResNet-18, ResNet-50 (He et al. 2016, arXiv:1512.03385) and ResNeXt-50 32x4d (Xie et al. 2017, arXiv:1611.05431), seeded weights.

As torchvision lays them out: the stride of a bottleneck stands at its 3x3 convolution. 224 x 224, 1000 classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .seeded import BRANCH_SCALE, Feature, SeededNetwork

if TYPE_CHECKING:
    from onnx import ModelProto

STAGE_WIDTHS = (64, 128, 256, 512)
EXPANSION = 4
"""Channels of a bottleneck's result over those of its first convolution."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Blocks of every stage. bottleneck: three convolutions a block, else two; groups and group_width: of its 3x3 convolution."""

    name: str
    blocks: tuple[int, int, int, int]
    bottleneck: bool
    groups: int = 1
    group_width: int = 64

    def inner(self, width: int) -> int:
        """Return the channels inside a bottleneck."""
        return width * self.group_width // 64 * self.groups


RESNET18 = Layout("resnet18", (2, 2, 2, 2), bottleneck=False)
RESNET50 = Layout("resnet50", (3, 4, 6, 3), bottleneck=True)
RESNEXT50 = Layout("resnext50_32x4d", (3, 4, 6, 3), bottleneck=True, groups=32, group_width=4)


def build(layout: Layout, properties: Mapping[str, str]) -> ModelProto:
    """Return the model `input` f32[N,3,224,224] -> `logits` f32[N,1000]."""
    network = SeededNetwork()
    stages = features(network, Feature("input", 3, 224, 224), layout)
    network.classifier(stages[-1], 1000)
    return network.record.model(layout.name, {"input": ("N", 3, 224, 224)}, {"logits": ("N", 1000)}, properties)


def features(network: SeededNetwork, x: Feature, layout: Layout) -> list[Feature]:
    """Add everything before the classifier and return the result of each of the four stages."""
    x = _normalised(network, "conv1", "bn1", x, 64, 7, stride=2)
    x = network.max_pool("maxpool", network.unary("Relu", "relu", x), 3, 2, padding=1)
    stages: list[Feature] = []
    for stage, (width, blocks) in enumerate(zip(STAGE_WIDTHS, layout.blocks, strict=True), 1):
        for block in range(blocks):
            add = _bottleneck if layout.bottleneck else _basic
            x = add(network, f"layer{stage}.{block}", x, layout, width, 2 if stage > 1 and block == 0 else 1)
        stages.append(x)
    return stages


def _basic(network: SeededNetwork, name: str, x: Feature, layout: Layout, width: int, stride: int) -> Feature:
    del layout
    y = _normalised(network, f"{name}.conv1", f"{name}.bn1", x, width, 3, stride=stride)
    y = network.unary("Relu", f"{name}.relu1", y)
    y = _normalised(network, f"{name}.conv2", f"{name}.bn2", y, width, 3, scale=BRANCH_SCALE)
    return _joined(network, name, x, y, stride)


def _bottleneck(network: SeededNetwork, name: str, x: Feature, layout: Layout, width: int, stride: int) -> Feature:
    inner = layout.inner(width)
    y = network.unary("Relu", f"{name}.relu1", _normalised(network, f"{name}.conv1", f"{name}.bn1", x, inner, 1))
    y = _normalised(network, f"{name}.conv2", f"{name}.bn2", y, inner, 3, stride=stride, groups=layout.groups)
    y = network.unary("Relu", f"{name}.relu2", y)
    y = _normalised(network, f"{name}.conv3", f"{name}.bn3", y, width * EXPANSION, 1, scale=BRANCH_SCALE)
    return _joined(network, name, x, y, stride)


def _joined(network: SeededNetwork, name: str, x: Feature, y: Feature, stride: int) -> Feature:
    """Add the shortcut, by a convolution where the shape changes, and the activation."""
    if stride != 1 or x.channels != y.channels:
        x = _normalised(network, f"{name}.downsample.0", f"{name}.downsample.1", x, y.channels, 1, stride=stride, gain=1.0)
    return network.unary("Relu", f"{name}.relu", network.add(f"{name}.add", y, x))


def _normalised(
    network: SeededNetwork,
    name: str,
    norm: str,
    x: Feature,
    channels: int,
    kernel: int,
    *,
    stride: int = 1,
    groups: int = 1,
    scale: float = 1.0,
    gain: float = 2.0,
) -> Feature:
    y = network.convolution(name, x, channels, kernel, stride=stride, groups=groups, gain=gain)
    return network.batch_norm(norm, y, scale=scale)
