"""The built-in targets: every figure has a source, is what its source's parts give, and is of a size that such a device has."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import pytest

from autosplitc.ir import CompileError
from autosplitc.targets import (
    BitSerialTarget,
    RooflineTarget,
    SystolicTarget,
    Target,
    check_target,
    conformance,
    load_target,
    target_names,
)

ROOT = Path(__file__).parents[3]
LIBRARY = ROOT / "targets" / "library"
NAMES = sorted(path.stem for path in LIBRARY.glob("*.toml"))
TOP = ("weight_bits", "act_bits", "float_bits", "resident", "max_opset", "unsupported")
"""Keys outside of the tables that have a source wherever they stand."""


def raw(name: str) -> dict[str, Any]:
    return tomllib.loads((LIBRARY / f"{name}.toml").read_text("utf-8"))


def figures(table: dict[str, Any], path: str = "") -> Iterator[str]:
    """Dotted keys of all values in a table."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from figures(cast("dict[str, Any]", value), f"{path}{key}.")
        else:
            yield f"{path}{key}"


def roofline(name: str) -> RooflineTarget:
    target = load_target(name)
    assert isinstance(target, RooflineTarget)
    return target


def array(name: str) -> SystolicTarget | BitSerialTarget:
    target = load_target(name)
    assert isinstance(target, SystolicTarget | BitSerialTarget)
    return target


def test_every_file_is_an_installed_target_and_every_one_of_ours_a_file() -> None:
    assert [name for name, distribution in target_names() if distribution == "autosplitc"] == NAMES


def test_a_name_without_a_file_is_no_attribute() -> None:
    library = import_module("autosplitc.targets.library")
    assert hasattr(library, "raspberry_pi_4")
    assert not hasattr(library, "no_such_device")


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_called_like_its_target(name: str) -> None:
    target = check_target(load_target(name), name)
    assert target.name == name == raw(name)["name"]
    assert target.source == raw(name)["source"]


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_has_a_source_and_every_source_a_figure(name: str) -> None:
    file = raw(name)
    stated = {key for key in TOP if key in file} | set(figures({t: file[t] for t in ("memory", "compute")}))
    assert set(file["sources"]) == stated
    assert {"weight_bits", "act_bits", "memory.ram", "memory.bandwidth", "compute.vector"} <= stated


@pytest.mark.parametrize("name", NAMES)
def test_sources_say_where_a_figure_comes_from(name: str) -> None:
    sources: dict[str, str] = raw(name)["sources"]
    for key, text in sources.items():
        same_as = re.fullmatch(r"as ([a-z_.]+)", text)
        assert same_as is None or same_as[1] in sources, f"{key}: {text}"
        assert same_as or len(text) > 20, f"{key}: {text}"
        if re.search(r"\b(assumed|derived)\b", text):
            assert re.search(r"\b(assumed(, as \w+)?|derived): ", text), f"{key}: what is assumed or derived follows a colon"


@pytest.mark.parametrize("name", NAMES)
def test_targets_conform(name: str) -> None:
    findings = conformance(load_target(name), lambda: load_target(name))
    assert [(f.check, f.problems) for f in findings if f.problems and f.check != "speed"] == []
    assert len(findings) == 8


FLOAT_PEAKS = (
    # device, units at work, clock in Hz, float multiply-accumulates a unit and cycle
    ("raspberry-pi-4", 4, 1.8e9, 4),
    ("raspberry-pi-5", 4, 2.4e9, 8),
    ("jetson-nano", 128, 921e6, 1),
    ("jetson-orin-nano", 1024, 625e6, 1),
    ("coral-edge-tpu", 4, 1.5e9, 4),
    ("cortex-m7", 1, 480e6, 1),
    ("esp32-s3", 2, 240e6, 1),
    ("hi3516e", 1, 900e6, 1),
    ("cpu-core", 1, 2.3e9, 2 * 512 // 32),
    ("t4", 2560, 1.59e9, 1),
    ("h100", 132, 1.83e9, 1024),
    ("h200", 132, 1.83e9, 1024),
)
INT8_PEAKS = (
    ("raspberry-pi-4", 4, 1.8e9, 8),
    ("raspberry-pi-5", 4, 2.4e9, 2 * 16),
    ("jetson-nano", 128, 921e6, 1),
    ("jetson-orin-nano", 32, 625e6, 512),
    ("coral-edge-tpu", 64 * 64, 500e6, 1),
    ("cortex-m7", 1, 480e6, 2),
    ("esp32-s3", 2, 240e6, 16),
    ("hi3516e", 1, 900e6, 4),
    ("cpu-core", 1, 2.3e9, 2 * 512 // 8),
    ("t4", 320, 1.59e9, 128),
    ("h100", 132, 1.83e9, 4096),
    ("h200", 132, 1.83e9, 4096),
)
BANDWIDTHS = (
    # device, bytes wide, transfers a second
    ("raspberry-pi-4", 4, 3.2e9),
    ("raspberry-pi-5", 4, 4.267e9),
    ("jetson-nano", 8, 3.2e9),
    ("jetson-orin-nano", 16, 4.266e9),
    ("coral-edge-tpu", 2 * 64, 500e6),
    ("cortex-m7", 8, 480e6 / 2),
    ("esp32-s3", 2 * 16, 240e6),
    ("hi3516e", 2, 1.066e9),
    ("cpu-core", 8 * 8 / 40, 3.2e9),
    ("t4", 32, 10e9),
    ("h100", 5 * 128, 2 * 2.619e9),
    ("h200", 6 * 128, 2 * 3.201e9),
)


@pytest.mark.parametrize(("name", "units", "clock_hz", "macs"), FLOAT_PEAKS)
def test_the_float_peak_is_units_times_clock_times_macs(name: str, units: int, clock_hz: float, macs: int) -> None:
    assert math.isclose(roofline(name).float_ops_per_s, 2 * units * clock_hz * macs, rel_tol=0.025)


@pytest.mark.parametrize(("name", "units", "clock_hz", "macs"), INT8_PEAKS)
def test_the_int8_peak_is_units_times_clock_times_macs(name: str, units: int, clock_hz: float, macs: int) -> None:
    assert math.isclose(roofline(name).int8_ops_per_s, 2 * units * clock_hz * macs, rel_tol=0.025)


@pytest.mark.parametrize(("name", "wide_bytes", "transfers_per_s"), BANDWIDTHS)
def test_the_bandwidth_is_width_times_transfers(name: str, wide_bytes: float, transfers_per_s: float) -> None:
    assert math.isclose(roofline(name).bandwidth_bytes_per_s, wide_bytes * transfers_per_s, rel_tol=0.025)


def test_the_tables_name_every_roofline() -> None:
    rooflines = [name for name in NAMES if raw(name)["model"] == "roofline"]
    for table in (FLOAT_PEAKS, INT8_PEAKS, BANDWIDTHS):
        assert sorted(row[0] for row in table) == rooflines


def test_four_bit_peaks_are_double_where_there_are_any() -> None:
    given = {name: roofline(name).int4_ops_per_s for name in NAMES if raw(name)["model"] == "roofline"}
    assert {name: peak for name, peak in given.items() if peak is not None} == {"t4": 2 * roofline("t4").int8_ops_per_s}


@pytest.mark.parametrize(
    ("name", "ops_per_s"),
    [("eyeriss", 34e9), ("eyeriss-v3", 34e9), ("tpu", 92e12), ("tpu-v3", 92e12), ("bit-fusion", 512e9)],
)
def test_peaks_of_arrays_are_those_of_their_papers(name: str, ops_per_s: float) -> None:
    assert math.isclose(array(name).peak_ops_per_s, ops_per_s, rel_tol=0.02)


def test_the_paper_s_devices_have_the_figures_of_its_table() -> None:
    edge, cloud = array("eyeriss"), array("tpu")
    assert (edge.ram_bytes, edge.bandwidth_bytes_per_s) == (4 * 2**30, 1e9)
    assert (cloud.ram_bytes, cloud.bandwidth_bytes_per_s) == (16 * 2**30, 13e9)
    for target, on_chip in ((edge, 192 * 2**10), (cloud, 28 * 2**20)):
        assert target.input_buffer_bytes + target.weight_buffer_bytes + target.output_buffer_bytes == on_chip
    assert (edge.rows, edge.cols, edge.clock_hz) == (12, 14, 200e6)
    assert (cloud.rows, cloud.cols, cloud.clock_hz) == (256, 256, 700e6)


@pytest.mark.parametrize("name", ["eyeriss", "tpu"])
def test_presets_of_scale_sim_v3_keep_what_they_leave_open(name: str) -> None:
    old, new = array(name), array(f"{name}-v3")
    for field in ("rows", "cols", "dataflow", "clock_hz", "vector_bytes_per_s", "ram_bytes", "weight_bits", "float_bits", "float_passes"):
        assert getattr(new, field) == getattr(old, field), field
    assert (old.cycles, new.cycles) == ("scalesim-v1", "scalesim-v3")


def bits_text(target: Target) -> str:
    weights, acts = (", ".join(map(str, bits)) for bits in (target.weight_bits, target.act_bits))
    return f"{weights} / {acts} / f{target.float_bits}"


def peak_text(compute: dict[str, Any]) -> str:
    if "array" in compute:
        return "{} x {} at {}".format(*compute["array"], compute["clock"])
    return ", ".join(f"{peak} {kind}" for kind, peak in compute["peak"].items())


def page_rows() -> list[list[str]]:
    page = (ROOT / "docs" / "targets.md").read_text("utf-8")
    section = page.partition("\n## Built-in targets\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_page_lists_what_the_files_say() -> None:
    expected: list[list[str]] = []
    for name in NAMES:
        file = raw(name)
        memory = file["memory"]
        sizes = [memory["bandwidth"], memory["ram"], memory.get("storage", "-")]
        expected.append([f"`{name}`", file["model"], peak_text(file["compute"]), *sizes, bits_text(load_target(name)), file["source"]])
    found = page_rows()
    assert all(len(row) == 9 and len(row[1]) > 10 for row in found)
    assert sorted(row[:1] + row[2:] for row in found) == sorted(expected)


def test_options_change_a_device_of_the_library() -> None:
    with_psram = roofline("esp32-s3:ram=8MB,bandwidth=160MB/s")
    assert (with_psram.ram_bytes, with_psram.bandwidth_bytes_per_s) == (8_000_000, 160e6)
    with pytest.raises(CompileError, match="esp32-s3"):
        load_target("esp32-s3:rows=3")
