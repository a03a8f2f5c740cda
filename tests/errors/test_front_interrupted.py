"""Ctrl-C while the front is sought: a bundle is written all the same, its front is marked partial, and the next run goes on from there."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from autosplitc.cli import main

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "examples" / "fashion" / "fashion.onnx"
ARGUMENTS = (str(MODEL), "-t", "eyeriss", "--net", "ble", "--front", "-o", "out")


def proofs(folder: Path) -> list[str]:
    with (folder / "front.csv").open(encoding="utf-8", newline="") as file:
        return [row["proof"] for row in csv.DictReader(file)]


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_what_is_known_is_written_and_the_next_run_goes_on(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    entry = "import sys; from autosplitc.cli import main; sys.exit(main())"
    command = (sys.executable, "-c", entry, *ARGUMENTS, "--dump-ir", str(tmp_path / "ir"))
    environment = {**os.environ, "AUTOSPLITC_CACHE": str(cache)}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def kept() -> int:
        return len(list(cache.glob("compile/??/*")))

    def wait_for(happened: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + 60
        while not happened() and process.poll() is None and time.monotonic() < deadline_s:
            time.sleep(0.005)

    wait_for(lambda: any(tmp_path.glob("ir/*-assign-bits.air")))
    before = kept()
    wait_for(lambda: kept() > before + 8)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "error[AS191]: interrupted; the front is partial" in err
    assert "Traceback" not in err
    assert "partial: interrupted" in out
    bundle = tmp_path / "out"
    assert json.loads((bundle / "manifest.json").read_text())["front"]["partial"] is True
    assert {"optimal", "unsought"} <= set(proofs(bundle))
    again = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert set(proofs(bundle)) == {"optimal"}
    assert json.loads((bundle / "manifest.json").read_text())["front"]["partial"] is False


def test_every_bundle_holds_the_problem_that_is_dumped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plain = [a for a in ARGUMENTS if a != "--front"]
    assert main([*plain, "-q", "--dump-problem", "dumped/whole.json"]) == 0
    assert main([*plain[:-2], "-q", "--stop-after", "assign-bits", "--dump-problem", "planned.json"]) == 0
    held = (tmp_path / "out" / "problem.json").read_bytes()
    assert held == (tmp_path / "dumped" / "whole.json").read_bytes() == (tmp_path / "planned.json").read_bytes()


def test_a_problem_cannot_be_dumped_before_there_is_one(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    plain = [a for a in ARGUMENTS if a != "--front"]
    assert main([*plain[:-2], "-q", "--stop-after", "calibrate", "--dump-problem", "p.json"]) == 2
    assert "AS121" in capsys.readouterr().err
    assert main([*plain, "-q", "--dump-problem", "out/p.json"]) == 1
    assert "AS605" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_front_needs_a_search_for_plans(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ARGUMENTS[:-2], "-q", "--stop-after", "calibrate", "-p", "simplify,calibrate"]) == 2
    assert "AS116" in capsys.readouterr().err


def test_settings_of_the_front_reach_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*ARGUMENTS, "-q", "--no-cache", "--set", "find-front.error-levels=2", "--set", "find-front.memory-levels=1"]) == 0
    assert proofs(tmp_path / "out") == ["optimal"] * 2 + [""] * (len(proofs(tmp_path / "out")) - 2)
