"""YOLOv3-tiny's detections: decoding, suppression, and average precision on boxes made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from autosplitc.zoo.yolov3_metric import ANCHORS, SIDE, Detections, ap50, average_precision, decode_head, overlaps, suppress

BOX = (0.1, 0.1, 0.3, 0.3)
AWAY = (0.6, 0.6, 0.9, 0.9)


def detections(*rows: tuple[tuple[float, float, float, float], float, int]) -> Detections:
    boxes = np.array([box for box, _, _ in rows], np.float64).reshape(-1, 4)
    return Detections(boxes, np.array([score for _, score, _ in rows]), np.array([class_ for _, _, class_ in rows], np.int64))


def head(size: int, anchor: int, row: int, column: int, class_: int) -> np.ndarray:
    """A raw head [1, 255, size, size] that sees one thing."""
    values = np.full((3, 85, size, size), -20.0)
    values[:, :4] = 0.0
    values[anchor, 4, row, column] = 20.0
    values[anchor, 5 + class_, row, column] = 20.0
    return values.reshape(1, 255, size, size)


@pytest.mark.parametrize(("size", "first"), [(13, 3), (26, 1)])
def test_a_box_stands_in_the_middle_of_its_cell_with_its_anchors_size(size: int, first: int) -> None:
    boxes, scores = decode_head(head(size, 1, 4, 7, 42))
    place = int(np.argmax(scores.max(axis=-1)[0]))
    assert scores[0, place].argmax() == 42 and scores[0, place].max() == pytest.approx(1.0)
    left, top, right, bottom = boxes[0, place]
    assert ((left + right) / 2, (top + bottom) / 2) == pytest.approx((7.5 / size, 4.5 / size))
    assert ((right - left) * SIDE, (bottom - top) * SIDE) == pytest.approx(ANCHORS[first + 1])


def test_overlap_is_intersection_over_union() -> None:
    boxes = np.array([(0, 0, 2, 2), (1, 0, 3, 2), (5, 5, 6, 6)], np.float64)
    assert overlaps(boxes[0], boxes) == pytest.approx([1.0, 1 / 3, 0.0])


def test_suppression_keeps_the_best_of_a_class() -> None:
    boxes = np.array([BOX, (0.11, 0.1, 0.31, 0.3), AWAY], np.float64)
    scores = np.array([[0.5, 0.0], [0.7, 0.6], [0.05, 0.3]])
    found = suppress(boxes, scores, 0.1)
    assert found.scores.tolist() == [0.7, 0.6, 0.3]
    assert found.classes.tolist() == [0, 1, 1]


def test_average_precision_of_all_some_and_none() -> None:
    truth = [detections((BOX, 0.9, 1), (AWAY, 0.8, 2))]
    assert average_precision(truth, truth) == 1.0
    assert average_precision([detections((BOX, 0.9, 1))], truth) == 0.5
    assert average_precision([detections((BOX, 0.9, 2), (AWAY, 0.8, 1))], truth) == 0.0
    assert average_precision([detections()], truth) == 0.0


def test_a_wrong_box_counts_by_its_rank_and_a_second_hit_is_wrong() -> None:
    truth = [detections((BOX, 0.9, 1), (AWAY, 0.8, 1))]
    first_wrong = [detections(((0.4, 0.4, 0.5, 0.5), 0.95, 1), (BOX, 0.9, 1), (AWAY, 0.8, 1))]
    assert average_precision(first_wrong, truth) == pytest.approx(2 / 3)
    twice = [detections((BOX, 0.95, 1), (BOX, 0.9, 1), (AWAY, 0.8, 1))]
    assert average_precision(twice, truth) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


def test_nothing_to_find() -> None:
    assert average_precision([detections()], [detections()]) == 1.0
    assert average_precision([detections((BOX, 0.9, 1))], [detections()]) == 0.0


def test_the_metric_reads_both_heads() -> None:
    heads = {"head_13": head(13, 0, 3, 3, 5), "head_26": head(26, 2, 20, 9, 6)}
    blind = {**heads, "head_26": np.full((1, 255, 26, 26), -20.0)}
    assert ap50(heads, heads, None) == 1.0
    assert ap50(blind, heads, None) == 0.5
