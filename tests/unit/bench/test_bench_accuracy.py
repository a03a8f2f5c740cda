"""The accuracy benchmark: rank correlation, divergence, its rows, and a run on few samples."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from autosplitc.bench.accuracy import accuracy
from autosplitc.bench.accuracy_subject import divergence, numbers
from autosplitc.bench.ranks import ranks, spearman


def test_equal_values_share_their_ranks() -> None:
    assert ranks([3.0, 1.0, 3.0, 2.0]).tolist() == [3.5, 1.0, 3.5, 2.0]


def test_spearman_of_known_rankings() -> None:
    assert spearman([1, 2, 3, 4], [10, 20, 300, 4000]) == pytest.approx(1.0)
    assert spearman([1, 2, 3, 4], [9, 3, 2, 1]) == pytest.approx(-1.0)
    # d = (0, 1, 1, 0): 1 - 6 * 2 / (4 * 15)
    assert spearman([1, 2, 3, 4], [1, 3, 2, 4]) == pytest.approx(0.8)
    # ranks (1, 2.5, 2.5, 4) with (1, 2, 3, 4): 4.5 / sqrt(4.5 * 5)
    assert spearman([1, 2, 2, 3], [1, 2, 3, 4]) == pytest.approx(4.5 / math.sqrt(22.5))
    assert math.isnan(spearman([1, 1], [1, 2]))
    with pytest.raises(ValueError, match="pair"):
        spearman([1], [1, 2])


def test_divergence_of_two_distributions() -> None:
    expected = {"out": np.log(np.array([[0.5, 0.5], [0.9, 0.1]]))}
    outputs = {"out": np.log(np.array([[0.25, 0.75], [0.9, 0.1]])) + 7.0}
    assert divergence(outputs, expected) == pytest.approx(0.5 * (0.5 * math.log(2) + 0.5 * math.log(2 / 3)))


def test_bytes_become_what_the_model_takes() -> None:
    pixels = np.array([0, 255, 51], np.uint8).reshape(1, 3, 1, 1)
    assert numbers(pixels, "unit").ravel() == pytest.approx([0.0, 1.0, 0.2])
    assert numbers(pixels, "scale=1/255,mean=0.5,std=0.5,channels=rgb").ravel() == pytest.approx([-1.0, 1.0, -0.6])
    assert numbers(pixels, "none").ravel() == pytest.approx([0.0, 255.0, 51.0])


def test_an_unknown_row_is_refused() -> None:
    done = CliRunner().invoke(accuracy, ["fashion", "--rows", "W9A9"])
    assert done.exit_code == 2 and "W9A9" in done.output


@pytest.mark.heavy
@pytest.mark.network
def test_rows_are_kept_and_not_measured_again(tmp_path: Path) -> None:
    flags = ["fashion", "--quick", "--effort", "fast", "--rows", "float,ort minmax,W8A8", "--json", str(tmp_path / "rows.json")]
    first = CliRunner().invoke(accuracy, flags)
    assert first.exit_code == 0, first.output
    again = CliRunner().invoke(accuracy, flags)
    assert again.stderr == "" and again.stdout == first.stdout
