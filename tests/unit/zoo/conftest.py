"""Fixtures for the zoo: a cache of its own for every test."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Point the zoo at an empty cache folder."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("AUTOSPLITC_CACHE", str(folder))
    return folder
