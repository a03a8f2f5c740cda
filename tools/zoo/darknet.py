"""Darknet's network description (.cfg) and weight file.

A description is a list of sections `[kind]` with `key=value` lines. A weight file starts with the int32 version (major, minor,
revision) and a count of images seen (int64 from version 0.2 on, else int32); then, little-endian float32, every convolution in
order: biases, with batch normalisation also scales, means and variances, then weights [out, in, rows, columns]
(darknet `src/parser.c: load_convolutional_weights`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autosplitc.ir import CompileError, Diagnostic


@dataclass(frozen=True, slots=True)
class Section:
    """One section of a description: its kind, its options as written, and its line (from 1)."""

    kind: str
    options: tuple[tuple[str, str], ...]
    line: int

    def text(self, key: str, default: str) -> str:
        """Return an option as it is written."""
        return dict(self.options).get(key, default)

    def integer(self, key: str, default: int) -> int:
        """Return an option as an integer; raise `CompileError` AS685 when it is none."""
        return self._integer(key, self.text(key, str(default)))

    def integers(self, key: str) -> tuple[int, ...]:
        """Return an option that is a list of integers between commas."""
        return tuple(self._integer(key, item) for item in self.text(key, "").split(",") if item.strip())

    def _integer(self, key: str, written: str) -> int:
        try:
            return int(written)
        except ValueError:
            raise cfg_error(f"{key} of [{self.kind}] is no integer: {written.strip()}", self.line) from None


def parse_cfg(text: str) -> tuple[Section, ...]:
    """Return the sections of a description in order; `#` and `;` start a comment line. Raises `CompileError` AS685."""
    sections: list[Section] = []
    for number, written in enumerate(text.splitlines(), 1):
        line = written.strip()
        if not line or line[0] in "#;":
            continue
        if line.startswith("["):
            if not line.endswith("]") or len(line) == 2:
                raise cfg_error(f"not a section: {line}", number)
            sections.append(Section(line[1:-1].strip(), (), number))
            continue
        key, equals, value = line.partition("=")
        if not equals or not sections:
            raise cfg_error(f"not key=value in a section: {line}", number)
        last = sections[-1]
        sections[-1] = Section(last.kind, (*last.options, (key.strip(), value.strip())), last.line)
    return tuple(sections)


class WeightReader:
    """Takes float32 values from a weight file in order."""

    def __init__(self, content: bytes) -> None:
        """Skip the header; raise `CompileError` AS685 when it or a float is cut off."""
        version = np.frombuffer(content[:8], "<i4")
        if version.size != 2:
            raise weights_error("the header is cut off")
        header_bytes = 20 if int(version[0]) * 10 + int(version[1]) >= 2 else 16
        if len(content) < header_bytes or (len(content) - header_bytes) % 4:
            raise weights_error("the file is cut off")
        self._values = np.frombuffer(content, "<f4", offset=header_bytes)
        self._taken = 0

    @property
    def left(self) -> int:
        """How many values nobody has taken."""
        return self._values.size - self._taken

    def take(self, *shape: int) -> NDArray[np.float32]:
        """Return the next values in this shape; raise `CompileError` AS685 when there are not enough."""
        count = int(np.prod(shape))
        if count > self.left:
            raise weights_error(f"{count} values wanted, {self.left} left")
        values = self._values[self._taken : self._taken + count].reshape(shape)
        self._taken += count
        return values.astype(np.float32)


def cfg_error(message: str, line: int) -> CompileError:
    """Return the error for a description that cannot be used, at its line."""
    return CompileError(Diagnostic("AS685", f"darknet description: {message}", location=f"cfg:{line}"))


def weights_error(message: str) -> CompileError:
    """Return the error for a weight file that does not fit its description."""
    return CompileError(Diagnostic("AS685", f"darknet weights: {message}", location="weights"))
