"""The runtime's command line, as `autosplitc` and as the runtime's own program: flags, errors and exit codes."""

from __future__ import annotations

import dataclasses
import json
from argparse import ArgumentTypeError
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autosplitc import runtime
from autosplitc.cli import main
from autosplitc.runtime import cli, cli_flags, cli_values
from autosplitc.runtime.errors import LinkError
from autosplitc.runtime.run import RunSettings
from autosplitc.runtime.server_settings import ServerSettings

from .conftest import Serving


def settings_made(words: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the settings that a command hands on."""
    found: list[Any] = []

    def keep(settings: Any) -> int:
        found.append(settings)
        return 0

    monkeypatch.setattr("autosplitc.runtime.server.serve", keep)
    monkeypatch.setattr("autosplitc.runtime.run.run", keep)
    assert main(words) == 0
    return found[0]


def test_what_serve_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\n", "utf-8")
    words = "serve out --bind [::1]:99 --protocol oip --model m --http 127.0.0.1:8 --providers cuda,cpu --threads 2"
    words += " --cert c.pem --key k.pem --client-ca ca.pem --insecure --workers 3 --max-batch 4 --max-wait 2ms"
    words += " --max-samples 9 --queue 10 --queue-wait 3s --max-in-flight 5"
    words += " --max-connections 6 --memory 2MiB --handshake 1s --body 2s --write 4s --drain 1min --token-file"
    made = settings_made([*words.split(), str(tmp_path / "token")], monkeypatch)
    assert made == ServerSettings(
        Path("out"),
        "::1",
        99,
        "oip",
        model="m",
        token="s3cret",
        certificate=Path("c.pem"),
        key=Path("k.pem"),
        client_ca=Path("ca.pem"),
        insecure=True,
        http=("127.0.0.1", 8),
        providers=("CUDAExecutionProvider", "CPUExecutionProvider"),
        threads=2,
        max_batch=4,
        workers=3,
        max_wait_s=0.002,
        max_samples=9,
        queue=10,
        queue_wait_s=3.0,
        max_in_flight=5,
        max_connections=6,
        memory_bytes=2 << 20,
        handshake_s=1.0,
        body_s=2.0,
        write_s=4.0,
        drain_s=60.0,
    )


def test_what_run_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOSPLITC_TOKEN", "t")
    words = "run out - --server host:1 --protocol oip --model m --repeat 2 --limit 3 -o o.npz --jsonl l --json -q"
    words += " --providers cpu --threads 4 --tls --ca ca --cert c --key k --server-name n --insecure --fallback queue"
    words += " --deadline 2s --window 5 --queue 6"
    words += " --heartbeat 1s --dead 9s"
    made = settings_made(words.split(), monkeypatch)
    expected: dict[str, Any] = {
        "server": ("host", 1),
        "protocol": "oip",
        "model": "m",
        "token": "t",
        "tls": True,
        "ca": Path("ca"),
        "certificate": Path("c"),
        "key": Path("k"),
        "server_name": "n",
        "insecure": True,
        "fallback": "queue",
        "deadline_s": 2.0,
        "window": 5,
        "queue": 6,
        "heartbeat_s": 1.0,
        "dead_s": 9.0,
        "providers": ("CPUExecutionProvider",),
        "threads": 4,
        "repeat": 2,
        "limit": 3,
        "output": Path("o.npz"),
        "jsonl": Path("l"),
        "json": True,
        "quiet": True,
    }
    assert made == RunSettings(Path("out"), "-", **expected)


@pytest.mark.parametrize(("add", "kind"), [(cli_flags.serve_flags, ServerSettings), (cli_flags.run_flags, RunSettings)])
def test_every_setting_has_a_flag(add: Any, kind: Any) -> None:
    parser = cli.Parser()
    add(parser)
    flags = {action.dest for action in parser._actions}
    through_others = {"host", "port", "token"}
    inner = {"slowest_bytes_per_s"}
    assert {field.name for field in dataclasses.fields(kind)} - flags <= through_others | inner


def test_no_flag_changes_no_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AUTOSPLITC_TOKEN", raising=False)
    assert settings_made(["serve", "out"], monkeypatch) == ServerSettings(Path("out"))
    assert settings_made(["run", "out", "in"], monkeypatch) == RunSettings(Path("out"), "in")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["serve"], 2, "error[AS800]: the following arguments are required: OUT"),
        (["serve", "out", "--bind", "nowhere"], 2, "'nowhere' is no HOST:PORT"),
        (["serve", "out", "--bind", "h:70000"], 2, "'h:70000' is no HOST:PORT"),
        (["serve", "out", "--queue", "0"], 2, "'0' is no whole number from 1"),
        (["serve", "out", "--drain", "5"], 2, "'5' is no time, such as 50ms or 2s"),
        (["serve", "out", "--memory", "5"], 2, "'5' is no size, such as 64MiB"),
        (["serve", "out", "--provider", "cpu"], 2, "unrecognized arguments: --provider cpu"),
        (["serve", "out", "--token-file", "missing"], 2, "error[AS801]: the token cannot be read"),
        (["serve", "missing"], 1, "error[AS802]: there is no bundle"),
        (["run", "missing", "x"], 1, "error[AS802]: there is no bundle"),
        (["export", "out", "-o", "x"], 2, "the following arguments are required: --to"),
        (["export", "missing", "--to", "device", "-o", "x"], 1, "error[AS802]: there is no bundle"),
    ],
)
def test_mistakes(words: list[str], code: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == code
    from_compiler = capsys.readouterr().err
    assert said in from_compiler
    assert cli.main(words, "autosplitc") == code
    assert capsys.readouterr().err == from_compiler
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["serve", "run", "export"])
def test_help_is_the_runtimes(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"usage: autosplitc {command}")


def test_a_run_over_the_protocol(serving: Serving, tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "x.npz", x=np.random.default_rng(2).standard_normal((5, 3, 32, 32)).astype(np.float32))
    with serving(ServerSettings(tiny_bundle, model="m")) as server:
        words = ["run", str(tiny_bundle), str(tmp_path / "x.npz"), "--server", f"127.0.0.1:{server.port}", "--protocol", "oip"]
        assert main([*words, "--model", "m", "--json", "-q"]) == 0
        assert json.loads(capsys.readouterr().out)["frames"] == 5
        assert main([*words, "--model", "other", "-q"]) == 5
        assert 'there is no model "other"' in capsys.readouterr().err


@pytest.mark.parametrize(("text", "value"), [("1.5ms", 0.0015), ("2 s", 2.0), (".5us", 5e-7), ("1min", 60.0)])
def test_times(text: str, value: float) -> None:
    assert cli_values.seconds(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "0s", "-1s", "1", "1h", "nan s", "1e3s"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ArgumentTypeError):
        cli_values.seconds(text)


@pytest.mark.parametrize("data", [b"", b" \n", b"two words", b"\xff\xfe", b"a" * 5000])
def test_what_is_no_token(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(data)
    with pytest.raises(LinkError) as caught:
        cli_values.token(tmp_path / "token")
    assert caught.value.code == "AS801"


def test_the_package_has_a_program() -> None:
    assert (Path(str(runtime.__file__)).parent / "__main__.py").is_file()
