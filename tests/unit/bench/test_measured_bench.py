"""The comparison of a measured target with the clock: its own parts."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from autosplitc.bench import measured as bench
from autosplitc.bench.cli import bench as command


def test_it_is_listed_and_has_help() -> None:
    runner = CliRunner()
    assert "measured" in runner.invoke(command, ["--help"]).output
    assert runner.invoke(command, ["measured", "--help"]).exit_code == 0


def test_the_error_is_relative_to_what_was_measured() -> None:
    row = bench.Row("m", "whole", 0.011, 0.010, 0.0, 0.0, 0.0)
    assert row.error == pytest.approx(0.1)
