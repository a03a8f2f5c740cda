"""Commands in processes of their own, with their time and memory."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass

_MAIN = "import sys; from autosplitc.cli import main; sys.exit(main())"
_LAUNCHER = """
import json, os, subprocess, sys, time
started_s = time.perf_counter()
process = subprocess.Popen([sys.executable, *sys.argv[1:]], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(json.dumps([time.perf_counter() - started_s, usage.ru_maxrss, os.waitstatus_to_exitcode(status)]))
"""


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
    """Run the interpreter that runs this. POSIX only.

    A small process stands between: what a process counts as its peak memory begins with that of the one that started it.
    """
    with tempfile.TemporaryFile("w+") as stderr:
        command = [sys.executable, "-c", _LAUNCHER, *map(str, args)]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=stderr, text=True, check=True)
        seconds, peak, code = json.loads(done.stdout)
        stderr.seek(0)
        return Run(seconds, peak if sys.platform == "darwin" else peak * 1024, code, stderr.read())
