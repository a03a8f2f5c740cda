"""The README's main command does what the README shows."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from autosplitc.cli import main

ROOT = Path(__file__).resolve().parents[2]
MEASURED = (" quality", " check", " wrote")
"""Lines whose figures may differ between machines."""
CODED = re.compile(r" +\d+ +cloud (PNG|JPEG)")
"""Rows of plans whose sizes and times are those of the machine's own codecs; the numbers of all rows depend on them."""


def test_the_main_command_prints_what_the_readme_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    command = re.search(r"^python3 -m venv .*?bin/autosplitc (.*)$", text, re.MULTILINE)
    shown = re.search(r"^```\n(zoo:fashion .*?)\n```$", text, re.DOTALL | re.MULTILINE)
    assert command is not None
    assert shown is not None
    arguments = shlex.split(command[1])
    arguments[arguments.index("-o") + 1] = str(tmp_path / "out")
    monkeypatch.chdir(ROOT)
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert predicted(printed) == predicted(shown[1])


def predicted(text: str) -> list[str]:
    """Return the lines of a summary without what is measured, and without the spaces that align it."""
    lines = (line for line in text.splitlines() if not line.startswith(MEASURED) and not CODED.match(line))
    shown = [re.sub(r"^ +\d+ ", "", line) for line in lines if not re.match(r" +\d+ more in", line)]
    return [re.sub(r" +", " ", re.sub(r"file \S+ \wB|(?<=B) +-?\d+\.\d\d( \*)?(?= |$)", "", line)).rstrip() for line in shown]
