"""Codecs of a payload, outside the graphs: PNG and JPEG for pictures (Pillow), zstd level 1 for anything (zstandard).

Both packages are extras; nothing here imports them before a codec is used. What is decoded may come from anywhere: no more is unpacked
than the payload is known to take.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal, TypeAlias

import numpy as np

from autosplitc.ir import CompileError, Diagnostic, did_you_mean

from .pictures import Raster

CodecName: TypeAlias = Literal["png", "jpeg", "zstd"]

QUALITIES = (95, 85, 75, 50)
"""Qualities of JPEG that are tried where the user names none."""

ZSTD_LEVEL = 1
PNG_LEVEL = 6
"""Pillow's and zlib's own default."""

_PACKAGES: dict[str, tuple[str, str]] = {
    "png": ("PIL", "images"),
    "jpeg": ("PIL", "images"),
    "zstd": ("zstandard", "codec"),
}
"""Module that a codec takes, and the extra that installs it."""

_WORDS = ("auto", "none", "png", "jpeg", "zstd", "all")
_HINT = "--codec auto, none, png, jpeg, jpeg:80, zstd or all, with commas between"


@dataclass(frozen=True, slots=True)
class Codec:
    """A codec; quality: of JPEG, 1..100, else 0. Its text is what plans and manifests call it: `png`, `jpeg:85`, `zstd`."""

    name: CodecName
    quality: int = 0

    def __str__(self) -> str:
        """Return the codec as text."""
        return f"{self.name}:{self.quality}" if self.quality else self.name

    @property
    def is_lossy(self) -> bool:
        """Whether what comes out may differ from what went in."""
        return self.name == "jpeg"

    @property
    def is_of_pictures(self) -> bool:
        """Whether it takes pictures alone."""
        return self.name != "zstd"

    @property
    def is_installed(self) -> bool:
        """Whether the package that it takes is there."""
        return find_spec(_PACKAGES[self.name][0]) is not None

    @property
    def extra(self) -> str:
        """The extra of autosplitc that installs what it takes."""
        return _PACKAGES[self.name][1]

    @property
    def title(self) -> str:
        """The codec for people: `PNG`, `JPEG q85`, `zstd`."""
        return f"JPEG q{self.quality}" if self.quality else "PNG" if self.name == "png" else self.name


@dataclass(frozen=True, slots=True)
class Asked:
    """What `--codec` admits: forms of a picture that is sent whole, zstd for any payload, and whether JPEG is asked for by name."""

    pictures: tuple[Codec, ...]
    zstd: bool
    lossy_by_name: bool
    by_name: bool


def asked_codecs(text: str) -> Asked:
    """Return what a text of `--codec` asks for. Raises CompileError (AS166)."""
    words = [word.strip().lower() for word in text.split(",")]
    found: dict[Codec, None] = {}
    for word in words:
        if word in ("auto", "all", "png"):
            found[Codec("png")] = None
        if word in ("auto", "all", "jpeg"):
            found.update((Codec("jpeg", quality), None) for quality in QUALITIES)
        elif word.startswith("jpeg:"):
            found[Codec("jpeg", _quality(word))] = None
        elif word not in _WORDS:
            message = f"there is no codec {word!r}" if word else "no codec is named"
            raise CompileError(Diagnostic("AS166", message, f"--codec {text}", hint=did_you_mean(word, _WORDS) or _HINT))
    if "none" in words and len(words) > 1:
        raise CompileError(Diagnostic("AS166", "none stands alone", f"--codec {text}", hint="--codec none"))
    by_name = any(word not in ("auto", "all", "none") for word in words)
    return Asked(tuple(found), not {"zstd", "all"}.isdisjoint(words), any(word.startswith("jpeg") for word in words), by_name)


def _quality(word: str) -> int:
    number = word.removeprefix("jpeg:")
    if not number.isdecimal() or not 1 <= int(number) <= 100:
        raise CompileError(Diagnostic("AS166", f"{word!r} has no quality from 1 to 100", "--codec", hint="--codec jpeg:85"))
    return int(number)


def codec_of(text: str) -> Codec:
    """Return the codec that a plan or a manifest names. Raises CompileError (AS166) for no single one."""
    asked = asked_codecs(text)
    codecs = (*asked.pictures, *([Codec("zstd")] if asked.zstd else []))
    if len(codecs) != 1 or str(codecs[0]) != text:
        raise CompileError(Diagnostic("AS166", f"{text!r} is no single codec", hint="png, jpeg:85 or zstd"))
    return codecs[0]


def encode(codec: Codec, payload: bytes, raster: Raster | None) -> bytes:
    """Return a sample's payload as it is sent. Raises CompileError (AS650) where the codec's package is missing, or it is no picture."""
    _check(codec)
    if codec.name == "zstd":
        import zstandard

        return zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(payload)
    from PIL import Image

    out = io.BytesIO()
    image = Image.fromarray(_picture(codec, raster).pixels(payload))
    if codec.name == "png":
        image.save(out, "PNG", compress_level=PNG_LEVEL)
    else:
        image.save(out, "JPEG", quality=codec.quality)
    return out.getvalue()


def decode(codec: Codec, data: bytes, nbytes: int, raster: Raster | None) -> bytes:
    """Return the payload, `nbytes` long, that was sent as `data`; of JPEG nearly.

    Raises CompileError: AS650 as `encode` does, AS651 where the data is damaged or stands for more or less than the payload; no more
    than that is unpacked.
    """
    _check(codec)
    picture = _picture(codec, raster) if codec.is_of_pictures else None
    try:
        payload = _unzipped(data, nbytes) if picture is None else _decoded(codec, data, picture)
    except Exception as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise CompileError(Diagnostic("AS651", f"the payload is no {codec.title} of {nbytes:,} bytes: {reason}")) from None
    if len(payload) != nbytes:
        raise CompileError(Diagnostic("AS651", f"the payload is {codec.title} of {len(payload):,} bytes, not of {nbytes:,}"))
    return payload


def _check(codec: Codec) -> None:
    if not codec.is_installed:
        hint = f'pip install "autosplitc[{codec.extra}]"'
        raise CompileError(Diagnostic("AS650", f"{codec.title} takes a package that is not installed", hint=hint))


def _picture(codec: Codec, raster: Raster | None) -> Raster:
    if raster is None:
        raise CompileError(Diagnostic("AS650", f"{codec.title} takes a picture, and the payload is none"))
    return raster


def _unzipped(data: bytes, nbytes: int) -> bytes:
    import zstandard

    size = zstandard.frame_content_size(data)
    if size != nbytes:
        raise ValueError(f"the frame says {size:,} bytes" if size >= 0 else "the frame does not say its size")
    return zstandard.ZstdDecompressor().decompress(data, max_output_size=nbytes)


def _decoded(codec: Codec, data: bytes, raster: Raster) -> bytes:
    from PIL import Image

    with Image.open(io.BytesIO(data), formats=(codec.name.upper(),)) as image:
        if (image.width, image.height, image.mode) != (raster.width, raster.height, raster.mode):
            raise ValueError(f"the picture is {image.width}x{image.height} {image.mode}")
        return raster.payload(np.asarray(image, np.uint8))
