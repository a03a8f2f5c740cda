"""Shared fixtures: golden texts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

_GOLDEN = Path(__file__).with_name("golden")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--update-golden`."""
    parser.addoption("--update-golden", action="store_true", help="write the golden files instead of comparing with them")


@dataclass(frozen=True, slots=True)
class Golden:
    """Compares texts with the files in tests/golden/<test file>/."""

    directory: Path
    test: str
    update: bool

    def __call__(self, text: str, name: str = "", suffix: str = ".air") -> None:
        """Assert that `text` is what `<name or test><suffix>` holds; with `--update-golden` write it there."""
        path = self.directory / f"{name or self.test}{suffix}"
        if self.update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8", newline="\n")
        assert path.is_file(), f"{path} is missing; run pytest --update-golden and review it"
        assert text == path.read_text("utf-8")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Compare a text with a golden file: `golden(text)` or `golden(text, name, suffix)`."""
    test = re.sub(r"[^A-Za-z0-9_.-]+", "-", request.node.name.removeprefix("test_")).strip("-")
    return Golden(_GOLDEN / request.path.stem, test, bool(request.config.getoption("--update-golden")))
