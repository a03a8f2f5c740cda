"""The pages in docs/ hold: their Python runs, their texts parse."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from autosplitc.ir import BlobStore, blob_from_bytes, parse_module
from autosplitc.passes import FACT_TYPES

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(DOCS.glob("*.md"))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[tuple[int, str]]:
    """Blocks of a language in a page, with the line they begin at."""
    text = page.read_text("utf-8")
    return [(text.count("\n", 0, m.start()) + 1, m[2]) for m in BLOCK.finditer(text) if m[1] == language]


def zeros() -> BlobStore:
    """Constants in the pages are zeros, of up to 4 KB."""
    found = (blob_from_bytes(bytes(size)) for size in range(4097))
    return BlobStore(known={blob.sha256: blob for blob in found})


def with_blocks(language: str) -> list[Path]:
    return [page for page in PAGES if blocks(page, language)]


def test_there_are_pages() -> None:
    assert PAGES
    assert with_blocks("python")
    assert with_blocks("air")


@pytest.mark.parametrize("page", with_blocks("python"), ids=lambda page: page.name)
def test_python_blocks_run_in_order(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    module = ModuleType(f"docs_{page.stem}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for line, code in blocks(page, "python"):
        exec(compile("\n" * line + code, str(page), "exec", dont_inherit=True), vars(module))


@pytest.mark.parametrize("page", with_blocks("air"), ids=lambda page: page.name)
def test_texts_parse(page: Path) -> None:
    for _, text in blocks(page, "air"):
        parse_module(text, file=page.name, blobs=zeros(), fact_types=FACT_TYPES)
