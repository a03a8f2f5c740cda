"""Rendered scenes with one car and its plate, seeded, as a camera at a gate would see them, and the plate cut out of a scene.

They are drawings: a road, blocks of colour, a car's body with a synthetic plate on it; then blur, light and noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .plate_detector import COLUMNS, ROWS
from .plates_render import Fonts, draw_plate

if TYPE_CHECKING:
    from numpy.random import Generator

PLATE_WIDTHS = (110, 220)
"""Smallest and largest width of a plate, in pixels."""

CROP = (120, 32)
"""Columns and rows that the recogniser takes."""

MARGINS = (-0.02, -0.1)
"""What is cut around the corners, as a part of the plate's width and height: the detector's corners lie 2 and 8 % outside of the plate."""


@dataclass(frozen=True, slots=True)
class Scene:
    """pixels: u8[432, 768, 3], RGB. place: left, top, width and height of the plate in pixels."""

    pixels: NDArray[np.uint8]
    place: tuple[int, int, int, int]


def draw_scene(text: str, fonts: Fonts, seed: int, index: int) -> Scene:
    """Return a scene; it depends on the text, the seed and the index alone."""
    from PIL import Image, ImageDraw, ImageFilter

    rng = np.random.default_rng([seed, 2, index])
    plate = draw_plate(text, fonts, rng)
    road = np.linspace(rng.integers(120, 220), rng.integers(40, 110), ROWS)[:, None, None] * np.ones((1, COLUMNS, 3))
    image = Image.fromarray(road.astype(np.uint8))
    drawing = ImageDraw.Draw(image)
    for _ in range(12):
        left, top = int(rng.integers(COLUMNS)), int(rng.integers(ROWS))
        width, height = (int(side) for side in rng.integers(20, 200, 2))
        drawing.rectangle((left, top, left + width, top + height), fill=_colour(rng))
    width = int(rng.integers(*PLATE_WIDTHS))
    height = round(width * plate.height / plate.width)
    left, top = int(rng.integers(120, COLUMNS - 120 - width)), int(rng.integers(160, ROWS - 60 - height))
    body = _colour(rng)
    drawing.rounded_rectangle((left - width, top - 4 * height, left + 2 * width, top + 2 * height), radius=20, fill=body)
    bumper = (left - width // 4, top - height // 3, left + width + width // 4, top + height + height // 3)
    drawing.rectangle(bumper, fill=(body[0] // 3, body[1] // 3, body[2] // 3))
    image.paste(plate.resize((width, height), Image.Resampling.LANCZOS), (left, top))
    blurred = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.0, 0.8))))
    seen = np.asarray(blurred, np.float64) * rng.uniform(0.7, 1.15) + rng.standard_normal((ROWS, COLUMNS, 3)) * rng.uniform(0.0, 8.0)
    return Scene(np.clip(np.rint(seen), 0, 255).astype(np.uint8), (left, top, width, height))


def cut_out(pixels: NDArray[np.uint8], corners: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return what lies between corners f64[4, 2] (column, row; left top, right top, right and left bottom) as u8[3, 32, 120], RGB."""
    from PIL import Image

    middle = corners.mean(axis=0)
    left_top, right_top, right_bottom, left_bottom = middle + (corners - middle) * (1 + 2 * np.array(MARGINS))
    quad = tuple(float(value) for corner in (left_top, left_bottom, right_bottom, right_top) for value in corner)
    twice = (CROP[0] * 2, CROP[1] * 2)
    flat = Image.fromarray(pixels).transform(twice, Image.Transform.QUAD, quad, Image.Resampling.BICUBIC)
    return np.asarray(flat.resize(CROP, Image.Resampling.BOX)).transpose(2, 0, 1).copy()


def _colour(rng: Generator) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in rng.integers(20, 230, 3))
    return red, green, blue
