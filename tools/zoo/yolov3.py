"""YOLOv3 and YOLOv3-spp (Redmon and Farhadi 2018, arXiv:1804.02767) with seeded weights. 416 x 416, 80 classes of COCO, three raw heads.

Layers are named by darknet's indices (`layer82` ends the head of 13 x 13 in YOLOv3). Spatial pyramid pooling: He et al. 2014,
arXiv:1406.4729, as darknet's yolov3-spp.cfg has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .seeded import BRANCH_SCALE, Feature, SeededNetwork

if TYPE_CHECKING:
    from onnx import ModelProto

SLOPE = 0.1
STAGES = ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4))
"""Darknet-53, table 1 of the paper: channels and residual blocks."""

HEADS = (512, 256, 128)
HEAD_CHANNELS = 3 * (4 + 1 + 80)
PYRAMID = (5, 9, 13)


class _Layers:
    """Adds layers with darknet's running index."""

    def __init__(self) -> None:
        self.network = SeededNetwork()
        self.index = 0

    def next(self) -> str:
        name = f"layer{self.index}"
        self.index += 1
        return name

    def convolution(self, x: Feature, channels: int, kernel: int, *, stride: int = 1, scale: float = 1.0) -> Feature:
        name = self.next()
        y = self.network.convolution(f"{name}.conv", x, channels, kernel, stride=stride)
        y = self.network.batch_norm(f"{name}.norm", y, scale=scale)
        return self.network.unary("LeakyRelu", f"{name}.leaky", y, alpha=SLOPE)

    def backbone(self, x: Feature) -> list[Feature]:
        """Add Darknet-53 and return the results of its last three stages."""
        x = self.convolution(x, 32, 3)
        found: list[Feature] = []
        for channels, blocks in STAGES:
            x = self.convolution(x, channels, 3, stride=2)
            for _ in range(blocks):
                y = self.convolution(x, channels // 2, 1)
                y = self.convolution(y, channels, 3, scale=BRANCH_SCALE)
                x = self.network.add(f"{self.next()}.add", y, x)
            found.append(x)
        return found[-3:]

    def neck(self, x: Feature, channels: int, *, pyramid: bool = False) -> Feature:
        """Add the five convolutions before a head."""
        x = self.convolution(x, channels, 1)
        x = self.convolution(x, 2 * channels, 3)
        x = self.convolution(x, channels, 1)
        if pyramid:
            x = self.convolution(self.pyramid(x), channels, 1)
        x = self.convolution(x, 2 * channels, 3)
        return self.convolution(x, channels, 1)

    def pyramid(self, x: Feature) -> Feature:
        """Add poolings of three sizes beside each other; darknet counts a layer for every pooling and route."""
        pooled: list[Feature] = []
        for kernel in PYRAMID:
            pooled.append(self.network.max_pool(f"{self.next()}.pool", x, kernel, 1, padding=kernel // 2))
            self.next()
        self.index -= 1
        return self.network.concat(f"{self.next()}.concat", (*reversed(pooled), x))

    def head(self, x: Feature, channels: int) -> Feature:
        x = self.convolution(x, 2 * channels, 3)
        y = self.network.convolution(f"{self.next()}.conv", x, HEAD_CHANNELS, 1, bias=True, gain=1.0)
        self.next()
        return y

    def upsampled(self, x: Feature, channels: int, beside: Feature) -> Feature:
        """Add what leads to the next finer head: a route, a convolution, an upsampling, and a route that joins an earlier result."""
        self.next()
        x = self.convolution(x, channels, 1)
        x = self.network.upsample(f"{self.next()}.resize", x)
        return self.network.concat(f"{self.next()}.concat", (x, beside))


def build(*, pyramid: bool, properties: Mapping[str, str]) -> ModelProto:
    """Return the model `input` f32[N,3,416,416] -> `head_13`, `head_26`, `head_52`, f32[N,255,rows,rows]; `pyramid`: YOLOv3-spp."""
    layers = _Layers()
    stages = layers.backbone(Feature("input", 3, 416, 416))
    x, outputs = stages[-1], dict[str, tuple[int | str, ...]]()
    for step, channels in enumerate(HEADS):
        if step:
            x = layers.upsampled(x, channels, stages[-1 - step])
        x = layers.neck(x, channels, pyramid=pyramid and step == 0)
        head = layers.head(x, channels)
        layers.network.record.node("Identity", f"head_{head.rows}", (head.name,))
        outputs[f"head_{head.rows}"] = ("N", HEAD_CHANNELS, head.rows, head.columns)
    name = "yolov3_spp" if pyramid else "yolov3"
    return layers.network.record.model(name, {"input": ("N", 3, 416, 416)}, outputs, properties)
