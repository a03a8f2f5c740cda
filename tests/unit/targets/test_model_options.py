"""Figures of the models from the command line: every plain field is an option, with its unit, and nothing else is."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from autosplitc.ir import CompileError
from autosplitc.targets import BitSerialTarget, RooflineTarget, SystolicTarget, TableTarget, load_target, option_fields

TABLE = """
schema = "autosplitc-target/1"
name = "table"
model = "table"
source = "stopwatch"
[memory]
ram = "4MiB"
[[compute.ops]]
kinds = ["*"]
work = [1000]
latency = { float = ["4ms"], 8 = ["2ms"], 4 = ["1ms"] }
"""


@pytest.fixture
def table_file(tmp_path: Any) -> str:
    path = tmp_path / "table.toml"
    path.write_text(TABLE)
    return str(path)


def test_a_roofline_takes_rates_times_and_widths() -> None:
    target = load_target(
        "raspberry-pi-4:int8-ops=96GOPS,float-ops=24GFLOPS,int4-ops=1TOPS,ops-per-mac=1,efficiency=0.5,bandwidth=2GB/s,vector=1GB/s,"
        "per-op=2us,ram=1GiB,storage=none,weight-bits=4/8,act-bits=8,overlap=false,max-opset=17,unsupported=lstm/gru"
    )
    assert isinstance(target, RooflineTarget)
    assert (target.int8_ops_per_s, target.float_ops_per_s, target.int4_ops_per_s, target.ops_per_mac) == (96e9, 24e9, 1e12, 1)
    assert (target.efficiency, target.bandwidth_bytes_per_s, target.vector_bytes_per_s, target.per_op_s) == (0.5, 2e9, 1e9, 2e-6)
    assert (target.ram_bytes, target.storage_bytes, target.weight_bits, target.act_bits) == (2**30, None, (4, 8), (8,))
    assert (target.overlap, target.max_opset, target.unsupported) == (False, 17, ("lstm", "gru"))


def test_an_array_changes_its_mode() -> None:
    target = load_target(
        "bit-fusion:mode=serial,weight-step-bits=8,input-step-bits=1,lanes=16,clock=1GHz,output-buffer=64KiB,cycles=scalesim-v1"
    )
    assert isinstance(target, BitSerialTarget)
    assert (target.mode, target.weight_step_bits, target.input_step_bits, target.lanes) == ("serial", 8, 1, 16)
    assert (target.clock_hz, target.output_buffer_bytes, target.cycles) == (1e9, 65536, "scalesim-v1")


def test_a_table_takes_its_plain_fields(table_file: str) -> None:
    target = load_target(f"{table_file}:per-op=3us,ram=8MB,act-bits=4/8,weight-bits=4")
    assert isinstance(target, TableTarget)
    assert (target.per_op_s, target.ram_bytes, target.act_bits, target.weight_bits) == (3e-6, 8_000_000, (4, 8), (4,))


@pytest.mark.parametrize("kind", [SystolicTarget, RooflineTarget, BitSerialTarget, TableTarget])
def test_every_plain_field_is_an_option(kind: type, table_file: str) -> None:
    names = {SystolicTarget: "eyeriss", RooflineTarget: "raspberry-pi-4", BitSerialTarget: "bit-fusion", TableTarget: table_file}
    options = set(option_fields(load_target(names[kind])).values())
    assert options == {f.name for f in fields(kind)} - {"name", "source", "sources", "curves"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("raspberry-pi-4:int8-ops=0GOPS", "int8-ops '0GOPS' must be above zero"),
        ("raspberry-pi-4:int8-ops=96", "int8-ops '96' has no unit"),
        ("raspberry-pi-4:efficiency=1.5", "target 'raspberry-pi-4' refuses these options: efficiency must be at most 1, not 1.5"),
        ("raspberry-pi-4:bandwidth=-1GB/s", "bandwidth '-1GB/s' must be above zero"),
        ("raspberry-pi-4:sources=me", "target 'raspberry-pi-4' has no option 'sources'"),
        ("bit-fusion:mode=parallel", "option 'mode' cannot be 'parallel'"),
        ("bit-fusion:input-step-bits=3", "target 'bit-fusion' refuses these options: input_step_bits must be one of 1, 2, 4, 8, not 3"),
        ("bit-fusion:lanes=0", "target 'bit-fusion' refuses these options: lanes must be above zero, not 0"),
    ],
)
def test_values_that_make_no_sense_are_usage_errors(text: str, message: str) -> None:
    with pytest.raises(CompileError) as caught:
        load_target(text)
    assert caught.value.diagnostics[0].message == message
    assert caught.value.exit_code == 2


def test_a_width_that_the_table_has_no_times_for_is_refused(table_file: str) -> None:
    with pytest.raises(CompileError) as caught:
        load_target(f"{table_file}:weight-bits=2/8")
    assert caught.value.diagnostics[0].message == "target 'table' refuses these options: curves have a hole: * has no column 2"
