"""`explain` and `diff` on bundles: their texts, their JSON, and what they say to bad input."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from autosplitc.cli import main
from autosplitc.cli_explain import diff_command, explain_command

EXAMPLES = Path(__file__).parents[3] / "examples" / "fashion"
COMMON = ["-q", "zoo:fashion", "-t", "eyeriss", "--calib", str(EXAMPLES / "calib.npz"), "--codec", "none"]


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two bundles of one model: `slow` at 236.7 kbit/s with 32 KiB of memory, `fast` at 3 Mbit/s."""
    folder = tmp_path_factory.mktemp("bundles")
    assert main([*COMMON, "--net", "ble", "--edge-memory", "32KiB", "-o", str(folder / "slow")]) == 0
    assert main([*COMMON, "--net", "3mbps", "-o", str(folder / "fast")]) == 0
    return folder


@pytest.fixture
def inside(bundles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with copies of the bundles, which is the current one."""
    shutil.copytree(bundles, tmp_path / "at")
    monkeypatch.chdir(tmp_path / "at")
    return tmp_path / "at"


def explained(*args: str) -> Result:
    return CliRunner().invoke(explain_command, args, standalone_mode=False)


def diffed(*args: str) -> Result:
    return CliRunner().invoke(diff_command, args, standalone_mode=False)


def test_explain_of_a_split(inside: Path, golden: Callable[..., None]) -> None:
    del inside
    golden(explained("slow", "--time-limit", "120s").output, suffix=".txt")


def test_explain_without_a_solve(inside: Path, golden: Callable[..., None]) -> None:
    del inside
    golden(explained("fast", "--quick", "--all").output, suffix=".txt")


def test_diff_of_two_bundles(inside: Path, golden: Callable[..., None]) -> None:
    del inside
    predicted, _, measured = diffed("slow", "fast").output.partition("\nmeasured\n")
    golden(predicted, suffix=".txt")
    assert {" edge file", " SQNR", " agreement"} <= {line.partition("  ")[0] for line in measured.splitlines()}


def test_a_bundle_does_not_differ_from_itself(inside: Path) -> None:
    del inside
    found = json.loads(diffed("slow", "slow", "--json").output)
    assert found["same_source"]
    assert found["same_graphs"]
    assert not any(found[part] for part in ("decision", "sides", "bits", "options", "limits"))
    assert {figure["change"] for figure in found["figures"]} <= {0.0, None}


def test_json_holds_what_the_text_says(inside: Path) -> None:
    del inside
    found = json.loads(explained("slow", "--json", "--time-limit", "120s").output)
    assert found["folder"] == "slow"
    chosen = [row for row in found["cuts"] if row["chosen"]]
    assert len(chosen) == 1
    assert chosen[0]["latency_s"] == pytest.approx(sum(chosen[0][part] for part in ("edge_s", "link_s", "cloud_s")))
    assert found["deep"]["complete"]
    assert {price["name"] for price in found["deep"]["prices"]} == {"rate", "RAM", "storage", "error", "noise", "latency"}
    assert all(row["basis"] in ("listed", "solved", "refused") for row in found["cuts"])


def test_no_time_at_all_leaves_the_cheap_part(inside: Path) -> None:
    del inside
    found = explained("slow", "--time-limit", "1us")
    assert "time ran out" in found.output
    assert "decision" in found.output


def damage(bundle: Path, how: str) -> None:
    if how == "old":
        (bundle / "problem.json").unlink()
    elif how == "cut short":
        text = (bundle / "solutions.csv").read_text("utf-8")
        (bundle / "solutions.csv").write_text(text[: len(text) // 2], "utf-8")
    elif how == "no numbers":
        text = (bundle / "solutions.csv").read_text("utf-8")
        (bundle / "solutions.csv").write_text(text.replace("split", "split,split"), "utf-8")
    elif how == "no column":
        text = (bundle / "layers.csv").read_text("utf-8")
        (bundle / "layers.csv").write_text(text.replace("sqnr_db", "noise"), "utf-8")
    elif how == "no layers":
        (bundle / "layers.csv").unlink()
    elif how == "no json":
        (bundle / "measurements.json").write_text("{", "utf-8")
    elif how == "no accuracy":
        (bundle / "measurements.json").write_text('{"accuracy": {"evaluations": [3]}}', "utf-8")
    elif how == "a list":
        (bundle / "measurements.json").write_text("[]", "utf-8")
    elif how == "other names":
        text = (bundle / "layers.csv").read_text("utf-8")
        (bundle / "layers.csv").write_text(text.replace("stem/relu", "stem/other"), "utf-8")
    elif how == "bad problem":
        (bundle / "problem.json").write_text('{"schema": "autosplitc-problem/1"}', "utf-8")
    elif how == "bad manifest":
        text = (bundle / "manifest.json").read_text("utf-8")
        (bundle / "manifest.json").write_text(text.replace('"decision"', '"decisions"'), "utf-8")
    elif how == "no manifest":
        (bundle / "manifest.json").unlink()
    else:
        (bundle / "drop-1%").mkdir()
        (bundle / "manifest.json").rename(bundle / "drop-1%" / "manifest.json")
        (bundle / "thresholds.csv").write_text("max_drop\n", "utf-8")


WRONG = {
    "old": "AS632",
    "cut short": "AS633",
    "no numbers": "AS633",
    "no column": "AS633",
    "no layers": "AS633",
    "no json": "AS633",
    "a list": "AS633",
    "no accuracy": "AS633",
    "other names": "AS633",
    "bad problem": "AS642",
    "bad manifest": "AS631",
    "no manifest": "AS630",
    "thresholds": "AS634",
}


@pytest.mark.parametrize("how", WRONG)
def test_bad_bundles_get_one_diagnostic(inside: Path, how: str, capsys: pytest.CaptureFixture[str]) -> None:
    damage(inside / "slow", how)
    assert main(["explain", "slow"]) == 1
    said = capsys.readouterr().err
    assert said.count("error[AS") == said.count(f"error[{WRONG[how]}]") == 1 or how == "bad manifest"
    assert f"error[{WRONG[how]}]" in said


def test_diff_of_what_is_no_bundle(inside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damage(inside / "fast", "no manifest")
    assert main(["diff", "slow", "fast"]) == 1
    assert "error[AS630]" in capsys.readouterr().err
    assert main(["diff", "slow", "nowhere"]) == 1
    assert "error[AS630]" in capsys.readouterr().err


def test_the_folders_of_several_limits_are_named(inside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damage(inside / "slow", "thresholds")
    assert main(["explain", "slow"]) == 1
    assert "drop-1%" in capsys.readouterr().err
