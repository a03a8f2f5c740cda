"""What a two-stage detector does with boxes, as ONNX nodes: decoding, picking by score and overlap, pooling regions from a pyramid.

Boxes are (x1, y1, x2, y2) in pixels. Formulas and constants: Faster R-CNN (arXiv:1506.01497, section 3.1.2) and feature pyramids
(arXiv:1612.03144, equation 1), thresholds as in torchvision.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .nodes import NodeRecorder
from .seeded import Feature

LARGEST_STEP = math.log(1000 / 16)
"""Bound on the logarithm of how much a box grows."""

BOX_WEIGHTS = (10.0, 10.0, 5.0, 5.0)
PROPOSAL_OVERLAP, DETECTION_OVERLAP = 0.7, 0.5
LEAST_SCORE = 0.05
DETECTIONS = 100
CANONICAL_SIZE, CANONICAL_LEVEL = 224, 4
FINEST_LEVEL = 2


@dataclass(frozen=True, slots=True)
class Boxes:
    """Names of boxes f32[K,4] and their scores f32[K]."""

    boxes: str
    scores: str


class DetectionNodes:
    """Adds nodes about boxes in an image of the given size to a record."""

    def __init__(self, record: NodeRecorder, rows: int, columns: int) -> None:
        """Record into `record`."""
        self.record = record
        self.rows = rows
        self.columns = columns

    def level_proposals(self, name: str, scores: Feature, deltas: Feature, anchors: NDArray[np.float32], most: int) -> Boxes:
        """Return the proposals of a level: the best `most` anchors, moved, without those that overlap a better one."""
        count = min(most, len(anchors))
        flat_scores = self._rows(f"{name}.scores", scores, 1)
        flat_deltas = self._rows(f"{name}.deltas", deltas, 4)
        logits = self._flat(f"{name}.logits", flat_scores)
        top, index = self._top(f"{name}.top", logits, self._const(f"{name}.count", np.array([count], np.int64)))
        chosen = self.record.node("Gather", f"{name}.anchors", (self.record.weight(f"{name}.all_anchors", anchors), index), axis=0)
        moves = self.record.node("Gather", f"{name}.moves", (flat_deltas, index), axis=0)
        boxes = self.decoded(f"{name}.boxes", chosen, moves, (1.0, 1.0, 1.0, 1.0))
        kept = self._suppressed(f"{name}.nms", boxes, top, most, PROPOSAL_OVERLAP, None)
        named = (("boxes", boxes), ("logits", top))
        return Boxes(*(self.record.node("Gather", f"{name}.kept_{what}", (x, kept), axis=0) for what, x in named))

    def best_proposals(self, levels: Sequence[Boxes], most: int) -> str:
        """Return the best `most` boxes of all levels."""
        boxes = self.record.node("Concat", "proposals.boxes", [level.boxes for level in levels], axis=0)
        scores = self.record.node("Concat", "proposals.scores", [level.scores for level in levels], axis=0)
        return self.record.node("Gather", "proposals", (boxes, self._best("proposals.best", scores, most)), axis=0)

    def pooled_regions(self, boxes: str, levels: Sequence[Feature], size: int) -> str:
        """Return f32[R, channels, size, size]: every box pooled from the level that its area belongs to, in the order of the boxes."""
        level_of = self._level_of(boxes, len(levels))
        pooled: list[str] = []
        places: list[str] = []
        for level, x in enumerate(levels):
            name = f"regions.{level}"
            here = self.record.node("Equal", f"{name}.here", (level_of, self._const(f"{name}.level", np.array(level, np.float32))))
            place = self._flat(f"{name}.places", self.record.node("NonZero", f"{name}.nonzero", (here,)))
            own = self.record.node("Gather", f"{name}.boxes", (boxes, place), axis=0)
            zeros = self.record.node("Mul", f"{name}.image", (place, self._const(f"{name}.zero", np.array(0, np.int64))))
            scale = x.rows / self.rows
            sizes = {"output_height": size, "output_width": size, "sampling_ratio": 2, "spatial_scale": scale}
            modes = {"coordinate_transformation_mode": "output_half_pixel", "mode": "avg"}
            pooled.append(self.record.node("RoiAlign", f"{name}.pooled", (x.name, own, zeros), **sizes, **modes))
            places.append(place)
        joined = self.record.node("Concat", "regions.pooled", pooled, axis=0)
        order = self.record.node("Concat", "regions.places", places, axis=0)
        count = self.record.node("Shape", "regions.count", (order,))
        _, back = self._top("regions.back", order, count, largest=0)
        return self.record.node("Gather", "regions", (joined, back), axis=0)

    def detections(self, boxes: str, logits: str, deltas: str, classes: int) -> None:
        """Add `boxes`, `scores` and `labels`: at most 100 detections, boxes of a class apart from each other; class 0 is the background."""
        probabilities = self.record.node("Softmax", "probabilities", (logits,), axis=1)
        wide = self._const("detections.wide", np.array([-1, classes, 4], np.int64))
        moves = self.record.node("Reshape", "detections.deltas", (deltas, wide))
        narrow = self.record.node("Unsqueeze", "detections.proposals", (boxes, self._const("detections.axis", np.array([1], np.int64))))
        moved = self.decoded("detections.decoded", narrow, moves, BOX_WEIGHTS)
        found = self._slice("detections.objects", moved, 1, classes, 1)
        scores = self._flat("detections.flat_scores", self._slice("detections.scores", probabilities, 1, classes, 1))
        flat = self.record.node("Reshape", "detections.boxes", (found, self._const("detections.rows", np.array([-1, 4], np.int64))))
        index = self._classes_of(scores, classes - 1)
        kept = self._suppressed("detections.nms", self._apart(flat, index), scores, DETECTIONS * classes, DETECTION_OVERLAP, LEAST_SCORE)
        best = self._best("detections.best", self.record.node("Gather", "detections.kept", (scores, kept), axis=0), DETECTIONS)
        chosen = self.record.node("Gather", "detections.chosen", (kept, best), axis=0)
        self.record.node("Gather", "boxes", (flat, chosen), axis=0)
        self.record.node("Gather", "scores", (scores, chosen), axis=0)
        own = self.record.node("Gather", "detections.classes", (index, chosen), axis=0)
        self.record.node("Add", "labels", (own, self._const("detections.first", np.array(1, np.int64))))

    def decoded(self, name: str, anchors: str, deltas: str, weights: Sequence[float]) -> str:
        """Return boxes moved by deltas (x, y, width, height), within the image; the last axis holds the four coordinates."""
        corner, far = self._slice(f"{name}.corner", anchors, 0, 2, -1), self._slice(f"{name}.far", anchors, 2, 4, -1)
        size = self.record.node("Sub", f"{name}.size", (far, corner))
        half = self._const(f"{name}.half", np.array(0.5, np.float32))
        centre = self.record.node("Add", f"{name}.centre", (corner, self.record.node("Mul", f"{name}.half_size", (size, half))))
        scaled = self.record.node("Div", f"{name}.scaled", (deltas, self._const(f"{name}.weights", np.array(weights, np.float32))))
        steps, growth = self._slice(f"{name}.steps", scaled, 0, 2, -1), self._slice(f"{name}.growth", scaled, 2, 4, -1)
        shift = self.record.node("Mul", f"{name}.shift", (steps, size))
        middle = self.record.node("Add", f"{name}.middle", (centre, shift))
        bounded = self.record.node("Min", f"{name}.bounded", (growth, self._const(f"{name}.most", np.array(LARGEST_STEP, np.float32))))
        grown = self.record.node("Mul", f"{name}.grown", (self.record.node("Exp", f"{name}.factor", (bounded,)), size))
        half_grown = self.record.node("Mul", f"{name}.half_grown", (grown, half))
        ends = [self.record.node(kind, f"{name}.{kind.lower()}", (middle, half_grown)) for kind in ("Sub", "Add")]
        joined = self.record.node("Concat", f"{name}.joined", ends, axis=-1)
        inside = self.record.node("Max", f"{name}.inside", (joined, self._const(f"{name}.origin", np.array(0, np.float32))))
        edge = np.array([self.columns, self.rows] * 2, np.float32)
        return self.record.node("Min", name, (inside, self._const(f"{name}.edge", edge)))

    def _level_of(self, boxes: str, levels: int) -> str:
        """Return the level, from 0, of every box as f32[R]: 4 + log2(sqrt(area) / 224), rounded down, less the finest level's 2."""
        corner, far = self._slice("regions.corner", boxes, 0, 2, -1), self._slice("regions.far", boxes, 2, 4, -1)
        size = self.record.node("Sub", "regions.size", (far, corner))
        area = self.record.node("ReduceProd", "regions.area", (size,), axes=[-1], keepdims=0)
        safe = self.record.node("Max", "regions.safe", (area, self._const("regions.least", np.array(1e-6, np.float32))))
        logarithm = self.record.node("Log", "regions.log", (safe,))
        per_octave = self._const("regions.per_octave", np.array(0.5 / math.log(2), np.float32))
        octaves = self.record.node("Mul", "regions.octaves", (logarithm, per_octave))
        offset = CANONICAL_LEVEL - FINEST_LEVEL - math.log2(CANONICAL_SIZE) + 1e-6
        raised = self.record.node("Add", "regions.raised", (octaves, self._const("regions.offset", np.array(offset, np.float32))))
        bounds = [self._const(f"regions.{end}", np.array(value, np.float32)) for end, value in (("low", 0), ("high", levels - 1))]
        return self.record.node("Clip", "regions.level", (self.record.node("Floor", "regions.floor", (raised,)), *bounds))

    def _classes_of(self, scores: str, classes: int) -> str:
        """Return the class, from 0, of each of R x classes scores as i64."""
        ones = self.record.node("Shape", "detections.count", (scores,))
        count = self.record.node("Squeeze", "detections.scalar", (ones,))
        start, step = (self._const(f"detections.{n}", np.array(v, np.int64)) for n, v in (("start", 0), ("step", 1)))
        running = self.record.node("Range", "detections.running", (start, count, step))
        return self.record.node("Mod", "detections.index", (running, self._const("detections.period", np.array(classes, np.int64))))

    def _apart(self, boxes: str, index: str) -> str:
        """Return boxes moved so that those of different classes never overlap."""
        wide = self._const("detections.span", np.array(max(self.rows, self.columns) + 1, np.float32))
        numbers = self.record.node("Cast", "detections.numbers", (index,), to=1)
        offsets = self.record.node("Mul", "detections.offsets", (numbers, wide))
        column = self.record.node("Unsqueeze", "detections.column", (offsets, self._const("detections.second", np.array([1], np.int64))))
        return self.record.node("Add", "detections.apart", (boxes, column))

    def _suppressed(self, name: str, boxes: str, scores: str, most: int, overlap: float, least: float | None) -> str:
        """Return the indices, i64[K], of boxes that overlap no better one."""
        one = self._const(f"{name}.first", np.array([0], np.int64))
        two = self._const(f"{name}.both", np.array([0, 1], np.int64))
        batched = self.record.node("Unsqueeze", f"{name}.boxes", (boxes, one))
        classed = self.record.node("Unsqueeze", f"{name}.scores", (scores, two))
        limits: list[NDArray[Any]] = [np.array([most], np.int64), np.array([overlap], np.float32)]
        limits += [np.array([least], np.float32)] if least else []
        operands = [self._const(f"{name}.limit{i}", limit) for i, limit in enumerate(limits)]
        found = self.record.node("NonMaxSuppression", f"{name}.found", (batched, classed, *operands))
        return self._flat(f"{name}.index", self._slice(f"{name}.last", found, 2, 3, 1))

    def _best(self, name: str, scores: str, most: int) -> str:
        """Return the indices of the `most` highest scores, or of all where there are fewer."""
        count = self.record.node("Shape", f"{name}.shape", (scores,))
        bounded = self.record.node("Min", f"{name}.count", (count, self._const(f"{name}.most", np.array([most], np.int64))))
        return self._top(name, scores, bounded)[1]

    def _top(self, name: str, scores: str, count: str, *, largest: int = 1) -> tuple[str, str]:
        values, indices = self.record.nodes("TopK", (f"{name}.values", f"{name}.indices"), (scores, count), axis=0, largest=largest)
        return values, indices

    def _rows(self, name: str, x: Feature, numbers: int) -> str:
        """Return [1, anchors x numbers, rows, columns] as [rows x columns x anchors, numbers]."""
        last = self.record.node("Transpose", f"{name}.last", (x.name,), perm=[0, 2, 3, 1])
        return self.record.node("Reshape", name, (last, self._const(f"{name}.shape", np.array([-1, numbers], np.int64))))

    def _flat(self, name: str, x: str) -> str:
        return self.record.node("Reshape", name, (x, self._const(f"{name}.flat", np.array([-1], np.int64))))

    def _slice(self, name: str, x: str, start: int, end: int, axis: int) -> str:
        places = {"start": start, "end": end, "axis": axis}
        return self.record.node("Slice", name, (x, *(self._const(f"{name}.{n}", np.array([v], np.int64)) for n, v in places.items())))

    def _const(self, name: str, values: NDArray[Any]) -> str:
        return self.record.constant(name, values)
