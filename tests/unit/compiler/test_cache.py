"""The cache on disk: what is kept, what is refused, what goes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from autosplitc.cache import DiskCache, cache_folder, open_cache
from autosplitc.ir import Diagnostic
from autosplitc.passes import NoCache


def quiet(diagnostic: Diagnostic) -> None:
    raise AssertionError(diagnostic.render())


def files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file())


def test_what_is_kept_comes_back_in_another_run(tmp_path: Path) -> None:
    first = DiskCache(tmp_path, quiet)
    assert first.get("a") is None
    for key, value in (("a", b"one"), ("b", b""), ("../up/x\n", b"\0\xff"), ("a", b"two")):
        first.put(key, value)
    again = DiskCache(tmp_path, quiet)
    assert [again.get(key) for key in ("a", "b", "../up/x\n", "c")] == [b"two", b"", b"\0\xff", None]
    assert len(files(tmp_path)) == 3


def test_damaged_files_are_as_good_as_missing(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, quiet)
    cache.put("a", b"value")
    (path,) = files(tmp_path)
    whole = path.read_bytes()
    for damaged in (b"", whole[:-1], whole + b"x", whole[:-1] + b"?", b"?" + whole[1:]):
        path.write_bytes(damaged)
        assert cache.get("a") is None
        cache.put("a", b"value")
        assert cache.get("a") == b"value"


def test_another_version_finds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    DiskCache(tmp_path, quiet).put("a", b"value")
    monkeypatch.setattr("autosplitc.cache._versions", lambda: "another")
    assert DiskCache(tmp_path, quiet).get("a") is None


def test_a_folder_that_cannot_be_written_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    told: list[Diagnostic] = []
    cache = DiskCache(tmp_path / "file" / "compile", told.append)
    for key in "abc":
        cache.put(key, b"value")
        assert cache.get(key) is None
    assert [(d.code, d.severity) for d in told] == [("AS640", "warning")]
    assert str(tmp_path / "file") in told[0].location


def test_the_files_used_least_lately_go_first(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, quiet)
    for age_s, key in ((400, "old"), (300, "read"), (200, "mid"), (100, "new")):
        before = set(files(tmp_path))
        cache.put(key, bytes(1000))
        (path,) = set(files(tmp_path)) - before
        os.utime(path, (1e9 - age_s, 1e9 - age_s))
    assert cache.get("read") is not None
    small = DiskCache(tmp_path, quiet, limit_bytes=4500)
    small.put("last", bytes(1000))
    assert [small.get(key) is not None for key in ("old", "read", "mid", "new", "last")] == [False, True, False, True, True]
    for number in range(20):
        small.put(str(number), bytes(1000))
        assert sum(p.stat().st_size for p in files(tmp_path)) <= 4500
    assert small.get("19") is not None


def test_an_interrupted_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        DiskCache(tmp_path, quiet).put("a", b"value")
    assert files(tmp_path) == []


def test_the_folder_is_the_one_asked_for_then_that_of_the_environment(tmp_path: Path, own_cache: Path) -> None:
    assert cache_folder() == own_cache
    for folder, wanted in ((tmp_path, tmp_path), (None, own_cache)):
        cache = open_cache(folder, unused=False, warn=quiet)
        assert isinstance(cache, DiskCache)
        assert cache.folder == wanted / "compile"
    assert isinstance(open_cache(tmp_path, unused=True, warn=quiet), NoCache)
