"""Metrics on made-up outputs: what they score, when an evaluation may end, and that chunks do not matter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from autosplitc.drop import Drop
from autosplitc.ir import CompileError
from autosplitc.metric_functions import Reference, default_metric, new_tally, top_k
from autosplitc.metrics import sqnr_db, top1
from autosplitc.spool import Spool, stacked

N = 40
RNG = np.random.default_rng(3)
EXACT = RNG.normal(size=(N, 7)).astype(np.float32)
MADE = (EXACT + RNG.normal(0, 0.6, EXACT.shape)).astype(np.float32)
LABELS = np.where(RNG.random(N) < 0.8, EXACT.argmax(1), RNG.integers(0, 7, N))


def reference(folder: Path, labels: NDArray[Any] | None = LABELS, exact: NDArray[Any] = EXACT, chunk: int = 16) -> Reference:
    spool = Spool(folder / "reference")
    for start in range(0, len(exact), chunk):
        spool.append({"y": exact[start : start + chunk]}, len(exact[start : start + chunk]))
    return Reference(spool, labels, len(exact))


def measured(metric: str, found: Reference, folder: Path, made: NDArray[Any] = MADE) -> Drop:
    tally = new_tally(metric, found, folder)
    start = 0
    for expected, rows in found.outputs.chunks():
        tally.add(expected, {"y": made[start : start + rows]}, rows)
        start += rows
    assert tally.least() <= tally.drop().drop + 1e-12
    return tally.drop()


def test_top1_is_paired_with_the_float_model(tmp_path: Path) -> None:
    drop = measured("top1", reference(tmp_path), tmp_path)
    mine, exact = top1(MADE, LABELS), top1(EXACT, LABELS)
    assert (drop.value, drop.float_value, drop.n) == (mine.value, exact.value, N)
    assert drop.drop == pytest.approx(exact.value - mine.value)
    assert drop.interval is not None
    assert drop.interval[0] < drop.drop < drop.interval[1]


@pytest.mark.parametrize("metric", ["top1", "top5", "agreement", "sqnr"])
def test_chunks_do_not_matter(tmp_path: Path, metric: str) -> None:
    found = [measured(metric, reference(tmp_path, chunk=chunk), tmp_path) for chunk in (1, 7, 40)]
    assert found[0].drop == pytest.approx(found[1].drop, rel=1e-12)
    assert found[1].interval == pytest.approx(found[2].interval, rel=1e-12)
    assert found[0].complete


def test_top_k_counts_the_first_of_equals() -> None:
    logits = np.array([[1.0, 3.0, 3.0, 2.0], [np.nan, 9.0, 0.0, 0.0]])
    assert [bool(top_k(logits[:1], np.array([label]), 1)[0]) for label in range(4)] == [False, True, False, False]
    assert [bool(top_k(logits[:1], np.array([label]), 3)[0]) for label in range(4)] == [False, True, True, True]
    assert not top_k(logits[1:], np.array([1]), 3)[0], "NaN is no answer"


def test_agreement_is_against_the_float_model(tmp_path: Path) -> None:
    drop = measured("agreement", reference(tmp_path, labels=None), tmp_path)
    assert drop.drop == pytest.approx(np.count_nonzero(np.argmax(MADE, 1) - np.argmax(EXACT, 1)) / N)
    assert measured("agreement", reference(tmp_path), tmp_path, EXACT).interval == pytest.approx((0.0, 0.0876), abs=1e-3)


def test_the_drop_of_sqnr_is_a_ratio_of_powers(tmp_path: Path) -> None:
    drop = measured("sqnr", reference(tmp_path), tmp_path)
    assert drop.value == pytest.approx(sqnr_db(EXACT, MADE))
    assert drop.drop == pytest.approx(10 ** (-sqnr_db(EXACT, MADE) / 10))
    assert measured("sqnr", reference(tmp_path), tmp_path, EXACT).drop == 0.0
    broken = measured("sqnr", reference(tmp_path), tmp_path, np.where(MADE > 2, np.nan, MADE))
    assert not broken.holds(1.0)
    assert broken.as_json()["drop"] is None


def test_outputs_of_another_shape_score_nothing(tmp_path: Path) -> None:
    assert measured("top1", reference(tmp_path), tmp_path, MADE[:, :5]).value == 0.0
    assert not measured("sqnr", reference(tmp_path), tmp_path, MADE[:, :5]).holds(1.0)


@pytest.mark.parametrize("metric", ["top1", "agreement", "sqnr"])
def test_the_least_drop_is_a_bound_at_every_moment(tmp_path: Path, metric: str) -> None:
    found = reference(tmp_path, chunk=5)
    worst = np.roll(EXACT, 1, axis=1)
    for kind in (MADE, worst, EXACT):
        whole = measured(metric, found, tmp_path, kind).drop
        tally = new_tally(metric, found, tmp_path)
        bounds: list[float] = []
        for i, (expected, rows) in enumerate(found.outputs.chunks()):
            tally.add(expected, {"y": kind[5 * i : 5 * i + rows]}, rows)
            bounds.append(tally.least())
        assert all(bound <= whole + 1e-12 for bound in bounds)
        assert bounds == sorted(bounds), "it only grows"
        assert bounds[-1] == pytest.approx(whole)


def test_defaults_follow_data_and_model(tmp_path: Path) -> None:
    boxes = RNG.normal(size=(4, 3, 5)).astype(np.float32)
    assert default_metric(reference(tmp_path)) == "top1"
    assert default_metric(reference(tmp_path, labels=None)) == "agreement"
    assert default_metric(reference(tmp_path, labels=None, exact=boxes)) == "sqnr"
    assert default_metric(reference(tmp_path, labels=RNG.random((N, 4)))) == "agreement"


@pytest.mark.parametrize(
    ("metric", "labels", "exact", "message"),
    [
        ("top1", None, EXACT, "the samples have no labels"),
        ("top1", LABELS[:, None], EXACT, "labels are int64[40, 1], not a class a sample"),
        ("top5", LABELS % 5, EXACT[:, :5], "the model has 5 classes: every one is among the first 5"),
        ("top1", LABELS + 4, EXACT, "labels are 4 .. 10, and the model's classes are 0 .. 6"),
        ("agreement", None, EXACT.reshape(4, 10, 7), "no output of the model is a score a class, f32[N, classes]"),
    ],
)
def test_a_metric_that_does_not_fit(tmp_path: Path, metric: str, labels: Any, exact: NDArray[Any], message: str) -> None:
    with pytest.raises(CompileError) as caught:
        new_tally(metric, reference(tmp_path, labels, exact), tmp_path)
    (found,) = caught.value.diagnostics
    assert (found.code, found.message) == ("AS161", f"the metric {metric} does not fit: {message}")
    assert caught.value.exit_code == 2


@pytest.fixture
def module_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Return a function that writes a module with the body of a metric, and returns the metric's name."""
    monkeypatch.chdir(tmp_path)

    def make(body: str) -> str:
        name = f"metric_{abs(hash(body))}"
        (tmp_path / f"{name}.py").write_text(f"import numpy as np\ndef metric(outputs, expected, labels):\n    {body}\n")
        return f"{name}:metric"

    return make


def test_a_function_gives_scores_or_one_figure(tmp_path: Path, module_of: Callable[[str], str]) -> None:
    wanted = measured("top1", reference(tmp_path), tmp_path)
    scores = measured(module_of("return outputs['y'].argmax(1) == labels"), reference(tmp_path), tmp_path)
    assert {**scores.as_json(), "metric": "top1"} == wanted.as_json()
    figure = measured(module_of("return np.mean(outputs['y'].argmax(1) == labels)"), reference(tmp_path), tmp_path)
    assert (figure.drop, figure.interval, figure.scored) == (pytest.approx(wanted.drop), None, False)
    against = measured(module_of("return 1 - np.abs(outputs['y'] - expected['y']).max(1).clip(0, 1)"), reference(tmp_path), tmp_path)
    assert against.float_value == 1.0
    assert 0 < against.drop < 1


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ("raise ValueError('no boxes in sample 3')", "AS163", "ValueError: no boxes in sample 3 ("),
        ("import sys; sys.exit('bye')", "AS163", "SystemExit: bye"),
        ("return np.zeros((2, 3))", "AS164", "it returns an array of shape [2, 3] for 40 samples"),
        ("return np.full(40, np.nan)", "AS164", "it returns NaN or infinity for sample 0"),
        ("return float('inf')", "AS164", "it returns inf"),
        ("return np.linspace(0, 2, 40)", "AS164", "its scores lie between 0 and 2"),
        ("return None", "AS164", "it returns None"),
        ("return 'good'", "AS164", "it returns str"),
        ("return 1.0 if outputs['y'] is expected['y'] else np.ones(40)", "AS164", "it returns one figure in one call"),
    ],
)
def test_a_bad_function_is_told(tmp_path: Path, module_of: Callable[[str], str], body: str, code: str, message: str) -> None:
    with pytest.raises(CompileError) as caught:
        measured(module_of(body), reference(tmp_path), tmp_path)
    (found,) = caught.value.diagnostics
    assert found.code == code
    assert message in "\n".join((found.message, *found.notes))
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("limit_bytes", [0, 300, 1 << 20])
def test_a_spool_gives_back_what_it_took(tmp_path: Path, limit_bytes: int) -> None:
    spool = Spool(tmp_path / "spool", limit_bytes)
    ragged = [np.arange(k + 1) for k in range(3)]
    for k in range(3):
        spool.append({"y/:0": EXACT[4 * k : 4 * k + 4], "one": np.array(k, np.float32), "r": ragged[k]}, 4)
    whole = stacked(spool, tmp_path / "stacked")
    np.testing.assert_array_equal(whole["y/:0"], EXACT[:12])
    np.testing.assert_array_equal(whole["one"], [0, 1, 2])
    assert [list(part) for part in whole["r"]] == [[0], [0, 1], [0, 1, 2]]
    assert (tmp_path / "spool").is_dir() == (limit_bytes < 1 << 20)
    assert spool.held_bytes <= limit_bytes
