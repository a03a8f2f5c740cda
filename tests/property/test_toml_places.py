"""Where the keys and values of a TOML document stand, for documents in random layouts whose writer noted the places."""

from __future__ import annotations

import json
import random
import tomllib
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from autosplitc.targets.toml_places import Path, find_places

NAMES = (*"ab1='\"\t", "ram", "clock", "key-1", "memory", "a.b", "", "two words", "x#y", "\u00fc", "[a]", "back\\slash")
FAKES = ("ram = 1", "[memory]", "# no comment", "a.b = { c = 1 }", "[[clock]]", '"', "'", "\\", "]", "}", ",", "")
BARE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


@dataclass
class Writer:
    """Writes a random document and notes its values and the places of its keys and values."""

    rng: random.Random
    text: str = ""
    keys: dict[Path, int] = field(default_factory=dict[Path, int])
    values: dict[Path, int] = field(default_factory=dict[Path, int])

    def put(self, text: str) -> None:
        self.text += text

    def blank(self) -> None:
        self.put(self.rng.choice(("", "", " ", "\t", "  ")))

    def line_end(self) -> None:
        self.put(self.rng.choice(("", " ", "  # ram = 4", "#")) + self.rng.choice(("\n", "\r\n", "\n\n")))

    def gap(self) -> None:
        """Write what may stand between the members of an array."""
        for _ in range(self.rng.randrange(3)):
            self.put(self.rng.choice((" ", "\n", "\r\n", "# a ] , = remark\n")))

    def names(self, count: int) -> list[str]:
        return self.rng.sample(NAMES, min(count, len(NAMES)))

    def name(self, name: str) -> None:
        if name and BARE.issuperset(name) and self.rng.random() < 0.7:
            self.put(name)
        elif "'" not in name and name.isprintable() and self.rng.random() < 0.5:
            self.put(f"'{name}'")
        else:
            spelled = (f"\\u{ord(c):04x}" if self.rng.random() < 0.3 else json.dumps(c, ensure_ascii=False)[1:-1] for c in name)
            self.put(f'"{"".join(spelled)}"')

    def dotted(self, names: list[str], at: Path) -> None:
        """Write a dotted key below `at`."""
        path = at
        for index, name in enumerate(names):
            if index:
                self.blank()
                self.put(".")
                self.blank()
            path = (*path, name)
            self.keys.setdefault(path, len(self.text))
            self.name(name)

    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        self.body(found, (), (), 0)
        return found

    def body(self, table: dict[str, Any], at: Path, header: tuple[str, ...], depth: int) -> None:
        """Write the pairs of a table, then its tables and arrays of tables with headers of their own."""
        names = self.names(self.rng.randrange(1, 6))
        headed = [name for name in names if depth < 3 and self.rng.random() < 0.4]
        for name in names:
            if name not in headed:
                self.blank()
                self.pair(table, name, at, depth)
                self.line_end()
        for name in headed:
            self.headed(table, name, at, (*header, name), depth)

    def headed(self, table: dict[str, Any], name: str, at: Path, header: tuple[str, ...], depth: int) -> None:
        several = self.rng.randrange(1, 4) if self.rng.random() < 0.5 else 0
        tables: list[dict[str, Any]] = [{} for _ in range(max(several, 1))]
        table[name] = tables if several else tables[0]
        for index, inner in enumerate(tables):
            path = (*at, name, index) if several else (*at, name)
            self.put("[[" if several else "[")
            for part in header[:-1]:
                self.blank()
                self.name(part)
                self.blank()
                self.put(".")
            self.blank()
            self.keys.setdefault((*at, name), len(self.text))
            self.keys[path] = len(self.text)
            self.name(name)
            self.blank()
            self.put("]]" if several else "]")
            self.line_end()
            self.body(inner, path, header, depth + 1)

    def pair(self, table: dict[str, Any], name: str, at: Path, depth: int) -> None:
        names = [name, *(self.names(self.rng.randrange(1, 3)) if self.rng.random() < 0.3 else [])]
        self.dotted(names, at)
        self.blank()
        self.put("=")
        self.blank()
        for part in names[:-1]:
            table = table.setdefault(part, {})
        table[names[-1]] = self.value((*at, *names), depth)

    def value(self, path: Path, depth: int) -> Any:
        self.values[path] = len(self.text)
        shape = self.rng.randrange(8) if depth < 3 else 0
        if shape == 6:
            return self.array(path, depth)
        if shape == 7:
            return self.inline(path, depth)
        return self.text_value() if shape > 2 else self.plain()

    def array(self, path: Path, depth: int) -> list[Any]:
        members: list[Any] = []
        self.put("[")
        count = self.rng.randrange(4)
        for index in range(count):
            self.gap()
            members.append(self.value((*path, index), depth + 1))
            self.gap()
            self.put("," if index < count - 1 or self.rng.random() < 0.5 else "")
        self.gap()
        self.put("]")
        return members

    def inline(self, path: Path, depth: int) -> dict[str, Any]:
        table: dict[str, Any] = {}
        self.put("{")
        for index, name in enumerate(self.names(self.rng.randrange(4))):
            self.put("," if index else "")
            self.blank()
            self.pair(table, name, path, depth + 1)
            self.blank()
        self.put("}")
        return table

    def plain(self) -> Any:
        spelled = self.rng.choice(("1", "0x1f", "1_000", "+3.5e-2", "inf", "true", "1979-05-27T07:32:00Z", "1979-05-27 07:32:00"))
        self.put(spelled)
        return tomllib.loads(f"x = {spelled}")["x"]

    def text_value(self) -> str:
        fake = self.rng.choice(FAKES)
        escaped = json.dumps(fake)
        several_lines = '"""\nram = 1 # ' + fake.replace("\\", "").replace('"', "") + '\n""\\"""""'
        spelled = self.rng.choice((escaped, f'""{escaped}""', several_lines))
        if "'" not in fake and self.rng.random() < 0.5:
            spelled = self.rng.choice((f"'{fake}'", f"'''\n{fake}\nram = 1'''", f"'''it's'' {fake} '''''"))
        self.put(spelled)
        return tomllib.loads(f"x = {spelled}")["x"]


def line_column(text: str, offset: int) -> tuple[int, int]:
    before = text[:offset].split("\n")
    return len(before), len(before[-1]) + 1


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32))
def test_places_are_where_they_were_written(seed: int) -> None:
    writer = Writer(random.Random(seed))
    document = writer.document()
    assert tomllib.loads(writer.text) == document
    places = find_places(writer.text)
    assert {path: places.of_key(path) for path in writer.keys} == {p: line_column(writer.text, at) for p, at in writer.keys.items()}
    assert {path: places.of_value(path) for path in writer.values} == {p: line_column(writer.text, at) for p, at in writer.values.items()}
    assert places.keys.keys() == writer.keys.keys()
    assert places.values.keys() == writer.values.keys()


def test_a_missing_key_is_shown_at_the_table_that_lacks_it() -> None:
    places = find_places("a = 1\n[b]\nc = { d = 1 }\n  [[e]]\n  [[e]]\n")
    assert places.of_key(("z",)) == (1, 1)
    assert places.of_key(("b", "z")) == (2, 2)
    assert places.of_key(("b", "c", "z")) == (3, 1)
    assert places.of_key(("e", 1, "z")) == (5, 5)
    assert places.of_value(("b",)) == (2, 2)
