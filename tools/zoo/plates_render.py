"""Synthetic licence plates of mainland China, seeded: text, colours and layout of the standard, seen by a poor camera.

Sizes follow GA 36-2018: 440 x 140 mm with seven characters of 45 x 90 mm, 12 mm apart and 34 mm after the second, where a dot stands; new
energy plates are 480 x 140 mm with eight. The typeface is not the standard's: province signs come from WenQuanYi Zen Hei, the rest from
Liberation Sans.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont

Generator = np.random.Generator
Colour = tuple[int, int, int]

PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
DIGITS = "0123456789"
ROWS, COLUMNS = 32, 120
"""Size of a picture, as the recogniser takes it."""

_HEIGHT_MM, _GLYPH_MM = 140, (45, 90)
_EDGE_MM, _GAP_MM, _DOT_GAP_MM = 15.5, 12.0, 34.0
_NARROW_EDGE_MM, _NARROW_GAP_MM = 15.0, 9.0
_TRIM_MM = 8
_GREEN_SHARE, _YELLOW_SHARE = 0.15, 0.15


@dataclass(frozen=True, slots=True)
class Fonts:
    """Font files: of the province signs, and of letters and digits."""

    signs: Path
    latin: Path


@dataclass(frozen=True, slots=True)
class Camera:
    """How bad the pictures get. Each is the largest value that is drawn, from none on.

    corner: shift of a corner as a share of the height; blur: deviation in pixels of the final picture; noise: deviation in grey levels;
    light: relative change of brightness.
    """

    corner: float = 0.04
    blur: float = 0.6
    noise: float = 8.0
    light: float = 0.35


CAMERA = Camera()
SHARP = Camera(0.0, 0.0, 0.0, 0.0)


def draw_text(rng: Generator) -> str:
    """Return a plate's text: a province, a letter, and five or (new energy) six letters and digits, of which at most two are letters."""
    count = 6 if rng.random() < _GREEN_SHARE else 5
    rest = [DIGITS[rng.integers(len(DIGITS))] for _ in range(count)]
    for place in rng.choice(count, size=int(rng.integers(3)), replace=False):
        rest[int(place)] = LETTERS[rng.integers(len(LETTERS))]
    return PROVINCES[rng.integers(len(PROVINCES))] + LETTERS[rng.integers(len(LETTERS))] + "".join(rest)


def draw_texts(count: int, seed: int) -> tuple[str, ...]:
    """Return `count` different texts."""
    rng = np.random.default_rng([seed, 0])
    texts: dict[str, None] = {}
    while len(texts) < count:
        texts[draw_text(rng)] = None
    return tuple(texts)


def render(texts: tuple[str, ...], fonts: Fonts, seed: int, camera: Camera = CAMERA) -> NDArray[np.uint8]:
    """Return pictures u8[n, 3, 32, 120] in RGB; picture i depends on its text, the seed and i alone."""
    pictures = [
        _photograph(draw_plate(text, fonts, rng), rng, camera) for text, rng in zip(texts, _generators(seed, len(texts)), strict=True)
    ]
    return np.stack(pictures).transpose(0, 3, 1, 2).copy()


def _generators(seed: int, count: int) -> list[Generator]:
    return [np.random.default_rng([seed, 1, index]) for index in range(count)]


def draw_plate(text: str, fonts: Fonts, rng: Generator) -> Image:
    """Return a plate within its frame, as a detector of plates crops it, a pixel a millimetre."""
    from PIL import Image, ImageDraw

    narrow = len(text) == 8
    ground, ink = _colours(narrow, rng)
    gap = _NARROW_GAP_MM if narrow else _GAP_MM
    edge = _NARROW_EDGE_MM if narrow else _EDGE_MM
    image = Image.new("RGB", (480 if narrow else 440, _HEIGHT_MM), ground)
    drawing = ImageDraw.Draw(image)
    left = edge
    for place, sign in enumerate(text):
        glyph = _glyph(sign, fonts.signs if sign in PROVINCES else fonts.latin)
        image.paste(ink, (round(left), (_HEIGHT_MM - _GLYPH_MM[1]) // 2), glyph)
        left += _GLYPH_MM[0]
        if place == 1 and not narrow:
            middle = left + _DOT_GAP_MM / 2
            drawing.ellipse((middle - 5, _HEIGHT_MM / 2 - 5, middle + 5, _HEIGHT_MM / 2 + 5), fill=ink)
        left += _DOT_GAP_MM if place == 1 else gap
    return image.crop((_TRIM_MM, _TRIM_MM, image.width - _TRIM_MM, image.height - _TRIM_MM))


def _colours(narrow: bool, rng: Generator) -> tuple[Colour, Colour]:
    """Return ground and ink: new energy green, large vehicles yellow, else blue; every plate a little different."""
    if narrow:
        ground, ink = (110, 200, 120), (15, 20, 15)
    elif rng.random() < _YELLOW_SHARE:
        ground, ink = (235, 180, 30), (20, 20, 15)
    else:
        ground, ink = (20, 60, 170), (245, 245, 245)
    worn = np.clip(np.array(ground) + rng.integers(-15, 16, 3), 0, 255)
    return (int(worn[0]), int(worn[1]), int(worn[2])), ink


def _glyph(sign: str, file: Path) -> Image:
    """Return a sign as a mask that fills the standard's box."""
    from PIL import Image, ImageDraw

    font = _font(file)
    left, top, right, bottom = (int(side) for side in font.getbbox(sign))
    mask = Image.new("L", (right - left, bottom - top))
    ImageDraw.Draw(mask).text((-left, -top), sign, fill=255, font=font)
    if sign == "1":  # stretched to the box it would be a block
        box = Image.new("L", (max(mask.width * 2, mask.height // 2), mask.height))
        box.paste(mask, ((box.width - mask.width) // 2, 0))
        mask = box
    return mask.resize(_GLYPH_MM, Image.Resampling.BILINEAR)


def _font(file: Path) -> FreeTypeFont:
    from PIL import ImageFont

    return ImageFont.truetype(str(file), 96)


def _photograph(plate: Image, rng: Generator, camera: Camera) -> NDArray[np.uint8]:
    """Return a picture u8[32, 120, 3] of a plate: perspective, light, blur, noise."""
    from PIL import Image, ImageFilter

    scale = 4
    size = (COLUMNS * scale, ROWS * scale)
    shifts = rng.uniform(-1.0, 1.0, (4, 2)) * camera.corner * size[1]
    corners = np.array([(0, 0), (size[0], 0), (size[0], size[1]), (0, size[1])], np.float64) + shifts
    around = Image.new("RGB", size, tuple(int(v) for v in rng.integers(20, 200, 3)))
    source = [(0, 0), (plate.width, 0), (plate.width, plate.height), (0, plate.height)]
    coefficients = _homography(corners, np.array(source, np.float64))
    placed = plate.transform(size, Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BICUBIC)
    inside = Image.new("L", plate.size, 255).transform(size, Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BILINEAR)
    around.paste(placed, (0, 0), inside)
    blurred = around.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.0, 1.0)) * camera.blur * scale))
    pixels = np.asarray(blurred.resize((COLUMNS, ROWS), Image.Resampling.BOX), np.float64)
    light = 1.0 + camera.light * rng.uniform(-1.0, 0.6)
    slope = np.linspace(-1.0, 1.0, COLUMNS)[None, :, None] * camera.light * 0.3 * rng.uniform(-1.0, 1.0)
    noise = rng.standard_normal(pixels.shape) * camera.noise * rng.uniform(0.0, 1.0)
    return np.clip(np.rint(pixels * (light + slope) + noise), 0, 255).astype(np.uint8)


def _homography(corners: NDArray[np.float64], source: NDArray[np.float64]) -> tuple[float, ...]:
    """Return the eight coefficients that take each corner of the result to its place in the source, as Pillow wants them."""
    rows: list[list[float]] = []
    for (x, y), (u, v) in zip(corners.tolist(), source.tolist(), strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y])
    solved = np.linalg.solve(np.array(rows), source.reshape(-1))
    return tuple(float(value) for value in solved)
