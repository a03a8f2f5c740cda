"""What users write for options, read into typed values: sizes of inputs, bit-widths, decibels, names.

Each function raises CompileError (AS103) that says what was expected; bytes, seconds and the link are read by `autosplitc.targets`.
"""

from __future__ import annotations

import math
import re

from autosplitc.ir import CompileError, Diagnostic
from autosplitc.passes import asked_codecs, check_strategy

from .functions import names_a_function

METRICS = ("top1", "top5", "agreement", "sqnr")
"""Metrics that have a name; any other is `package.module:function`."""

_DECIBELS = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(?:dB)?\s*", re.IGNORECASE)
_SHARE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(%?)\s*")
_FILE_NAME = re.compile(r"\w[\w.-]*")
_INPUT_SHAPE = re.compile(r"(.+):(\d+(?:x\d+)*)")


def parse_bits(text: str) -> tuple[int, ...]:
    """Return bit-widths 1..8, ascending, each once: `8` or `2,4,8`."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdigit() and 1 <= int(part) <= 8 for part in parts):
        raise _bad("bit-widths from 1 to 8, with commas between", "4,8")
    return tuple(sorted({int(part) for part in parts}))


def parse_codecs(text: str) -> str:
    """Return the text, lower case: codecs with commas between, `auto`, `none` or `all`. Raises CompileError (AS166)."""
    asked_codecs(text)
    return ",".join(word.strip().lower() for word in text.split(","))


def parse_strategy(text: str) -> str:
    """Return the name of a strategy that can be emitted. Raises CompileError (AS167)."""
    check_strategy(text)
    return text


def parse_decibels(text: str) -> float:
    """Return decibels: `30dB` or `30`."""
    match = _DECIBELS.fullmatch(text)
    if match is None:
        raise _bad("a ratio in dB", "30dB")
    return float(match.group(1))


def parse_error_bound(text: str) -> float:
    """Return a bound on the sum of noise-to-signal power ratios: a number above 0, or a percentage of the signal's power."""
    try:
        number = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        raise _bad("a noise-to-signal power ratio", "0.01") from None
    if not (math.isfinite(number) and number > 0):
        raise _bad("a noise-to-signal power ratio above 0", "0.01")
    return number


def parse_input_shape(text: str) -> tuple[str, tuple[int, ...]]:
    """Return an input's name and sizes: `images:1x3x224x224`."""
    match = _INPUT_SHAPE.fullmatch(text.strip())
    if match is None or "0" in match.group(2).split("x"):
        raise _bad("the name of an input and its sizes", "images:1x3x224x224")
    return match.group(1), tuple(int(size) for size in match.group(2).split("x"))


def parse_file_name(text: str) -> str:
    """Return a word that can also be a file's name."""
    if _FILE_NAME.fullmatch(text) is None:
        raise _bad("letters, digits, '.', '_' and '-', not '.' or '-' first", "raspberry-pi-4")
    return text


def parse_max_drop(text: str) -> tuple[float, ...]:
    """Return limits on the drop in accuracy as shares of 1, ascending, each once: `1%`, `0,1%,5%`, `0.01`; `none` is no limit."""
    if text.strip() == "none":
        return ()
    found: set[float] = set()
    for part in text.split(","):
        match = _SHARE.fullmatch(part)
        if match is None:
            raise _bad("limits from 0 to 100%, with commas between, or none", "1% or 0,1%,5%")
        number, percent = float(match.group(1)), match.group(2)
        if not percent and number >= 1:
            raise _bad(f"a share below 1 or a percentage, not {part.strip()}", f"{part.strip()}%")
        share = number / 100 if percent else number
        if share > 1:
            raise _bad("limits from 0 to 100%, with commas between, or none", "1% or 0,1%,5%")
        found.add(share)
    return tuple(sorted(found))


def parse_metric(text: str) -> str:
    """Return a metric: `top1`, `top5`, `agreement`, `sqnr`, or `package.module:function`."""
    if text not in METRICS and not names_a_function(text):
        raise _bad(f"{', '.join(METRICS)} or package.module:function", "top1")
    return text


def parse_names(text: str) -> tuple[str, ...]:
    """Return names with commas between; blanks around a name do not count."""
    return tuple(name for part in text.split(",") if (name := part.strip()))


def parse_regex(text: str) -> str:
    """Return a regular expression as it was written, if Python can read it."""
    try:
        re.compile(text)
    except re.error as error:
        raise _bad(f"a regular expression ({error})", "'Softmax|head/.*'") from None
    return text


def _bad(expected: str, example: str) -> CompileError:
    return CompileError(Diagnostic("AS103", f"expected {expected}", hint=f"for example {example}"))
