"""What the tests of commands share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from autosplitc.cli import main


@dataclass(frozen=True, slots=True)
class Run:
    """What a command gave."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Tool:
    """Runs commands."""

    capsys: pytest.CaptureFixture[str]

    def __call__(self, *args: str | Path) -> Run:
        """Run a command in this process."""
        self.capsys.readouterr()
        code = main([str(arg) for arg in args])
        captured = self.capsys.readouterr()
        return Run(code, captured.out, captured.err)


@pytest.fixture
def tool(capsys: pytest.CaptureFixture[str]) -> Tool:
    """Return what runs commands."""
    return Tool(capsys)
