"""Natural pictures as models take them: seeded crops and the frames of darknet, RGB bytes."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import CompileError, Diagnostic

from .fetch import fetch
from .picture_files import DISTRIBUTIONS

if TYPE_CHECKING:
    from PIL.Image import Image

Pixels = NDArray[np.uint8]
"""A picture u8[3, rows, columns], RGB."""

FRAME_GREY = 127
"""What darknet fills a letterbox with (`src/image.c: letterbox_image`, 0.5)."""


def need_pillow() -> None:
    """Raise `CompileError` AS690 where Pillow is not installed."""
    if find_spec("PIL") is None:
        hint = 'pip install "autosplitc[images]", or pip install pillow'
        raise CompileError(Diagnostic("AS690", "pictures are read and drawn with Pillow, which is not installed", hint=hint))


def load_pictures() -> dict[str, Image]:
    """Return all natural pictures by the stem of their file. Raises `CompileError` AS682, AS683, AS690."""
    need_pillow()
    pictures: dict[str, Image] = {}
    for distribution in DISTRIBUTIONS:
        for member, content in zip(distribution.members, fetch(distribution), strict=True):
            pictures[PurePosixPath(member.path).stem] = open_picture(content)
    return pictures


def open_picture(content: bytes) -> Image:
    """Return a picture file's content as RGB; grey becomes three equal channels."""
    from PIL import Image

    with Image.open(io.BytesIO(content)) as opened:
        return opened.convert("RGB")


def center_crop(picture: Image, side: int = 224, shorter: int = 256) -> Pixels:
    """Return the middle of a picture whose shorter side is brought to `shorter` pixels, as ImageNet is evaluated."""
    from PIL import Image

    scale = shorter / min(picture.size)
    width, height = round(picture.width * scale), round(picture.height * scale)
    resized = picture.resize((width, height), Image.Resampling.BILINEAR)
    left, top = (width - side) // 2, (height - side) // 2
    return _pixels(resized.crop((left, top, left + side, top + side)))


def random_box(size: tuple[int, int], rng: np.random.Generator, smallest: float) -> tuple[int, int, int, int]:
    """Return a crop (left, top, right, bottom) of a picture (width, height): area from `smallest` of the whole on, sides 3:4 to 4:3."""
    width, height = size
    area = width * height * rng.uniform(smallest, 1.0)
    ratio = math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3)))
    crop_width = min(width, round(math.sqrt(area * ratio)))
    crop_height = min(height, round(math.sqrt(area / ratio)))
    left = int(rng.integers(width - crop_width + 1))
    top = int(rng.integers(height - crop_height + 1))
    return left, top, left + crop_width, top + crop_height


def crops(pictures: Mapping[str, Image], stems: Sequence[str], each: int, seed: int, side: int = 224) -> Pixels:
    """Return u8[stems * each, 3, side, side]: seeded crops of at least a third of each picture, half of them mirrored."""
    from PIL import Image

    made: list[Pixels] = []
    for stem in stems:
        rng = _generator(seed, stem)
        picture = pictures[stem]
        for _ in range(each):
            resized = picture.resize((side, side), Image.Resampling.BICUBIC, random_box(picture.size, rng, 1 / 3))
            pixels = _pixels(resized)
            made.append(pixels[:, :, ::-1] if rng.random() < 0.5 else pixels)
    return np.stack(made)


def frames(pictures: Mapping[str, Image], stems: Sequence[str], each: int, seed: int, side: int = 416) -> Pixels:
    """Return u8[stems * each, 3, side, side]: each picture whole and then seeded crops of at least half of it, letterboxed."""
    made: list[Pixels] = []
    for stem in stems:
        rng = _generator(seed, stem)
        picture = pictures[stem]
        boxes = [random_box(picture.size, rng, 1 / 2) for _ in range(each - 1)]
        made += [letterbox(view, side) for view in (picture, *(picture.crop(box) for box in boxes))]
    return np.stack(made)


def letterbox(picture: Image, side: int) -> Pixels:
    """Return a picture fitted into a square, its proportions kept, grey around it."""
    from PIL import Image

    scale = side / max(picture.size)
    width, height = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    frame = Image.new("RGB", (side, side), (FRAME_GREY,) * 3)
    frame.paste(picture.resize((width, height), Image.Resampling.BILINEAR), ((side - width) // 2, (side - height) // 2))
    return _pixels(frame)


def _generator(seed: int, stem: str) -> np.random.Generator:
    """Return a stream of its own for each picture, so that none depends on which others there are."""
    return np.random.default_rng([seed, *stem.encode()])


def _pixels(picture: Image) -> Pixels:
    return np.asarray(picture, np.uint8).transpose(2, 0, 1).copy()
