"""What a user reads whose target file is wrong: one text a mistake, with line and column, exit code 1, and nothing written."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest
from onnx import TensorProto, helper

from autosplitc.cli import main

Golden: TypeAlias = Callable[..., None]

SYSTOLIC = """\
schema = "autosplitc-target/1"
name = "acme-npu"
model = "systolic"
source = "ACME TRM"
weight_bits = [4, 8]
act_bits = [8]

[memory]
ram = "4MiB"
bandwidth = "1GB/s"
overlap = false
buffers = { input = "108KiB", weight = "108KiB", output = "108KiB" }

[compute]
array = [12, 14]
dataflow = "ws"
clock = "200MHz"
vector = "2GB/s"
per_op = "5us"

[sources]
"memory.ram" = "ACME TRM, table 3"
"""
ROOFLINE = """\
schema = "autosplitc-target/1"
name = "board"
model = "roofline"
source = "ACME data sheet"
[memory]
ram = "1GB"
bandwidth = "4GB/s"
[compute]
peak = { float = "10GFLOPS", int8 = "20GOPS", int4 = "40GOPS" }
efficiency = 0.5
vector = "8GB/s"
"""
STEPS = 'mode = "serial"\nweight_step = 1\ninput_step = 1\n'
BIT_SERIAL = SYSTOLIC.replace('"systolic"', '"bit-serial"').replace("[compute]\n", f"[compute]\n{STEPS}")
LAST_CURVE = """\
work = [1e4]
latency = { float = ["2ms"], 8 = ["1ms"], 4 = ["1ms"] }
"""
TABLE = """\
schema = "autosplitc-target/1"
name = "estimated"
model = "table"
source = "ACME estimator"
weight_bits = [4, 8]
act_bits = [8]
[memory]
ram = "512KiB"
[[compute.ops]]
kinds = ["conv", "gemm"]
work = [1e5, 1e7]
latency = { float = ["2ms", "9ms"], 8 = ["1ms", "4ms"], 4 = ["1ms", "4ms"] }
[[compute.ops]]
kinds = ["*"]
""" + LAST_CURVE

CASES: dict[str, tuple[str, str, str]] = {
    "syntax-unquoted": (SYSTOLIC, 'ram = "4MiB"', "ram = 4MiB"),
    "syntax-open-text": (SYSTOLIC, 'ram = "4MiB"', 'ram = "4MiB'),
    "syntax-open-array": (SYSTOLIC, "array = [12, 14]", "array = [12, 14"),
    "syntax-twice": (SYSTOLIC, 'vector = "2GB/s"', 'vector = "2GB/s"\nvector = "2GB/s"'),
    "syntax-nested": (SYSTOLIC, "[12, 14]", "[" * 5000 + "]" * 5000),
    "schema-missing": (SYSTOLIC, 'schema = "autosplitc-target/1"\n', ""),
    "schema-newer": (SYSTOLIC, "autosplitc-target/1", "autosplitc-target/2"),
    "model-missing": (SYSTOLIC, 'model = "systolic"\n', ""),
    "model-unknown": (SYSTOLIC, '"systolic"', '"sistolic"'),
    "empty": (SYSTOLIC, SYSTOLIC, ""),
    "key-unknown": (SYSTOLIC, "clock =", "clok ="),
    "key-unknown-far": (SYSTOLIC, "per_op =", "xyzzy ="),
    "key-in-another-table": (SYSTOLIC, "[memory]\n", 'clock = "1MHz"\n[memory]\n'),
    "key-of-another-model": (SYSTOLIC, "per_op =", "lanes = 4\nper_op ="),
    "key-in-inline-table": (SYSTOLIC, "{ input", "{ imput"),
    "table-unknown": (SYSTOLIC, "[compute]", "[compote]"),
    "table-is-no-table": (SYSTOLIC, 'buffers = { input = "108KiB", weight = "108KiB", output = "108KiB" }', 'buffers = "192KiB"'),
    "value-is-a-table": (SYSTOLIC, '"4MiB"', '{ size = "4MiB" }'),
    "key-missing": (SYSTOLIC, 'ram = "4MiB"\n', ""),
    "key-missing-at-top": (SYSTOLIC, 'source = "ACME TRM"\n', ""),
    "key-missing-inline": (SYSTOLIC, ', output = "108KiB"', ""),
    "table-missing": (ROOFLINE, '[memory]\nram = "1GB"\nbandwidth = "4GB/s"\n', ""),
    "clock-missing": (SYSTOLIC, 'clock = "200MHz"\n', ""),
    "clock-and-peak": (SYSTOLIC, 'clock = "200MHz"', 'clock = "200MHz"\npeak = "34GOPS"'),
    "unit-missing": (SYSTOLIC, '"4MiB"', "4194304"),
    "unit-missing-small": (SYSTOLIC, '"200MHz"', "200"),
    "unit-missing-in-text": (SYSTOLIC, '"200MHz"', '"200"'),
    "unit-wrong": (SYSTOLIC, '"1GB/s"', '"1GHz"'),
    "unit-wrong-case": (SYSTOLIC, '"200MHz"', '"200Mhz"'),
    "unit-of-bits": (SYSTOLIC, '"1GB/s"', '"100mbps"'),
    "rate-negative": (SYSTOLIC, '"1GB/s"', '"-1GB/s"'),
    "rate-zero": (ROOFLINE, '"10GFLOPS"', '"0GFLOPS"'),
    "clock-zero": (SYSTOLIC, '"200MHz"', '"0MHz"'),
    "size-zero": (SYSTOLIC, '"4MiB"', '"0MiB"'),
    "size-negative": (SYSTOLIC, 'weight = "108KiB"', 'weight = "-108KiB"'),
    "size-below-a-byte": (SYSTOLIC, '"4MiB"', '"0.5B"'),
    "time-negative": (SYSTOLIC, '"5us"', '"-5us"'),
    "quantity-is-no-number": (SYSTOLIC, '"4MiB"', '"four MiB"'),
    "type-bool": (SYSTOLIC, "overlap = false", 'overlap = "no"'),
    "type-bool-for-count": (SYSTOLIC, "act_bits = [8]\n", "act_bits = [8]\nmax_opset = true\n"),
    "type-array": (SYSTOLIC, "[12, 14]", "[12]"),
    "array-zero": (SYSTOLIC, "[12, 14]", "[12, 0]"),
    "array-fraction": (SYSTOLIC, "[12, 14]", "[12.5, 14]"),
    "word-near": (SYSTOLIC, 'dataflow = "ws"', 'dataflow = "w"'),
    "word-far": (SYSTOLIC, 'dataflow = "ws"', 'dataflow = "output stationary"'),
    "name-empty": (SYSTOLIC, '"acme-npu"', '""'),
    "bits-order": (SYSTOLIC, "[4, 8]", "[8, 4]"),
    "bits-no-list": (SYSTOLIC, "[4, 8]", "8"),
    "bits-too-many": (SYSTOLIC, "[4, 8]", "[4, 16]"),
    "kind-near": (SYSTOLIC, "[memory]\n", 'unsupported = ["LSTM", "max-pool"]\n[memory]\n'),
    "kind-far": (SYSTOLIC, "[memory]\n", 'unsupported = ["xyzzy"]\n[memory]\n'),
    "efficiency": (ROOFLINE, "0.5", "60"),
    "refused-step": (BIT_SERIAL, "weight_step = 1", "weight_step = 9"),
    "refused-peaks": (ROOFLINE, '"40GOPS"', '"4GOPS"'),
    "sources-unknown": (SYSTOLIC, '"memory.ram" =', '"memory.rom" ='),
    "sources-no-text": (SYSTOLIC, '"ACME TRM, table 3"', "3"),
    "sources-no-table": (ROOFLINE, "[memory]", "sources = 1\n[memory]"),
    "hole-column": (TABLE, ', 4 = ["1ms", "4ms"]', ""),
    "hole-columns": (TABLE, 'latency = { float = ["2ms"], 8 = ["1ms"], 4 = ["1ms"] }', 'latency = { 8 = ["1ms"] }'),
    "hole-length": (TABLE, '8 = ["1ms", "4ms"]', '8 = ["1ms"]'),
    "hole-kinds": (TABLE, 'kinds = ["*"]', 'kinds = ["add"]'),
    "curves-no-tables": (TABLE, TABLE[TABLE.index("[[compute.ops]]") :], "[compute]\nops = 3\n"),
    "curves-missing": (TABLE, TABLE[TABLE.index("[[compute.ops]]") :], ""),
    "curve-key-unknown": (TABLE, "work = [1e4]", "wrok = [1e4]"),
    "curve-key-missing": (TABLE, "work = [1e4]\n", ""),
    "curve-column-unknown": (TABLE, "8 = [", "16 = ["),
    "curve-kind-twice": (TABLE, 'kinds = ["*"]', f'kinds = ["*"]\n{LAST_CURVE}[[compute.ops]]\nkinds = ["conv"]'),
    "curve-kind-unknown": (TABLE, '"gemm"', '"gem"'),
    "curve-kinds-empty": (TABLE, '["*"]', "[]"),
    "curve-work-order": (TABLE, "[1e5, 1e7]", "[1e7, 1e5]"),
    "curve-work-text": (TABLE, "[1e4]", '["1e4"]'),
    "curve-time-without-unit": (TABLE, '"9ms"', "9"),
    "curve-time-negative": (TABLE, '"9ms"', '"-9ms"'),
    "curve-time-falls": (TABLE, '"9ms"', '"1ms"'),
    "curve-times-no-list": (TABLE, '["2ms"]', '"2ms"'),
}
"""Name, and the file with the first text replaced by the second."""

SEVERAL = """\
schema = "autosplitc-target/1"
name = "acme-npu"
model = "systolic"
sorce = "ACME TRM"
weight_bits = [8, 4]
[memory]
bandwidth = "1 mbps"
ram = 4
buffers = { input = "108KiB", weigth = "108KiB", output = "-1KiB" }
[compute]
array = [12, 0]
dataflow = "ws"
clok = "200MHz"
vector = "2GB"
"""

V3 = """\
[general]
run_name = tiny
[architecture_presets]
ArrayHeight: 12
ArrayWidth: 14
IfmapSramSzkB: 36
FilterSramSzkB: 36
OfmapSramSzkB: 36
Dataflow : ws
Bandwidth : 10
[sparsity]
SparsitySupport : false
[run_presets]
InterfaceBandwidth: CALC
"""
USER = "[run_presets]\nInterfaceBandwidth: USER\n"
CFG_CASES: dict[str, tuple[str, str]] = {
    "cfg-missing": ("ArrayHeight: 12\n", ""),
    "cfg-section-missing": (V3[V3.index("[architecture") : V3.index("[sparsity]")], ""),
    "cfg-zero": ("ArrayHeight: 12", "ArrayHeight: 0"),
    "cfg-size": ("FilterSramSzkB: 36", "FilterSramSzkB: 36kB"),
    "cfg-dataflow": ("Dataflow : ws", "Dataflow : rs"),
    "cfg-interface": ("InterfaceBandwidth: CALC", "InterfaceBandwidth: AUTO"),
    "cfg-no-bandwidth": (V3[V3.index("Bandwidth : 10") :], USER),
    "cfg-bandwidths": (V3[V3.index("Bandwidth : 10") :], f"Bandwidth : 10,5\n{USER}"),
    "cfg-line": ("ArrayHeight: 12", "ArrayHeight 12"),
    "cfg-outside": ("[general]\n", ""),
    "cfg-twice": ("ArrayHeight: 12", "ArrayHeight: 12\narrayheight: 13"),
    "cfg-sparsity": ("SparsitySupport : false", "SparsitySupport : True"),
}


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[str], str]:
    """Return a function that compiles for a target in a folder of its own and returns stderr and exit code; nothing may be written."""
    monkeypatch.chdir(tmp_path)
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "tiny", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    Path("m.onnx").write_bytes(model.SerializeToString())

    def run(target: str) -> str:
        before = {p: p.read_bytes() if p.is_file() else b"" for p in tmp_path.rglob("*")}
        code = main(["m.onnx", "-t", target, "--net", "3mbps", "-o", "out"])
        text = capsys.readouterr().err
        assert "Traceback" not in text
        assert {p: p.read_bytes() if p.is_file() else b"" for p in tmp_path.rglob("*")} == before
        return f"{text}exit {code}\n"

    return run


@pytest.mark.parametrize("text", [SYSTOLIC, ROOFLINE, BIT_SERIAL, TABLE], ids=["systolic", "roofline", "bit-serial", "table"])
def test_the_files_are_right_before_they_are_damaged(text: str, tmp_path: Path) -> None:
    from autosplitc.targets import load_target

    (tmp_path / "acme.toml").write_text(text, encoding="utf-8")
    assert load_target(str(tmp_path / "acme.toml"))


@pytest.mark.parametrize("case", CASES)
def test_a_wrong_file_is_explained(case: str, said: Callable[[str], str], golden: Golden) -> None:
    text, old, new = CASES[case]
    assert old in text
    Path("acme.toml").write_text(text.replace(old, new, 1), encoding="utf-8")
    found = said("acme.toml")
    assert re.search(r"acme\.toml:\d+:\d+", found)
    assert found.endswith("exit 1\n")
    golden(re.sub(r"no TOML: .*", "no TOML: ...", found) if case.startswith("syntax") else found, case, ".txt")


def test_several_mistakes_are_said_at_once(said: Callable[[str], str], golden: Golden) -> None:
    Path("acme.toml").write_text(SEVERAL, encoding="utf-8")
    golden(said("acme.toml"), "several", ".txt")


@pytest.mark.parametrize("case", CFG_CASES)
def test_a_wrong_configuration_is_explained(case: str, said: Callable[[str], str], golden: Golden) -> None:
    old, new = CFG_CASES[case]
    assert old in V3
    Path("tiny.cfg").write_text(V3.replace(old, new, 1), encoding="utf-8")
    found = said("tiny.cfg:clock=1MHz,ram=1MB,bandwidth=1MB/s")
    assert re.search(r"tiny\.cfg:\d+:\d+", found)
    assert found.endswith("exit 1\n")
    golden(found, case, ".txt")


@pytest.mark.parametrize(
    ("case", "target"),
    [
        ("cfg-says-too-little", "tiny.cfg"),
        ("cfg-lacks-one", "tiny.cfg:clock=1MHz,rows=4,ram=1MB"),
        ("cfg-option-unknown", "tiny.cfg:clok=1MHz,ram=1MB,bandwidth=1MB/s"),
        ("option-without-unit", "acme.toml:clock=3"),
        ("option-refused", "acme.toml:rows=0"),
        ("option-not-plain", "acme.toml:sources=me"),
        ("option-empty", "acme.toml:"),
    ],
)
def test_wrong_options_on_a_file_are_usage(case: str, target: str, said: Callable[[str], str], golden: Golden) -> None:
    Path("tiny.cfg").write_text(V3, encoding="utf-8")
    Path("acme.toml").write_text(SYSTOLIC, encoding="utf-8")
    found = said(target)
    assert found.endswith("exit 2\n")
    golden(found, case, ".txt")


@pytest.mark.parametrize(
    ("case", "target"),
    [
        ("file-missing", "acne.toml"),
        ("file-in-missing-folder", "nowhere/acme.toml"),
        ("file-missing-options", "nowhere.json:interpolate=true"),
        ("file-of-another-kind", "./acme.yaml"),
        ("file-without-suffix", "notes"),
        ("file-is-a-folder", "folder.toml"),
        ("file-no-text", "latin.toml"),
        ("drive", "C:\\targets\\acme.toml:clock=1MHz"),
    ],
)
def test_a_file_that_cannot_be_read_is_explained(case: str, target: str, said: Callable[[str], str], golden: Golden) -> None:
    Path("acme.toml").write_text(SYSTOLIC, encoding="utf-8")
    Path("notes").write_text("", encoding="utf-8")
    Path("folder.toml").mkdir()
    Path("latin.toml").write_bytes('source = "Prüfstand"'.encode("latin-1"))
    found = said(target)
    assert found.endswith("exit 1\n")
    golden(found, case, ".txt")


def test_a_target_file_in_the_output_folder_is_not_overwritten(said: Callable[[str], str], golden: Golden) -> None:
    Path("out").mkdir()
    Path("out/acme.toml").write_text(SYSTOLIC, encoding="utf-8")
    golden(said("out/acme.toml:clock=100MHz"), "file-in-output", ".txt")
