"""Values of flags: addresses, times, sizes, and where a token is."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path

from .errors import LinkError

TOKEN = "AUTOSPLITC_TOKEN"
"""Variable of the environment that holds the token where no file is named."""
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0}
_BYTES = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}
_MAX_TOKEN_BYTES = 4096


def address(text: str) -> tuple[str, int]:
    """Return host and port of `HOST:PORT` or `[IPV6]:PORT`."""
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.%\w]+)\]|([^\[\]:\s]+)):(\d{1,5})", text)
    if found is None or int(found[3]) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no HOST:PORT, such as 127.0.0.1:7420 or [::1]:7420")
    return found[1] or found[2], int(found[3])


def seconds(text: str) -> float:
    """Return a time above zero, in seconds, of a text such as `50ms`."""
    return _quantity(text, _SECONDS, "a time, such as 50ms or 2s")


def size_bytes(text: str) -> int:
    """Return a size above zero, in bytes, of a text such as `64MiB`."""
    return round(_quantity(text, _BYTES, "a size, such as 64MiB"))


def count(text: str) -> int:
    """Return a whole number from 1."""
    if not re.fullmatch(r"0*[1-9][0-9]{0,8}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1")
    return int(text)


def providers(text: str) -> tuple[str, ...]:
    """Return onnxruntime's names of the providers in a text, commas between: `cuda,cpu`, or its own names."""
    words = [word.strip() for word in text.split(",")]
    if not all(words):
        raise argparse.ArgumentTypeError(f"{text!r} names no providers, such as cuda,cpu")
    return tuple(_PROVIDERS.get(word.lower(), word) for word in words)


def token(file: Path | None) -> str | None:
    """Return the token of a file, or of AUTOSPLITC_TOKEN; None where there is neither. Raises LinkError (AS801)."""
    if file is None:
        return os.environ.get(TOKEN) or None
    try:
        with file.open("rb") as read:
            text = read.read(_MAX_TOKEN_BYTES + 1).decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise LinkError("AS801", f"the token cannot be read: {error}", str(file)) from None
    if not text or len(text) > _MAX_TOKEN_BYTES or not text.isprintable() or " " in text:
        raise LinkError("AS801", f"the file holds no token: one word of at most {_MAX_TOKEN_BYTES:,} printable characters", str(file))
    return text


def _quantity(text: str, units: dict[str, float] | dict[str, int], what: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?|\.\d+)\s*([A-Za-z]+)", text.strip())
    if found is None or found[2] not in units or not float(found[1]) > 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no {what.partition(' ')[2] if what.startswith('a ') else what}")
    return float(found[1]) * units[found[2]]
