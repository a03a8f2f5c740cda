"""Frames of files, stdin and pictures; the edge half and the fallback; what `run` says at its end."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from autosplitc.cli import main
from autosplitc.runtime.bundle import Bundle
from autosplitc.runtime.errors import LinkError
from autosplitc.runtime.run import RunSettings, run
from autosplitc.runtime.samples import frames


@pytest.fixture(scope="session")
def fallback_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the bundle of a split of zoo:fashion with a fallback; tests must not change it."""
    folder = tmp_path_factory.mktemp("fallback") / "out"
    data = Path(__file__).resolve().parents[3] / "examples" / "fashion" / "calib.npz"
    asked = ["-t", "eyeriss", "--net", "3mbps", "--calib", str(data), "--cut", "waist/clip", "--emit-fallback", "--no-report"]
    assert main(["-q", "zoo:fashion", *asked, "-o", str(folder)]) == 0
    return folder


def test_frames_of_arrays_are_read_in_order(fallback_bundle: Path, tmp_path: Path) -> None:
    bundle, data = Bundle.load(fallback_bundle), np.random.default_rng(0).random((3, 1, 28, 28), np.float32)
    np.savez(tmp_path / "data.npz", image=data, labels=np.array([4, 5, 6]))
    found = list(frames(bundle, str(tmp_path / "data.npz"), repeat=2, limit=5))
    assert [frame.label for frame in found] == [4, 5, 6, 4, 5]
    assert all(np.array_equal(frame.inputs["image"], data[[i % 3]]) for i, frame in enumerate(found))


@pytest.mark.parametrize("bad", [np.zeros((3, 1, 28, 27), np.float32), np.zeros((3, 1, 28, 28)), np.zeros((), np.float32)])
def test_arrays_of_another_shape_or_type_are_refused(fallback_bundle: Path, tmp_path: Path, bad: NDArray[Any]) -> None:
    np.save(tmp_path / "bad.npy", bad)
    with pytest.raises(LinkError) as caught:
        list(frames(Bundle.load(fallback_bundle), str(tmp_path / "bad.npy")))
    assert caught.value.code == "AS809"


def test_raw_frames_end_with_the_stream_and_not_within_a_frame(fallback_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle, data = Bundle.load(fallback_bundle), np.random.default_rng(0).random((2, 1, 28, 28), np.float32)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data.tobytes())))
    assert np.array_equal(np.concatenate([frame.inputs["image"] for frame in frames(bundle, "-")]), data)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data.tobytes()[:-1])))
    with pytest.raises(LinkError, match="frame 1 ends after"):
        list(frames(bundle, "-"))


def test_without_a_server_the_fallback_answers_every_frame(
    fallback_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "data.npy", np.random.default_rng(0).random((4, 1, 28, 28), np.float32))
    settings = RunSettings(fallback_bundle, str(tmp_path / "data.npy"), ("127.0.0.1", 1), fallback="model", json=True)
    assert run(settings) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["frames"], found["answered"], found["fallbacks"], found["failed"]) == (4, 4, 4, 0)
    assert run(RunSettings(fallback_bundle, str(tmp_path / "data.npy"), ("127.0.0.1", 1), deadline_s=0.1, json=True)) == 5
    found = json.loads(capsys.readouterr().out)
    assert (found["answered"], found["failed"], found["errors"]) == (0, 4, {"AS831": 4})
