"""Mistakes in the text form: code, place, what was expected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest

from autosplitc.ir import BlobStore, CompileError, Diagnostic, Fact, parse_module

HEAD = "autosplitc ir 1\n"
GRAPH = HEAD + 'graph @main opset {"" = 21} {\n'
DIGEST = "a" * 64
KEYWORDS = "'_' or 'const' or 'input' or 'output' or '}'"
ITEM = '  items {"key": "a", "size": 1}'


@dataclass(frozen=True, slots=True)
class Item:
    key: str
    size: int


@dataclass(frozen=True)
class Table(Fact):
    name: ClassVar[str] = "table"
    total: int
    items: tuple[Item, ...] = ()


def diagnose(text: str) -> Diagnostic:
    with pytest.raises(CompileError) as caught:
        parse_module(text, file="x.air", blobs=BlobStore(), fact_types=(Table,))
    assert caught.value.exit_code == 1
    (found,) = caught.value.diagnostics
    return found


@pytest.mark.parametrize(
    ("text", "code", "location", "message", "hint"),
    [
        ("", "AS220", "1:1", "the text ends too early", "expected 'autosplitc'"),
        ("hello", "AS220", "1:1", "unexpected 'hello'", "expected 'autosplitc'"),
        ("autosplitc ir 2", "AS221", "1:15", "the text form has version 2", "make the dump again"),
        (GRAPH + "  input %x : f33[1]\n}", "AS220", "3:14", "unknown element type 'f33'", ""),
        (GRAPH + "  input %x : f32[1.5]\n}", "AS220", "3:14", "not a size: 1.5", ""),
        (GRAPH + "  input %x : seq<f32[1]\n}", "AS220", "3:14", "'<' and '>' do not pair", ""),
        (GRAPH + "  input %x f32[1]\n}", "AS220", "3:12", "unexpected 'f32[1]'", "expected ':'"),
        (GRAPH + "  %y : f32[1] = relu(%x\n  output %y\n}", "AS220", "4:3", "unexpected 'output'", "expected ')' or ','"),
        (GRAPH + "  output %y\n", "AS220", "3:12", "the text ends too early", f"expected %value or {KEYWORDS}"),
        (GRAPH + "  output %y $", "AS220", "3:13", "unexpected '$'", "expected"),
        (GRAPH + "  output %\"y\n}", "AS220", "3:10", "unexpected '%'", "expected %value"),
        (GRAPH + '  output %"\\q"\n}', "AS220", "3:10", "Invalid \\escape", ""),
        (GRAPH + "  %y : f32[1] = relu() {a = 1.2.3}\n}", "AS220", "3:29", "could not convert", ""),
        (GRAPH + "  %y : f32[1] = relu() {a = true}\n}", "AS220", "3:25", "attribute 'a' cannot be true", "integers 0 and 1"),
        (GRAPH + "  %y : f32[1] = relu() {a = 1, a = 2}\n}", "AS220", "3:32", "'a' stands twice", ""),
        (GRAPH + "  %y : f32[1] = relu() {a = blob}\n}", "AS220", "3:33", "unexpected '}'", "expected sha256:..."),
        (GRAPH + f"  const %y : f32[?] = blob sha256:{DIGEST}\n}}", "AS220", "3:28", "does not follow from its type", "bytes 123"),
        (GRAPH + f"  const %y : f32[1] = blob sha256:{DIGEST}\n}}", "AS224", "3:28", "is missing", "blobs/"),
        (HEAD + 'graph @main opset {"" = new} {}', "AS220", "2:20", "must be a number, not 'new'", ""),
        (HEAD + 'graph @main opset {} metadata {a = 3} {}', "AS220", "2:32", "must be a text, not 3", ""),
        (HEAD + "fact tabel {}", "AS222", "2:6", "unknown fact 'tabel'", 'did you mean "table"?'),
        (HEAD + "fact table {}", "AS223", "2:6", "fact 'table': field 'total' is missing", ""),
        (HEAD + "fact table {total = 1.0}", "AS223", "2:6", "field 'total': an integer is needed, not 1.0", ""),
        (HEAD + "fact table {total = 1, totla = 2}", "AS223", "2:6", "there is no field 'totla'", ""),
        (HEAD + f'fact table {{total = 1}} [\n{ITEM}\n  items {{"key": 3, "size": 1}}\n]', "AS223", "4:3", "a string is needed, not 3", ""),
        (HEAD + 'fact table {total = 1} [\n  items {"key": }\n]', "AS223", "3:3", "not JSON, Expecting value at column 15", ""),
        (HEAD + 'fact table {total = 1} [\n  rows {"key": 1}\n]', "AS223", "3:3", "there is no table 'rows'", ""),
        (HEAD + "fact table {total = 1} [\n  items\n]", "AS220", "3:3", "unexpected 'items'", "a record line"),
    ],
)
def test_mistakes(text: str, code: str, location: str, message: str, hint: str) -> None:
    found = diagnose(text)
    assert (found.code, found.location) == (code, f"x.air:{location}")
    assert message in found.message
    assert hint in found.hint


def test_the_line_and_a_caret_are_shown() -> None:
    found = diagnose(GRAPH + "  input %x : f33[1]\n}")
    assert found.render() == (
        "error[AS220]: unknown element type 'f33'\n"
        "  --> x.air:3:14\n"
        "  note:   input %x : f33[1]\n"
        "  note:              ^"
    )


def test_of_a_long_line_the_part_around_the_caret_is_shown() -> None:
    found = diagnose(GRAPH + f"  %y : f32[1] = relu({'%abcdefgh, ' * 500}) {{a = 1}}\n}}")
    line, caret = found.notes
    assert len(line) <= 100
    assert line[caret.index("^")] == ")"
