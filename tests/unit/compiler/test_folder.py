"""Output folders: written whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path

import pytest

from autosplitc.folder import MANIFEST, SCHEMA, read_manifest, staged_folder
from autosplitc.ir import CompileError


def write_bundle(folder: Path, text: str = "new") -> None:
    (folder / "edge.onnx").write_text(text)
    (folder / MANIFEST).write_text(json.dumps({"schema": SCHEMA}))


def tree(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()}


def code_of(target: Path, *, force: bool = False) -> str:
    with pytest.raises(CompileError) as caught, staged_folder(target, force=force) as stage:
        write_bundle(stage)
    return caught.value.diagnostics[0].code


def test_a_new_folder_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b"
    with staged_folder(target) as stage:
        write_bundle(stage)
        assert not target.exists()
    assert sorted(tree(target)) == ["edge.onnx", MANIFEST]
    assert [p.name for p in target.parent.iterdir()] == ["b"]


def test_the_folder_has_the_rights_of_any_new_folder(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    with staged_folder(tmp_path / "out") as stage:
        write_bundle(stage)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), staged_folder(tmp_path / "a" / "b") as stage:
        write_bundle(stage)
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_bundle_is_replaced(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with staged_folder(target) as stage:
        write_bundle(stage, "old")
        (stage / "cloud.onnx").write_text("old")
    with staged_folder(target) as stage:
        write_bundle(stage)
    assert tree(target)["edge.onnx"] == "new"
    assert "cloud.onnx" not in tree(target)
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_failure_keeps_the_earlier_bundle(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with staged_folder(target) as stage:
        write_bundle(stage, "old")
    with pytest.raises(ZeroDivisionError), staged_folder(target) as stage:
        write_bundle(stage)
        raise ZeroDivisionError
    assert tree(target)["edge.onnx"] == "old"


def test_a_foreign_folder_needs_force_which_keeps_its_files(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "notes.txt").write_text("mine")
    assert code_of(target) == "AS602"
    assert tree(target) == {"notes.txt": "mine"}
    with staged_folder(target, force=True) as stage:
        write_bundle(stage)
    assert sorted(tree(target)) == ["edge.onnx", MANIFEST, "notes.txt"]


def test_files_of_others_in_a_bundle_are_not_deleted(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with staged_folder(target) as stage:
        write_bundle(stage)
    (target / "calib.npz").write_text("mine")
    assert code_of(target) == "AS602"
    assert tree(target)["calib.npz"] == "mine"


def test_bundle_files_without_a_manifest_are_foreign(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "edge.onnx").write_text("mine")
    assert code_of(tmp_path / "out") == "AS602"


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    assert code_of(tmp_path / "out") == "AS601"
    assert code_of(tmp_path / "out" / "below" / "this") == "AS601"


def test_the_current_folder_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert code_of(Path()) == "AS606"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_the_right_to_write(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert code_of(tmp_path / "out") == "AS603"
    tmp_path.chmod(0o700)


def test_a_link_to_a_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "real")
    with staged_folder(tmp_path / "out") as stage:
        write_bundle(stage)
    assert (tmp_path / "out").is_symlink()
    assert sorted(tree(tmp_path / "real")) == ["edge.onnx", MANIFEST]


def test_a_full_disk_has_a_code_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, target: Path) -> None:
        del self, target
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "rename", full)
    assert code_of(tmp_path / "out") == "AS604"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": "other"}'])
def test_what_is_no_manifest_of_ours_is_said_so(tmp_path: Path, text: str) -> None:
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(CompileError) as caught:
        read_manifest(tmp_path)
    assert caught.value.diagnostics[0].code == "AS630"
