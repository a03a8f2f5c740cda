"""Every flag of `serve` and `run` stands on its page."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path

import pytest

from autosplitc.runtime.cli_flags import run_flags, serve_flags

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize(("page", "add"), [("serve.md", serve_flags), ("run.md", run_flags)])
def test_every_flag_stands_on_its_page(page: str, add: Callable[[ArgumentParser], None]) -> None:
    parser = ArgumentParser(add_help=False)
    add(parser)
    text = (DOCS / page).read_text(encoding="utf-8")
    words = {word for line in parser.format_help().splitlines() for word in line.replace(",", " ").split() if word.startswith("--")}
    assert len(words) > 15
    assert sorted(word for word in words if f"{word} " not in text and f"{word}`" not in text) == []
