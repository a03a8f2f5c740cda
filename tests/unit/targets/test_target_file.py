"""Targets from TOML files: every key reaches its field, defaults are those of the class, options work on top."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from autosplitc.targets import (
    BitSerialTarget,
    Curve,
    RooflineTarget,
    SystolicTarget,
    TableTarget,
    Target,
    load_target,
    option_fields,
    read_target_file,
    target_file_of,
)
from autosplitc.targets.target_schema import MODELS, keys_of
from autosplitc.targets.target_toml import read_toml_target

TOP = """
schema = "autosplitc-target/1"
name = "acme"
source = "here"
model = "{model}"
weight_bits = [2, 4, 8]
act_bits = [4, 8]
float_bits = 64
resident = "{resident}"
max_opset = 19
unsupported = ["lstm", "onnx.Warp", "onnx.Conv"]
[sources]
"memory.ram" = "page 3"
compute.per_op = "page 4"
[memory]
ram = "3MiB"
storage = "5MB"
"""
MOVING = """
bandwidth = "1.5GB/s"
overlap = {overlap}
"""
ARRAY = """
buffers.input = "1KiB"
buffers.weight = "2KiB"
buffers.output = "3KiB"
[compute]
array = [5, 7]
dataflow = "is"
cycles = "scalesim-v3"
clock = "250MHz"
ops_per_mac = 1
depthwise = "block-diagonal"
float_passes = 4
accumulator_bits = 24
vector = "3GB/s"
per_op = "7us"
"""
SYSTOLIC = (TOP + MOVING + ARRAY).format(model="systolic", resident="int8", overlap="true")
BIT_SERIAL = (TOP + MOVING + ARRAY).format(model="bit-serial", resident="int8", overlap="true") + """
mode = "fused"
weight_step = 2
input_step = 4
lanes = 3
"""
ROOFLINE = (TOP + MOVING).format(model="roofline", resident="packed", overlap="false") + """
[compute]
peak = { float = "1GFLOPS", int8 = "2GOPS", int4 = "3.5GOPS" }
ops_per_mac = 1
efficiency = 0.25
vector = "3GB/s"
per_op = "7us"
"""
TABLE = TOP.format(model="table", resident="packed") + """
[compute]
per_op = "7us"
[[compute.ops]]
kinds = ["gemm", "pack"]
work = [10, 2e3]
latency = { float = ["1ms", "2ms"], 8 = ["1us", "2us"], 4 = ["0s", "2us"], 2 = ["0s", "0s"] }
[[compute.ops]]
kinds = ["*"]
work = [1]
latency.float = ["5ns"]
latency.8 = ["4ns"]
latency.4 = ["4ns"]
latency.2 = ["4ns"]
"""
TOP_FIELDS: dict[str, Any] = {
    "name": "acme",
    "source": "here",
    "weight_bits": (2, 4, 8),
    "act_bits": (4, 8),
    "float_bits": 64,
    "max_opset": 19,
    "unsupported": ("lstm", "onnx.LSTM", "onnx.Warp", "conv", "onnx.Conv"),
    "sources": (("memory.ram", "page 3"), ("compute.per_op", "page 4")),
    "ram_bytes": 3 * 2**20,
    "storage_bytes": 5_000_000,
    "per_op_s": 7e-6,
}
ARRAY_FIELDS: dict[str, Any] = {
    "resident": "int8",
    "bandwidth_bytes_per_s": 1.5e9,
    "overlap": True,
    "input_buffer_bytes": 1024,
    "weight_buffer_bytes": 2048,
    "output_buffer_bytes": 3072,
    "rows": 5,
    "cols": 7,
    "dataflow": "is",
    "cycles": "scalesim-v3",
    "clock_hz": 250e6,
    "ops_per_mac": 1,
    "depthwise": "block-diagonal",
    "float_passes": 4,
    "accumulator_bits": 24,
    "vector_bytes_per_s": 3e9,
}
WHOLE: dict[str, tuple[str, dict[str, Any]]] = {
    "systolic": (SYSTOLIC, ARRAY_FIELDS),
    "bit-serial": (BIT_SERIAL, ARRAY_FIELDS | {"mode": "fused", "weight_step_bits": 2, "input_step_bits": 4, "lanes": 3}),
    "roofline": (
        ROOFLINE,
        {
            "resident": "packed",
            "bandwidth_bytes_per_s": 1.5e9,
            "overlap": False,
            "float_ops_per_s": 1e9,
            "int8_ops_per_s": 2e9,
            "int4_ops_per_s": 3.5e9,
            "ops_per_mac": 1,
            "efficiency": 0.25,
            "vector_bytes_per_s": 3e9,
        },
    ),
    "table": (
        TABLE,
        {
            "resident": "packed",
            "curves": (
                Curve(
                    kinds=("gemm", "onnx.Gemm", "pack"),
                    work=(10.0, 2e3),
                    seconds={"float": (1e-3, 2e-3), "8": (1e-6, 2e-6), "4": (0.0, 2e-6), "2": (0.0, 0.0)},
                ),
                Curve(kinds=("*",), work=(1.0,), seconds={"float": (5e-9,), "8": (4e-9,), "4": (4e-9,), "2": (4e-9,)}),
            ),
        },
    ),
}


def read(text: str) -> Any:
    return read_toml_target(text, "acme.toml")


@pytest.mark.parametrize("model", WHOLE)
def test_every_key_reaches_its_field(model: str) -> None:
    text, wanted = WHOLE[model]
    target = read(text)
    assert type(target) is MODELS[model]
    assert {f.name: getattr(target, f.name) for f in dataclasses.fields(target)} == TOP_FIELDS | wanted
    assert isinstance(target, Target)


@pytest.mark.parametrize("model", WHOLE)
def test_those_files_differ_from_every_default(model: str) -> None:
    target = read(WHOLE[model][0])
    assert [f.name for f in dataclasses.fields(target) if getattr(target, f.name) == f.default] == []


@pytest.mark.parametrize("model", MODELS)
def test_the_keys_of_a_model_set_every_field_of_its_class(model: str) -> None:
    fields = [field for key in keys_of(model) for field in key.fields]
    assert len(set(fields)) == len(fields)
    assert {*fields, "sources"} == {f.name for f in dataclasses.fields(MODELS[model])}


def minimal(model: str) -> str:
    """Return a file with the keys alone that a model needs."""
    tables: dict[str, list[str]] = {"": []}
    for key in keys_of(model):
        if key.defaults(model) is None and key.path != "compute.ops":
            table, _, last = key.path.rpartition(".")
            value = f'"{model}"' if key.path == "model" else key.example
            tables.setdefault(table, []).append(f"{last} = {value}")
    text = "\n".join("\n".join(([f"[{table}]"] if table else []) + lines) for table, lines in tables.items())
    if model == "table":
        text += '\n[[compute.ops]]\nkinds = ["*"]\nwork = [1]\nlatency = { float = ["1s"], 8 = ["1s"] }\n'
    return text


@pytest.mark.parametrize("model", MODELS)
def test_defaults_are_those_of_the_class(model: str) -> None:
    target = read(minimal(model))
    for field in dataclasses.fields(target):
        if field.default is not dataclasses.MISSING:
            assert getattr(target, field.name) == field.default, field.name


def test_a_peak_gives_the_clock() -> None:
    text = SYSTOLIC.replace('clock = "250MHz"', 'peak = "70GOPS"')
    target = read(text)
    assert target.clock_hz == pytest.approx(2e9, rel=1e-12)
    assert target.peak_ops_per_s == pytest.approx(70e9, rel=1e-12)
    assert read(text.replace("ops_per_mac = 1", "ops_per_mac = 2")).clock_hz == pytest.approx(1e9, rel=1e-12)


def test_the_peak_of_a_bit_serial_array_is_that_at_8_bits() -> None:
    target = read(BIT_SERIAL.replace('clock = "250MHz"', 'peak = "70GOPS"'))
    assert target.peak_ops_per_s == pytest.approx(70e9, rel=1e-12)


@pytest.mark.parametrize(("before", "line_end", "after"), [("\ufeff", "\n", ""), ("", "\r\n", ""), ("", "\n", "\n# Prüfstand")])
def test_marks_line_ends_and_comments_change_nothing(before: str, line_end: str, after: str, tmp_path: Path) -> None:
    path = tmp_path / "acme.TOML"
    path.write_bytes(f"{before}{SYSTOLIC.replace(chr(10), line_end)}{after}".encode())
    assert read_target_file(path) == read(SYSTOLIC)


def test_all_ways_to_write_a_table_are_one() -> None:
    dotted = SYSTOLIC.replace("[memory]\n", "").replace('ram = "3MiB"', "").replace("[sources]", 'memory.ram = "3MiB"\n[sources]')
    for key in ("storage", "bandwidth", "overlap", "buffers.input", "buffers.weight", "buffers.output"):
        line = next(line for line in dotted.splitlines() if line.startswith(f"{key} ="))
        dotted = dotted.replace(f"{line}\n", "").replace("[sources]", f"memory.{line}\n[sources]")
    assert read(dotted) == read(SYSTOLIC)


def test_options_work_on_files(tmp_path: Path) -> None:
    path = tmp_path / "my device.toml"
    for model, (text, _) in WHOLE.items():
        path.write_text(text, encoding="utf-8")
        target = load_target(f"{path}:ram=9MB,per-op=1ms,weight-bits=8,unsupported=gru,storage=none")
        assert type(target) is MODELS[model]
        assert target.name == "acme:ram=9MB,per-op=1ms,weight-bits=8,unsupported=gru,storage=none"
        assert (target.ram_bytes, target.weight_bits, target.storage_bytes) == (9_000_000, (8,), None)
        assert load_target(str(path)) == read(text)


@pytest.mark.parametrize("model", WHOLE)
def test_every_plain_field_is_an_option(model: str) -> None:
    target = read(WHOLE[model][0])
    assert set(option_fields(target).values()) == {f.name for f in dataclasses.fields(target)} - {"name", "source", "sources", "curves"}


def test_rates_of_operations_are_options() -> None:
    changed = load_target("raspberry-pi-4:int8-ops=100GOPS,float-ops=50GFLOPS,int4-ops=0.2TOPS,efficiency=0.5")
    assert isinstance(changed, RooflineTarget)
    assert (changed.int8_ops_per_s, changed.float_ops_per_s, changed.int4_ops_per_s, changed.efficiency) == (100e9, 50e9, 0.2e12, 0.5)


def test_an_option_is_the_source_of_what_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "acme.toml"
    path.write_text(SYSTOLIC.replace('"memory.ram"', '"compute.clock"'), encoding="utf-8")
    target = load_target(f"{path}:clock=1MHz,rows=3")
    assert isinstance(target, SystolicTarget)
    assert dict(target.sources) == {
        "compute.per_op": "page 4",
        "compute.clock": "given as an option",
        "compute.array": "given as an option",
    }


def test_a_clock_that_comes_from_a_peak_loses_its_source_with_it(tmp_path: Path) -> None:
    path = tmp_path / "acme.toml"
    text = BIT_SERIAL.replace('clock = "250MHz"', 'peak = "70GOPS"').replace('"memory.ram"', '"compute.peak"')
    path.write_text(text, encoding="utf-8")
    target = load_target(f"{path}:clock=1MHz")
    assert isinstance(target, BitSerialTarget)
    assert dict(target.sources) == {"compute.per_op": "page 4", "compute.clock": "given as an option"}


def test_a_table_costs_what_it_says() -> None:
    target = read(TABLE)
    assert isinstance(target, TableTarget)
    assert target.curves[0].at("8", 10) == 1e-6


@pytest.mark.parametrize(
    ("text", "file"),
    [
        ("eyeriss", None),
        ("eyeriss:rows=3,weight-bits=4/8", None),
        ("acme.toml", "acme.toml"),
        (" a b/acme.toml ", "a b/acme.toml"),
        ("acme.toml:clock=3MHz", "acme.toml"),
        ("x.toml/y.cfg:clock=3MHz", "x.toml/y.cfg"),
        ("C:\\t\\acme.toml", "C:\\t\\acme.toml"),
        ("C:\\t\\acme.toml:clock=3MHz,ram=1MB", "C:\\t\\acme.toml"),
        ("C:acme.JSON:interpolate=true", "C:acme.JSON"),
        ("acme.tomlx", None),
        ("toml", None),
    ],
)
def test_the_file_behind_a_target(text: str, file: str | None) -> None:
    assert target_file_of(text) == (None if file is None else Path(file))
