"""The ten networks of the Auto-Split paper: where they are in the zoo, and what is published about them.

Trained weights are to be had for MobileNet_v2 and YOLOv3-tiny alone. The others have seeded ones: latency, cuts and sizes can be compared,
accuracy cannot.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from . import faster_rcnn, googlenet, mnasnet, resnet, yolov3
from .light import check_dependence
from .nodes import save

if TYPE_CHECKING:
    from onnx import ModelProto


@dataclass(frozen=True, slots=True)
class PaperNetwork:
    """A network of the paper. `build` makes it with seeded weights, given the file's metadata; None: `zoo` has trained ones.

    parameters: learned ones, as published (`source`), or as the named checkpoint has them. macs: multiply-accumulates at `input`, None
    where no figure for that size is published. decision: the paper's (Fig. 6), at thresholds of 5 % (classification) and 10 % (detection).
    """

    title: str
    zoo: str
    task: Literal["classification", "detection"]
    parameters: int
    macs: float | None
    input: tuple[str, tuple[int, ...]]
    source: str
    decision: Literal["cloud-only", "split", "edge-only"]
    build: Callable[[Mapping[str, str]], ModelProto] | None = field(default=None, repr=False)


_IMAGENET = ("input", (1, 3, 224, 224))
_COCO = ("input", (1, 3, 416, 416))
_TORCHVISION = "torchvision's table of models and weights"
_DARKNET = "pjreddie.com/darknet/yolo: 65.86 billion operations at 416, two a multiply-accumulate"

NETWORKS = (
    PaperNetwork(
        "ResNet-18",
        "resnet18",
        "classification",
        11_689_512,
        1.81e9,
        _IMAGENET,
        _TORCHVISION,
        "edge-only",
        partial(resnet.build, resnet.RESNET18),
    ),
    PaperNetwork(
        "ResNet-50",
        "resnet50",
        "classification",
        25_557_032,
        4.09e9,
        _IMAGENET,
        _TORCHVISION,
        "split",
        partial(resnet.build, resnet.RESNET50),
    ),
    PaperNetwork("GoogLeNet", "googlenet", "classification", 6_624_904, 1.50e9, _IMAGENET, _TORCHVISION, "split", googlenet.build),
    PaperNetwork(
        "ResNeXt50_32x4d",
        "resnext50",
        "classification",
        25_028_904,
        4.23e9,
        _IMAGENET,
        _TORCHVISION,
        "cloud-only",
        partial(resnet.build, resnet.RESNEXT50),
    ),
    PaperNetwork("MobileNet_v2", "mobilenet-v2", "classification", 3_504_872, 0.30e9, _IMAGENET, _TORCHVISION, "edge-only"),
    PaperNetwork("MnasNet1_0", "mnasnet", "classification", 4_383_312, 0.31e9, _IMAGENET, _TORCHVISION, "edge-only", mnasnet.build),
    PaperNetwork("YOLOv3-tiny", "yolov3-tiny", "detection", 8_852_366, 2.78e9, _COCO, "darknet's yolov3-tiny.cfg; 5.56 billion", "split"),
    PaperNetwork(
        "YOLOv3", "yolov3", "detection", 61_949_149, 32.93e9, _COCO, _DARKNET, "split", lambda p: yolov3.build(pyramid=False, properties=p)
    ),
    PaperNetwork(
        "YOLOv3-spp",
        "yolov3-spp",
        "detection",
        62_998_749,
        None,
        _COCO,
        "darknet's yolov3-spp.cfg",
        "split",
        lambda p: yolov3.build(pyramid=True, properties=p),
    ),
    PaperNetwork(
        "Faster R-CNN ResNet-50 FPN",
        "faster-rcnn",
        "detection",
        41_755_286,
        None,
        ("image", (1, 3, faster_rcnn.ROWS, faster_rcnn.COLUMNS)),
        f"{_TORCHVISION}; input of one fixed size",
        "cloud-only",
        faster_rcnn.build,
    ),
)


def write(network: PaperNetwork, properties: Mapping[str, str], path: Path) -> None:
    """Write a network with seeded weights. Raises `CompileError` AS688 where the output does not depend on the input."""
    if network.build is not None:
        save(network.build(properties), path)
        check_dependence(path, network.zoo)
