"""A process that is stopped, or whose disk is full, in earnest."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "examples" / "fashion" / "fashion.onnx"
COMMAND = (sys.executable, "-c", "import sys; from autosplitc.cli import main; sys.exit(main())")
ARGUMENTS = (str(MODEL), "-t", "eyeriss", "--net", "ble", "-o", "out")


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_while_passes_run(tmp_path: Path) -> None:
    process = subprocess.Popen([*COMMAND, *ARGUMENTS], cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    deadline_s = time.monotonic() + 60
    while not any(tmp_path.iterdir()) and process.poll() is None and time.monotonic() < deadline_s:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "error[AS190]: interrupted; no bundle was written" in err
    assert "Traceback" not in err
    assert out == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_while_plans_are_measured(tmp_path: Path) -> None:
    data = MODEL.parent
    (tmp_path / "slow.py").write_text(
        "import pathlib, time\ndef metric(outputs, expected, labels):\n    pathlib.Path('called').touch()\n    time.sleep(60)\n"
    )
    (tmp_path / "scratch").mkdir()
    samples = ("--calib", str(data / "calib.npz"), "--eval", str(data / "eval.npz"), "--metric", "slow:metric", "--effort", "fast")
    process = subprocess.Popen(
        [*COMMAND, *ARGUMENTS, *samples, "--max-drop", "0,1%"],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(tmp_path / "scratch")},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    deadline_s = time.monotonic() + 120
    while not (tmp_path / "called").exists() and process.poll() is None and time.monotonic() < deadline_s:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "error[AS190]: interrupted; no bundle was written" in err
    assert "Traceback" not in err
    assert out == ""
    assert sorted(p.name for p in tmp_path.iterdir() if p.name != "__pycache__") == ["called", "scratch", "slow.py"]
    assert list((tmp_path / "scratch").glob("autosplitc-*")) == []


@pytest.mark.skipif(sys.platform == "win32", reason="limits")
def test_a_limit_on_file_size_in_mid_write(tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    done = subprocess.run([*COMMAND, *ARGUMENTS], cwd=tmp_path, capture_output=True, text=True, preexec_fn=limit, check=False)
    assert done.returncode == 1
    assert "error[AS604]: the disk is full" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([*COMMAND, "--list-passes"], cwd=tmp_path, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert done.stderr == ""
