"""A folder of pictures as the bytes that the edge graph takes: decoded, resized and cropped as the manifest's `preprocess` says.

This is the device's part of what the compiler does with such a folder, so both see the same bytes.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import LinkError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL.Image import Image

    from .bundle import Bundle
    from .edge import InputSpec

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".webp")
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_WIDE = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
"""Pillow's modes of more than 8 bits a channel."""


def picture_frames(folder: Path, bundle: Bundle, specs: tuple[InputSpec, ...]) -> Iterator[tuple[str, dict[str, NDArray[Any]]]]:
    """Yield name and inputs of every picture in a folder, in the order of names. Raises LinkError: AS809."""
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and not path.name.startswith("."))
    spec = specs[0]
    if not files:
        raise LinkError("AS809", "there are no pictures", str(folder), f"pictures are {', '.join(SUFFIXES)} files")
    if len(specs) > 1 or len(spec.shape) != 4 or spec.shape[0] != 1 or spec.dtype != np.uint8:
        takes = ", ".join(f"{item.name}: {item.dtype.name}{list(item.shape)}" for item in specs)
        hint = "compile with --preprocess, or give an .npz file"
        raise LinkError("AS809", f"pictures are bytes of one sample, and the edge graph takes {takes}", str(folder), hint)
    if find_spec("PIL") is None:
        hint = 'pip install "autosplitc[images]"'
        raise LinkError("AS809", "decoding pictures takes Pillow, which is not installed", str(folder), hint)
    for path in files:
        yield path.name, {spec.name: _decoded(path, spec, bundle.manifest.get("preprocess") or {})[np.newaxis]}


def _layout(spec: InputSpec, pixels: Mapping[str, Any]) -> tuple[bool, int]:
    """Return whether channels come last, and how many there are."""
    said = pixels.get("layout")
    last = said == "nhwc" if said else spec.shape[1] not in _MODES and spec.shape[3] in _MODES
    return last, spec.shape[3 if last else 1]


def _decoded(path: Path, spec: InputSpec, pixels: Mapping[str, Any]) -> NDArray[np.uint8]:
    """Return a picture's bytes in the layout of the input. Raises LinkError: AS809."""
    from PIL import Image, ImageOps

    last, channels = _layout(spec, pixels)
    height, width = spec.shape[1:3] if last else spec.shape[2:4]
    if channels not in _MODES:
        raise LinkError("AS809", f"a picture of {channels} channels", path.name)
    try:
        with Image.open(path) as opened:
            if opened.mode in _WIDE:
                raise ValueError(f"more than 8 bits a channel (mode {opened.mode})")
            image = _in_size(ImageOps.exif_transpose(opened).convert(_MODES[channels]), pixels)
    except Exception as error:  # Pillow raises many types of its own
        raise LinkError("AS809", f"the picture cannot be decoded: {error or type(error).__name__}", path.name) from None
    array = np.asarray(image, np.uint8)
    if array.shape[:2] != (height, width):
        message = f"the picture is {array.shape[0]}x{array.shape[1]}, and the model takes {height}x{width}"
        raise LinkError("AS809", message, path.name, "compile with --preprocess ...,resize=...,crop=..., or resize the pictures")
    array = array.reshape(height, width, channels)
    if pixels.get("channels") == "bgr":
        array = array[:, :, ::-1]
    return np.ascontiguousarray(array if last else array.transpose(2, 0, 1))


def _in_size(image: Image, pixels: Mapping[str, Any]) -> Image:
    """Return an image resized (bilinear, averaging what is made smaller), then cut to the middle."""
    from PIL.Image import Resampling

    resize, crop = pixels.get("resize"), pixels.get("crop")
    if resize is not None:
        shorter = min(image.size)
        width, height = (side * resize // shorter for side in image.size) if isinstance(resize, int) else (int(resize[1]), int(resize[0]))
        image = image.resize((max(1, width), max(1, height)), Resampling.BILINEAR)
    if crop is not None:
        height, width = crop
        left, top = (image.width - width) // 2, (image.height - height) // 2
        if left >= 0 and top >= 0:
            image = image.crop((left, top, left + width, top + height))
    return image
