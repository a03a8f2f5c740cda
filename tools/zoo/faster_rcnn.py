"""Faster R-CNN (Ren et al. 2015, arXiv:1506.01497) on ResNet-50 with a feature pyramid (Lin et al. 2017, arXiv:1612.03144), seeded weights.

As torchvision lays it out, for inputs of one fixed size: 41.76 M parameters with 91 classes. Behind the convolutions sizes depend on the
data: proposals are picked by score and overlap, so how many there are is known only at run time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from .detection_nodes import Boxes, DetectionNodes
from .resnet import RESNET50, features
from .seeded import Feature, SeededNetwork

if TYPE_CHECKING:
    from onnx import ModelProto

ROWS, COLUMNS = 800, 1088
"""Size of the input: COCO's pictures, their shorter side scaled to 800, the longer one to a multiple of 32 near its median."""

CLASSES = 91
CHANNELS = 256
ANCHOR_SIZES = (32, 64, 128, 256, 512)
ASPECT_RATIOS = (0.5, 1.0, 2.0)
PROPOSALS = 1000
"""Proposals of a level before, and of all levels together after, those that overlap are left out."""

POOLED = 7
HIDDEN = 1024


def build(properties: Mapping[str, str]) -> ModelProto:
    """Return the model `image` f32[1,3,800,1088] -> `boxes` f32[K,4] (x1, y1, x2, y2), `scores` f32[K], `labels` i64[K]."""
    from onnx import TensorProto, helper

    network = SeededNetwork()
    levels = _pyramid(network, features(network, Feature("image", 3, ROWS, COLUMNS), RESNET50))
    nodes = DetectionNodes(network.record, ROWS, COLUMNS)
    proposals = _proposals(network, nodes, levels)
    pooled = nodes.pooled_regions(proposals, levels[:4], POOLED)
    hidden = network.record.node("Flatten", "box_head.flatten", (pooled,), axis=1)
    for name, size in (("box_head.fc6", CHANNELS * POOLED * POOLED), ("box_head.fc7", HIDDEN)):
        hidden = network.record.node("Relu", f"{name}.relu", (network.linear(name, hidden, size, HIDDEN, gain=2.0),))
    scores = network.linear("box_predictor.cls_score", hidden, HIDDEN, CLASSES)
    deltas = network.linear("box_predictor.bbox_pred", hidden, HIDDEN, 4 * CLASSES, gain=0.1)
    nodes.detections(proposals, scores, deltas, CLASSES)
    outputs = {"boxes": ("K", 4), "scores": ("K",)}
    model = network.record.model("faster_rcnn_resnet50_fpn", {"image": (1, 3, ROWS, COLUMNS)}, outputs, properties)
    model.graph.output.append(helper.make_tensor_value_info("labels", TensorProto.INT64, ["K"]))
    return model


def _pyramid(network: SeededNetwork, stages: Sequence[Feature]) -> list[Feature]:
    """Return the levels of strides 4, 8, 16, 32, 64."""
    merged: list[Feature] = []
    for level in reversed(range(len(stages))):
        inner = network.convolution(f"fpn.inner.{level}", stages[level], CHANNELS, 1, bias=True, gain=0.5)
        inner = network.add(f"fpn.add.{level}", inner, network.upsample(f"fpn.top_down.{level}", merged[0])) if merged else inner
        merged.insert(0, inner)
    levels = [network.convolution(f"fpn.layer.{i}", x, CHANNELS, 3, bias=True, gain=1.0) for i, x in enumerate(merged)]
    return [*levels, network.max_pool("fpn.pool", levels[-1], 1, 2)]


def _proposals(network: SeededNetwork, nodes: DetectionNodes, levels: Sequence[Feature]) -> str:
    """Add the region proposal network, one set of weights for all levels, and return the boxes of the proposals, f32[R,4]."""
    found: list[Boxes] = []
    ratios = len(ASPECT_RATIOS)
    convolution = network.filters("rpn.conv", (CHANNELS, CHANNELS, 3, 3), bias=True)
    logits = network.filters("rpn.cls_logits", (ratios, CHANNELS, 1, 1), bias=True, gain=1.0)
    moves = network.filters("rpn.bbox_pred", (4 * ratios, CHANNELS, 1, 1), bias=True, gain=0.1)
    for level, (x, size) in enumerate(zip(levels, ANCHOR_SIZES, strict=True)):
        name = f"rpn.{level}"
        hidden = network.unary("Relu", f"{name}.relu", network.apply_convolution(f"{name}.conv", x, convolution))
        scores = network.apply_convolution(f"{name}.cls_logits", hidden, logits)
        deltas = network.apply_convolution(f"{name}.bbox_pred", hidden, moves)
        found.append(nodes.level_proposals(name, scores, deltas, anchors(x, size), PROPOSALS))
    return nodes.best_proposals(found, PROPOSALS)


def anchors(level: Feature, size: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Return the anchors of a level, f32[rows * columns * 3, 4] as x1, y1, x2, y2, in the order in which the scores are laid out."""
    roots = np.array([math.sqrt(ratio) for ratio in ASPECT_RATIOS])
    half_heights, half_widths = size * roots / 2, size / roots / 2
    base = np.round(np.stack([-half_widths, -half_heights, half_widths, half_heights], axis=1))
    y, x = np.meshgrid(np.arange(level.rows) * (ROWS // level.rows), np.arange(level.columns) * (COLUMNS // level.columns), indexing="ij")
    shifts = np.stack([x, y, x, y], axis=-1).reshape(-1, 1, 4)
    return (shifts + base).reshape(-1, 4).astype(np.float32)
