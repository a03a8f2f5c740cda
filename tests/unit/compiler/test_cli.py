"""The command line on the embedded example: what it prints, what it writes, and that dumps are inputs."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from autosplitc.cli import main, with_command
from autosplitc.ir import CompileError, print_module, read_dump
from autosplitc.manifest import check_manifest
from autosplitc.passes import ALIASES, FACT_TYPES, Choice, Liveness, Plan, Solutions, pass_names

from .conftest import Tool

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "fashion"
CALIB = ("--calib", str(EXAMPLE / "calib.npz"))
COMPILE = (str(EXAMPLE / "fashion.onnx"), "-t", "eyeriss", "--net", "ble", "--edge-memory", "96KiB", *CALIB)
MEASURED = (" quality", " check", " wrote")
"""Lines of the summary that say something of this machine."""


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the bundle of the example, with dumps; tests must not change it."""
    folder = tmp_path_factory.mktemp("example") / "out"
    assert main([*COMPILE, "-q", "-o", str(folder), "--dump-ir", str(folder / "ir")]) == 0
    return folder


def files_of(folder: Path) -> Mapping[str, bytes]:
    """Return what must be the same from run to run: every file but the measurements and the dumps."""
    found = {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    return {name: data for name, data in found.items() if name != "measurements.json" and not name.startswith("ir/")}


def load(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_summary(tool: Tool, tmp_path: Path, golden: Any) -> None:
    done = tool(*COMPILE, "--codec", "none", "-o", tmp_path / "out")
    assert done.code == 0
    assert done.err == ""
    kept = "\n".join(line for line in done.out.splitlines() if not line.startswith(MEASURED)) + "\n"
    golden(re.sub(r"file \S+ \wB", "file SIZE", kept), suffix=".txt")
    assert re.search(r"^ quality   .*measured on the emitted files, calibration, n = 16$", done.out, re.MULTILINE)
    assert " check     halves = whole, bit for bit" in done.out
    assert f" wrote     {tmp_path / 'out'}" in done.out


def test_a_bundle_holds_what_it_should(example: Path) -> None:
    tables = ["layers.csv", "manifest.json", "problem.json", "report.html", "solutions.csv"]
    names = ["cloud.onnx", "edge.onnx", *tables, "tensor_quant_overrides.json"]
    assert sorted(files_of(example)) == names
    assert sorted(p.name for p in example.iterdir()) == sorted([*names, "ir", "measurements.json"])
    assert [p.name for p in sorted((example / "ir").glob("*.air"))] == [f"{i:02d}-{n}.air" for i, n in enumerate(("import", *pass_names()))]


def test_the_manifest_fits_its_schema_and_the_files(example: Path) -> None:
    manifest = load(example / "manifest.json")
    check_manifest(manifest)
    for side in manifest["graphs"].values():
        for file in side["files"]:
            data = (example / file["name"]).read_bytes()
            assert (hashlib.sha256(data).hexdigest(), len(data)) == (file["sha256"], file["bytes"])
    assert manifest["source"]["sha256"] == hashlib.sha256((EXAMPLE / "fashion.onnx").read_bytes()).hexdigest()
    assert manifest["calibrated"] is True
    assert sum(t["nbytes"] for t in manifest["wire"]["tensors"]) == manifest["wire"]["bytes_per_sample"]
    assert manifest["graphs"]["edge"]["outputs"][0]["name"] == manifest["wire"]["payload"]
    assert manifest["predicted"]["payload_bytes"] == manifest["wire"]["bytes_per_sample"]


@pytest.mark.parametrize(
    "change",
    [{"schema": "x"}, {"calibrated": 1}, {"more": 1}, {"decision": {}}, {"bits": {"weights": {"w": 9}, "activations": {}, "wire": {}}}],
)
def test_a_manifest_that_does_not_fit_is_refused(example: Path, change: dict[str, Any]) -> None:
    with pytest.raises(CompileError) as caught:
        check_manifest({**load(example / "manifest.json"), **change})
    assert caught.value.diagnostics[0].code == "AS631"


def test_the_tables_agree_with_the_module(example: Path) -> None:
    module = read_dump(example / "ir" / f"{len(pass_names()):02d}-partition.air", FACT_TYPES)
    plans, chosen = module.fact(Solutions).plans, module.fact(Choice).index
    plan: Plan = plans[chosen]
    with (example / "solutions.csv").open(encoding="utf-8") as file:
        solutions = list(csv.DictReader(file))
    assert [int(row["payload_bytes"]) for row in solutions] == [p.payload_bytes for p in plans]
    assert [row["number"] for row in solutions if row["chosen"] == "1"] == [str(chosen + 1)]
    with (example / "layers.csv").open(encoding="utf-8") as file:
        layers = list(csv.DictReader(file))
    assert [row["node"] for row in layers] == [op.name for op in module.main.ops]
    edge = [row for row in layers if row["side"] == "edge"]
    assert len(edge) == plan.position
    assert sum(float(row["latency_ms"]) for row in edge) == pytest.approx(plan.edge_s * 1e3, abs=1e-4)
    assert sum(float(row["latency_ms"]) for row in layers if row["side"] == "cloud") == pytest.approx(plan.cloud_s * 1e3, abs=1e-4)
    assert max(int(row["ram_bytes"]) for row in edge) <= plan.ram_bytes
    assert all(float(row["sqnr_db"]) > 10 for row in edge)


def test_two_runs_give_the_same_bytes(tool: Tool, example: Path, tmp_path: Path) -> None:
    assert tool(*COMPILE, "-q", "-o", tmp_path / "elsewhere").code == 0
    assert files_of(tmp_path / "elsewhere") == files_of(example)


@pytest.mark.parametrize("name", ["import", "drop-identities", "enumerate-splits", "choose-plan"])
def test_going_on_from_a_dump_gives_the_same_bytes(tool: Tool, example: Path, tmp_path: Path, name: str) -> None:
    (dump,) = (example / "ir").glob(f"*-{name}.air")
    rest = pass_names()[pass_names().index(name) + 1 :] if name in pass_names() else pass_names()
    done = tool("opt", dump, "-p", ",".join(rest), "-q", "-o", tmp_path / "out", *CALIB)
    assert done.code == 0
    known = {name: data for name, data in files_of(example).items() if name != "tensor_quant_overrides.json"}
    assert files_of(tmp_path / "out") == known, "a dump does not hold the model as it was given, which overrides speak of"


def test_every_dump_prints_as_it_was_read(example: Path) -> None:
    for path in sorted((example / "ir").glob("*.air")):
        assert print_module(read_dump(path, FACT_TYPES)) == path.read_text(encoding="utf-8"), path.name


def test_flags_override_the_request_of_a_dump(tool: Tool, example: Path, tmp_path: Path) -> None:
    (dump,) = (example / "ir").glob("*-enumerate-splits.air")
    done = tool("opt", dump, "-p", "plan,lower", "--net", "100mbps", "--json", "-o", tmp_path / "out", *CALIB)
    assert done.code == 0
    manifest = json.loads(done.out)["manifest"]
    assert manifest["options"]["net"] == "100mbps"
    assert manifest["options"]["edge_ram_bytes"] == 96 * 1024
    assert manifest["predicted"]["link_s"] < load(example / "manifest.json")["predicted"]["link_s"] / 10


def test_an_override_that_unsettles_an_analysis_asks_for_it_again(tool: Tool, example: Path, tmp_path: Path) -> None:
    (dump,) = (example / "ir").glob("*-enumerate-splits.air")
    done = tool("opt", dump, "-p", "plan,lower", "-t", "tpu", "-o", tmp_path / "out")
    assert done.code == 2
    assert "needs fact 'costs'" in done.err


def test_pick_takes_another_solution(tool: Tool, example: Path, tmp_path: Path) -> None:
    (dump,) = (example / "ir").glob("*-assign-bits.air")
    with (example / "solutions.csv").open(encoding="utf-8") as file:
        number = next(row["number"] for row in csv.DictReader(file) if row["kind"] == "cloud-only")
    done = tool("opt", dump, "-p", "choose-plan,lower", "--pick", number, "--json", "-o", tmp_path / "out", *CALIB)
    assert done.code == 0
    assert json.loads(done.out)["manifest"]["decision"]["kind"] == "cloud-only"
    assert "warning[AS505]" in done.err


def test_json_is_one_object_with_everything(tool: Tool, tmp_path: Path) -> None:
    done = tool("--json", "compile", *COMPILE, "-o", tmp_path / "out")
    found = json.loads(done.out)
    assert sorted(found) == ["folder", "manifest", "measurements", "solutions", "warnings"]
    assert found["manifest"] == load(tmp_path / "out" / "manifest.json")
    assert found["measurements"] == load(tmp_path / "out" / "measurements.json")
    assert found["measurements"]["check"]["halves_equal_whole"] is True


def test_without_data_it_says_so(tool: Tool, tmp_path: Path) -> None:
    done = tool(*COMPILE[:-2], "-o", tmp_path / "out")
    assert done.code == 0
    assert "warning[AS320]" in done.err
    assert " data      none" in done.out
    assert load(tmp_path / "out" / "manifest.json")["calibrated"] is False


def test_a_pipeline_that_ends_early_prints_the_module(tool: Tool, tmp_path: Path) -> None:
    done = tool(*COMPILE, "--stop-after", "liveness", "--dump-ir", tmp_path / "ir", "--time-passes", "--dump-after", "fold-constants")
    assert done.code == 0
    module = read_dump(next((tmp_path / "ir").glob("*-liveness.air")), FACT_TYPES)
    assert module.get(Liveness) is not None
    assert done.out == next((tmp_path / "ir").glob("*-liveness.air")).read_text()
    assert done.err.startswith("autosplitc ir 1\n")
    assert re.search(r"^calibrate +\d+\.\d{3} +\d+%$", done.err, re.MULTILINE)


def test_inspect(tool: Tool, golden: Any) -> None:
    done = tool("inspect", EXAMPLE / "fashion.onnx")
    assert done.code == 0
    golden(done.out, suffix=".txt")
    found = json.loads(tool("inspect", EXAMPLE / "fashion.onnx", "--json").out)
    assert found["not_understood"] == {}
    assert found["cuts"][0]["float_bytes"] == 4 * found["cuts"][0]["code_bytes"] == 4 * 784


def test_verify(tool: Tool, example: Path) -> None:
    done = tool("verify", example)
    assert (done.code, done.err) == (0, "")
    assert [line.split()[0] for line in done.out.splitlines()] == ["ok"] * 4
    assert json.loads(tool("verify", example, "--json").out)["folder"] == str(example)


def test_lists(tool: Tool) -> None:
    passes = tool("--list-passes").out
    assert all(re.search(rf"^{name} ", passes, re.MULTILINE) for name in (*pass_names(), *ALIASES))
    targets = tool("--list-targets").out
    assert targets == tool("targets", "list").out
    assert [row["name"] for row in json.loads(tool("targets", "list", "--json").out)] == re.findall(r"^([a-z]\S*)", targets, re.MULTILINE)
    assert tool("zoo", "list").out.startswith("NAME")
    assert tool("--version").out.startswith("autosplitc, version ")


def test_help_names_every_command_and_flag(tool: Tool) -> None:
    commands = tool().out
    assert "\n  autosplitc model.onnx -t eyeriss --net 3mbps -o out\n" in commands
    assert all(re.search(rf"^  {name} ", commands, re.MULTILINE) for name in ("compile", "inspect", "opt", "targets", "verify", "zoo"))
    flags = tool("compile", "--help").out
    wanted = ("edge", "net", "cloud", "output", "calib", "eval", "cut", "keep-float", "pick", "passes", "set", "dump-ir", "json", "seed")
    assert all(f"--{flag} " in flags for flag in wanted)


@pytest.mark.parametrize(
    ("args", "meant"),
    [
        ([], ["--help"]),
        (["m.onnx", "-o", "x"], ["compile", "m.onnx", "-o", "x"]),
        (["-o", "opt", "m.onnx"], ["compile", "-o", "opt", "m.onnx"]),
        (["-q", "opt", "x.air"], ["opt", "-q", "x.air"]),
        (["--json", "-v", "zoo", "list"], ["zoo", "--json", "-v", "list"]),
        (["compile", "opt"], ["compile", "opt"]),
        (["--version"], ["--version"]),
    ],
)
def test_the_word_compile_may_be_left_out(args: list[str], meant: list[str]) -> None:
    assert with_command(args) == meant
