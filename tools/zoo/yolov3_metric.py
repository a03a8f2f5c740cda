"""Detections of YOLOv3-tiny, and their average precision against the float model's own detections.

Boxes follow darknet (`src/yolo_layer.c: get_yolo_box`): centre (column + sigmoid x, row + sigmoid y) over the grid, size anchor * exp(w, h)
over 416, score objectness * class. Average precision is PASCAL VOC's from 2010 on, the area under the precision envelope, at an overlap of
0.5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SIDE = 416
ANCHORS = ((10, 14), (23, 27), (37, 58), (81, 82), (135, 169), (344, 319))
MASKS = {13: (3, 4, 5), 26: (1, 2, 3)}
"""Anchors of each head by the size of its grid; the finer one was trained with 1, 2, 3 although its description says 0, 1, 2."""

THRESHOLD, SUPPRESSION, OVERLAP = 0.1, 0.45, 0.5
REPORTED = 0.01
"""Detections from this score on are ranked against the float model's from `THRESHOLD` on."""


@dataclass(frozen=True, slots=True)
class Detections:
    """Detections of one picture: boxes f64[n, 4] (left, top, right, bottom; 1 is the frame's side), scores f64[n], classes i64[n]."""

    boxes: Floats
    scores: Floats
    classes: NDArray[np.int64]


def ap50(outputs: Mapping[str, NDArray[Any]], expected: Mapping[str, NDArray[Any]], labels: NDArray[Any] | None) -> float:
    """Return the average precision, 0..1, of detections against those of the float model."""
    del labels
    return average_precision(detect(outputs, REPORTED), detect(expected, THRESHOLD))


def detect(heads: Mapping[str, NDArray[Any]], threshold: float) -> list[Detections]:
    """Return the detections of every sample of raw heads [n, 255, size, size]."""
    decoded = [decode_head(np.asarray(head, np.float64)) for head in heads.values()]
    boxes, scores = (np.concatenate(parts, axis=1) for parts in zip(*decoded, strict=True))
    return [suppress(sample_boxes, sample_scores, threshold) for sample_boxes, sample_scores in zip(boxes, scores, strict=True)]


def decode_head(head: Floats) -> tuple[Floats, Floats]:
    """Return boxes [n, places, 4] and scores [n, places, classes] of a raw head [n, 3 * (5 + classes), size, size]."""
    count, _, size, _ = head.shape
    anchors = np.array([ANCHORS[index] for index in MASKS[size]], np.float64) / SIDE
    values = head.reshape(count, len(anchors), -1, size, size)
    places = np.arange(size, dtype=np.float64)
    columns = (_sigmoid(values[:, :, 0]) + places) / size
    rows = (_sigmoid(values[:, :, 1]) + places[:, None]) / size
    extents = np.exp(np.minimum(values[:, :, 2:4], 20.0)) * anchors[None, :, :, None, None] / 2
    half_width, half_height = extents[:, :, 0], extents[:, :, 1]
    boxes = np.stack([columns - half_width, rows - half_height, columns + half_width, rows + half_height], axis=-1)
    scores = np.moveaxis(_sigmoid(values[:, :, 4:5]) * _sigmoid(values[:, :, 5:]), 2, -1)
    return boxes.reshape(count, -1, 4), scores.reshape(count, -1, scores.shape[-1])


def suppress(boxes: Floats, scores: Floats, threshold: float) -> Detections:
    """Return one sample's detections: of the boxes of a class that overlap by more than `SUPPRESSION` the best, strongest first."""
    kept: list[tuple[float, int, int]] = []
    for class_ in np.flatnonzero((scores >= threshold).any(axis=0)).tolist():
        places = np.flatnonzero(scores[:, class_] >= threshold)
        order = places[np.argsort(-scores[places, class_], kind="stable")]
        while order.size:
            best, order = order[0], order[1:]
            kept.append((float(scores[best, class_]), int(best), int(class_)))
            order = order[overlaps(boxes[best], boxes[order]) <= SUPPRESSION]
    kept.sort(key=lambda item: -item[0])
    places = [place for _, place, _ in kept]
    return Detections(boxes[places], np.array([score for score, _, _ in kept]), np.array([class_ for _, _, class_ in kept], np.int64))


def overlaps(box: Floats, boxes: Floats) -> Floats:
    """Return intersection over union of a box [4] with boxes [n, 4]."""
    width = np.minimum(box[2], boxes[:, 2]) - np.maximum(box[0], boxes[:, 0])
    height = np.minimum(box[3], boxes[:, 3]) - np.maximum(box[1], boxes[:, 1])
    shared = np.maximum(width, 0.0) * np.maximum(height, 0.0)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return shared / ((box[2] - box[0]) * (box[3] - box[1]) + areas - shared)


def average_precision(found: Sequence[Detections], truth: Sequence[Detections]) -> float:
    """Return the area under the precision envelope; 1 where there is nothing to find and nothing found.

    All classes are ranked together, since few have more than a handful of boxes here; a hit has the box's class.
    """
    wanted = sum(len(picture.scores) for picture in truth)
    scores = np.concatenate([picture.scores for picture in found]) if found else np.zeros(0)
    if not wanted:
        return float(not scores.size)
    hits = np.concatenate([_hits(*pair) for pair in zip(found, truth, strict=True)])
    ranked = np.cumsum(hits[np.argsort(-scores, kind="stable")])
    precision = np.maximum.accumulate((ranked / np.arange(1, len(ranked) + 1))[::-1])[::-1]
    recall = np.concatenate([[0.0], ranked / wanted])
    return float(np.sum(np.diff(recall) * precision))


def _hits(found: Detections, truth: Detections) -> NDArray[np.bool_]:
    """Return for one picture's detections, strongest first, whether each finds a box that none before it found."""
    free = np.ones(len(truth.scores), np.bool_)
    hits = np.zeros(len(found.scores), np.bool_)
    for index, (box, class_) in enumerate(zip(found.boxes, found.classes, strict=True)):
        shares = overlaps(box, truth.boxes) * (free & (truth.classes == class_))
        if shares.size and shares.max() >= OVERLAP:
            free[np.argmax(shares)] = False
            hits[index] = True
    return hits


def _sigmoid(x: Floats) -> Floats:
    result: Floats = 1.0 / (1.0 + np.exp(-np.clip(x, -60.0, 60.0)))
    return result
