"""The pages in docs/ hold: their Python runs, their texts parse."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner

from autosplitc.cli_targets import targets_command
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


def block_with(page: str, language: str, words: str) -> str:
    return next(text for _, text in blocks(DOCS / page, language) if words in text)


def test_the_plugin_is_what_the_page_on_targets_shows() -> None:
    plugin = DOCS.parent / "tests" / "plugin"
    module = block_with("new-target.md", "python", "class AcmeNpu")
    assert (plugin / "acme_npu.py").read_text("utf-8") == module
    assert (plugin / "pyproject.toml").read_text("utf-8") == block_with("new-target.md", "toml", "entry-points")
    assert len(module.splitlines()) < 60


def test_the_file_that_the_page_on_targets_shows_is_a_target(tmp_path: Path) -> None:
    text = block_with("new-target.md", "toml", "camera-npu")
    assert len(text.splitlines()) < 30
    file = tmp_path / "camera-npu.toml"
    file.write_text(text, "utf-8")
    for command in (("check",), ("show",), ("cost", "zoo:fashion")):
        words = [command[0], str(file), *command[1:]]
        done = CliRunner().invoke(targets_command, words, standalone_mode=False)
        assert done.exception is None, (words, done.exception)
        assert done.output
