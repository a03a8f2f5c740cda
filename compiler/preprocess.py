"""`--preprocess`: how a picture's bytes become what the model takes. docs/data.md has the grammar.

value = (byte * scale - mean) / std, with mean and std in the order of the model's channels. Size is brought about on the device, before
the graph; the rest becomes part of the graph (`prologue.py`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from autosplitc.ir import CompileError, Diagnostic, did_you_mean

NONE = "none"
LAYOUTS = ("nchw", "nhwc")
CHANNELS = ("rgb", "bgr", "grey")
EXAMPLE = "imagenet,layout=nhwc"

_PAIR = re.compile(r"(\d+)x(\d+)")


@dataclass(frozen=True, slots=True)
class Preprocess:
    """What stands between a decoded picture and the model.

    input: the model's input, "" for its only one. mean, std: one number, or one a channel. layout, channels: of the bytes that are fed,
    "" for the model's own; model: order of the model's channels, "" for rgb. resize: the shorter side, or height and width. crop: height
    and width of the middle that is kept.
    """

    input: str = ""
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    layout: str = ""
    channels: str = ""
    model: str = ""
    resize: int | tuple[int, int] | None = None
    crop: tuple[int, int] | None = None

    @property
    def text(self) -> str:
        """The text that reads as this again, every figure in full."""
        parts = {
            "input": self.input,
            "scale": repr(self.scale),
            "mean": "/".join(map(repr, self.mean)),
            "std": "/".join(map(repr, self.std)),
            "layout": self.layout,
            "channels": self.channels,
            "model": self.model,
            "resize": _size_text(self.resize),
            "crop": _size_text(self.crop),
        }
        return ",".join(f"{key}={value}" for key, value in parts.items() if value)

    def record(self) -> dict[str, Any]:
        """Return the block of the manifest."""
        return {
            "input": self.input,
            "scale": self.scale,
            "mean": list(self.mean),
            "std": list(self.std),
            "layout": self.layout or None,
            "channels": self.channels or None,
            "model_channels": self.model or None,
            "resize": list(self.resize) if isinstance(self.resize, tuple) else self.resize,
            "crop": list(self.crop) if self.crop else None,
        }


PRESETS: Mapping[str, Preprocess] = {
    "unit": Preprocess(scale=1 / 255),
    "imagenet": Preprocess(
        scale=1 / 255, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), channels="rgb", model="rgb", resize=256, crop=(224, 224)
    ),
}
"""`imagenet`: means and deviations of ImageNet's pictures as torchvision's models take them (its transforms' documentation)."""


def parse_preprocess(text: str) -> Preprocess | None:
    """Return what a text asks for, None for `none`: a preset, settings `key=value`, or a preset and settings that replace its own.

    Raises CompileError (AS170) with everything that is wrong.
    """
    parts = [part.strip() for part in text.split(",")]
    if parts == [NONE]:
        return None
    found = Preprocess()
    if parts[0] in PRESETS:
        found = PRESETS[parts.pop(0)]
    problems: list[Diagnostic] = []
    seen: set[str] = set()
    for part in parts:
        key, equals, value = (word.strip() for word in part.partition("="))
        if not equals or key not in _READ or key in seen:
            problems.append(_unreadable(part, key, equals, seen))
            continue
        seen.add(key)
        try:
            found = replace(found, **{key: _READ[key](value)})
        except ValueError as error:
            problems.append(_bad(f"{key}={value}: {error}"))
    if len(found.mean) > 1 and len(found.std) > 1 and len(found.mean) != len(found.std):
        problems.append(_bad(f"mean has {len(found.mean)} channels, and std {len(found.std)}"))
    if problems:
        raise CompileError(problems)
    return found


def same_preprocess(text: str, resolved: str) -> bool:
    """Whether a text asks for no more than what a resolved text says. Raises CompileError (AS170)."""
    asked, known = parse_preprocess(text), parse_preprocess(resolved)
    if asked is None or known is None:
        return asked is known
    names = ("input", "layout", "channels", "model")
    return replace(asked, **{name: getattr(asked, name) or getattr(known, name) for name in names}) == known


def _bad(message: str, hint: str = EXAMPLE) -> Diagnostic:
    return Diagnostic("AS170", message, "--preprocess", hint=f"--preprocess {hint}")


def _unreadable(part: str, key: str, equals: str, seen: set[str]) -> Diagnostic:
    if key in seen:
        return _bad(f"{key} is given twice")
    known = (*PRESETS, NONE) if not equals else tuple(_READ)
    what = "preset" if not equals else "setting"
    if not equals and (key in _READ or key in known):
        return _bad(f"{key} needs a value" if key in _READ else f"preset {key} comes first, and alone if it is {NONE!r}")
    return Diagnostic("AS170", f"unknown {what} {part!r}", "--preprocess", (f"{what}s: {', '.join(known)}",), did_you_mean(key, known))


def _number(text: str) -> float:
    above, slash, below = text.partition("/")
    try:
        value = float(above) / float(below) if slash else float(above)
    except (ValueError, ZeroDivisionError):
        raise ValueError("expected a number or a fraction, such as 1/255") from None
    if not math.isfinite(value):
        raise ValueError("expected a finite number")
    return value


def _scale(text: str) -> float:
    value = _number(text)
    if value <= 0:
        raise ValueError("expected a number above 0")
    return value


def _numbers(text: str) -> tuple[float, ...]:
    try:
        values = tuple(map(float, text.split("/")))
    except ValueError:
        raise ValueError("expected a number, or one a channel with / between") from None
    if not all(map(math.isfinite, values)):
        raise ValueError("expected finite numbers")
    return values


def _deviations(text: str) -> tuple[float, ...]:
    values = _numbers(text)
    if min(values) <= 0:
        raise ValueError("expected numbers above 0")
    return values


def _size(text: str) -> int | tuple[int, int]:
    pair = _PAIR.fullmatch(text)
    sizes = (int(pair[1]), int(pair[2])) if pair else (int(text),) if text.isdecimal() else (0,)
    if min(sizes) < 1:
        raise ValueError("expected a size in pixels, such as 256, or height x width, such as 320x240")
    return (sizes[0], sizes[1]) if len(sizes) == 2 else sizes[0]


def _crop(text: str) -> tuple[int, int]:
    size = _size(text)
    return size if isinstance(size, tuple) else (size, size)


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"expected {', '.join(words[:-1])} or {words[-1]}")
        return text

    return read


def _name(text: str) -> str:
    if not text:
        raise ValueError("expected the name of an input")
    return text


_READ: Mapping[str, Callable[[str], Any]] = {
    "input": _name,
    "scale": _scale,
    "mean": _numbers,
    "std": _deviations,
    "layout": _one_of(*LAYOUTS),
    "channels": _one_of(*CHANNELS),
    "model": _one_of("rgb", "bgr"),
    "resize": _size,
    "crop": _crop,
}


def _size_text(size: int | tuple[int, int] | None) -> str:
    return "" if size is None else str(size) if isinstance(size, int) else f"{size[0]}x{size[1]}"
