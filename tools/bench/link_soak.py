"""Clients and a server at full load for minutes, while each of them is killed at random: what became of every request.

Run with `autosplitc bench link soak`. Half of the clients end requests with an error at their deadline, half keep them. Every few seconds
the server or a client is killed (SIGKILL) or told to stop (SIGTERM), and another takes its place. A request is lost where a client that
ended in order has no end for it in its log, and duplicated where it has two. What a killed client had under way died with it.
"""

from __future__ import annotations

import json
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import click

import autosplitc

from .link_server import RUNTIME
from .table import table

PAUSES_S = (1.0, 5.0)
DOWN_S = 4.0
"""Longest time until another server takes the place of one that ended."""

FALLBACKS = ("error", "queue")
END_S = 60.0
_CLIENT = (sys.executable, "-m", "autosplitc.bench.link_soak_client")


@dataclass
class Counted:
    """What became of the requests. strays: answers that came for a request that had ended already, and were dropped."""

    sent: int = 0
    answered: int = 0
    wrong: int = 0
    failed: Counter[str] = field(default_factory=Counter[str])
    lost: int = 0
    duplicated: int = 0
    died_with_client: int = 0
    strays: int = 0
    resent: int = 0
    hung_clients: int = 0

    def add(self, log: str) -> None:
        """Take in a client's log."""
        lines = [line.split() for line in log.splitlines()]
        sent = {words[1] for words in lines if words[0] == "sent"}
        ends = Counter(words[1] for words in lines if words[0] in ("answered", "wrong", "failed"))
        kinds = Counter(words[0] for words in lines)
        self.sent += len(sent)
        self.answered += kinds["answered"]
        self.wrong += kinds["wrong"]
        self.failed.update(words[2] for words in lines if words[0] == "failed")
        self.duplicated += sum(times - 1 for times in ends.values())
        without_end = len(sent - ends.keys())
        over = next((words for words in lines if words[0] == "over"), None)
        if over is None:
            self.died_with_client += without_end
        else:
            self.lost += without_end
            self.strays += int(over[1])
            self.resent += int(over[2])


class Soak:
    """The processes of a soak. events: how often each thing was done to them."""

    def __init__(self, out: Path, scratch: Path, clients: int, seed: int) -> None:
        """Start them."""
        self.events: Counter[str] = Counter()
        self.server_exits: Counter[int] = Counter()
        self.peak_server_rss_bytes = 0
        self._out = out
        self._scratch = scratch
        self._random = random.Random(seed)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self._server = self._serve()
        self._clients: list[subprocess.Popen[bytes]] = []
        self._started = 0
        for _ in range(clients):
            self._start_client()

    def disturb(self) -> None:
        """Kill or stop one of them; start another."""
        victim = self._random.choice(("server", "server", "client"))
        number = self._random.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM))
        self.events[f"{victim} {number.name}"] += 1
        self.peak_server_rss_bytes = max(self.peak_server_rss_bytes, _rss_bytes(self._server.pid))
        if victim == "server":
            self._server.send_signal(number)
            self.server_exits[self._server.wait(END_S)] += 1
            time.sleep(self._random.uniform(0, DOWN_S))
            self._server = self._serve()
            return
        client = self._clients.pop(self._random.randrange(len(self._clients)))
        client.send_signal(number)
        client.wait(END_S)
        self._start_client()

    def end(self) -> int:
        """Let all come to their end; return how many clients did not."""
        for client in self._clients:
            client.terminate()
        hung = 0
        for client in self._clients:
            try:
                client.wait(END_S)
            except subprocess.TimeoutExpired:
                client.kill()
                hung += 1
        self.peak_server_rss_bytes = max(self.peak_server_rss_bytes, _rss_bytes(self._server.pid))
        self._server.terminate()
        self.server_exits[self._server.wait(END_S)] += 1
        return hung

    def _serve(self) -> subprocess.Popen[bytes]:
        words = [*RUNTIME, "serve", str(self._out), "--bind", f"127.0.0.1:{self._port}", "--threads", "1"]
        return subprocess.Popen(words, stderr=subprocess.DEVNULL)

    def _start_client(self) -> None:
        log, fallback = self._scratch / f"client{self._started}.log", FALLBACKS[self._started % 2]
        self._started += 1
        self._clients.append(subprocess.Popen([*_CLIENT, str(self._out), str(self._port), str(log), fallback]))


@click.command()
@click.option("--seconds", default=600.0, show_default=True, help="How long.")
@click.option("--clients", default=4, show_default=True, help="At a time.")
@click.option("--seed", default=0, show_default=True, help="Of what is killed, and when.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="File for the figures as JSON.")
def soak(seconds: float, clients: int, seed: int, json_path: Path | None) -> None:
    """Load a server while it and its clients are killed at random, and count what became of every request."""
    pauses = random.Random(seed + 1)
    counted = Counted()
    with TemporaryDirectory() as scratch:
        out = Path(scratch) / "out"
        autosplitc.compile("zoo:fashion", cut=["waist/clip"]).save(out)
        started_s = time.monotonic()
        processes = Soak(out, Path(scratch), clients, seed)
        while time.monotonic() - started_s < seconds:
            time.sleep(pauses.uniform(*PAUSES_S))
            processes.disturb()
        counted.hung_clients = processes.end()
        taken_s = time.monotonic() - started_s
        for log in sorted(Path(scratch).glob("client*.log")):
            counted.add(log.read_text(encoding="ascii"))
    click.echo(f"{taken_s:.0f} s, {clients} clients at a time, measured; done to them: " + _shown(processes.events))
    rows = [
        ("sent", f"{counted.sent:,}"),
        ("answered rightly", f"{counted.answered:,}"),
        ("answered wrongly (goal 0)", f"{counted.wrong:,}"),
        (f"failed with an error ({_shown(counted.failed)})", f"{counted.failed.total():,}"),
        ("lost (goal 0)", f"{counted.lost:,}"),
        ("duplicated (goal 0)", f"{counted.duplicated:,}"),
        ("under way in clients when those were killed", f"{counted.died_with_client:,}"),
        ("clients that did not end", f"{counted.hung_clients:,}"),
        ("sent again after a broken connection", f"{counted.resent:,}"),
        ("late answers that were dropped", f"{counted.strays:,}"),
    ]
    click.echo(table(("requests", ""), rows))
    exits = ", ".join(f"{code}: {times}" for code, times in sorted(processes.server_exits.items()))
    click.echo(f"exit codes of the servers: {exits}; most memory of one {processes.peak_server_rss_bytes / 1e6:.0f} MB")
    if json_path is not None:
        found = {"seconds": taken_s, "events": processes.events, **vars(counted)}
        json_path.write_text(json.dumps(found, indent=1) + "\n")


def _shown(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {times:,}" for name, times in sorted(counts.items())) or "none"


def _rss_bytes(pid: int) -> int:
    """Return the resident memory of a process, 0 where the system does not tell."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS")), 0)


if __name__ == "__main__":
    soak()
