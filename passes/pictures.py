"""Inputs that hold pictures: how their bytes lie, and how those become pixels that an image codec takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import Shape

PICTURE_CHANNELS = (3, 1, 4)
"""Numbers of channels that pictures have, the likeliest first."""

PICTURE_AXIS = {"nchw": 1, "nhwc": 3}
"""Axis of the channels, by layout."""

Order: TypeAlias = Literal["grey", "rgb", "bgr"]
"""What the channels of a picture's bytes are."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An input that takes pictures: layout, channels, height, width (None where a size is not known)."""

    layout: str
    channels: int
    height: int | None
    width: int | None


def picture_of(shape: Shape | None, layout: str = "") -> Picture | None:
    """Return how an input of rank 4 holds pictures, None where it does not.

    Without a `layout` three channels are likelier than one, that than four, and channels first than last.
    """
    if shape is None or len(shape) != 4:
        return None
    names = (layout,) if layout else PICTURE_AXIS
    found = [picture for name in names if (picture := _held(shape, name)).channels in PICTURE_CHANNELS]
    return min(found, key=lambda picture: PICTURE_CHANNELS.index(picture.channels), default=None)


def _held(shape: Shape, layout: str) -> Picture:
    channels, height, width = shape[1:] if layout == "nchw" else (shape[3], shape[1], shape[2])
    known = [size if isinstance(size, int) else None for size in (height, width)]
    return Picture(layout, channels if isinstance(channels, int) else 0, known[0], known[1])


@dataclass(frozen=True, slots=True)
class Raster:
    """One picture as bytes: `layout` nchw or nhwc, 1 channel (`order` grey) or 3."""

    layout: str
    channels: int
    height: int
    width: int
    order: Order

    @property
    def nbytes(self) -> int:
        """Bytes of a picture."""
        return self.channels * self.height * self.width

    @property
    def mode(self) -> str:
        """Pillow's name of its pixels."""
        return "L" if self.channels == 1 else "RGB"

    def pixels(self, payload: bytes) -> NDArray[np.uint8]:
        """Return a picture's bytes as pixels u8[height, width] or, red first, u8[height, width, 3]. Raises ValueError for another size."""
        flat = np.frombuffer(payload, np.uint8)
        if self.channels == 1:
            return flat.reshape(self.height, self.width)
        if self.layout == "nchw":
            pixels = flat.reshape(self.channels, self.height, self.width).transpose(1, 2, 0)
        else:
            pixels = flat.reshape(self.height, self.width, self.channels)
        return np.ascontiguousarray(pixels[:, :, ::-1] if self.order == "bgr" else pixels)

    def payload(self, pixels: NDArray[np.uint8]) -> bytes:
        """Return pixels as the bytes that `pixels` makes them of."""
        if self.channels == 1:
            return pixels.tobytes()
        ordered = pixels[:, :, ::-1] if self.order == "bgr" else pixels
        return (ordered.transpose(2, 0, 1) if self.layout == "nchw" else ordered).tobytes()
