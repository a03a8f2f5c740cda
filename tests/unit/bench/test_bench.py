"""The benchmarks' own parts: tables, processes, the comparison of bundles, and the command."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from autosplitc.bench.cli import bench
from autosplitc.bench.costs import edge_targets, synthetic_graph
from autosplitc.bench.models import same_bundle
from autosplitc.bench.process import python
from autosplitc.bench.table import table
from autosplitc.ir import Module, verify
from autosplitc.targets import view


def test_tables_are_aligned() -> None:
    assert table(("model", "s"), [("a", 1), ("longer", 10.5)]) == "model      s\na          1\nlonger  10.5"


@pytest.mark.skipif(sys.platform == "win32", reason="processes are measured as POSIX has it")
def test_a_process_is_measured_alone() -> None:
    """The memory of this process, which is larger, does not count."""
    ballast = bytearray(200_000_000)
    run = python("-c", "import sys; data = bytearray(60_000_000); sys.stderr.write('done'); sys.exit(3)")
    assert (run.code, run.stderr) == (3, "done")
    assert 60_000_000 < run.peak_rss_bytes < 150_000_000 < len(ballast)
    assert run.seconds > 0


def test_bundles_are_compared_without_measurements(tmp_path: Path) -> None:
    for name, edge, measured in (("first", b"1", b"a"), ("second", b"1", b"b"), ("third", b"2", b"a")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "edge.onnx").write_bytes(edge)
        (folder / "measurements.json").write_bytes(measured)
    assert same_bundle(tmp_path / "first", tmp_path / "second")
    assert not same_bundle(tmp_path / "first", tmp_path / "third")
    (tmp_path / "second" / "more.csv").write_bytes(b"")
    assert not same_bundle(tmp_path / "first", tmp_path / "second")


def test_every_benchmark_has_help() -> None:
    runner = CliRunner()
    listed = runner.invoke(bench, ["--help"])
    assert listed.exit_code == 0
    for name in ("costs", "models", "resnet50", "startup", "wire"):
        assert name in listed.output
        assert runner.invoke(bench, [name, "--help"]).exit_code == 0


def test_cost_tables_are_timed_on_a_graph_without_repetition() -> None:
    graph = synthetic_graph()
    assert len(graph.ops) >= 2000
    assert verify(Module((graph,))) == ()
    shapes = [tuple(graph.type_of(name) for name in (*op.inputs, *op.results)) for op in graph.ops if op.kind == "conv"]
    assert len(set(shapes)) > 0.99 * len(shapes) > 900
    assert {type(target).__name__ for target in edge_targets()} == {"SystolicTarget", "RooflineTarget", "BitSerialTarget", "TableTarget"}
    assert all(target.cost(view(graph, graph.ops[1])) is not None for target in edge_targets())
