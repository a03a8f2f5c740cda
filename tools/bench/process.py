"""Commands in processes of their own, with their time and memory."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

_MAIN = "import sys; from autosplitc.cli import main; sys.exit(main())"


@dataclass(frozen=True, slots=True)
class Run:
    """A command that ended: wall time in seconds, peak resident memory in bytes, exit code, what it wrote to stderr."""

    seconds: float
    peak_rss_bytes: int
    code: int
    stderr: str


def autosplitc(*args: object) -> Run:
    """Run the command line in a fresh process."""
    return python("-c", _MAIN, *args)


def python(*args: object) -> Run:
    """Run the interpreter that runs this. POSIX only."""
    with tempfile.TemporaryFile("w+") as stderr:
        started_s = time.perf_counter()
        process = subprocess.Popen([sys.executable, *map(str, args)], stdout=subprocess.DEVNULL, stderr=stderr)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started_s
        process.returncode = os.waitstatus_to_exitcode(status)
        stderr.seek(0)
        peak = usage.ru_maxrss if sys.platform == "darwin" else usage.ru_maxrss * 1024
        return Run(seconds, peak, process.returncode, stderr.read())
