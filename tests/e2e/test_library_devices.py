"""Every built-in edge device with a cloud one: a real model compiles, and devices rank as they should."""

from __future__ import annotations

import math

import pytest

import autosplitc
from autosplitc.passes import Plan

PAIRS = (
    ("eyeriss", "tpu"),
    ("eyeriss-v3", "tpu-v3"),
    ("bit-fusion", "tpu"),
    ("raspberry-pi-4", "cpu-core"),
    ("raspberry-pi-5", "t4"),
    ("jetson-nano", "h100"),
    ("jetson-orin-nano", "h200"),
    ("coral-edge-tpu", "cpu-core"),
    ("cortex-m7", "t4"),
    ("esp32-s3", "t4"),
    ("hi3516e", "cpu-core"),
    ("cpu-core", "h100"),
)


@pytest.mark.parametrize(("edge", "cloud"), PAIRS)
def test_a_model_compiles_for_every_pair(edge: str, cloud: str) -> None:
    result = autosplitc.compile("zoo:fashion", edge=edge, cloud=cloud, network="wifi")
    assert result.best.feasible
    assert math.isfinite(result.best.latency_s)
    assert result.best.latency_s > 0
    assert result.folder is not None
    assert (result.folder / "manifest.json").is_file()


def edge_only(edge: str) -> Plan:
    result = autosplitc.compile("zoo:fashion", edge=edge, cloud="h200", network="ble", passes="simplify,analyze,plan")
    return next(plan for plan in result.solutions if plan.kind == "edge-only")


def test_devices_rank_by_what_they_are() -> None:
    slow_to_fast = ("cortex-m7", "esp32-s3", "raspberry-pi-4", "raspberry-pi-5", "coral-edge-tpu", "h200")
    latencies_s = [edge_only(name).latency_s for name in slow_to_fast]
    assert latencies_s == sorted(latencies_s, reverse=True)
    assert len(set(latencies_s)) == len(latencies_s)
