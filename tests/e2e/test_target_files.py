"""Whole compiles for targets from files, and going on from their dumps when the files change."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from autosplitc.cli import main
from autosplitc.manifest import sha256_of_file

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "targets.md").read_text("utf-8")
FILES = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
EXAMPLES = {re.findall(r'model = "([\w-]+)"', text)[0]: text for text in FILES}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, residual_model: Any) -> Path:
    """Return a folder, the current one, with a model and a target file in it."""
    monkeypatch.chdir(tmp_path)
    Path("m.onnx").write_bytes(residual_model.SerializeToString())
    write("clock", "200MHz")
    return tmp_path


def write(key: str, value: str) -> None:
    """Write `acme.toml` with another value of a key."""
    text = re.sub(rf'^{key} = ".*?"', f'{key} = "{value}"', EXAMPLES["systolic"], flags=re.MULTILINE)
    Path("acme.toml").write_text(text, encoding="utf-8")


def run(*args: str) -> int:
    return main([*args, "-q"])


def manifest(folder: str = "out") -> dict[str, Any]:
    return json.loads(Path(folder, "manifest.json").read_text("utf-8"))


@pytest.mark.parametrize("model", EXAMPLES)
def test_a_compile_for_each_model(model: str, here: Path) -> None:
    (here / "it.toml").write_text(EXAMPLES[model], encoding="utf-8")
    assert run("m.onnx", "-t", "it.toml", "--net", "3mbps", "-o", "out") == 0
    options = manifest()["options"]
    assert (options["edge"], options["edge_sha256"]) == ("it.toml", sha256_of_file(here / "it.toml"))
    assert (options["cloud"], options["cloud_sha256"]) == ("tpu", "")


def test_a_file_and_a_configuration_for_edge_and_cloud(here: Path) -> None:
    cfg = ROOT / "tests" / "data" / "scalesim" / "google_v3.cfg"
    (here / "google.cfg").write_bytes(cfg.read_bytes())
    cloud = "google.cfg:clock=700MHz,ram=16GiB,weight-bits=8,act-bits=8"
    assert run("m.onnx", "-t", "acme.toml:ram=1MB", "--cloud", cloud, "--net", "3mbps", "-o", "out") == 0
    made = manifest()
    assert made["options"]["cloud_sha256"] == sha256_of_file(cfg)
    assert made["limits"]["edge_ram_bytes"] == 1_000_000


def test_a_slower_clock_in_the_file_makes_a_slower_edge(here: Path) -> None:
    assert run("m.onnx", "-t", "acme.toml", "--net", "1kbps", "-p", "all", "-o", "fast") == 0
    write("clock", "1kHz")
    assert run("m.onnx", "-t", "acme.toml", "--net", "1kbps", "-p", "all", "-o", "slow") == 0
    edge_only_s = [manifest(folder)["predicted"]["edge_only_latency_s"] for folder in ("fast", "slow")]
    assert edge_only_s[1] > 100 * edge_only_s[0]
    assert here


def test_a_dump_goes_on_with_the_same_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("m.onnx", "-t", "acme.toml", "--net", "3mbps", "-o", "out", "--dump-ir", "ir") == 0
    dump = next(str(p) for p in sorted(Path("ir").iterdir()) if p.name.endswith("-choose-plan.air"))
    assert run("opt", dump, "-p", "lower", "-o", "again") == 0
    assert manifest("again") == manifest()

    write("clock", "1kHz")
    capsys.readouterr()
    assert run("opt", dump, "-p", "lower", "-o", "changed") == 2
    assert "needs" in capsys.readouterr().err
    assert run("opt", dump, "-p", "estimate-cost,enumerate-splits,plan,lower", "-o", "changed") == 0
    assert run("m.onnx", "-t", "acme.toml", "--net", "3mbps", "-o", "anew") == 0
    assert manifest("changed") == manifest("anew") != manifest()
    assert manifest("anew")["options"]["edge_sha256"] == sha256_of_file(here / "acme.toml")

    Path("acme.toml").unlink()
    capsys.readouterr()
    assert run("opt", dump, "-p", "estimate-cost,enumerate-splits,plan,lower", "-o", "gone") == 1
    assert capsys.readouterr().err == (
        "error[AS439]: the dump was made with target file 'acme.toml' as its edge, which is not there\n"
        "  --> acme.toml\n"
        "  hint: -t FILE, where it is now, or another target\n"
    )
    assert not Path("gone").exists()
    assert run("opt", dump, "-p", "estimate-cost,enumerate-splits,plan,lower", "-t", "eyeriss", "-o", "gone") == 0
    assert manifest("gone")["options"]["edge_sha256"] == ""


def test_a_trace_in_the_output_folder_is_not_overwritten(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("out").mkdir()
    Path("out/walk.csv").write_text("time_s,rate_mbps\n0,3\n", encoding="utf-8")
    capsys.readouterr()
    assert run("m.onnx", "-t", "acme.toml", "--net", "out/walk.csv,rtt=1ms", "-o", "out") == 1
    assert "AS605" in capsys.readouterr().err
    assert list((here / "out").iterdir()) == [here / "out" / "walk.csv"]


def test_a_dump_does_not_overwrite_its_target_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("out").mkdir()
    Path("acme.toml").rename("out/acme.toml")
    assert run("m.onnx", "-t", "out/acme.toml", "--net", "3mbps", "-p", "simplify,analyze", "--dump-ir", "ir") == 0
    dump = str(max(Path("ir").glob("*.air")))
    capsys.readouterr()
    assert run("opt", dump, "-p", "plan,lower", "-o", "out") == 1
    assert "AS605" in capsys.readouterr().err
    assert list(Path("out").iterdir()) == [Path("out/acme.toml")]
    assert here
