"""Targets from configurations of SCALE-Sim, the published ones of v1, v2 and v3 among them."""

from __future__ import annotations

from pathlib import Path

import pytest

from autosplitc.ir import CompileError
from autosplitc.targets import SystolicTarget, load_target, read_target_file
from autosplitc.targets.scalesim_cfg import read_cfg_target

DATA = Path(__file__).parents[2] / "data" / "scalesim"

GIVEN = "clock=700MHz,bandwidth=13GB/s,ram=16GiB"


def load(text: str) -> SystolicTarget:
    target = load_target(f"{DATA}/{text}")
    assert isinstance(target, SystolicTarget)
    return target


def test_a_configuration_of_v1() -> None:
    target = load(f"google_v1.cfg:{GIVEN}")
    assert (target.rows, target.cols, target.dataflow, target.cycles) == (256, 256, "os", "scalesim-v1")
    assert target.input_buffer_bytes == target.weight_buffer_bytes == target.output_buffer_bytes == 8192 * 1024
    assert (target.clock_hz, target.bandwidth_bytes_per_s, target.ram_bytes) == (700e6, 13e9, 16 * 2**30)
    assert target.name == f"GoogleTPU_os:{GIVEN}"


def test_a_configuration_of_v2() -> None:
    target = load(f"eyeriss_v2.cfg:{GIVEN}")
    assert (target.name, target.rows, target.cols, target.dataflow) == (f"eyeriss:{GIVEN}", 12, 14, "ws")
    assert (target.cycles, target.weight_buffer_bytes) == ("scalesim-v3", 36 * 1024)


def test_a_configuration_of_v3_with_a_bandwidth_of_the_user() -> None:
    target = load("google_v3.cfg:clock=500MHz,ram=16GiB")
    assert (target.cycles, target.output_buffer_bytes) == ("scalesim-v3", 2048 * 1024)
    assert target.bandwidth_bytes_per_s == 10 * 500e6
    assert load("google_v3.cfg:clock=500MHz,ram=16GiB,bandwidth=1GB/s").bandwidth_bytes_per_s == 1e9


def test_the_vector_rate_follows_the_array_and_the_clock_unless_it_is_given() -> None:
    assert load("google_v3.cfg:clock=500MHz,ram=1MB").vector_bytes_per_s == 256 * 500e6
    assert load("google_v3.cfg:clock=500MHz,ram=1MB,cols=8").vector_bytes_per_s == 8 * 500e6
    given = load("google_v3.cfg:clock=500MHz,ram=1MB,vector=1GB/s")
    assert given.vector_bytes_per_s == 1e9
    assert "vector rate derived" not in given.source


def test_what_is_derived_or_assumed_is_said() -> None:
    target = load("google_v3.cfg:clock=500MHz,ram=1MB")
    assert target.source == (
        "SCALE-Sim configuration google_v3.cfg; a word is one byte; vector rate derived: one byte a column and cycle; "
        "all else as the systolic model has it without a figure"
    )
    sources = dict(target.sources)
    assert sources["compute.clock"] == sources["memory.ram"] == "given as an option"
    assert sources["memory.bandwidth"] == "google_v3.cfg: Bandwidth 10 words a cycle; a word is one byte"
    assert sources["compute.vector"].startswith("derived")
    assert dict(load(f"google_v3.cfg:{GIVEN}").sources)["memory.bandwidth"] == "given as an option"


@pytest.mark.parametrize(
    ("file", "options", "lacking"),
    [
        ("google_v1.cfg", "", ["clock", "bandwidth", "ram"]),
        ("eyeriss_v2.cfg", "", ["clock", "bandwidth", "ram"]),
        ("google_v3.cfg", "", ["clock", "ram"]),
        ("eyeriss_v2.cfg", "clock=1GHz,rows=3", ["bandwidth", "ram"]),
    ],
)
def test_what_lacks_is_asked_for_with_options_that_work(file: str, options: str, lacking: list[str]) -> None:
    with pytest.raises(CompileError) as caught:
        load_target(f"{DATA / file}{':' if options else ''}{options}")
    (found,) = caught.value.diagnostics
    assert (found.code, caught.value.exit_code) == ("AS438", 2)
    assert [name for name in ("clock", "bandwidth", "ram") if f"no {name}" in found.message] == lacking
    assert load_target(found.hint.removeprefix("-t "))


def test_a_configuration_alone_is_no_target() -> None:
    with pytest.raises(CompileError) as caught:
        read_target_file(DATA / "google_v1.cfg")
    assert caught.value.diagnostics[0].code == "AS438"


def test_case_comments_and_delimiters_are_those_of_configparser() -> None:
    text = (DATA / "google_v3.cfg").read_text("utf-8")
    other = "; a remark\n# another\n" + text.replace("ArrayHeight:", "arrayheight =").replace("Dataflow :", "DATAFLOW=")
    options = "clock=500MHz,ram=16GiB"
    assert read_cfg_target(other, "a.cfg", options) == read_cfg_target(text, "a.cfg", options)


def test_a_configuration_without_a_run_name_is_a_target_too() -> None:
    text = (DATA / "google_v1.cfg").read_text("utf-8").replace('run_name = "GoogleTPU_os"', "")
    assert read_cfg_target(text, "a.cfg", GIVEN).name == f"scalesim:{GIVEN}"
