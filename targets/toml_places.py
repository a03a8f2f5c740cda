"""Where the keys and values of a TOML document stand: `tomllib` gives values without places.

The scanner reads documents that `tomllib` has taken already, so it needs to find where things end, not whether they are right.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from typing import TypeAlias

Path: TypeAlias = tuple[str | int, ...]
"""Keys from the top of the document; a whole number is a place in an array, or in an array of tables."""

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_COMPONENT = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
_SCALAR = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}' r"|'''.*?'{3,5}" r'|"(?:[^"\\\n]|\\.)*"' r"|'[^'\n]*'" r"|[^,\]}#\n]+",
    re.DOTALL,
)
"""Text on several lines ends with the first three quotes in a row, and with up to two more that belong to it."""


@dataclass(frozen=True, slots=True)
class Places:
    """Offsets in `text`. keys: of each key, and of the name in a table's header; values: of each value and each member of an array."""

    text: str
    keys: dict[Path, int] = field(default_factory=dict[Path, int])
    values: dict[Path, int] = field(default_factory=dict[Path, int])

    def of_key(self, path: Path) -> tuple[int, int]:
        """Return line and column of a key, from 1; those of the nearest table around it where it is missing; (1, 1) outside all."""
        return self._nearest(self.keys, path)

    def of_value(self, path: Path) -> tuple[int, int]:
        """Return line and column of a value, from 1; those of its key where it is a table with a header."""
        return self._line_column(self.values[path]) if path in self.values else self.of_key(path)

    def _nearest(self, offsets: dict[Path, int], path: Path) -> tuple[int, int]:
        found = next((offsets[path[:n]] for n in range(len(path), 0, -1) if path[:n] in offsets), 0)
        return self._line_column(found)

    def _line_column(self, offset: int) -> tuple[int, int]:
        return self.text.count("\n", 0, offset) + 1, offset - self.text.rfind("\n", 0, offset)


def find_places(text: str) -> Places:
    """Return the places in a document that `tomllib` takes. Raises RecursionError where it is nested too deeply."""
    places, counts = Places(text), dict[Path, int]()
    table: Path = ()
    at = _skip(text, 0)
    while at < len(text):
        if text[at] == "[":
            table, at = _header(at, places, counts)
        else:
            at = _pair(at, table, places)
        at = _skip(text, at)
    return places


def _skip(text: str, at: int) -> int:
    """Return the offset after blanks, line ends and comments."""
    return _end(_BLANK, text, at)


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    if found is None:
        raise ValueError(f"not TOML at offset {at}")
    return found.end()


def _header(at: int, places: Places, counts: dict[Path, int]) -> tuple[Path, int]:
    """Return the path of the table that a header opens, and the offset after it. counts: tables so far in each array of tables."""
    several = places.text.startswith("[[", at)
    names, after = _dotted(places.text, _skip(places.text, at + 1 + several))
    path: Path = ()
    for name, offset in names[:-1]:
        path = (*path, name)
        places.keys.setdefault(path, offset)
        if path in counts:
            path = (*path, counts[path] - 1)
    name, offset = names[-1]
    path = (*path, name)
    if several:
        places.keys.setdefault(path, offset)
        counts[path] = counts.get(path, 0) + 1
        path = (*path, counts[path] - 1)
    places.keys[path] = offset
    return path, after + 1 + several


def _pair(at: int, table: Path, places: Places) -> int:
    """Take `key = value` and return the offset after it."""
    names, at = _dotted(places.text, at)
    path = table
    for name, offset in names:
        path = (*path, name)
        places.keys.setdefault(path, offset)
    return _value(_skip(places.text, at + 1), path, places)


def _dotted(text: str, at: int) -> tuple[list[tuple[str, int]], int]:
    """Return the parts of a dotted key with their offsets, and the offset of what follows it: `=` or `]`."""
    names: list[tuple[str, int]] = []
    while True:
        end = _end(_COMPONENT, text, at)
        names.append((_name(text[at:end]), at))
        after = _skip(text, end)
        if text[after] != ".":
            return names, after
        at = _skip(text, after + 1)


def _name(spelled: str) -> str:
    return next(iter(tomllib.loads(f"{spelled} = 0"))) if spelled[0] in "\"'" else spelled


def _value(at: int, path: Path, places: Places) -> int:
    """Take a value and return the offset after it."""
    text = places.text
    places.values[path] = at
    if text[at] not in "[{":
        return _end(_SCALAR, text, at)
    close = "]" if text[at] == "[" else "}"
    at, index = _skip(text, at + 1), 0
    while text[at] != close:
        at = _skip(text, _value(at, (*path, index), places) if close == "]" else _pair(at, path, places))
        at, index = _skip(text, at + 1) if text[at] == "," else at, index + 1
    return at + 1
