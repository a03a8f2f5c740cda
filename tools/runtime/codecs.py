"""Codecs of a sample's payload on the link: PNG and JPEG for pictures (Pillow), zstd for anything (zstandard). Both packages are extras.

What is decoded may come from anywhere: no more is unpacked than the payload is known to take.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import LinkError
from .frames import CodecId

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias

    from numpy.typing import NDArray

    Buffer: TypeAlias = bytes | bytearray | memoryview

ZSTD_LEVEL = 1
PNG_LEVEL = 6
JPEG_QUALITY = 85
"""Where a codec's name has none."""

_EXTRAS = {CodecId.ZSTD: "codec", CodecId.PNG: "images", CodecId.JPEG: "images"}


def codec_id(name: str) -> CodecId:
    """Return the number on the wire of a codec by its name in a manifest: "", `zstd`, `png`, `jpeg:85`. Raises LinkError: AS803."""
    try:
        return CodecId[name.partition(":")[0].upper() or "NONE"]
    except KeyError:
        raise LinkError("AS803", f"the manifest names a codec that is not known: {name!r}", hint="a newer runtime") from None


def encode(name: str, payload: Buffer, picture: Mapping[str, Any] | None) -> bytes:
    """Return a sample's payload as it is sent; `picture` is that of the manifest. Raises LinkError: AS818 where a package is missing."""
    codec = codec_id(name)
    if codec is CodecId.NONE:
        return bytes(payload)
    try:
        if codec is CodecId.ZSTD:
            import zstandard

            return zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(payload)
        from PIL import Image
    except ImportError:
        raise _missing(codec) from None
    out = io.BytesIO()
    image = Image.fromarray(_pixels(payload, _picture(codec, picture)))
    if codec is CodecId.PNG:
        image.save(out, "PNG", compress_level=PNG_LEVEL)
    else:
        image.save(out, "JPEG", quality=int(name.partition(":")[2] or JPEG_QUALITY))
    return out.getvalue()


def decode(codec: CodecId, data: Buffer, nbytes: int, picture: Mapping[str, Any] | None) -> Buffer:
    """Return the payload, `nbytes` long, that was sent as `data`; of JPEG nearly.

    Raises LinkError: AS818 where a package is missing or the payload is no picture, AS819 where the data is damaged or stands for more or
    less than the payload; no more than that is unpacked.
    """
    if codec is CodecId.NONE:
        payload: Buffer = data
    else:
        try:
            payload = _unzipped(data, nbytes) if codec is CodecId.ZSTD else _decoded(codec, data, _picture(codec, picture))
        except LinkError:
            raise
        except ImportError:
            raise _missing(codec) from None
        except Exception as error:  # the packages raise many types of their own
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise LinkError("AS819", f"a sample is no {codec.name} of {nbytes:,} bytes: {reason[:300]}") from None
    size = memoryview(payload).nbytes
    if size != nbytes:
        raise LinkError("AS819", f"a sample of {size:,} bytes, where the layout has {nbytes:,}")
    return payload


def _missing(codec: CodecId) -> LinkError:
    hint = f'pip install "autosplitc[{_EXTRAS[codec]}]"'
    return LinkError("AS818", f"{codec.name} takes a package that is not installed here", hint=hint)


def _picture(codec: CodecId, picture: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if picture is None:
        raise LinkError("AS818", f"{codec.name} takes a picture, and the payload is none")
    return picture


def _unzipped(data: Buffer, nbytes: int) -> bytes:
    import zstandard

    size = zstandard.frame_content_size(data)
    if size != nbytes:
        raise ValueError(f"the frame says {size:,} bytes" if size >= 0 else "the frame does not say its size")
    return zstandard.ZstdDecompressor().decompress(data, max_output_size=nbytes)


def _decoded(codec: CodecId, data: Buffer, picture: Mapping[str, Any]) -> bytes:
    from PIL import Image

    with Image.open(io.BytesIO(data), formats=(codec.name,)) as image:
        expected = (picture["width"], picture["height"], "L" if picture["channels"] == 1 else "RGB")
        if (image.width, image.height, image.mode) != expected:
            raise ValueError(f"the picture is {image.width}x{image.height} {image.mode}")
        return _payload(np.asarray(image, np.uint8), picture)


def _pixels(payload: Buffer, picture: Mapping[str, Any]) -> NDArray[np.uint8]:
    """Return a picture's bytes as pixels u8[height, width] or, red first, u8[height, width, 3]."""
    flat = np.frombuffer(payload, np.uint8)
    height, width, channels = picture["height"], picture["width"], picture["channels"]
    if channels == 1:
        return flat.reshape(height, width)
    if picture["layout"] == "nchw":
        pixels = flat.reshape(channels, height, width).transpose(1, 2, 0)
    else:
        pixels = flat.reshape(height, width, channels)
    return np.ascontiguousarray(pixels[:, :, ::-1] if picture["order"] == "bgr" else pixels)


def _payload(pixels: NDArray[np.uint8], picture: Mapping[str, Any]) -> bytes:
    if picture["channels"] == 1:
        return pixels.tobytes()
    ordered = pixels[:, :, ::-1] if picture["order"] == "bgr" else pixels
    return (ordered.transpose(2, 0, 1) if picture["layout"] == "nchw" else ordered).tobytes()
